/** Faults do what they say: the dead send nothing, partitions let nothing through, pauses hold everything. */
import { describe, expect, it } from 'vitest'
import { Counters } from '../../kernel/counters.ts'
import type { Micros } from '../../kernel/identity.ts'
import type { Input, Sink } from '../../kernel/machine.ts'
import { PacketKind } from '../../kernel/packet.ts'
import type { MemberInfo } from '../../kernel/port.ts'
import { Prng } from '../../kernel/prng.ts'
import { packetOf } from '../support/packets.ts'
import { Judge } from './checkers/judge.ts'
import { EventQueue } from './event-queue.ts'
import { type Deed, describeFault, drawPlan, type Fault } from './faults.ts'
import { Injector } from './injector.ts'
import { Network } from './network.ts'
import { Life, type SimulatedMachine, SimulatedNode, type World } from './node.ts'
import { drawOptions, type Overrides, parseOverride, type RunOptions } from './options.ts'
import { Oracle } from './oracle.ts'
import { onlyFlags } from './report.ts'
import { type Outcome, runSeed } from './run.ts'
import { shorten } from './shorten.ts'

const EVERY: Micros = 1000
const CALM: Overrides = {
  members: 3, loss: 0, duplication: 0, corruption: 0, garbage: 0, tail: 0, jitter: 0, delay: 100, service: 0,
  queuePackets: 8, queueBytes: 100_000, packetSize: 1400, healAt: 1_000_000, turn: 64, transport: 'multicast',
} // biome-ignore format: one list

/** Sends a packet to each other node every millisecond of its own clock, and remembers what it is given. */
class Chatter implements SimulatedMachine {
  readonly counters = new Counters()
  readonly options: { nonce: bigint }
  readonly steps: { now: Micros; kind: Input['kind']; from: string }[] = []
  private readonly others: readonly string[]
  private next: Micros | undefined

  constructor(nonce: bigint, others: readonly string[]) {
    this.options = { nonce }
    this.others = others
  }

  step(now: Micros, input: Input, sink: Sink): void {
    this.steps.push({ now, kind: input.kind, from: input.kind === 'packet' ? input.from : '' })
    if (input.kind === 'tick') sink.trace?.({ mark: 'ticked', detail: {} })
    if (input.kind === 'tick')
      for (const to of this.others) sink.unicast(to, packet(this.options.nonce, nonceOf(to)))
    if (input.kind !== 'packet') this.next = now + EVERY
  }

  nextDeadline(): Micros | undefined {
    return this.next
  }

  info(): MemberInfo {
    return { received: 0, isSequencer: false, view: undefined } as unknown as MemberInfo
  }

  count(kind: Input['kind'], from = ''): number {
    return this.steps.filter((step) => step.kind === kind && step.from === from).length
  }
}

function nonceOf(name: string): bigint {
  return 10n + BigInt(name.slice(1))
}

function packet(senderNonce: bigint, destination: bigint): Uint8Array {
  return packetOf(PacketKind.state, { groupId: 1n, senderNonce, destination })
}

/** Three nodes that chatter, from the start. */
class Stage {
  readonly queue = new EventQueue()
  readonly options: RunOptions
  readonly network: Network
  readonly world: World
  readonly nodes: SimulatedNode[] = []
  readonly machines: Chatter[] = []
  readonly lives: Life[] = []
  readonly stopped: string[] = []

  constructor(overrides: Overrides = {}, clocks: { offset: Micros; rate: number }[] = []) {
    const { queue } = this
    this.options = drawOptions(1, { ...CALM, ...overrides })
    const { options } = this
    this.network = new Network({ queue, prng: new Prng(1), options, trace: undefined })
    const judge = new Judge(
      options,
      () => {},
      () => queue.now,
    )
    this.world = { queue, network: this.network, judge, options, trace: undefined, marks: new Map() }
    const names = ['n0', 'n1', 'n2']
    for (const [i, name] of names.entries()) {
      const node = new SimulatedNode(name, this.world)
      node.clock = clocks[i]
      const others = names.filter((one) => one !== name)
      const machine = new Chatter(nonceOf(name), others)
      const record = judge.begin(name, machine.options.nonce)
      const crashed = () => this.stopped.push(name)
      this.nodes.push(node)
      this.machines.push(machine)
      this.lives.push(new Life({ record, node, world: this.world, machine, program: () => {}, crashed }))
    }
    for (const life of this.lives) life.call({ call: 'peers', addresses: [] })
  }

