/** Crashes and resets as programs see them, over the test network: real members, virtual time. */
import { describe, expect, test } from 'vitest'
import type { Delivery, Group, GroupError, GroupOptions, Kernel, Seq } from '../../group/index.ts'
import { createTestNetwork, type TestNetwork } from '../../group/testing.ts'
import { bytes } from './fake.ts'

interface Member {
  readonly kernel: Kernel
  readonly group: Group<string>
  readonly received: Delivery<string>[]
}

async function members(
  count: number,
  options: GroupOptions<string>,
): Promise<{ network: TestNetwork; all: Member[] }> {
  const network = createTestNetwork({ seed: 3 })
  const all: Member[] = []
  for (let i = 0; i < count; i++) {
    const kernel = await network.startKernel()
    const opening = i === 0 ? kernel.createGroup('orders', options) : kernel.joinGroup('orders', options)
    const member: Member = { kernel, group: await network.run(opening), received: [] }
    void receive(member)
    all.push(member)
  }
  await network.advance(500)
  return { network, all }
}

/** Receives until the end; why it ended is in the group's `closed`. */
async function receive({ group, received }: Member): Promise<void> {
  try {
    for await (const delivery of group) received.push(delivery)
  } catch {}
}

const lines = ({ received }: Member): string[] =>
  received.flatMap(({ kind, seq, body }) => (kind === 'message' ? [`${seq} ${body}`] : []))
const resets = ({ received }: Member) =>
  received.flatMap((delivery) => (delivery.kind === 'reset' ? [delivery] : []))

