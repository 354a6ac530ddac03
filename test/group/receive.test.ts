import { getEventListeners } from 'node:events'
import { describe, expect, test } from 'vitest'
import type { Group } from '../../group/group.ts'
import type { GroupOptions } from '../../group/options.ts'
import { bytes, type FakeMachine, fakeKernel, messages, text, turn, viewOf } from './fake.ts'

async function open(
  options: GroupOptions<Uint8Array> = {},
): Promise<{ group: Group<Uint8Array>; machine: FakeMachine }> {
  const { kernel, rim } = fakeKernel()
  const group = await kernel.createGroup<Uint8Array>('test', { codec: 'binary', ...options })
  return { group, machine: rim.machines[0]! }
}

const close = (machine: FakeMachine, code?: 'ERR_EXPELLED'): void =>
  machine.emit({ output: 'event', event: { event: 'closed', code, reason: 'test' } })

describe('receiving', () => {
  test('hands out records in order, with seq, sender, header, body and more', async () => {
    const { group, machine } = await open()
    machine.deliver(messages(2, ['a', { body: bytes('b'), header: bytes('h') }], 7), messages(4, ['c'], 8))
    const first = await group.receiveFromGroup()
    expect(first).toMatchObject({ seq: 2, kind: 'message', sender: 7, more: true })
    expect(first.view).toMatchObject({ groupId: '0000000000000abc', sequencer: 1, seq: 1 })
    expect(first.view.members).toEqual([
      { id: 1, name: 'm1', address: '127.0.0.1:4001', role: 'full', right: 'all' },
    ])
    const second = await group.receiveFromGroup()
    expect([text(second.body!), text(second.header), second.seq, second.more]).toEqual(['b', 'h', 3, true])
    const third = group.tryReceive()!
    expect([text(third.body!), third.seq, third.sender, third.more]).toEqual(['c', 4, 8, false])
    expect(group.tryReceive()).toBeUndefined()
    expect(third.body!.constructor).toBe(Uint8Array)
  })

  test('waiting calls are served in the order in which they were made', async () => {
    const { group, machine } = await open()
    const waiting = [group.receiveFromGroup(), group.receiveFromGroup(), group.receiveFromGroup()]
    machine.deliver(messages(2, ['a', 'b']))
    machine.deliver(messages(4, ['c', 'd']))
    expect((await Promise.all(waiting)).map(({ seq }) => seq)).toEqual([2, 3, 4])
    expect(group.tryReceive()!.seq).toBe(5)
  })

  test('view changes carry their view, and messages the view as of their place', async () => {
    const { group, machine } = await open()
    const seen: number[] = []
    group.on('view', (view) => seen.push(view.members.length))
    machine.deliver(
      messages(2, ['a']),
      { kind: 'join', seq: 3, sender: 2, header: bytes('hi'), view: viewOf(3, [1, 2]) },
      messages(4, ['b']),
      {
        kind: 'reset',
        seq: 5,
        sender: 1,
        header: bytes(''),
        view: viewOf(5, [1], { incarnation: 4 }),
        removed: [2],
        lossPossible: true,
      },
    )
    expect(group.view.members).toHaveLength(1)
    expect(seen).toEqual([2, 1])
    const got = await group.receiveBatch()
    expect(got.map(({ kind }) => kind)).toEqual(['message', 'join', 'message', 'reset'])
    expect(got.map(({ view }) => view.members.length)).toEqual([1, 2, 2, 1])
    expect(got[1]).toMatchObject({ sender: 2, body: undefined })
    expect(text(got[1]!.header)).toBe('hi')
    expect(got[3]).toMatchObject({ removed: [2], lossPossible: true, view: { incarnation: 4 } })
  })

  test('nothing counts as taken before it is handed out, and everything taken is reported within a turn', async () => {
    const { group, machine } = await open()
    machine.deliver(messages(2, ['a', 'b', 'c']))
    await turn()
    expect(machine.takenReports).toEqual([])
    const iterator = group[Symbol.asyncIterator]()
    await iterator.next()
    await turn()
    expect(machine.takenReports).toEqual([2])
    await iterator.next()
    await iterator.next()
    await Promise.resolve()
    expect(machine.takenReports.at(-1)).toBe(4)
    const waiting = iterator.next()
    await turn()
    expect(machine.takenReports.at(-1)).toBe(4)
    machine.deliver(messages(5, ['d', 'e']))
    await waiting
    await turn()
    expect(machine.takenReports.at(-1)).toBe(5)
  })

  test('under load one report serves many deliveries, and at most a quarter of a small history waits', async () => {
    const large = await open()
    large.machine.deliver(
      messages(
        2,
        Array.from({ length: 1000 }, () => 'x'),
      ),
    )
    while (large.group.tryReceive() !== undefined);
    await turn()
    expect(large.machine.takenReports.at(-1)).toBe(1001)
    expect(large.machine.takenReports.length).toBeLessThan(6)

    const small = await open({ historySize: 8 })
    small.machine.deliver(messages(2, ['a', 'b', 'c', 'd', 'e']))
    small.group.tryReceive()
    small.group.tryReceive()
    expect(small.machine.takenReports).toEqual([3])
  })

  test('records on other channels are not handed out and count as taken', async () => {
    const { group, machine } = await open()
    machine.deliver(
      messages(2, ['a', { body: bytes('x'), channel: 2 }, 'b', { body: bytes('y'), channel: 1 }]),
    )
    const got = await group.receiveBatch()
    expect(got.map(({ seq, more }) => [seq, more])).toEqual([
      [2, true],
      [4, false],
    ])
    await turn()
    expect(machine.takenReports.at(-1)).toBe(5)
    machine.deliver(messages(6, [{ body: bytes('z'), channel: 3 }]))
    await turn()
    expect(machine.takenReports.at(-1)).toBe(6)
    expect(group.tryReceive()).toBeUndefined()
  })

  test('a malformed block gives what can be read of it, and all its places pass', async () => {
    const { group, machine } = await open()
    const event = messages(2, ['aa', 'bb', 'cc'])
    if (event.kind !== 'messages') throw new Error('not a block')
    event.block[event.block.length - 3] = 0x7f
    machine.deliver(event, messages(5, ['d']))
    expect((await group.receiveBatch()).map(({ seq }) => seq)).toEqual([2, 3, 5])
  })

  test('batches wait for at least one and hold at most max', async () => {
    const { group, machine } = await open()
    const waiting = group.receiveBatch({ max: 2 })
    machine.deliver(messages(2, ['a', 'b', 'c']))
    expect((await waiting).map(({ seq }) => seq)).toEqual([2, 3])
    expect((await group.receiveBatch()).map(({ seq }) => seq)).toEqual([4])
    await expect(group.receiveBatch({ max: 0 })).rejects.toMatchObject({ code: 'ERR_INVALID_ARGUMENT' })
  })

  test('an aborted wait loses nothing and leaves no listener behind', async () => {
    const { group, machine } = await open()
    const stop = new AbortController()
    const waiting = group.receiveFromGroup({ signal: stop.signal })
    const other = group.receiveFromGroup({ signal: stop.signal })
    machine.deliver(messages(2, ['a']))
    expect((await waiting).seq).toBe(2)
    expect(getEventListeners(stop.signal, 'abort')).toHaveLength(1)
    stop.abort(new Error('enough'))
    await expect(other).rejects.toMatchObject({ code: 'ERR_ABORTED', cause: { message: 'enough' } })
    expect(getEventListeners(stop.signal, 'abort')).toHaveLength(0)
    machine.deliver(messages(3, ['b']))
    await expect(group.receiveFromGroup({ signal: stop.signal })).rejects.toMatchObject({
      code: 'ERR_ABORTED',
    })
    expect((await group.receiveFromGroup()).seq).toBe(3)
  })

  test('after an orderly end, what arrived is received, loops end and calls fail', async () => {
    const { group, machine } = await open()
    machine.deliver(messages(2, ['a', 'b']))
    close(machine)
    const got: number[] = []
    for await (const { seq } of group) got.push(seq)
    expect(got).toEqual([2, 3])
    await expect(group.receiveFromGroup()).rejects.toMatchObject({ code: 'ERR_GROUP_CLOSED' })
    await expect(group.receiveBatch()).rejects.toMatchObject({ code: 'ERR_GROUP_CLOSED' })
    expect(group.tryReceive()).toBeUndefined()
    expect(machine.takenReports).toEqual([])
  })

  test('a loop that waits ends at the leave; breaking out of one loses nothing', async () => {
    const { group, machine } = await open()
    machine.deliver(messages(2, ['a', 'b']))
    for await (const { seq } of group) {
      expect(seq).toBe(2)
      break
    }
    const rest: number[] = []
    const loop = (async () => {
      for await (const { seq } of group) rest.push(seq)
    })()
    await turn()
    expect(rest).toEqual([3])
    await group.leaveGroup()
    await loop
  })

  test('an expelled member throws out of its loop, after what had arrived', async () => {
    const { group, machine } = await open()
    machine.deliver(messages(2, ['a']))
    close(machine, 'ERR_EXPELLED')
    const got: number[] = []
    const loop = async () => {
      for await (const { seq } of group) got.push(seq)
    }
    await expect(loop()).rejects.toMatchObject({ code: 'ERR_EXPELLED' })
    expect(got).toEqual([2])
  })

  test('bodies are views into their block, or copies if asked for', async () => {
    const plain = await open()
    const event = messages(2, ['abc'])
    if (event.kind !== 'messages') throw new Error('not a block')
    plain.machine.deliver(event)
    expect((await plain.group.receiveFromGroup()).body!.buffer).toBe(event.block.buffer)
    const copying = await open({ copy: true })
    copying.machine.deliver(event)
    const body = (await copying.group.receiveFromGroup()).body!
    expect(text(body)).toBe('abc')
    expect(body.buffer.byteLength).toBe(3)
  })
})
