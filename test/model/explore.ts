/** Every state that can be reached, breadth first: the first violation found is one with the fewest steps. */
import { BlockedSearch } from './blocked.ts'
import { NONE, type Violation } from './invariants.ts'
import type { Model } from './model.ts'
import { Origins, RowQueue } from './pages.ts'
import { Rows } from './rows.ts'
import { Seen } from './seen.ts'
import { initialState, type State } from './state.ts'
import { names } from './steps/describe.ts'
import type { Step, StepSink } from './steps/recorder.ts'
import { Steps } from './steps/steps.ts'

/** ok: everything was seen and nothing is wrong; bound: the same, as far as it went. */
export type Verdict = 'ok' | 'bad' | 'blocked' | 'bound'

export interface Outcome {
  readonly verdict: Verdict
  readonly states: number
  readonly transitions: number
  /** The longest of the shortest paths to a state. */
  readonly depth: number
  /** The most results accepted in one state, and in how many states there is one. */
  readonly mostAccepted: number
  readonly statesWithAccepted: number
  /** To the violation, or to the blocked state: its steps by number, for replay(). */
  readonly path: readonly number[]
  readonly violation: Violation
  /** In a blocked state: who is alive, by name. */
  readonly alive: string
}

export interface Bounds {
  /** Also look for states from which a live majority cannot recover. */
  readonly blocked?: boolean
  /** Stop at so many states. */
  readonly limit?: number
  /** Asked now and then: whether to stop. */
  readonly isTimeUp?: () => boolean
  readonly onLevel?: (depth: number, states: number) => void
}

/** How many states are expanded between two looks at the clock. */
const LOOK_EVERY = 4096

export function explore(model: Model, bounds: Bounds = {}): Outcome {
  return new Explorer(model, bounds).run()
}

class Explorer implements StepSink {
  private readonly model: Model
  private readonly blocked: BlockedSearch | undefined
  private readonly bounds: Bounds
  private readonly rows: Rows
  private readonly steps: Steps
  private readonly seen = new Seen()
  private readonly origins = new Origins()
  private readonly queue: RowQueue
  /** The state being expanded, counted in the order of discovery, and how many steps of it came so far. */
  private current = 0
  private stepNumber = 0

  private verdict: Verdict = 'ok'
  private transitions = 0
  private mostAccepted = 0
  private statesWithAccepted = 0
  private path: number[] = []
  private violation: Violation = NONE
  private alive = ''

  constructor(model: Model, bounds: Bounds) {
    this.model = model
    this.bounds = bounds
    this.blocked = bounds.blocked === true ? new BlockedSearch(model) : undefined
    this.rows = new Rows(model)
    this.steps = new Steps(model, this)
    this.queue = new RowQueue(this.rows.length)
  }

  run(): Outcome {
    this.rows.pack(initialState(this.model))
    this.keep(0, 0)
    const limit = this.bounds.limit ?? Number.POSITIVE_INFINITY
    let depth = 0
    /** The first state of the next level. */
    let level = 1
    const unpack = (page: Uint32Array, offset: number) => this.rows.unpack(page, offset, this.steps.now)
    while (this.verdict === 'ok' && this.queue.next(unpack)) {
      if (this.current === level) {
        depth++
        level = this.seen.size
        this.bounds.onLevel?.(depth, level)
      }
      this.stepNumber = 0
      this.steps.all()
      this.current++
      if (this.verdict === 'ok' && (this.seen.size > limit || this.isTimeUp())) this.verdict = 'bound'
    }
    return {
      verdict: this.verdict,
      states: this.seen.size,
      transitions: this.transitions,
      depth,
      mostAccepted: this.mostAccepted,
      statesWithAccepted: this.statesWithAccepted,
      path: this.path,
      violation: this.violation,
      alive: this.alive,
    }
  }

  onStep(next: State, step: Readonly<Step>): void {
    this.transitions++
    const number = this.stepNumber++
    if (step.violation !== NONE) {
      if (this.stop('bad', number)) this.violation = step.violation
      return
    }
    this.rows.pack(next)
    if (!this.keep(this.current, number)) return
    this.countAccepted(next)
    const alive = this.blocked?.find(next) ?? 0
    if (alive !== 0 && this.stop('blocked', number)) this.alive = names(next, alive)
  }

  /** The first thing found counts; the other steps of the state are still taken. */
  private stop(verdict: Verdict, number: number): boolean {
    if (this.verdict !== 'ok') return false
    this.verdict = verdict
    this.path = [...this.origins.path(this.current), number]
    return true
  }

  /** Stores the row just packed, if it is new. */
  private keep(from: number, step: number): boolean {
    if (!this.seen.add(this.rows.hashLow, this.rows.hashHigh)) return false
    this.origins.push(from, step)
    this.queue.push(this.rows.row)
    return true
  }

  private countAccepted(state: State): void {
    let accepted = 0
    for (let view = 1; view < state.views; view++) accepted += state.accepted[view]!
    if (accepted > 0) this.statesWithAccepted++
    if (accepted > this.mostAccepted) this.mostAccepted = accepted
  }

  private isTimeUp(): boolean {
    return this.current % LOOK_EVERY === 0 && this.bounds.isTimeUp?.() === true
  }
}