describe('automatic recovery', () => {
  test('the sequencer crashes: sends only take longer, and everybody receives one reset', async () => {
    const { network, all } = await members(4, { resilience: 1 })
    const [first, ...rest] = all as [Member, ...Member[]]
    const suspects: unknown[] = []
    const views: number[] = []
    rest[0]!.group.on('suspect', (event) => suspects.push(event))
    rest[0]!.group.on('view', ({ incarnation }) => views.push(incarnation))
    const returned: [string, Seq][] = []
    const send = async ({ group }: Member, text: string): Promise<void> => {
      returned.push([text, await group.sendToGroup(text)])
    }
    await network.run(Promise.all(all.map((member, i) => send(member, `before ${i}`))))
    const { incarnation } = rest[0]!.group.view
    // some are on their way when it happens
    const sending = rest.flatMap((member, i) => [0, 1, 2].map((j) => send(member, `during ${i} ${j}`)))
    await network.crash(first.kernel)
    const began = network.now
    await network.run(Promise.all(sending))
    expect(network.now - began).toBeLessThan(1000)
    await network.advance(500)
    for (const member of rest) {
      expect(lines(member)).toEqual(lines(rest[0]!))
      expect(lines(member)).toHaveLength(4 + 9)
      for (const [text, seq] of returned) expect(lines(member)).toContain(`${seq} ${text}`)
      const [reset, ...more] = resets(member)
      expect(more).toEqual([])
      expect(reset).toMatchObject({ removed: [1], lossPossible: false, body: undefined })
      expect(reset!.view.incarnation).toBeGreaterThan(incarnation)
      expect(reset!.view.coordinator).toBe(reset!.sender)
      expect(reset!.view.sequencer).toBe(reset!.sender)
      expect(reset!.view.members.map(({ id }) => id)).toEqual([2, 3, 4])
      expect(member.group.view).toEqual(reset!.view)
    }
    expect(suspects).toMatchObject([{ member: 1, name: 'kernel-1' }])
    expect(views).toEqual([resets(rest[0]!)[0]!.view.incarnation])
    await network[Symbol.asyncDispose]()
  })

  test('more lost than the resilience degree is said', async () => {
    const { network, all } = await members(5, { resilience: 1, minMembers: 2 })
    await Promise.all([network.crash(all[0]!.kernel), network.crash(all[1]!.kernel)])
    await network.run(all[2]!.group.sendToGroup('after'))
    await network.advance(500)
    for (const member of all.slice(2)) {
      expect(resets(member)).toMatchObject([{ removed: [1, 2], lossPossible: true }])
    }
    await network[Symbol.asyncDispose]()
  })

  test('below the floor the group stays stopped; leaving is still possible', async () => {
    const { network, all } = await members(3, {})
    const [first, second, third] = all as [Member, Member, Member]
    const stops: unknown[] = []
    third.group.on('stopped', (event) => stops.push(event))
    await Promise.all([network.crash(first.kernel), network.crash(second.kernel)])
    const sent = third.group.sendToGroup('alone')
    let isSettled = false
    sent.then(
      () => {
        isSettled = true
      },
      () => {
        isSettled = true
      },
    )
    await network.advance(20_000)
    expect([isSettled, resets(third)]).toEqual([false, []])
    expect(stops).toEqual([
      { reason: '1 member answers, and it takes 2: it goes on trying', present: 1, needed: 2 },
    ])
    await expect(network.run(third.group.resetGroup(1))).rejects.toMatchObject({ code: 'ERR_RESET_FAILED' })
    await network.run(third.group.leaveGroup())
    await expect(sent).rejects.toMatchObject({ outcome: 'unknown' })
    // nobody was there to order it: that is no failure of the leave, but it is said
    expect(await third.group.closed).toMatchObject({
      code: undefined,
      reason: expect.stringMatching(/^left: .*takes/),
    })
    await network[Symbol.asyncDispose]()
  })

  test.each([
    { n: 2, resilience: 0 },
    { n: 2, resilience: 1 },
    { n: 3, resilience: 2 },
  ])(
    'manual, $n members, r = $resilience: a member dies, and nobody resets: every call ends',
    async (scene) => {
      const { n, resilience } = scene
      const { network, all } = await members(n, { recovery: 'manual', resilience })
      const living = all.slice(0, -1)
      const suspects: number[] = []
      for (const { group } of living) group.on('suspect', ({ member }) => suspects.push(member))
      await network.crash(all.at(-1)!.kernel)
      const sent = living.map(({ group }) => group.sendToGroup('to all'))
      const ends = await network.run(Promise.allSettled(sent))
      if (resilience > 0) {
        const failure = { status: 'rejected', reason: { code: 'ERR_MEMBER_FAILED', outcome: 'unknown' } }
        expect(ends).toMatchObject(ends.map(() => failure))
        expect(suspects).toEqual(living.map(() => n))
      }
      for (const { kernel } of living) await network.run(kernel.close())
      for (const { group } of living) expect(await group.closed).toMatchObject({ code: undefined })
      await network[Symbol.asyncDispose]()
    },
  )

  test.each([1, 2, 3, 4, 5, 6])(
    'a join that the crash of the sequencer undoes is done again: %i × 20 ms',
    async (n) => {
      const { network, all } = await members(3, {})
      network.setFaults({ delayMs: 20 })
      await network.advance(2000)
      const kernel = await network.startKernel()
      // the sequencer may be dead before anybody knows it, or the reset may take long: then the caller tries again
      const join = (): Promise<Group<string>> =>
        kernel.joinGroup<string>('orders').catch((error: GroupError) => {
          if (error.code !== 'ERR_GROUP_NOT_FOUND' || network.now > 60_000) throw error
          return join()
        })
      const joining = join()
      await network.advance(20 * n + 1)
      await network.crash(all[0]!.kernel)
      const group = await network.run(joining)
      await network.run(group.sendToGroup('hello'))
      await network.advance(1000)
      for (const member of all.slice(1)) {
        expect(lines(member).map((line) => line.split(' ')[1])).toEqual(['hello'])
        expect(member.group.view.members.map(({ id }) => id)).toEqual([2, 3, group.memberId])
      }
      await network[Symbol.asyncDispose]()
    },
  )

  test('two groups on one port are told on both sides', async () => {
    const { network, all } = await members(4, { minMembers: 2 })
    const [a, b, c, d] = all as [Member, Member, Member, Member]
    const splits = [new Set<string>(), new Set<string>()]
    const listen = ({ group }: Member, seen: Set<string>): void => {
      group.on('split', (event) => seen.add(JSON.stringify(event)))
    }
    for (const member of [a, b]) listen(member, splits[0]!)
    for (const member of [c, d]) listen(member, splits[1]!)
    network.partition([a.kernel, b.kernel], [c.kernel, d.kernel])
    await network.run(Promise.all([a.group.sendToGroup('left'), c.group.sendToGroup('right')]))
    await network.advance(3000)
    network.heal()
    await network.advance(60_000)
    const name = ({ group: { view } }: Member): string =>
      JSON.stringify({ incarnation: view.incarnation, coordinator: view.coordinator })
    expect([...splits[0]!]).toEqual([name(c)])
    expect([...splits[1]!]).toEqual([name(a)])
    for (const { group } of all) expect(group.view.members).toHaveLength(2)
    await network[Symbol.asyncDispose]()
  })
})

