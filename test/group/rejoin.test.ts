/** Members that were expelled and come back by themselves: over the test network, and over a fake machine. */
import { pino } from 'pino'
import { describe, expect, test } from 'vitest'
import type { Delivery, Group, GroupOptions, Kernel } from '../../group/index.ts'
import { createTestNetwork, type TestNetwork } from '../../group/testing.ts'
import type { ErrorCode } from '../../kernel/errors.ts'
import { drawKey } from '../../kernel/node/secure/group-key.ts'
import { completeParameters } from '../../kernel/parameters.ts'
import { idOf } from '../secure/key-texts.ts'
import { bytes, type FakeMachine, type FakeRim, fakeKernel, givesUp, messages, turn, viewOf } from './fake.ts'

interface Three {
  readonly network: TestNetwork
  readonly kernels: readonly [Kernel, Kernel, Kernel]
  readonly first: Group<string>
  readonly second: Group<string>
  /** Opened with `rejoin`. */
  readonly third: Group<string>
}

/** Three members; the third comes back when it is expelled, and was opened by `how`. */
async function three(
  how: 'joinGroup' | 'joinOrCreateGroup' = 'joinOrCreateGroup',
  options: GroupOptions<string> = {},
): Promise<Three> {
  const network = createTestNetwork({ seed: 6 })
  const kernels = [
    await network.startKernel(),
    await network.startKernel(),
    await network.startKernel(),
  ] as const
  const first = await network.run(kernels[0].createGroup<string>('orders', options))
  const second = await network.run(kernels[1].joinGroup<string>('orders'))
  const third = await network.run(kernels[2][how]<string>('orders', { rejoin: true, header: bytes('third') }))
  await network.advance(500)
  return { network, kernels, first, second, third }
}

/** Cuts the third member off for so long that the others go on without it. */
async function cutOff(
  { network, kernels, second, third }: Three,
  meanwhile: () => void = () => {},
): Promise<void> {
  network.partition([kernels[0], kernels[1]], [kernels[2]])
  meanwhile()
  await network.run(second.sendToGroup('without third'))
  await network.advance(3000)
  expect(second.view.members.map(({ id }) => id)).not.toContain(third.memberId)
}

function expelledOf(group: Group<string>): Promise<unknown> {
  return new Promise((resolve) => {
    group.once('expelled', resolve)
  })
}

function rejoinedOf(group: Group<string>): Promise<{ memberId: number; missedFrom: number }> {
  return new Promise((resolve) => {
    group.once('rejoined', resolve)
  })
}

async function drain(group: Group<string>): Promise<Delivery<string>[]> {
  const got: Delivery<string>[] = []
  for (let next = group.tryReceive(); next !== undefined; next = group.tryReceive()) got.push(next)
  return got
}