  run(until: Micros): void {
    while ((this.queue.nextAt() ?? Number.POSITIVE_INFINITY) <= until) this.queue.runNext()
    this.queue.now = until
  }

  /** How many packets `to` has got of `from`, in the time until `until`. */
  heard(to: number, from: number, until: Micros): number {
    const before = this.machines[to]!.count('packet', `n${from}`)
    this.run(until)
    return this.machines[to]!.count('packet', `n${from}`) - before
  }
}

describe('a crash', () => {
  it.each([true, false])('ends everything that the node does (silent host: %s)', (isSilent) => {
    const stage = new Stage()
    expect(stage.heard(0, 1, 10_500)).toBe(10)
    stage.nodes[1]!.crash(isSilent)
    stage.lives[1]!.call({ call: 'peers', addresses: [] })
    const steps = stage.machines[1]!.steps.length
    const gone = stage.heard(0, 1, 20_500)
    expect(stage.machines[1]!.steps.length).toBe(steps)
    expect(stage.stopped).toEqual(['n1'])
    // its kernel says that it is gone, packet by packet; a dead host says nothing
    expect(gone).toBe(isSilent ? 0 : 10)
    expect(stage.network.counts.dropped[isSilent ? 'silent' : 'nobody']).toBe(20)
    expect(stage.world.judge.ledger.lives[1]!.phase).toBe('crashed')
    stage.network.checkAccounts()
  })

  it('comes in the middle of what a step does', () => {
    const stage = new Stage()
    stage.run(10_500)
    stage.lives[1]!.dieAfter(1, true)
    const [first, second] = [stage.heard(0, 1, 20_500), stage.machines[2]!.count('packet', 'n1')]
    expect([first, second]).toEqual([1, 10])
  })
})

describe('a partition', () => {
  it('lets nothing through while it lasts, one way or both', () => {
    const stage = new Stage()
    stage.run(10_500)
    const isCut = (from: string, to: string) => from === 'n0' && to === 'n1'
    stage.network.cut(isCut)
    expect([stage.heard(1, 0, 20_500), stage.machines[0]!.count('packet', 'n1')]).toEqual([0, 20])
    stage.network.join(isCut)
    expect(stage.heard(1, 0, 30_500)).toBe(10)
    expect(stage.network.counts.dropped.partition).toBe(10)
  })
  it('catches what is on the way, and ends with the heal', () => {
    const stage = new Stage({ delay: 5000 })
    stage.run(10_500)
    stage.network.cut(() => true)
    expect(stage.heard(1, 0, 20_500)).toBe(0)
    stage.network.heal()
    expect(stage.heard(1, 0, 40_500)).toBeGreaterThan(10)
    stage.network.cut(() => true)
    expect(stage.heard(1, 0, 50_500)).toBe(10)
  })
})

describe('a pause', () => {
  it('holds packets, ticks and calls, and a buffer only so many', () => {
    const stage = new Stage()
    stage.run(10_500)
    const machine = stage.machines[1]!
    const steps = machine.steps.length
    stage.nodes[1]!.pause(60_500, false)
    stage.lives[1]!.call({ call: 'peers', addresses: [] })
    stage.run(60_499)
    expect(machine.steps.length).toBe(steps)
    expect(stage.nodes[1]!.queued).toBe(8)
    expect(stage.network.counts.dropped.overrun).toBe(100 - 8)
    stage.run(60_600)
    const after = machine.steps.slice(steps).map(({ kind }) => kind)
    expect(after.toSorted()).toEqual(['call', ...Array.from({ length: 8 }, () => 'packet')])
    expect(machine.steps.at(steps)!.now - machine.steps.at(steps - 1)!.now).toBeGreaterThan(49_000)
    expect(stage.heard(0, 1, 70_700)).toBeGreaterThan(5)
    stage.network.checkAccounts()
  })
})

