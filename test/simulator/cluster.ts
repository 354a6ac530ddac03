/**
 * Who does what when: nodes that open the group at the start or join later, leave, and come back. Whoever
 * does not find the group tries again, as a new machine, as long as there is somebody to find.
 */
import { detectionPresets, type MemberOptions } from '../../group/member/options.ts'
import { ErrorCode, type OpenFailure } from '../../kernel/errors.ts'
import { type Address, type Micros, Right } from '../../kernel/identity.ts'
import type { Prng } from '../../kernel/prng.ts'
import { Abilities, type Moment } from './abilities.ts'
import { Violation } from './checkers/checker.ts'
import { credentialsFor } from './credentials.ts'
import { Life, type SimulatedMachine, SimulatedNode, type World } from './node.ts'
import { hasFaults } from './options.ts'
import { Program, type ProgramPlan, parametersOf } from './program.ts'

export type MakeMachine = (options: MemberOptions) => SimulatedMachine

interface Participant {
  readonly node: SimulatedNode
  readonly address: Address
  /** What its lives are to be, one after the other. */
  readonly lives: { readonly openAt: Micros; readonly plan: ProgramPlan }[]
  /** How many lives there were, failed opens included. */
  tries: number
  /** A life of it is to begin in a moment: one address holds one life at a time. */
  isOpening: boolean
}

/** How long before the start numbers' edge a group begins: some messages, so that a run crosses it. */
const BEFORE_EDGE = 40
/** What a program that comes back after a crash or an expulsion still has to send, at most. */
const SENDS_AGAIN = 10

export class Cluster {
  private readonly participants: Participant[] = []
  private readonly alive = new Map<Life, Program>()
  /** Openings that wait for their time. */
  private planned = 0
  private readonly world: World
  private readonly prng: Prng
  private readonly makeMachine: MakeMachine
  private isHealed = false
  /** For what comes after a fault only, so that all else is as without it. */
  private readonly faultPrng: Prng

  private readonly abilities: Abilities

  constructor(seed: number, world: World, prng: Prng, faultPrng: Prng, makeMachine: MakeMachine) {
    this.world = world
    this.prng = prng
    this.faultPrng = faultPrng
    this.makeMachine = makeMachine
    this.plan()
    const addresses = this.participants.map(({ address }) => address)
    this.abilities = new Abilities(seed, world.options, addresses)
    for (const moment of this.abilities.moments) {
      const { node } = this.participants.find((one) => one.address === moment.address)!
      world.queue.at(moment.at, () => this.onMoment(node, moment))
    }
  }

  private onMoment(node: SimulatedNode, { key, isMistake }: Moment): void {
    if (key === undefined) {
      this.correct(node, node.keys)
      this.forgetKeys(node)
    } else if (isMistake) {
      this.setKeys(node, [key, ...node.keys.filter((one) => one !== key)])
    } else if (!node.keys.includes(key)) {
      this.correct(node, [...node.keys, key])
    }
  }

  /** A key that was late does not go before a newer one. */
  private correct(node: SimulatedNode, keys: readonly number[]): void {
    const inOrder = [...keys].sort((a, b) => b - a)
    if (inOrder.join() !== node.keys.join()) this.setKeys(node, inOrder)
  }

  /** Its operator has waited for nothing but the change. */
  private forgetSoon(node: SimulatedNode): void {
    if (node.keys.length < 2) return
    for (const after of this.abilities.haste()) this.world.queue.after(after, () => this.forgetKeys(node))
  }

  /** Takes away what its machine can do without. (Before it has joined it cannot tell what its group will want.) */
  private forgetKeys(node: SimulatedNode): void {
    const life = node.current
    if (life?.record.group === undefined || node.isPaused) return
    const needed = keysNeeded(life) ?? []
    const kept = node.keys.filter((key, i) => i === 0 || needed.includes(key))
    if (kept.length < node.keys.length) this.setKeys(node, kept)
  }

  private setKeys(node: SimulatedNode, keys: readonly number[]): void {
    node.keys = keys
    this.world.trace?.add(this.world.queue.now, node.address, `keys ${keys.join()}`)
    node.current?.call({ call: 'keys', keys })
  }

