import { getEventListeners } from 'node:events'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { View } from '../../group/deliveries.ts'
import { bytes, fakeKernel, givesUp, joins, messages, turn, viewOf } from './fake.ts'

const unhandled: unknown[] = []
const note = (reason: unknown): number => unhandled.push(reason)
beforeEach(() => {
  unhandled.length = 0
  process.on('unhandledRejection', note)
})
afterEach(async () => {
  await turn()
  process.off('unhandledRejection', note)
  expect(unhandled).toEqual([])
})

describe('opening', () => {
  test('hands port, parameters, header and settings to the machine', async () => {
    const { kernel, rim } = fakeKernel()
    const group = await kernel.joinOrCreateGroup('orders', {
      resilience: 2,
      header: bytes('hi'),
      memberName: 'ann',
      role: 'full',
    })
    const machine = rim.machines[0]!
    expect(machine.settings).toEqual({
      port: 'orders',
      name: 'ann',
      role: 'full',
      assumed: { resilience: 2 },
    })
    expect(machine.calls[0]).toMatchObject({
      call: 'open',
      how: 'joinOrCreate',
      port: 'orders',
      header: bytes('hi'),
    })
    expect(machine.callsOf('open')[0]!.parameters.resilience).toBe(2)
    expect(group).toMatchObject({ port: 'orders', memberId: 1, isSequencer: true })
    expect(group.parameters.resilience).toBe(2)
    expect(group.getInfoGroup()).toMatchObject({
      seq: 9,
      historyMessages: 3,
      view: { groupId: '0000000000000abc' },
    })
    expect(kernel.address).toBe(rim.address)
  })

  test('a refusal becomes the error of the call, and releases the machine', async () => {
    const { kernel, rim } = fakeKernel((machine, { call, ...rest }) => {
      if (call !== 'open') return
      machine.emit({
        output: 'failed',
        token: (rest as { token: number }).token,
        code: 'ERR_GROUP_EXISTS',
        message: 'taken',
      })
    })
    await expect(kernel.createGroup('orders')).rejects.toMatchObject({
      name: 'GroupError',
      code: 'ERR_GROUP_EXISTS',
      message: 'taken',
    })
    expect(rim.machines[0]!.isClosed).toBe(true)
  })

  test('can be given up', async () => {
    const { kernel, rim } = fakeKernel((machine, call) => {
      if (call.call === 'cancel') givesUp(machine, call.token)
    })
    const stop = new AbortController()
    const joining = kernel.joinGroup('orders', { signal: stop.signal })
    await turn()
    stop.abort(new Error('enough'))
    await expect(joining).rejects.toMatchObject({ code: 'ERR_ABORTED', cause: { message: 'enough' } })
    expect(rim.machines[0]!.isClosed).toBe(true)
    expect(getEventListeners(stop.signal, 'abort')).toHaveLength(0)
    await expect(kernel.joinGroup('orders', { signal: stop.signal })).rejects.toMatchObject({
      code: 'ERR_ABORTED',
    })
    expect(rim.machines).toHaveLength(1)
  })

  test('a join that a crash has undone is asked for again, by another machine, and not for ever', async () => {
    let opened = 0
    let lastGood = 3
    const { kernel, rim } = fakeKernel((machine, call) => {
      if (call.call !== 'open') return
      if (++opened === lastGood) return joins()(machine, call)
      machine.emit({ output: 'failed', token: call.token, code: 'ERR_MEMBER_FAILED', message: 'it crashed' })
    })
    const wake = async (): Promise<void> => {
      await turn()
      for (const { callback } of rim.wakeups.splice(0)) callback()
    }
    const joining = kernel.joinGroup('orders')
    await wake()
    await wake()
    expect((await joining).memberId).toBe(1)
    expect(rim.machines.map(({ isClosed }) => isClosed)).toEqual([true, true, false])
    lastGood = 0
    const inVain = expect(kernel.joinGroup('orders')).rejects.toMatchObject({ code: 'ERR_MEMBER_FAILED' })
    for (let i = 0; i < 10; i++) await wake()
    await inVain
    expect(rim.machines).toHaveLength(3 + 8)
  })

  test('a group that lets nobody in at present is told of at once', async () => {
    const { kernel, rim } = fakeKernel((machine, call) => {
      if (call.call !== 'open') return
      const failure = { code: 'ERR_MEMBER_FAILED', message: 'it waits', openFailure: 'standstill' } as const
      machine.emit({ output: 'failed', token: call.token, ...failure })
    })
    await expect(kernel.joinGroup('orders')).rejects.toMatchObject({
      name: 'GroupError',
      code: 'ERR_MEMBER_FAILED',
      message: 'it waits',
    })
    expect([rim.machines.length, rim.wakeups.length]).toEqual([1, 0])
  })

  test('bad arguments are refused before a machine is made', async () => {
    const { kernel, rim } = fakeKernel()
    await expect(kernel.createGroup('')).rejects.toThrow('port is ""')
    await expect(kernel.createGroup('orders', { historySise: 5 } as object)).rejects.toThrow(
      'did you mean historySize?',
    )
    expect(rim.machines).toEqual([])
  })

  test('what follows the join in the same step is not missed', async () => {
    const { kernel } = fakeKernel((machine, call) => {
      joins()(machine, call)
      if (call.call === 'open') machine.deliver(messages(2, [{ body: new Uint8Array([7]) }]))
    })
    const group = await kernel.joinGroup('orders')
    expect(group.tryReceive()).toMatchObject({ seq: 2, body: 7 })
  })
})