describe('over the test network', () => {
  test('comes back as a new member, and is told what it missed, in events and in its loop', async () => {
    const all = await three()
    const { network, first, second, third } = all
    const events: string[] = []
    third.on('expelled', () => events.push('expelled'))
    third.on('rejoined', ({ memberId }) => events.push(`rejoined ${memberId}`))
    third.on('view', ({ members }) => events.push(`view ${members.map(({ id }) => id)}`))
    third.on('closed', () => events.push('closed'))
    const looped: Delivery<string>[] = []
    const loop = (async () => {
      for await (const delivery of third) looped.push(delivery)
    })()
    await network.run(first.sendToGroup('before'))
    await network.advance(100)
    const formerId = third.memberId
    const lastSeq = looped.at(-1)!.seq
    await cutOff(all)
    network.heal()
    const { memberId, missedFrom } = await network.run(rejoinedOf(third))
    expect(memberId).toBeGreaterThan(formerId)
    expect(third.memberId).toBe(memberId)
    expect(missedFrom).toBe(lastSeq)
    expect(events).toEqual(['expelled', `rejoined ${memberId}`, `view 1,2,${memberId}`])
    const seqs = await network.run(Promise.all([third.sendToGroup('back'), first.sendToGroup('hello')]))
    await network.advance(100)
    const mark = looped.find(({ kind }) => kind === 'rejoin')!
    expect(looped.map(({ kind, body }) => body ?? kind)).toEqual(
      seqs[0] < seqs[1] ? ['before', 'rejoin', 'back', 'hello'] : ['before', 'rejoin', 'hello', 'back'],
    )
    expect(mark).toMatchObject({ kind: 'rejoin', sender: memberId, missedFrom: lastSeq, body: undefined })
    expect(mark.view).toMatchObject({ groupId: first.view.groupId, seq: mark.seq })
    expect(mark.view.members.map(({ id }) => id)).toEqual([1, 2, memberId])
    const others = (await drain(second)).map(({ kind, sender, body }) => body ?? `${kind} ${sender}`)
    expect(others).toContain(`join ${memberId}`)
    // what the new life takes is reported: the history empties
    await drain(first)
    await drain(second)
    await network.advance(2000)
    expect(first.getInfoGroup().lags.every(({ messages }) => messages === 0)).toBe(true)
    await network.run(third.leaveGroup())
    await network.run(loop)
    expect(events.at(-1)).toBe('closed')
    expect((await third.closed).code).toBeUndefined()
    await network[Symbol.asyncDispose]()
  })

  test('whom the program does not let in any more is told so once, and asks no more', async () => {
    let isWanted = true
    const asked: string[] = []
    const authorize = ({ name }: { readonly name: string }): boolean => {
      asked.push(name)
      return isWanted
    }
    const all = await three('joinGroup', { authorize })
    const { network, third } = all
    isWanted = false
    asked.length = 0
    const loop = (async () => {
      for await (const _ of third);
    })().catch((error: unknown) => error)
    await cutOff(all)
    network.heal()
    const { code, reason } = await network.run(third.closed)
    expect(code).toBe('ERR_NOT_AUTHORIZED')
    expect(reason).toMatch(/stopped trying to come back \(rejoin\), .*authorize function/)
    expect(await loop).toMatchObject({
      code: 'ERR_NOT_AUTHORIZED',
      message: expect.stringContaining('(rejoin)'),
    })
    await expect(third.sendToGroup('out')).rejects.toMatchObject({ code: 'ERR_NOT_AUTHORIZED' })
    await network.advance(30_000)
    expect(asked).toHaveLength(1)
    await network[Symbol.asyncDispose]()
  })

  test('who lacks the group’s key by now goes on trying, says so once, and is let in when it has the key', async () => {
    const [old, fresh] = [drawKey(), drawKey()]
    const said: string[] = []
    const write = (line: string) => said.push(JSON.parse(line).msg)
    const logger = pino({ level: 'warn' }, { write })
    const network = createTestNetwork({ seed: 6 })
    const kernels = [
      await network.startKernel({ key: old }),
      await network.startKernel({ key: old }),
      await network.startKernel({ key: old, logger }),
    ] as const
    const first = await network.run(kernels[0].createGroup<string>('orders'))
    const second = await network.run(kernels[1].joinGroup<string>('orders'))
    const third = await network.run(kernels[2].joinGroup<string>('orders', { rejoin: true }))
    await network.advance(500)
    await cutOff({ network, kernels, first, second, third })
    for (const kernel of [kernels[0], kernels[1]]) kernel.setKeys([fresh, old])
    await network.advance(3000)
    expect(first.getInfoGroup().keyId).toBe(idOf(fresh))
    network.heal()
    await network.advance(60_000)
    expect(third.getInfoGroup().phase).toBe('rejoining')
    const waits = said.filter((text) => text.includes('cannot come back yet'))
    expect(waits).toEqual([expect.stringMatching(new RegExp(`goes on trying: .*key ${idOf(fresh)}`))])
    expect(said.filter((text) => text.includes('does not let it'))).toEqual([])
    const back = rejoinedOf(third)
    kernels[2].setKeys([fresh, old])
    await network.run(back)
    expect(third.view.members.map(({ id }) => id)).toEqual([1, 2, third.memberId])
    expect(await network.run(third.sendToGroup('back'))).toBeGreaterThan(0)
    await network[Symbol.asyncDispose]()
  })

  test('sends: unknown on their way, refused while out, fine after', async () => {
    const all = await three()
    const { network, third } = all
    let onTheWay: Promise<unknown> | undefined
    let queued: Promise<unknown> | undefined
    const expelled = expelledOf(third)
    await cutOff(all, () => {
      onTheWay = third.sendToGroup('on the way')
      onTheWay.catch(() => {})
      queued = third.sendToGroup('x'.repeat(100_000))
      queued.catch(() => {})
    })
    const outcomes: string[] = []
    third.once('expelled', () => {
      third.sendToGroup('too soon').catch(({ code, outcome }) => outcomes.push(`${code} ${outcome}`))
    })
    network.heal()
    const back = rejoinedOf(third)
    await network.run(expelled)
    await expect(onTheWay).rejects.toMatchObject({ code: 'ERR_EXPELLED', outcome: 'unknown' })
    await expect(queued).rejects.toMatchObject({ code: 'ERR_EXPELLED' })
    expect(third.getInfoGroup().phase).toBe('rejoining')
    expect(third.isSequencer).toBe(false)
    await expect(third.sendToGroup('out')).rejects.toMatchObject({
      code: 'ERR_EXPELLED',
      outcome: 'refused',
      message: expect.stringContaining("'rejoined'"),
    })
    await expect(third.resetGroup()).rejects.toMatchObject({ code: 'ERR_EXPELLED' })
    await network.run(back)
    expect(outcomes).toEqual(['ERR_EXPELLED refused'])
    expect(await network.run(third.sendToGroup('in'))).toBeGreaterThan(0)
    expect(third.getInfoGroup().phase).toBe('member')
    await network[Symbol.asyncDispose]()
  })

  test('waits until the port is found, and never creates it', async () => {
    const all = await three('joinOrCreateGroup')
    const { network, kernels, third } = all
    const expelled = expelledOf(third)
    await cutOff(all)
    network.heal()
    await network.run(expelled)
    const { groupId } = third.view
    await Promise.all([network.crash(kernels[0]), network.crash(kernels[1])])
    await network.advance(60_000)
    const asking = await network.startKernel()
    await expect(network.run(asking.inspectGroup('orders'))).rejects.toMatchObject({
      code: 'ERR_GROUP_NOT_FOUND',
    })
    expect(third.getInfoGroup().phase).toBe('rejoining')
    // somebody else creates it: another group under the same name
    await network.run(asking.createGroup<string>('orders', { maxMessageSize: 77 }))
    await network.run(rejoinedOf(third))
    expect(third.view.groupId).not.toBe(groupId)
    expect(third.parameters.maxMessageSize).toBe(77)
    expect((await drain(third)).at(-1)).toMatchObject({ kind: 'rejoin', seq: third.view.seq })
    await network[Symbol.asyncDispose]()
  })

  test.each(['leaveGroup', 'close', 'dispose'] as const)(
    '%s while it is out ends it in order',
    async (how) => {
      const all = await three()
      const { network, kernels, third } = all
      const expelled = expelledOf(third)
      await cutOff(all)
      network.heal()
      await network.run(expelled)
      network.partition([kernels[0], kernels[1]], [kernels[2]])
      await network.advance(1000)
      const waiting = third.receiveFromGroup()
      const loop = (async () => {
        const kinds: string[] = []
        for await (const { kind } of third) kinds.push(kind)
        return kinds
      })()
      if (how === 'leaveGroup') await network.run(third.leaveGroup())
      else if (how === 'close') await network.run(kernels[2].close())
      else await network.run(third[Symbol.asyncDispose]())
      expect(await third.closed).toMatchObject({ code: undefined })
      expect(await network.run(loop)).toEqual([])
      await expect(waiting).rejects.toMatchObject({ code: 'ERR_GROUP_CLOSED' })
      await expect(third.sendToGroup('over')).rejects.toMatchObject({ code: 'ERR_GROUP_CLOSED' })
      network.heal()
      await network.advance(20_000)
      expect(all.first.view.members.map(({ id }) => id)).toEqual([1, 2])
      await network[Symbol.asyncDispose]()
    },
  )

  test('a leave when the join has been asked for already leaves no ghost', async () => {
    const all = await three()
    const { network, first, third } = all
    const expelled = expelledOf(third)
    await cutOff(all)
    network.heal()
    await network.run(expelled)
    const { incarnation } = first.view
    // the question, the answer and the wish each take this long
    network.setFaults({ delayMs: 40 })
    await network.advance(100)
    expect(third.getInfoGroup().phase).toBe('rejoining')
    await network.run(third.leaveGroup())
    await network.advance(5000)
    const kinds = (await drain(first)).map(({ kind }) => kind)
    expect(kinds.slice(kinds.indexOf('reset'))).toEqual(['reset', 'join', 'leave'])
    expect(first.view).toMatchObject({ incarnation, members: [{ id: 1 }, { id: 2 }] })
    await network[Symbol.asyncDispose]()
  })

  test('a sequencer that was cut off comes back as an ordinary member', async () => {
    const network = createTestNetwork({ seed: 9 })
    const kernels = [await network.startKernel(), await network.startKernel(), await network.startKernel()]
    const first = await network.run(kernels[0]!.createGroup<string>('orders', { rejoin: true }))
    const others = []
    for (const kernel of kernels.slice(1)) others.push(await network.run(kernel.joinGroup<string>('orders')))
    network.partition(kernels.slice(1), [kernels[0]!])
    await network.run(others[0]!.sendToGroup('without first'))
    await network.advance(2000)
    network.heal()
    await network.run(rejoinedOf(first))
    expect(first.isSequencer).toBe(false)
    expect(first.view.members.map(({ id }) => id)).toEqual([2, 3, first.memberId])
    await network[Symbol.asyncDispose]()
  })

  test('found through its former fellows where there is no multicast and no list of peers', async () => {
    const network = createTestNetwork({ seed: 8 })
    const first = await network.startKernel({ transport: 'unicast' })
    const peers = first.address
    const rest = [
      await network.startKernel({ transport: 'unicast', peers }),
      await network.startKernel({ transport: 'unicast', peers }),
    ]
    // the creator knows no peers of its own: it has met the others when they joined
    const creator = await network.run(first.createGroup<string>('orders', { rejoin: true }))
    const groups = []
    for (const kernel of rest) groups.push(await network.run(kernel.joinGroup<string>('orders')))
    await network.advance(500)
    network.partition(rest, [first])
    await network.run(groups[0]!.sendToGroup('without the creator'))
    await network.advance(2000)
    network.heal()
    await network.run(rejoinedOf(creator))
    expect(creator.view.members.map(({ id }) => id)).toEqual([2, 3, creator.memberId])
    await network[Symbol.asyncDispose]()
  })
})

