/**
 * One run: a safety phase with all its faults, then a heal after which progress is demanded, within bounds of
 * virtual time and of events. A pure function of its seed and the options set from outside.
 */
import { Member } from '../../group/member/member.ts'
import type { Micros } from '../../kernel/identity.ts'
import { Prng } from '../../kernel/prng.ts'
import { Violation } from './checkers/checker.ts'
import { Judge } from './checkers/judge.ts'
import { isProgressDemanded, missing, unanswered } from './checkers/progress.ts'
import { unsettled } from './checkers/settings.ts'
import { Cluster, type MakeMachine } from './cluster.ts'
import { EventQueue } from './event-queue.ts'
import { Injector } from './injector.ts'
import { Network, type NetworkCounts } from './network.ts'
import type { World } from './node.ts'
import {
  drawOptions,
  FAULT_DICE,
  hasFaults,
  type Overrides,
  progressBound,
  type RunOptions,
} from './options.ts'
import { Trace } from './trace.ts'

export type Status = 'ok' | 'wrong' | 'stuck' | 'crash'

export interface Outcome {
  readonly seed: number
  readonly status: Status
  /** Empty unless something failed. */
  readonly invariant: string
  readonly sentence: string
  readonly options: RunOptions
  readonly at: Micros
  readonly statistics: Statistics
  readonly trace: readonly string[]
}

export interface Statistics {
  lives: number
  joins: number
  leaves: number
  /** Planned faults that came to pass. */
  faults: number
  crashes: number
  expulsions: number
  /** On the lines of their groups. */
  resets: number
  /** Runs in which too many were lost for progress to be demanded. */
  blocked: number
  sends: number
  delivered: number
  ordered: number
  events: number
  virtualTime: Micros
  packets: NetworkCounts
  marks: Record<string, number>
}

export interface RunSettings {
  readonly overrides?: Overrides
  readonly makeMachine?: MakeMachine
  /** Lines of trace to keep; 0 for none, which is much faster. */
  readonly trace?: number
}

const EVENTS_MOST = 3_000_000
/** Events under way at once: a group that floods its network never ends. */
const UNDER_WAY_MOST = 100_000
/** A group that is too small for its minimum is watched for so long after the heal, and no longer. */
const BLOCKED_AFTER: Micros = 15_000_000
/** How many events pass between looks at whether the goal is reached. */
const EVENTS_PER_LOOK = 64

export function runSeed(seed: number, settings: RunSettings = {}): Outcome {
  const options = drawOptions(seed, settings.overrides)
  const { trace: keep = 0, makeMachine = (member) => new Member(member) } = settings
  const trace = keep > 0 ? new Trace(keep) : undefined
  const run = new Run(seed, options, makeMachine, trace)
  let failure: { status: Status; invariant: string; sentence: string } | undefined
  try {
    run.go()
  } catch (error) {
    failure = judgeError(error)
    trace?.add(run.now, '****', `${failure.status}: ${failure.invariant}: ${failure.sentence}`)
  }
  const { status, invariant, sentence } = failure ?? { status: 'ok', invariant: '', sentence: '' }
  return {
    seed,
    status,
    invariant,
    sentence,
    options,
    at: run.now,
    statistics: run.statistics(),
    trace: trace?.last() ?? [],
  }
}

function judgeError(error: unknown): { status: Status; invariant: string; sentence: string } {
  if (error instanceof Violation) {
    return {
      status: error.invariant === 'I9' ? 'stuck' : 'wrong',
      invariant: error.invariant,
      sentence: error.message,
    }
  }
  const stack = error instanceof Error ? (error.stack ?? error.message) : String(error)
  return { status: 'crash', invariant: 'exception', sentence: stack.split('\n').slice(0, 6).join('\n') }
}

class Run {
  private readonly queue = new EventQueue()
  private readonly judge: Judge
  private readonly network: Network
  private readonly cluster: Cluster
  private readonly injector: Injector
  private readonly marks = new Map<string, number>()
  private readonly options: RunOptions

