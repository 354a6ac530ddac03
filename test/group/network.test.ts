/** Whole groups over the test network: real members, virtual time. */
import { describe, expect, test } from 'vitest'
import type { Delivery, Group, Kernel } from '../../group/index.ts'
import { createTestNetwork, type TestNetwork, type TestNetworkOptions } from '../../group/testing.ts'
import { bytes } from './fake.ts'

async function threeMembers<T>(
  options: TestNetworkOptions = {},
  parameters: object = {},
): Promise<{ network: TestNetwork; kernels: Kernel[]; groups: Group<T>[] }> {
  const network = createTestNetwork(options)
  const kernels = [await network.startKernel(), await network.startKernel(), await network.startKernel()]
  const groups = [await network.run(kernels[0]!.createGroup<T>('orders', parameters))]
  for (const kernel of kernels.slice(1))
    groups.push(await network.run(kernel.joinGroup<T>('orders', parameters)))
  return { network, kernels, groups }
}

/** Receives `count` messages and says which they were. */
async function collect(group: Group<string>, count: number): Promise<string[]> {
  const got: string[] = []
  for await (const { kind, seq, sender, body } of group) {
    if (kind === 'message') got.push(`${seq} ${sender} ${body}`)
    if (got.length === count) break
  }
  return got
}