/** A rim whose n-th machine joins as member n at seq 10 n, or is refused with what `refusals` says for it. */
function lives(refusals: Readonly<Record<number, ErrorCode>> = {}): { rim: FakeRim; kernel: Kernel } {
  let opened = 0
  return fakeKernel((machine, call) => {
    if (call.call === 'cancel') givesUp(machine, call.token)
    if (call.call !== 'open') return
    const code = refusals[++opened]
    if (code !== undefined) {
      machine.emit({ output: 'failed', token: call.token, code, message: `refused ${opened}` })
      return
    }
    machine.emit({
      output: 'joined',
      token: call.token,
      memberId: opened,
      nonce: BigInt(opened),
      port: call.port,
      parameters: completeParameters({ ...call.parameters, historySize: 8 }),
      view: viewOf(10 * opened, [1, opened]),
    })
  })
}

function expel(machine: FakeMachine): void {
  machine.emit({ output: 'event', event: { event: 'expelled', reason: 'out' } })
  machine.emit({ output: 'event', event: { event: 'closed', code: 'ERR_EXPELLED', reason: 'out' } })
}

const text = (group: Group<Uint8Array>): string[] => {
  const got: string[] = []
  for (let next = group.tryReceive(); next !== undefined; next = group.tryReceive()) {
    const what = next.kind === 'message' ? new TextDecoder().decode(next.body) : next.kind
    got.push(`${next.seq} ${what}${next.kind === 'rejoin' ? ` after ${next.missedFrom}` : ''}`)
  }
  return got
}