describe('manual recovery', () => {
  test('sends fail as unknown, then resetGroup rebuilds the group', async () => {
    const { network, all } = await members(3, { recovery: 'manual', resilience: 1 })
    const [first, second, third] = all as [Member, Member, Member]
    await network.run(first.group.sendToGroup('before'))
    await network.crash(first.kernel)
    await expect(network.run(second.group.sendToGroup('lost'))).rejects.toMatchObject({
      code: 'ERR_MEMBER_FAILED',
      outcome: 'unknown',
    })
    await expect(network.run(second.group.sendToGroup('too early'))).rejects.toMatchObject({
      code: 'ERR_MEMBER_FAILED',
      outcome: 'refused',
    })
    const both = [
      second.group.resetGroup(2, { header: bytes('by second') }),
      third.group.resetGroup(2, { header: bytes('by third') }),
    ]
    expect(await network.run(Promise.all(both))).toEqual([2, 2])
    await network.run(third.group.sendToGroup('after'))
    await network.advance(500)
    for (const member of [second, third]) {
      expect(resets(member)).toMatchObject([{ removed: [1], lossPossible: false }])
      const [{ sender, header }] = resets(member) as [Delivery<string>]
      expect(header).toEqual(bytes(sender === second.group.memberId ? 'by second' : 'by third'))
      // what was not delivered before the reset never is
      expect(lines(member).map((line) => line.split(' ').slice(1).join(' '))).toEqual(['before', 'after'])
    }
    await network[Symbol.asyncDispose]()
  })

  test('too few: ERR_RESET_FAILED; a smaller minimum will do, but never one below the floor', async () => {
    const { network, all } = await members(4, { recovery: 'manual', minMembers: 2 })
    const [first, second, third, fourth] = all as [Member, Member, Member, Member]
    await network.crash(first.kernel)
    await network.crash(fourth.kernel)
    await expect(network.run(second.group.resetGroup(3))).rejects.toMatchObject({
      code: 'ERR_RESET_FAILED',
      message: expect.stringContaining('2'),
    })
    // it has not come about all the same, with fewer than were asked for
    await network.advance(5000)
    expect([second, third].flatMap(resets)).toEqual([])
    expect(await network.run(second.group.resetGroup())).toBe(2)
    await network.crash(third.kernel)
    for (const minMembers of [undefined, 0, 1]) {
      await expect(network.run(second.group.resetGroup(minMembers))).rejects.toMatchObject({
        code: 'ERR_RESET_FAILED',
      })
    }
    await network[Symbol.asyncDispose]()
  })

  test('the largest minimum among the callers applies to all of them', async () => {
    const { network, all } = await members(4, { recovery: 'manual', minMembers: 2 })
    const [first, second, third, fourth] = all as [Member, Member, Member, Member]
    await network.crash(first.kernel)
    await network.crash(fourth.kernel)
    const calls = [second.group.resetGroup(2), third.group.resetGroup(3)]
    const failure = {
      code: 'ERR_RESET_FAILED',
      message: expect.stringMatching(/^2 members answer, and (this member|member 3) has asked for 3/),
    }
    expect(await network.run(Promise.allSettled(calls))).toMatchObject([
      { status: 'rejected', reason: failure },
      { status: 'rejected', reason: failure },
    ])
    await network.advance(5000)
    expect([second, third].flatMap(resets)).toEqual([])
    expect(await network.run(second.group.resetGroup(2))).toBe(2)
    await network[Symbol.asyncDispose]()
  })

  test('giving up the wait leaves the reset to go on', async () => {
    const { network, all } = await members(3, { recovery: 'manual' })
    const [first, second, third] = all as [Member, Member, Member]
    await network.crash(first.kernel)
    const stop = new AbortController()
    const reset = second.group.resetGroup(0, { signal: stop.signal })
    await network.advance(1)
    stop.abort()
    await expect(reset).rejects.toMatchObject({ code: 'ERR_ABORTED' })
    await network.advance(5000)
    for (const member of [second, third]) expect(resets(member)).toHaveLength(1)
    await network[Symbol.asyncDispose]()
  })
})