describe('closing', () => {
  test('leaves every group, then closes the rim; calls that wait to join fail', async () => {
    const { kernel, rim } = fakeKernel((machine, call) => {
      if (machine.settings.port !== 'silent') joins()(machine, call)
    })
    const group = await kernel.createGroup('orders')
    const joining = kernel.joinGroup('silent')
    await turn()
    await kernel.close()
    await kernel.close()
    await expect(joining).rejects.toMatchObject({ code: 'ERR_GROUP_CLOSED' })
    expect(await group.closed).toEqual({ code: undefined, reason: 'left' })
    expect(rim.machines[0]!.callsOf('leave')).toHaveLength(1)
    expect(rim.machines.every(({ isClosed }) => isClosed)).toBe(true)
    expect(rim.isClosed).toBe(true)
    await expect(kernel.createGroup('orders')).rejects.toMatchObject({ code: 'ERR_GROUP_CLOSED' })
  })

  test('a close in the middle of an opening catches it', async () => {
    const { kernel, rim } = fakeKernel()
    const joining = kernel.joinGroup('orders')
    await kernel.close()
    await expect(joining).rejects.toMatchObject({ code: 'ERR_GROUP_CLOSED' })
    expect(rim.machines[0]!.isClosed).toBe(true)
  })

  test('await using leaves; a group that was left already is left alone', async () => {
    const { kernel, rim } = fakeKernel()
    {
      await using group = await kernel.createGroup('orders')
      expect(group.memberId).toBe(1)
    }
    expect(rim.machines[0]!.callsOf('leave')).toHaveLength(1)
    {
      await using group = await kernel.createGroup('orders')
      await group.leaveGroup({ header: bytes('bye') })
      await expect(group.leaveGroup()).rejects.toMatchObject({ code: 'ERR_GROUP_CLOSED' })
    }
    expect(rim.machines[1]!.callsOf('leave').map(({ header }) => header)).toEqual([bytes('bye')])
  })

  test('a member that cannot leave in order goes without a word', async () => {
    const { kernel, rim } = fakeKernel((machine, call) => {
      if (call.call !== 'leave') joins()(machine, call)
      else
        machine.emit({
          output: 'failed',
          token: call.token,
          code: 'ERR_MEMBER_FAILED',
          message: 'reset first',
        })
    })
    const group = await kernel.createGroup('orders')
    await expect(group.leaveGroup()).rejects.toMatchObject({ code: 'ERR_MEMBER_FAILED' })
    await group[Symbol.asyncDispose]()
    expect((await group.closed).reason).toContain('reset first')
    expect(rim.machines[0]!.isClosed).toBe(true)
  })

  test('several leaves at once are one', async () => {
    const { kernel, rim } = fakeKernel()
    const group = await kernel.createGroup('orders')
    await Promise.all([group.leaveGroup(), group[Symbol.asyncDispose](), kernel.close()])
    expect(rim.machines[0]!.callsOf('leave')).toHaveLength(1)
  })
})

