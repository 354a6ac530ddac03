import { describe, expect, test } from 'vitest'
import type { Group } from '../../group/group.ts'
import type { Visitor } from '../../group/receive-queue.ts'
import { bytes, type FakeMachine, fakeKernel, messages, turn, viewOf } from './fake.ts'

async function open(): Promise<{ group: Group<Uint8Array>; machine: FakeMachine }> {
  const { kernel, rim } = fakeKernel()
  const group = await kernel.createGroup<Uint8Array>('test', { codec: 'binary', historySize: 64 })
  return { group, machine: rim.machines[0]! }
}

/** Writes down what it is handed. */
function scribe(): Visitor<Uint8Array> & { readonly seen: string[] } {
  const seen: string[] = []
  const text = (from: Uint8Array, start: number, end: number) =>
    Buffer.from(from.subarray(start, end)).toString()
  return {
    seen,
    message: (from, start, end, seq, sender, headerFrom) => {
      seen.push(`${seq} ${sender} ${text(from, headerFrom, start)}|${text(from, start, end)}`)
    },
    change: ({ kind, seq }) => seen.push(`${seq} ${kind}`),
  }
}

describe('receiveEach', () => {
  test('hands out messages and changes in order, with header, body, seq and sender', async () => {
    const { group, machine } = await open()
    machine.deliver(
      messages(2, ['a', { body: bytes('b'), header: bytes('h') }], 7),
      { kind: 'join', seq: 4, sender: 2, header: bytes('hi'), view: viewOf(4, [1, 2]) },
      messages(5, ['', 'c'], 8),
    )
    const visitor = scribe()
    expect(await group.receiveEach(visitor)).toBe(5)
    expect(visitor.seen).toEqual(['2 7 |a', '3 7 h|b', '4 join', '5 8 |', '6 8 |c'])
    expect(group.tryReceive()).toBeUndefined()
  })

  test('stops at max, and goes on there', async () => {
    const { group, machine } = await open()
    machine.deliver(messages(2, ['a', 'b', 'c']))
    const visitor = scribe()
    expect(await group.receiveEach(visitor, { max: 2 })).toBe(2)
    expect(group.tryReceive()!.seq).toBe(4)
    expect(visitor.seen).toEqual(['2 1 |a', '3 1 |b'])
  })

  test('waits for the first, beside other calls', async () => {
    const { group, machine } = await open()
    const visitor = scribe()
    const waiting = [group.receiveFromGroup(), group.receiveEach(visitor)] as const
    machine.deliver(messages(2, ['a', 'b', 'c']))
    expect((await waiting[0]).seq).toBe(2)
    expect(await waiting[1]).toBe(2)
    expect(visitor.seen).toEqual(['3 1 |b', '4 1 |c'])
  })

  test('passes over what is not for programs, and reports it as taken', async () => {
    const { group, machine } = await open()
    machine.deliver(
      messages(2, ['a', { body: bytes('x'), channel: 3 }, 'b', { body: bytes('y'), channel: 1 }]),
    )
    const visitor = scribe()
    expect(await group.receiveEach(visitor)).toBe(2)
    await turn()
    expect(visitor.seen).toEqual(['2 1 |a', '4 1 |b'])
    expect(machine.takenReports.at(-1)).toBe(5)
  })

  test('what the visitor throws rejects the call; the delivery counts as taken, the rest stays', async () => {
    const { group, machine } = await open()
    const fail = { message: () => expect.fail('never again') }
    const early = group.receiveEach(fail)
    machine.deliver(messages(2, ['a', 'b', 'c']))
    await expect(early).rejects.toThrow('never again')
    await expect(group.receiveEach(fail)).rejects.toThrow('never again')
    await turn()
    expect(machine.takenReports.at(-1)).toBe(3)
    expect(group.tryReceive()!.seq).toBe(4)
  })

  test('a visitor may receive by itself meanwhile', async () => {
    const { group, machine } = await open()
    machine.deliver(messages(2, ['a', 'b', 'c', 'd']))
    const seqs: (number | undefined)[] = []
    const count = await group.receiveEach({
      message: (_bytes, _from, _to, seq) => seqs.push(seq, group.tryReceive()?.seq),
    })
    expect([count, seqs]).toEqual([2, [2, 3, 4, 5]])
  })

  test('is cancelled, ends with the group, and says what it wants', async () => {
    const { group, machine } = await open()
    const abort = new AbortController()
    const cancelled = group.receiveEach(scribe(), { signal: abort.signal })
    abort.abort()
    await expect(cancelled).rejects.toMatchObject({ code: 'ERR_ABORTED' })
    await expect(group.receiveEach({} as never)).rejects.toMatchObject({ code: 'ERR_INVALID_ARGUMENT' })
    await expect(group.receiveEach(scribe(), { max: 0 })).rejects.toMatchObject({
      code: 'ERR_INVALID_ARGUMENT',
    })
    const waiting = group.receiveEach(scribe())
    machine.emit({ output: 'event', event: { event: 'closed', code: 'ERR_EXPELLED', reason: 'test' } })
    await expect(waiting).rejects.toMatchObject({ code: 'ERR_EXPELLED' })
  })
})