  constructor(seed: number, options: RunOptions, makeMachine: MakeMachine, trace: Trace | undefined) {
    // other dice than those that drew the options, so that setting one option changes nothing else
    const prng = new Prng(seed + 0x5bd1e995)
    const { queue } = this
    this.options = options
    this.network = new Network({ queue, prng: prng.fork(), options, trace })
    this.judge = new Judge(
      options,
      () => this.cluster.sampleAll(),
      () => queue.now,
    )
    this.judge.ledger.isLeftAlone = options.heedless
    const world: World = {
      queue,
      network: this.network,
      judge: this.judge,
      options,
      trace,
      marks: this.marks,
    }
    const faultPrng = new Prng(seed + FAULT_DICE + 3)
    this.cluster = new Cluster(seed, world, prng.fork(), faultPrng, makeMachine)
    this.injector = new Injector(seed, this.cluster.nodes, world, this.cluster)
    queue.at(options.healAt, () => {
      trace?.add(queue.now, '----', 'heal')
      this.network.heal()
      this.injector.heal()
      this.cluster.heal()
    })
  }

  get now(): Micros {
    return this.queue.now
  }

  go(): void {
    const { queue } = this
    const deadline = this.options.healAt + progressBound(this.options)
    for (;;) {
      for (let i = 0; i < EVENTS_PER_LOOK && queue.now <= deadline; i++) {
        if (!queue.runNext()) break
      }
      if (this.isDone() || this.isBlocked()) break
      const isTooMuch = queue.count > EVENTS_MOST || queue.length > UNDER_WAY_MOST
      if (queue.now > deadline || isTooMuch || queue.length === 0) {
        throw new Violation(
          'I9',
          `${this.missing() ?? this.cluster.unfinished()}, ${this.whyStopped(deadline)}`,
        )
      }
    }
    this.cluster.sampleAll()
    this.network.checkAccounts()
    this.judge.finished()
  }

  private missing(): string | undefined {
    const { ledger } = this.judge
    if (ledger.isLeftAlone && !isProgressDemanded(ledger)) return unanswered(ledger)
    return missing(ledger) ?? unsettled(ledger)
  }

  private whyStopped(deadline: Micros): string {
    if (this.queue.length === 0) return 'and nothing is going to happen any more'
    if (this.queue.now > deadline) return `${Math.round(progressBound(this.options) / 1e6)} s after the heal`
    return `after ${this.queue.count} events, with ${this.queue.length} under way`
  }

  private isDone(): boolean {
    // the last fault is to come to pass, even if nobody has anything to do any more
    if (hasFaults(this.options) && this.queue.now < this.options.healAt) return false
    return this.cluster.isDone && this.missing() === undefined
  }

  /** Too many are lost for the minimum: nothing more will come of it, and nothing more is demanded. */
  private isBlocked(): boolean {
    const isLate = this.queue.now > this.options.healAt + BLOCKED_AFTER || this.queue.length === 0
    const { ledger } = this.judge
    return isLate && !ledger.isLeftAlone && !isProgressDemanded(ledger)
  }

  statistics(): Statistics {
    const { ledger } = this.judge
    const statistics: Statistics = {
      lives: ledger.lives.length,
      joins: 0,
      leaves: 0,
      faults: this.injector.happened,
      crashes: 0,
      expulsions: 0,
      resets: 0,
      blocked: isProgressDemanded(ledger) ? 0 : 1,
      sends: 0,
      delivered: 0,
      ordered: 0,
      events: this.queue.count,
      virtualTime: this.queue.now,
      packets: this.network.counts,
      marks: Object.fromEntries(this.marks),
    }
    for (const life of ledger.lives) {
      if (life.group !== undefined) statistics.joins++
      if (life.phase === 'crashed') statistics.crashes++
      if (life.isExpelled) statistics.expulsions++
      const isOut = life.phase === 'crashed' || life.isExpelled
      if (life.group !== undefined && life.phase !== 'member' && !isOut) statistics.leaves++
      statistics.sends += life.sends.length
      statistics.delivered += life.delivered - life.joinedAt
    }
    for (const order of ledger.orders.values()) statistics.resets += order.tip.resets
    for (const order of ledger.orders.values()) statistics.ordered += order.tip.last - order.root.last
    return statistics
  }
}