  private plan(): void {
    const { options } = this.world
    const { prng } = this
    const { members, early, late, healAt } = options
    for (let i = 0; i < members; i++) {
      const address = `n${i}`
      const node = new SimulatedNode(address, this.world)
      node.keys = Abilities.firstKeys(options)
      this.participants.push({ node, address, lives: [], tries: 0, isOpening: false })
    }
    const leavers = this.chooseLeavers()
    const share = Math.ceil(options.sends / members)
    const lastLeave = Math.round(healAt * 1.1)
    this.participants.forEach((participant, i) => {
      const isLate = i >= members - late
      const isEarly = i > 0 && i <= early
      const creatorAt = early > 0 ? 300_000 : 0
      const openAt =
        i === 0 ? creatorAt : isEarly ? 0 : creatorAt + (isLate ? prng.below(healAt) : prng.below(2000))
      const isLeaver = leavers.has(i)
      const leaveAt = isLeaver
        ? openAt + prng.below(healAt)
        : options.everybodyLeaves
          ? lastLeave + prng.below(50_000)
          : undefined
      const how =
        i === 0
          ? options.joinOrCreate && early === 0
            ? 'joinOrCreate'
            : 'create'
          : options.joinOrCreate && isLate
            ? 'joinOrCreate'
            : 'join'
      const isSlow = i < options.slow
      participant.lives.push({ openAt, plan: { how, sends: share, leaveAt, isSlow } })
      if (isLeaver && prng.below(members) < options.rejoins) {
        const again = options.everybodyLeaves ? lastLeave + 200_000 : undefined
        participant.lives.push({
          openAt: leaveAt! + prng.below(100_000),
          plan: { how: 'join', sends: Math.ceil(share / 2), leaveAt: again, isSlow },
        })
      }
    })
    if (options.secondCreate && members > 1) this.planSecondCreate()
    this.planned = 0
    for (const participant of this.participants) this.openNext(participant)
  }

  private chooseLeavers(): Set<number> {
    const { options } = this.world
    const leavers = new Set<number>()
    if (options.sequencerLeaves) leavers.add(0)
    while (leavers.size < Math.min(options.leavers, options.members - 1))
      leavers.add(this.prng.below(options.members))
    return leavers
  }

  /** Somebody tries to create the port while its group lives, and then joins it. */
  private planSecondCreate(): void {
    const { lives } = this.participants.at(-1)!
    const [first] = lives
    if (first === undefined || first.plan.how !== 'join') return
    const plan: ProgramPlan = { how: 'create', sends: 0, leaveAt: undefined, isSlow: false }
    lives.unshift({ openAt: first.openAt + 500_000, plan })
  }

  private openNext(participant: Participant): void {
    const next = participant.lives.shift()
    if (next !== undefined) this.openAt(participant, next.openAt, next.plan)
  }

  private openAt(participant: Participant, time: Micros, plan: ProgramPlan): void {
    const { queue } = this.world
    this.planned++
    participant.isOpening = true
    queue.at(Math.max(time, queue.now), () => {
      this.planned--
      participant.isOpening = false
      this.open(participant, plan)
    })
  }

  private open(participant: Participant, plan: ProgramPlan): void {
    const { world, prng } = this
    const { judge, queue, options } = world
    const { node, address } = participant
    const versions = this.abilities.versionsAt(address, queue.now)
    const credentials = this.credentialsAt(address)
    const member = { ...this.memberOptions(address), versions, keys: node.keys, credentials }
    const name = participant.tries === 0 ? address : `${address}.${participant.tries + 1}`
    participant.tries++
    const record = judge.begin(name, member.nonce)
    record.right = credentials?.right ?? Right.all
    record.abilities = { versions, keys: () => node.keys, needed: () => keysNeeded(life) ?? node.keys }
    const host = {
      call: (call: Parameters<Life['call']>[0]) => life.call(call),
      joined: () => {},
      ended: (code: ErrorCode | undefined, openFailure?: OpenFailure) =>
        this.onEnded(participant, plan, life, code, openFailure),
    }
    const dice = { prng: prng.fork(), faultPrng: this.faultPrng.fork() }
    const mayReset = record.right === Right.all
    const program = new Program({ life: record.index, mayReset, plan, queue, ...dice, options, host })
    const life = new Life({
      record,
      node,
      world,
      machine: this.makeMachine(member),
      program: (output) => {
        program.onOutput(output)
        if (output.output === 'event' && output.event.event === 'settings') this.forgetSoon(node)
      },
      crashed: () => {
        program.stop()
        this.alive.delete(life)
        // what it was to do later is not to be
        participant.lives.length = 0
      },
    })
    this.alive.set(life, program)
    if (this.isHealed) program.heal()
    program.open(parametersOf(options))
  }

  /** The first nodes after the creator have lesser rights, so that some of them would be next to number. */
  private credentialsAt(address: Address): MemberOptions['credentials'] {
    const { lesser } = this.world.options
    if (lesser === 0) return undefined
    const i = this.participants.findIndex((one) => one.address === address)
    return credentialsFor(i === 0 || i > lesser ? 'all' : i % 2 === 1 ? 'receive' : 'send')
  }