describe('a group over the test network', () => {
  test.each([
    ['a perfect network', { seed: 1 }],
    [
      'a lossy one that repeats and reorders',
      { seed: 2, loss: 0.1, duplication: 0.1, delayMs: { min: 0.1, max: 3 } },
    ],
  ])('delivers one order to all over %s', async (_name, options) => {
    const { network, groups } = await threeMembers<string>(options)
    const each = 200
    const receiving = groups.map((group) => collect(group, 3 * each))
    const sending = groups.map(async (group) => {
      for (let i = 0; i < each; i++) {
        const seq = await group.sendToGroup(`${group.memberId}-${i}`)
        expect(seq).toBeGreaterThan(0)
      }
    })
    const [first, ...others] = await network.run(Promise.all(receiving))
    await network.run(Promise.all(sending))
    for (const other of others) expect(other).toEqual(first)
    for (const { memberId } of groups) {
      const own = first!
        .filter((line) => line.split(' ')[1] === String(memberId))
        .map((line) => line.split(' ')[2])
      expect(own).toEqual(Array.from({ length: each }, (_, i) => `${memberId}-${i}`))
    }
    await network[Symbol.asyncDispose]()
  })

  test('batches come back with their seqs, and the same seed gives the same run', async () => {
    const run = async (): Promise<unknown> => {
      const { network, groups } = await threeMembers<string>({
        seed: 5,
        loss: 0.2,
        delayMs: { min: 0, max: 2 },
      })
      const receiving = groups.map((group) => collect(group, 3000))
      const sending = groups.map((group) => group.sendMany(Array.from({ length: 1000 }, (_, i) => `${i}`)))
      const seqs = await network.run(Promise.all(sending))
      expect(seqs.flat().sort((a, b) => a - b)).toHaveLength(new Set(seqs.flat()).size)
      for (const one of seqs) expect(one).toEqual([...one].sort((a, b) => a - b))
      const got = await network.run(Promise.all(receiving))
      const { now } = network
      await network[Symbol.asyncDispose]()
      return { got, seqs, now }
    }
    expect(await run()).toEqual(await run())
  })

  test('joins and leaves are events of the order with their headers', async () => {
    const network = createTestNetwork()
    const kernel = await network.startKernel()
    const group = await network.run(kernel.createGroup<Uint8Array>('orders', { codec: 'binary' }))
    const other = await network.startKernel({ name: 'ann' })
    const joined = await network.run(
      other.joinGroup<Uint8Array>('orders', { codec: 'binary', header: bytes('hello') }),
    )
    const join = await network.run(group.receiveFromGroup())
    expect(join).toMatchObject({ kind: 'join', sender: joined.memberId, header: bytes('hello') })
    expect(join.view.members.map(({ name }) => name)).toEqual(['kernel-1', 'ann'])
    await network.run(joined.sendToGroup(bytes('body'), { header: bytes('h') }))
    const message = await network.run(group.receiveFromGroup())
    expect(message).toMatchObject({ kind: 'message', header: bytes('h'), body: bytes('body') })
    expect(await network.run(joined.receiveFromGroup())).toEqual({ ...message, view: join.view })
    const leaving = joined.leaveGroup({ header: bytes('bye') })
    const leave = await network.run(group.receiveFromGroup())
    expect(leave).toMatchObject({ kind: 'leave', sender: joined.memberId, header: bytes('bye') })
    await network.run(leaving)
    expect(leave.view.members).toHaveLength(1)
    expect((await joined.closed).code).toBeUndefined()
    await network.run(Promise.all([kernel.close(), other.close()]))
  })

  test('the sequencer leaves and the group goes on; the last leave ends it', async () => {
    const { network, groups, kernels } = await threeMembers<string>()
    const [creator, second, third] = groups as [Group<string>, Group<string>, Group<string>]
    expect([creator.isSequencer, second.isSequencer]).toEqual([true, false])
    await network.run(creator.leaveGroup())
    const seq = await network.run(third.sendToGroup('after'))
    const got: Delivery<string>[] = []
    for (let last = 0; last < seq; last = got.at(-1)!.seq)
      got.push(await network.run(second.receiveFromGroup()))
    expect(got.at(-1)).toMatchObject({ kind: 'message', body: 'after' })
    expect(second.isSequencer).toBe(true)
    await network.run(kernels[1]!.close())
    await network.run(kernels[2]!.close())
    await expect(network.run(kernels[0]!.joinGroup('orders'))).rejects.toMatchObject({
      code: 'ERR_GROUP_NOT_FOUND',
    })
    await network[Symbol.asyncDispose]()
  })

  test('creating a living port and joining a dead one are errors; a full group refuses', async () => {
    const network = createTestNetwork()
    const kernel = await network.startKernel()
    await expect(network.run(kernel.joinGroup('orders'))).rejects.toMatchObject({
      code: 'ERR_GROUP_NOT_FOUND',
    })
    await network.run(kernel.createGroup('orders', { maxMembers: 1 }))
    const other = await network.startKernel()
    await expect(network.run(other.createGroup('orders'))).rejects.toMatchObject({ code: 'ERR_GROUP_EXISTS' })
    await expect(network.run(other.joinGroup('orders'))).rejects.toMatchObject({ code: 'ERR_GROUP_FULL' })
    const both = await network.startKernel()
    const members = [
      await network.run(both.joinOrCreateGroup('both')),
      await network.run(both.joinOrCreateGroup('both')),
    ]
    expect(members.map(({ memberId }) => memberId)).toEqual([1, 2])
    await network[Symbol.asyncDispose]()
  })

  test('a group can be asked from outside', async () => {
    const { network, groups } = await threeMembers<string>({}, { historySize: 100 })
    await network.run(groups[1]!.sendToGroup('one'))
    const outsider = await network.startKernel()
    const report = await network.run(outsider.inspectGroup('orders'))
    expect(report).toMatchObject({ port: 'orders', historySize: 100, view: { sequencer: 1 } })
    expect(report.view.members).toHaveLength(3)
    await expect(network.run(outsider.inspectGroup('none'))).rejects.toMatchObject({
      code: 'ERR_GROUP_NOT_FOUND',
    })
    await network[Symbol.asyncDispose]()
  })

  test('one that does not receive stops the senders, who go on at once when it does', async () => {
    const { network, groups } = await threeMembers<string>({}, { historySize: 32 })
    const [creator, , slow] = groups as [Group<string>, Group<string>, Group<string>]
    const drain = async (group: Group<string>): Promise<void> => {
      for await (const delivery of group) if (delivery.body === 'last') return
    }
    const draining = Promise.all([drain(creator), drain(groups[1]!)])
    let sent = 0
    const sending = (async () => {
      for (; sent < 200; sent++) await creator.sendToGroup(`${sent}`)
      await creator.sendToGroup('last')
    })()
    await network.advance(5000)
    expect(sent).toBeGreaterThan(10)
    expect(sent).toBeLessThanOrEqual(40)
    const before = network.now
    const rest = drain(slow)
    await network.run(Promise.all([sending, rest, draining]))
    expect(sent).toBe(200)
    expect(network.now - before).toBeLessThan(2000)
    await network[Symbol.asyncDispose]()
  })

  test('a send that waits for room can be given up, and is refused', async () => {
    const { network, groups } = await threeMembers<string>({}, { historySize: 16 })
    const stop = new AbortController()
    const sends = Array.from({ length: 100 }, (_, i) =>
      groups[1]!.sendToGroup(`${i}`, { signal: stop.signal }),
    )
    // less than the time after which the member is told that it holds itself up
    await network.advance(300)
    stop.abort()
    const settled = await network.run(Promise.allSettled(sends))
    const reasons = settled.flatMap((result) => (result.status === 'rejected' ? [result.reason] : []))
    expect(reasons.length).toBeGreaterThan(50)
    for (const reason of reasons) expect(reason).toMatchObject({ code: 'ERR_ABORTED' })
    expect(reasons.some(({ outcome }) => outcome === 'refused')).toBe(true)
    await network[Symbol.asyncDispose]()
  })

  test('a partition holds packets back until it heals', async () => {
    const { network, groups, kernels } = await threeMembers<string>()
    network.partition([kernels[0]!, kernels[1]!], [kernels[2]!])
    let isSent = false
    const sending = groups[2]!.sendToGroup('late').then(() => {
      isSent = true
    })
    await network.advance(50)
    expect(isSent).toBe(false)
    network.heal()
    await network.run(sending)
    await network[Symbol.asyncDispose]()
  })
})

