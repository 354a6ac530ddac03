/** Takes the steps of a path again, and tells each in a sentence. */
import { NONE, type Violation } from './invariants.ts'
import type { Model } from './model.ts'
import { Rows } from './rows.ts'
import { initialState, type State } from './state.ts'
import { describe } from './steps/describe.ts'
import type { Step, StepSink } from './steps/recorder.ts'
import { Steps } from './steps/steps.ts'

export interface Replay {
  /** One sentence for each step. */
  readonly lines: string[]
  /** What the last step violates. */
  readonly violation: Violation
}

/** A path is the number of the step taken at each state, as Steps.all() counts them. */
export function replay(model: Model, path: readonly number[]): Replay {
  const teller = new Teller(model)
  for (const step of path) teller.take(step)
  return { lines: teller.lines, violation: teller.violation }
}

class Teller implements StepSink {
  readonly lines: string[] = []
  violation: Violation = NONE
  private readonly rows: Rows
  private readonly steps: Steps
  private wanted = 0
  private count = 0

  constructor(model: Model) {
    this.rows = new Rows(model)
    this.steps = new Steps(model, this)
    this.rows.pack(initialState(model))
  }

  take(wanted: number): void {
    this.rows.unpack(this.rows.row, 0, this.steps.now)
    this.wanted = wanted
    this.count = 0
    this.steps.all()
    if (wanted >= this.count) throw new Error(`state ${this.lines.length} has no step ${wanted}`)
  }

  onStep(next: State, step: Readonly<Step>): void {
    if (this.count++ !== this.wanted) return
    this.lines.push(describe(step, this.steps.now, next))
    this.violation = step.violation
    this.rows.pack(next)
  }
}