describe('expelled', () => {
  test('without rejoin: told, closed, refused everywhere; what was received can still be read', async () => {
    const network = createTestNetwork({ seed: 4 })
    const kernels = [await network.startKernel(), await network.startKernel(), await network.startKernel()]
    const groups = [await network.run(kernels[0]!.createGroup<string>('orders'))]
    for (const kernel of kernels.slice(1)) groups.push(await network.run(kernel.joinGroup<string>('orders')))
    const [first, second, third] = groups as [Group<string>, Group<string>, Group<string>]
    await network.run(first.sendToGroup('before'))
    await network.advance(500)
    const seen: string[] = []
    third.on('expelled', () => {
      seen.push('expelled')
      third.sendToGroup('from the listener').catch(({ code, outcome }) => seen.push(`${code} ${outcome}`))
    })
    third.on('closed', ({ code }) => seen.push(`closed ${code}`))
    network.partition(kernels.slice(0, 2), [kernels[2]!])
    const cutOff = third.sendToGroup('cut off')
    cutOff.catch(() => {})
    await network.run(second.sendToGroup('without third'))
    await network.advance(3000)
    network.heal()
    expect(await network.run(third.closed, { limitMs: 120_000 })).toMatchObject({ code: 'ERR_EXPELLED' })
    await expect(cutOff).rejects.toMatchObject({ code: 'ERR_EXPELLED', outcome: 'unknown' })
    expect(seen).toEqual(['expelled', 'closed ERR_EXPELLED', 'ERR_EXPELLED refused'])
    const out = { code: 'ERR_EXPELLED' }
    await expect(third.sendToGroup('more')).rejects.toMatchObject({ ...out, outcome: 'refused' })
    await expect(third.resetGroup()).rejects.toMatchObject(out)
    await expect(third.leaveGroup()).rejects.toMatchObject(out)
    expect(await third.receiveFromGroup()).toMatchObject({ kind: 'message', body: 'before' })
    await expect(third.receiveFromGroup()).rejects.toMatchObject(out)
    expect(first.view.members.map(({ id }) => id)).toEqual([1, 2])
    await network[Symbol.asyncDispose]()
  })
})

test('metrics tell of suspicion, reset and the new incarnation at once', async () => {
  const { network, all } = await members(3, {})
  const [first, second] = all as [Member, Member]
  const value = async (name: string): Promise<number> => {
    const page = await second.kernel.registry.metrics()
    return Number(new RegExp(`^amoebacast_${name} (\\S+)$`, 'm').exec(page)?.[1])
  }
  expect(await value('reset_seconds_count{group="orders"}')).toBe(0)
  await network.crash(first.kernel)
  await network.run(second.group.sendToGroup('after'))
  expect(await value('reset_seconds_count{group="orders"}')).toBe(1)
  expect(await value('reset_seconds_sum{group="orders"}')).toBeGreaterThan(0)
  expect(await value('resets_total{group="orders",outcome="ok"}')).toBe(1)
  expect(await value('suspicions_total{group="orders"}')).toBe(1)
  expect(await value('incarnation{group="orders"}')).toBe(second.group.view.incarnation)
  expect(await value('view_members{group="orders"}')).toBe(2)
  await network[Symbol.asyncDispose]()
})