describe('the test network itself', () => {
  test('refuses what it does not know', async () => {
    const invalid = expect.objectContaining({ code: 'ERR_INVALID_ARGUMENT' })
    expect(() => createTestNetwork({ los: 0.1 } as object)).toThrow('did you mean loss?')
    expect(() => createTestNetwork({ loss: 2 })).toThrow(invalid)
    expect(() => createTestNetwork({ delayMs: { min: 5, max: 1 } })).toThrow(invalid)
    const network = createTestNetwork()
    expect(() => network.setFaults({ duplication: -1 })).toThrow(invalid)
    await expect(network.advance(-1)).rejects.toThrow(invalid)
    await expect(network.startKernel({ transport: 'tcp' as 'unicast' })).rejects.toThrow(invalid)
  })

  test('a promise that nothing can settle is an error, not a hang', async () => {
    const network = createTestNetwork()
    await expect(network.run(new Promise(() => {}))).rejects.toThrow('nothing is scheduled')
    const kernel = await network.startKernel()
    await network.run(kernel.createGroup('orders'))
    await network.run(kernel.joinGroup('orders'))
    await expect(network.run(new Promise(() => {}), { limitMs: 1000 })).rejects.toThrow(
      'not settled after 1000 ms',
    )
    await network.crash(kernel)
  })

  test('a crashed kernel says nothing more, and its calls settle', async () => {
    const { network, groups, kernels } = await threeMembers<string>()
    const waiting = groups[2]!.receiveFromGroup().then(() => groups[2]!.receiveFromGroup())
    await network.crash(kernels[2]!)
    await expect(waiting).rejects.toMatchObject({ code: 'ERR_GROUP_CLOSED' })
    await expect(groups[2]!.sendToGroup('x')).rejects.toMatchObject({ outcome: 'refused' })
    expect(await network.run(groups[1]!.sendToGroup('others go on'))).toBeGreaterThan(0)
    await network[Symbol.asyncDispose]()
  })
})