describe('drift', () => {
  it('lets no clock go backwards, and rings no timer early', () => {
    const clocks = [
      { offset: 123_456_789, rate: 0.9 },
      { offset: 5, rate: 1.1 },
      { offset: 0, rate: 1.000_001 },
    ]
    const stage = new Stage({}, clocks)
    stage.run(200_000)
    stage.machines.forEach((machine, i) => {
      const ticks = machine.steps.filter(({ kind }) => kind === 'tick').map(({ now }) => now)
      expect(Math.abs(ticks.length - 200 * clocks[i]!.rate)).toBeLessThan(2)
      for (const [k, { now }] of machine.steps.entries()) {
        expect(Number.isSafeInteger(now)).toBe(true)
        if (k > 0) expect(now).toBeGreaterThanOrEqual(machine.steps[k - 1]!.now)
      }
      for (let k = 1; k < ticks.length; k++) expect(ticks[k]! - ticks[k - 1]!).toBeGreaterThanOrEqual(EVERY)
    })
    const node = stage.nodes[1]!
    for (let local = 5; local < 3000; local += 7) {
      const time = node.trueTime(local)
      expect(node.localTime(time)).toBeGreaterThanOrEqual(local)
      if (time > 0) expect(node.localTime(time - 1)).toBeLessThan(local)
    }
  })
})

describe('the injector', () => {
  const FAULTY: Overrides = { crashes: 0, pauses: 0, partitions: 0, aimed: 0, drift: 0 }
  const inject = (stage: Stage, faults: Fault[]) => {
    const restarted: [string, Micros][] = []
    const restarts = { restart: (address: string, after: Micros) => restarted.push([address, after]) }
    const injector = new Injector(1, stage.nodes, stage.world, restarts, faults)
    return { injector, restarted }
  }
  const crash: Deed = {
    deed: 'crash',
    aim: 'self',
    others: 0,
    isSilent: true,
    effects: undefined,
    restartAfter: 7,
  }
  const fault = (trigger: Fault['trigger'], deed: Deed): Fault => ({
    index: 0,
    trigger,
    deed,
    prng: new Prng(1),
  })

  it('hits at a moment, and several at once', () => {
    const stage = new Stage(FAULTY)
    const both = { ...crash, aim: 1, others: 1 }
    const { injector, restarted } = inject(stage, [fault({ on: 'time', at: 5000 }, both)])
    stage.run(10_000)
    expect(injector.happened).toBe(1)
    expect(stage.stopped).toHaveLength(2)
    expect(stage.stopped).toContain('n1')
    expect(restarted.map(([, after]) => after)).toEqual([7, 7])
  })
  it('hits whoever tells of a turning point, before the step has had effects', () => {
    const stage = new Stage(FAULTY)
    inject(stage, [fault({ on: 'mark', mark: 'ticked', nth: 4 }, crash)])
    stage.run(10_500)
    expect(stage.stopped).toEqual(['n0'])
    expect(stage.machines[1]!.count('packet', 'n0')).toBe(1)
  })
  it.each([
    ['sent', 'before', 3],
    ['sent', 'after', 4],
  ] as const)('hits just when a packet is %s: %s', (side, when, sent) => {
    const stage = new Stage(FAULTY)
    inject(stage, [fault({ on: 'packet', kind: 'state', side, when, nth: 4 }, crash)])
    stage.run(1050)
    expect(stage.stopped).toEqual(['n1'])
    // the two of n0, and n1 on its way through its own two; n2 is not cut short
    expect(stage.network.counts.sent - 2).toBe(sent)
  })
  it('hits just when a packet is received', () => {
    const stage = new Stage(FAULTY)
    inject(stage, [fault({ on: 'packet', kind: 'state', side: 'received', when: 'before', nth: 1 }, crash)])
    stage.run(10_500)
    expect(stage.stopped).toHaveLength(1)
    const dead = stage.machines[Number(stage.stopped[0]!.slice(1))]!
    expect(dead.steps.filter(({ kind }) => kind === 'packet')).toEqual([])
  })
  it('does nothing after the heal, and wakes who is stopped', () => {
    const stage = new Stage(FAULTY)
    const stop: Deed = { deed: 'pause', aim: 2, length: 500_000 }
    const { injector } = inject(stage, [
      fault({ on: 'time', at: 1500 }, stop),
      fault({ on: 'mark', mark: 'ticked', nth: 100 }, crash),
    ])
    stage.run(10_500)
    expect(stage.nodes[2]!.isPaused).toBe(true)
    injector.heal()
    expect(stage.nodes[2]!.isPaused).toBe(false)
    stage.run(100_500)
    expect(stage.stopped).toEqual([])
  })
  it('cuts off the node that it aims at', () => {
    const stage = new Stage(FAULTY)
    const cut: Deed = { deed: 'partition', aim: 0, sides: 2, oneWay: 1, length: 10_000 }
    inject(stage, [fault({ on: 'time', at: 10_500 }, cut)])
    stage.run(10_500)
    const others = stage.heard(1, 0, 20_500) + stage.machines[2]!.count('packet', 'n0')
    expect(others).toBeLessThan(10 + 20)
    expect(stage.machines[0]!.count('packet', 'n1')).toBe(20)
    expect(stage.heard(1, 0, 31_500)).toBeGreaterThanOrEqual(10)
  })
})

