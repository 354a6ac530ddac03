import { getEventListeners } from 'node:events'
import { describe, expect, test } from 'vitest'
import type { Group } from '../../group/group.ts'
import type { GroupParameters } from '../../kernel/parameters.ts'
import { type FakeMachine, fakeKernel, joins } from './fake.ts'

async function open(
  parameters: Partial<GroupParameters> = {},
): Promise<{ group: Group<Uint8Array>; machine: FakeMachine }> {
  const { kernel, rim } = fakeKernel(joins(parameters))
  const group = await kernel.createGroup<Uint8Array>('test', { codec: 'binary' })
  return { group, machine: rim.machines[0]! }
}

const body = (length = 1): Uint8Array => new Uint8Array(length)
const failed = (
  machine: FakeMachine,
  token: number,
  outcome: 'refused' | 'unknown',
  code: 'ERR_ABORTED' | 'ERR_WOULD_BLOCK' = 'ERR_ABORTED',
): void => machine.emit({ output: 'failed', token, code, message: 'no', outcome })

describe('sending', () => {
  test('tokens rise by one per message, through single sends and batches', async () => {
    const { group, machine } = await open()
    void group.sendToGroup(body())
    void group.sendMany([body(), body(), body()])
    void group.sendToGroup(body(), { header: body(3) })
    expect(machine.callsOf('send').map(({ token }) => token)).toEqual([1, 5])
    expect(machine.callsOf('sendMany')[0]).toMatchObject({ token: 2, channel: 0 })
    expect(machine.callsOf('send')[1]!.header).toHaveLength(3)
  })

  test('a header is copied: the program may write the next one into it at once', async () => {
    const { group, machine } = await open()
    const header = new Uint8Array([1])
    for (let i = 1; i <= 3; i++) {
      header[0] = i
      void group.sendToGroup(body(), { header })
    }
    expect(machine.callsOf('send').map((call) => call.header[0])).toEqual([1, 2, 3])
  })

  test('one answered run settles several calls, and may begin and end inside a batch', async () => {
    const { group, machine } = await open()
    const one = group.sendToGroup(body())
    const many = group.sendMany([body(), body(), body()])
    const last = group.sendToGroup(body())
    machine.clock = 2_000_000
    machine.emit({ output: 'sent', token: 1, count: 3, seq: 10 })
    expect(await one).toBe(10)
    machine.emit({ output: 'sent', token: 4, count: 2, seq: 20 })
    expect(await many).toEqual([11, 12, 20])
    expect(await last).toBe(21)
    expect(machine.answerTimes).toEqual([2, 2])
  })

  test('answers out of order find their calls', async () => {
    const { group, machine } = await open()
    const sends = Array.from({ length: 100 }, () => group.sendToGroup(body()))
    for (const token of [50, 99, 2]) failed(machine, token, 'refused')
    machine.emit({ output: 'sent', token: 1, count: 1, seq: 5 })
    machine.emit({ output: 'sent', token: 3, count: 47, seq: 6 })
    machine.emit({ output: 'sent', token: 51, count: 48, seq: 53 })
    machine.emit({ output: 'sent', token: 100, count: 1, seq: 101 })
    const settled = await Promise.allSettled(sends)
    const seqs = settled.map((result) => (result.status === 'fulfilled' ? result.value : undefined))
    expect(seqs.filter((seq) => seq === undefined)).toHaveLength(3)
    expect(seqs.filter((seq) => seq !== undefined)).toEqual([
      5,
      ...Array.from({ length: 95 }, (_, i) => 6 + i),
      101,
    ])
  })

  test('too large is refused before anything is sent; exactly the limit is not', async () => {
    const { group, machine } = await open({ maxMessageSize: 100 })
    const refused = { code: 'ERR_MESSAGE_TOO_LARGE', outcome: 'refused' }
    await expect(group.sendToGroup(body(101))).rejects.toMatchObject(refused)
    await expect(group.sendToGroup(body(100), { header: body(1) })).rejects.toMatchObject(refused)
    await expect(group.sendMany([body(1), body(101)])).rejects.toMatchObject(refused)
    expect(machine.calls.filter(({ call }) => call !== 'open')).toEqual([])
    void group.sendToGroup(body(100))
    expect(machine.callsOf('send')).toHaveLength(1)
  })

  test('wrong arguments are refused', async () => {
    const { group } = await open()
    const invalid = { code: 'ERR_INVALID_ARGUMENT' }
    await expect(group.sendToGroup('text' as never)).rejects.toMatchObject({ ...invalid, outcome: 'refused' })
    await expect(group.sendToGroup(body(), { header: body(1025) })).rejects.toMatchObject(invalid)
    await expect(group.sendToGroup(body(), { signal: {} as never })).rejects.toMatchObject(invalid)
    await expect(group.sendMany(5 as never)).rejects.toMatchObject(invalid)
    await expect(group.resetGroup(-1)).rejects.toMatchObject(invalid)
    expect(await group.sendMany([])).toEqual([])
  })

  test('a cancelled send settles as the machine says', async () => {
    const { group, machine } = await open()
    const stop = new AbortController()
    const queued = group.sendToGroup(body(), { signal: stop.signal })
    const onItsWay = group.sendToGroup(body(), { signal: stop.signal })
    const ordered = group.sendToGroup(body(), { signal: stop.signal })
    stop.abort('enough')
    expect(machine.callsOf('cancel').map(({ token }) => token)).toEqual([1, 2, 3])
    failed(machine, 1, 'refused')
    failed(machine, 2, 'unknown')
    machine.emit({ output: 'sent', token: 3, count: 1, seq: 9 })
    await expect(queued).rejects.toMatchObject({ code: 'ERR_ABORTED', outcome: 'refused', cause: 'enough' })
    await expect(onItsWay).rejects.toMatchObject({ code: 'ERR_ABORTED', outcome: 'unknown' })
    expect(await ordered).toBe(9)
    expect(getEventListeners(stop.signal, 'abort')).toHaveLength(0)
    // The one on its way is ordered after all: its call has been answered, and that is that.
    machine.emit({ output: 'sent', token: 2, count: 1, seq: 8 })
    await expect(group.sendToGroup(body(), { signal: stop.signal })).rejects.toMatchObject({
      outcome: 'refused',
    })
    expect(machine.callsOf('send')).toHaveLength(3)
  })

  test('calls that share a signal share one listener', async () => {
    const { group, machine } = await open()
    const stop = new AbortController()
    const sends = Array.from({ length: 50 }, () => group.sendToGroup(body(), { signal: stop.signal }))
    expect(getEventListeners(stop.signal, 'abort')).toHaveLength(1)
    machine.emit({ output: 'sent', token: 1, count: 50, seq: 2 })
    await Promise.all(sends)
    expect(getEventListeners(stop.signal, 'abort')).toHaveLength(0)
  })

  test('cancelled sends behind a stuck one are not kept', async () => {
    const { group, machine } = await open()
    const stuck = group.sendToGroup(body())
    for (let token = 2; token <= 2_000; token++) {
      const stop = new AbortController()
      const send = group.sendToGroup(body(), { signal: stop.signal })
      stop.abort()
      failed(machine, token, 'refused')
      await expect(send).rejects.toMatchObject({ outcome: 'refused' })
    }
    const { sends } = (group as unknown as { life: { sends: { entries: { length: number } } } }).life
    expect(sends.entries.length).toBeLessThan(100)
    machine.emit({ output: 'sent', token: 1, count: 1, seq: 2 })
    expect(await stuck).toBe(2)
  })

  test('a batch that fails in part tells which were ordered', async () => {
    const { group, machine } = await open()
    const many = group.sendMany([body(), body(), body()])
    machine.emit({ output: 'sent', token: 1, count: 1, seq: 4 })
    failed(machine, 2, 'refused', 'ERR_WOULD_BLOCK')
    failed(machine, 2, 'refused', 'ERR_WOULD_BLOCK')
    failed(machine, 3, 'unknown')
    const wanted = { code: 'ERR_WOULD_BLOCK', outcome: 'unknown', seqs: [4, undefined, undefined] }
    await expect(many).rejects.toMatchObject(wanted)
    const refused = group.sendMany([body(), body()])
    failed(machine, 4, 'refused', 'ERR_WOULD_BLOCK')
    machine.emit({ output: 'sent', token: 5, count: 1, seq: 5 })
    await expect(refused).rejects.toMatchObject({ outcome: 'refused', seqs: [undefined, 5] })
  })

  test('the end of the member settles every call', async () => {
    const { group, machine } = await open()
    const stop = new AbortController()
    const calls = [
      group.sendToGroup(body(), { signal: stop.signal }),
      group.sendMany([body(), body()], { signal: stop.signal }),
      group.resetGroup(1, { signal: stop.signal }),
      group.receiveFromGroup({ signal: stop.signal }),
    ]
    machine.emit({ output: 'sent', token: 2, count: 1, seq: 3 })
    machine.emit({ output: 'event', event: { event: 'closed', code: 'ERR_EXPELLED', reason: 'gone' } })
    const settled = await Promise.allSettled(calls)
    for (const result of settled)
      expect(result).toMatchObject({ status: 'rejected', reason: { code: 'ERR_EXPELLED' } })
    expect(settled[0]).toMatchObject({ reason: { outcome: 'unknown' } })
    expect(settled[1]).toMatchObject({ reason: { outcome: 'unknown', seqs: [3, undefined] } })
    expect(getEventListeners(stop.signal, 'abort')).toHaveLength(0)
    await expect(group.sendToGroup(body())).rejects.toMatchObject({
      code: 'ERR_EXPELLED',
      outcome: 'refused',
    })
    await expect(group.leaveGroup()).rejects.toMatchObject({ code: 'ERR_EXPELLED' })
  })
})