describe('events', () => {
  test('tell of views, suspicion, slowness and the end, with names', async () => {
    const { kernel, rim } = fakeKernel()
    const group = await kernel.createGroup('orders')
    const machine = rim.machines[0]!
    const seen: unknown[] = []
    group.on('view', ({ members }: View) => seen.push(['view', members.length]))
    group.on('suspect', (event) => seen.push(event)).on('slow', (event) => seen.push(event))
    group.on('expelled', (event) => seen.push(event)).once('closed', (event) => seen.push(event))
    machine.deliver({ kind: 'join', seq: 2, sender: 2, header: bytes(''), view: viewOf(2, [1, 2]) })
    machine.emit({ output: 'event', event: { event: 'suspect', member: 2, reason: 'silent' } })
    machine.emit({ output: 'event', event: { event: 'slow', member: 2, lagMessages: 50 } })
    machine.emit({ output: 'event', event: { event: 'expelled', reason: 'paused' } })
    machine.emit({ output: 'event', event: { event: 'closed', code: 'ERR_EXPELLED', reason: 'paused' } })
    expect(seen).toEqual([
      ['view', 2],
      { member: 2, name: 'm2', reason: 'silent' },
      { member: 2, name: 'm2', lagMessages: 50 },
      { reason: 'paused' },
      { code: 'ERR_EXPELLED', reason: 'paused' },
    ])
    expect(await group.closed).toEqual({ code: 'ERR_EXPELLED', reason: 'paused' })
    expect(group.getInfoGroup().view.members).toHaveLength(2)
  })

  test('listeners are taken off, called once if so asked, and may change while they run', async () => {
    const { kernel, rim } = fakeKernel()
    const group = await kernel.createGroup('orders')
    const seen: string[] = []
    const second = (): number => seen.push('second')
    const first = (): void => {
      seen.push('first')
      group.off('slow', second)
    }
    group
      .on('slow', first)
      .on('slow', second)
      .once('slow', () => seen.push('once'))
    const slow = (): void =>
      rim.machines[0]!.emit({ output: 'event', event: { event: 'slow', member: 1, lagMessages: 1 } })
    slow()
    slow()
    expect(seen).toEqual(['first', 'second', 'once', 'first'])
    expect(() => group.on('slwo' as 'slow', first)).toThrow('there is no event slwo; did you mean slow?')
    expect(() => group.on('slow', 5 as never)).toThrow('listener of slow')
  })

  test('nothing that fails while nobody waits is an unhandled rejection', async () => {
    const { kernel, rim } = fakeKernel()
    const group = await kernel.createGroup('orders', { maxMessageSize: 10 })
    const machine = rim.machines[0]!
    void group.sendToGroup('far more than ten bytes')
    void group.sendToGroup(1)
    void group.sendMany([1, 2])
    void group.receiveFromGroup()
    void group.receiveBatch()
    void group.resetGroup(1)
    void group.resetGroup(-1)
    void group[Symbol.asyncIterator]()
      .next()
      .catch(() => {})
    machine.emit({ output: 'event', event: { event: 'closed', code: 'ERR_EXPELLED', reason: 'gone' } })
    void group.sendToGroup(1)
    void group.receiveFromGroup()
    void group.leaveGroup()
    await turn()
    expect(unhandled).toEqual([])
  })
})