describe('the plan', () => {
  it('has no faults as long as they are not drawn', () => {
    for (let seed = 1; seed <= 50; seed++) {
      const options = drawOptions(seed, { faults: false })
      expect(drawPlan(seed, options)).toEqual([])
      expect([options.minMembers, options.recovery, options.drift, options.resets]).toEqual([
        'majority',
        'auto',
        0,
        0,
      ])
    }
  })
  it('draws them all, and changes nothing else by it', () => {
    const kinds = new Set<string>()
    for (let seed = 1; seed <= 200; seed++) {
      const [without, drawn] = [drawOptions(seed, { faults: false }), drawOptions(seed)]
      for (const { trigger, deed } of drawPlan(seed, drawn)) kinds.add(trigger.on).add(deed.deed)
      for (const name of ['members', 'loss', 'sends', 'resilience', 'historySize', 'pause'] as const)
        expect(drawn[name]).toBe(without[name])
    }
    expect([...kinds].toSorted()).toEqual(['crash', 'mark', 'packet', 'partition', 'pause', 'time'])
  })
  it('leaves out what is skipped, and nothing else', () => {
    const overrides = { crashes: 3, crashTogether: 1, pauses: 2, partitions: 2, aimed: 3 }
    const whole = drawPlan(5, drawOptions(5, overrides)).map(describeFault)
    const some = drawPlan(5, drawOptions(5, { ...overrides, ...parseOverride('skip=0,4') })).map(
      describeFault,
    )
    expect(whole).toHaveLength(10)
    expect(some).toEqual(whole.filter((_, index) => index !== 0 && index !== 4))
    expect(() => parseOverride('skip=0;4')).toThrow(/must be/)
  })
})

describe('shortening', () => {
  const overrides = { members: 8, crashes: 3, crashTogether: 1, pauses: 2, loss: 0.2 }
  const run = (tried: Overrides): Outcome => {
    const options = drawOptions(9, tried)
    const isThere = drawPlan(9, options).some(({ index }) => index === 3)
    const isWrong = isThere && options.members >= 3 && options.sends >= 7
    return { seed: 9, options, status: isWrong ? 'wrong' : 'ok', invariant: isWrong ? 'I1' : '' } as Outcome
  }
  it('keeps what the failure needs, and nothing else', () => {
    const { overrides: found } = shorten(run(overrides), run)
    expect(found.members).toBe(3)
    expect(found.loss).toBe(0)
    expect(found.sends).toBeLessThan(10)
    expect(drawPlan(9, found as RunOptions).map(({ index }) => index)).toEqual([3])
    expect(run(found).status).toBe('wrong')
  })
  it('stays within its bound of runs', () => {
    let runs = 0
    const counted = (tried: Overrides) => {
      runs++
      return run(tried)
    }
    expect(shorten(run(overrides), counted, { runs: 5, milliseconds: 1e9 }).runs).toBe(5)
    expect(runs).toBe(5)
  })
  it('tells how to run the smaller one', () => {
    const { overrides: found } = shorten(run(overrides), run)
    const flags = onlyFlags(9, found as RunOptions)
      .split(' --only ')
      .slice(1)
    expect(drawOptions(9, Object.assign({}, ...flags.map(parseOverride)))).toEqual(found)
  })
})

it('runs a group of stand-ins through faults, and again in the same way', () => {
  const oracle = () => {
    const one = new Oracle()
    const overrides = {
      ...CALM,
      members: 4,
      late: 0,
      leavers: 0,
      sends: 40,
      crashes: 1,
      pauses: 2,
      partitions: 1,
    }
    return runSeed(11, {
      makeMachine: (options) => one.make(options),
      overrides: { ...overrides, queuePackets: 1000, drift: 0.1, restarts: 0, everybodyLeaves: false },
      trace: 100_000,
    })
  }
  const [first, second] = [oracle(), oracle()]
  expect(first.trace).toEqual(second.trace)
  expect(first.statistics.faults).toBeGreaterThan(2)
  expect(first.statistics.crashes).toBe(1)
})