describe('over a fake machine', () => {
  test('what is taken of a former life is not reported to the new one', async () => {
    const { kernel, rim } = lives()
    const group = await kernel.joinGroup<Uint8Array>('orders', { codec: 'binary', rejoin: true })
    rim.machines[0]!.deliver(messages(11, ['a', 'b', 'c']))
    expect(group.tryReceive()).toMatchObject({ seq: 11 })
    expel(rim.machines[0]!)
    await turn()
    const second = rim.machines[1]!
    expect(second.settings).toMatchObject({ port: 'orders', contacts: [] })
    expect(second.callsOf('open')).toMatchObject([{ how: 'join' }])
    // the new life's places may lie below those of the former: 20 comes after 11 to 13 here, 21 after 20
    second.deliver(messages(21, ['d', 'e']))
    expect(group.tryReceive()).toMatchObject({ seq: 12, more: true })
    await turn()
    expect(second.takenReports).toEqual([])
    expect(text(group)).toEqual(['13 c', '20 rejoin after 13', '21 d', '22 e'])
    await turn()
    expect(second.takenReports).toEqual([22])
    expect(rim.machines[0]!.isClosed).toBe(true)
  })

  test('places of the new life may begin below those of the former', async () => {
    const { kernel, rim } = lives()
    const group = await kernel.joinGroup<Uint8Array>('orders', { codec: 'binary', rejoin: true })
    rim.machines[0]!.deliver(messages(11, ['a']), messages(500, ['late']))
    expel(rim.machines[0]!)
    await turn()
    rim.machines[1]!.deliver(messages(21, ['d']))
    expect(text(group)).toEqual(['11 a', '500 late', '20 rejoin after 500', '21 d'])
    await turn()
    expect(rim.machines[1]!.takenReports).toEqual([21])
  })

  test('a life of which the program has received nothing is missed whole: memory stays bounded', async () => {
    const { kernel, rim } = lives()
    const group = await kernel.joinGroup<Uint8Array>('orders', { codec: 'binary', rejoin: true })
    const missed: number[] = []
    group.on('rejoined', ({ missedFrom }) => missed.push(missedFrom))
    rim.machines[0]!.deliver(messages(11, ['a', 'b']))
    for (let life = 0; life < 4; life++) {
      expel(rim.machines[life]!)
      await turn()
      rim.machines[life + 1]!.deliver(messages(10 * (life + 2) + 1, ['x']))
      if (life === 1) expect(group.tryReceive()).toMatchObject({ seq: 11 })
    }
    expect(missed).toEqual([12, 12, 12, 12])
    expect(text(group)).toEqual(['12 b', '50 rejoin after 12', '51 x'])
    await turn()
    expect(rim.machines[4]!.takenReports).toEqual([51])
    for (const machine of rim.machines.slice(1, 4)) expect(machine.takenReports).toEqual([])
    // the mark itself is found and not received: it gives way as well
    expel(rim.machines[4]!)
    await turn()
    rim.machines[5]!.deliver(messages(61, ['y']))
    expel(rim.machines[5]!)
    await turn()
    expect(text(group)).toEqual(['70 rejoin after 51'])
  })

  test('refusals are waited out, further and further apart; what no attempt can change ends it', async () => {
    const codes: Record<number, ErrorCode> = {
      2: 'ERR_GROUP_NOT_FOUND',
      3: 'ERR_GROUP_FULL',
      4: 'ERR_GROUP_NOT_FOUND',
      5: 'ERR_INCOMPATIBLE',
    }
    const { kernel, rim } = lives(codes)
    const group = await kernel.joinGroup<Uint8Array>('orders', { codec: 'binary', rejoin: true })
    expel(rim.machines[0]!)
    const waits: number[] = []
    for (let i = 0; i < 3; i++) {
      await turn()
      const [wakeup] = rim.wakeups.splice(0)
      waits.push(wakeup!.micros)
      wakeup!.callback()
    }
    expect(waits).toEqual([100_000, 200_000, 400_000])
    const { code, reason } = await group.closed
    expect(code).toBe('ERR_INCOMPATIBLE')
    expect(reason).toMatch(/expelled, and has stopped trying to come back \(rejoin\), .*: refused 5$/)
    await expect(group.receiveFromGroup()).rejects.toMatchObject({
      code: 'ERR_INCOMPATIBLE',
      message: expect.stringMatching(/stopped trying .* refused 5\); join again to go on$/),
    })
    expect(rim.machines.every(({ isClosed }) => isClosed)).toBe(true)
  })

  test('a leave in the middle of an attempt waits for it, and leaves nobody behind', async () => {
    const { kernel, rim } = fakeKernel((machine, call) => {
      if (call.call === 'cancel') givesUp(machine, call.token)
      if (call.call !== 'open' || rim.machines.length > 1) return
      const { token, port, parameters } = call
      machine.emit({
        output: 'joined',
        token,
        memberId: 1,
        nonce: 1n,
        port,
        parameters,
        view: viewOf(1, [1]),
      })
    })
    const group = await kernel.joinGroup('orders', { rejoin: true })
    expel(rim.machines[0]!)
    await turn()
    expect(rim.machines).toHaveLength(2)
    await Promise.all([group.leaveGroup(), group.leaveGroup(), kernel.close()])
    expect(rim.machines[1]!.callsOf('cancel')).toHaveLength(1)
    expect(rim.machines[1]!.isClosed).toBe(true)
    expect(rim.wakeups).toEqual([])
    expect(await group.closed).toMatchObject({ code: undefined })
  })

  test('an orderly end, and a fault, are no expulsion', async () => {
    const { kernel, rim } = lives()
    const group = await kernel.joinGroup('orders', { rejoin: true })
    const event = { event: 'closed', code: 'ERR_GROUP_CLOSED', reason: 'a fault' } as const
    rim.machines[0]!.emit({ output: 'event', event })
    await turn()
    expect(rim.machines).toHaveLength(1)
    expect((await group.closed).code).toBe('ERR_GROUP_CLOSED')
    await expect(kernel.joinGroup('orders', { rejoin: 'yes' as never })).rejects.toThrow('rejoin is "yes"')
  })
})