  private memberOptions(address: Address): MemberOptions {
    const { options } = this.world
    const { prng } = this
    const edge = options.startNear === 0 ? undefined : options.startNear - prng.below(BEFORE_EDGE)
    return {
      nonce: prng.u64(),
      seed: prng.u32(),
      address,
      name: `at ${address}`,
      role: 'full',
      transport: options.transport,
      peers: this.participants.map((one) => one.address).filter((one) => one !== address),
      packetSize: options.packetSize,
      window: options.queueBytes,
      sendWindow: options.sendWindow,
      method: options.method,
      methodThreshold: options.methodThreshold,
      detection: detectionPresets[options.detection],
      ...(edge === undefined
        ? {}
        : { start: { seq: edge, memberId: edge, incarnation: edge, request: edge } }),
    }
  }

  private onEnded(
    participant: Participant,
    plan: ProgramPlan,
    life: Life,
    code: ErrorCode | undefined,
    openFailure: OpenFailure | undefined,
  ): void {
    const { queue, options } = this.world
    const { record } = life
    const wasMember = record.group !== undefined
    life.end()
    this.alive.delete(life)
    if (code === ErrorCode.expelled && wasMember) this.comeBack(participant)
    if (code === undefined || wasMember) return this.openNext(participant)
    if (plan.how === 'create' && code === ErrorCode.exists && this.hasGroup())
      return this.openNext(participant)
    const mayTryAgain =
      plan.how !== 'create' &&
      (code === ErrorCode.notFound ||
        code === ErrorCode.full ||
        code === ErrorCode.busy ||
        openFailure === 'standstill' ||
        (code === ErrorCode.notAuthorized && options.keys > 0) ||
        (code === ErrorCode.incompatible && options.upgrades > 0) ||
        ((code === ErrorCode.memberFailed || code === ErrorCode.expelled) && this.isDisturbed))
    if (!mayTryAgain)
      throw new Violation('I9', `${record.name} cannot ${plan.how}: ${code}, and nothing was wrong`)
    // with the group gone, full for good or stopped with nobody to reset it, there is nothing to wait for
    const isForGood = this.isHealed && (code === ErrorCode.full || options.heedless)
    if (!this.hasGroup() || isForGood) return this.openNext(participant)
    this.openAt(participant, queue.now + this.prng.between(1000, 50_000), plan)
  }

  /** A join may be dropped by any reset, also by one that an unfounded suspicion has led to. */
  private get isDisturbed(): boolean {
    const { options, judge } = this.world
    return hasFaults(options) || options.resets > 0 || judge.ledger.isDisturbed
  }

  /** Whoever is thrown out may come back, as somebody new. */
  private comeBack(participant: Participant): void {
    const { options, queue } = this.world
    const prng = this.faultPrng
    if (prng.unit() >= options.comeBack || participant.lives.length > 0) return
    const openAt = queue.now + prng.below(200_000)
    const plan: ProgramPlan = {
      how: 'join',
      sends: prng.below(SENDS_AGAIN),
      leaveAt: undefined,
      isSlow: false,
    }
    participant.lives.push({ openAt, plan })
  }

  /** A new life on the address of one that crashes now, or in a moment. */
  restart(address: Address, after: Micros): void {
    const participant = this.participants.find((one) => one.address === address)!
    const plan: ProgramPlan = {
      how: 'join',
      sends: this.faultPrng.below(SENDS_AGAIN),
      leaveAt: undefined,
      isSlow: false,
    }
    this.planned++
    this.world.queue.after(after, () => {
      this.planned--
      // (whoever crashes between two tries to open comes back by the next of them)
      if (participant.node.current === undefined && !participant.isOpening) this.open(participant, plan)
    })
  }

  get nodes(): SimulatedNode[] {
    return this.participants.map(({ node }) => node)
  }

  /** Whether there is a group to be found, or somebody about to create it. */
  private hasGroup(): boolean {
    if (this.participants[0]!.tries === 0) return true
    for (const { record } of this.alive.keys())
      if (record.group !== undefined || record.name === 'n0') return true
    return false
  }

  heal(): void {
    this.isHealed = true
    for (const program of [...this.alive.values()]) program.heal()
  }

  sampleAll(): void {
    for (const life of this.alive.keys()) life.sample()
  }

  /** Whether all plans are carried out; what the machines still owe is another matter. */
  get isDone(): boolean {
    if (this.planned > 0) return false
    for (const program of this.alive.values()) if (!program.isDone) return false
    return true
  }

  /** Programs that have not done yet what they want to, in words. */
  unfinished(): string {
    const names = [...this.alive].filter(([, program]) => !program.isDone).map(([life]) => life.record.name)
    return `${names.join(', ') || 'nobody'} not finished, ${this.planned} opens to come`
  }

  machines(): SimulatedMachine[] {
    return [...this.alive.keys()].map(({ machine }) => machine)
  }
}

/** Undefined where the machine does not say: one that stands in for the real one in a test. */
function keysNeeded({ machine }: Life): readonly number[] | undefined {
  return machine.keysInUse?.().map(({ keyId }) => keyId)
}
