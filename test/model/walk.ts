/** Random walks, where there are too many states to see them all. A walk is a pure function of its dice. */
import type { Prng } from '../../kernel/prng.ts'
import { NONE, type Violation } from './invariants.ts'
import type { Model } from './model.ts'
import { Rows } from './rows.ts'
import { initialState, State } from './state.ts'
import type { Step, StepSink } from './steps/recorder.ts'
import { Steps } from './steps/steps.ts'

export interface WalkTotals {
  walks: number
  steps: number
  longest: number
  /** Results accepted in the states in which walks ended. */
  acceptedResults: number
  /** The walk that ended in a violation: its steps by number, for replay(). Empty if none did. */
  path: readonly number[]
  violation: Violation
}

/** Takes walks of up to `length` steps until one violates something, or `isDone` says so between two. */
export function walk(
  model: Model,
  dice: Prng,
  length: number,
  isDone: (totals: WalkTotals) => boolean,
): WalkTotals {
  const totals: WalkTotals = {
    walks: 0,
    steps: 0,
    longest: 0,
    acceptedResults: 0,
    path: [],
    violation: NONE,
  }
  const walker = new Walker(model, dice)
  while (totals.violation === NONE && !isDone(totals)) {
    const path = walker.walk(length)
    totals.walks++
    totals.steps += path.length
    totals.longest = Math.max(totals.longest, path.length)
    totals.acceptedResults += walker.acceptedResults()
    totals.violation = walker.violation
    if (walker.violation !== NONE) totals.path = path
  }
  return totals
}

class Walker implements StepSink {
  violation: Violation = NONE
  /** Where the walk has come to. */
  private readonly at: State
  private readonly first: State
  private readonly dice: Prng
  private readonly rows: Rows
  private readonly steps: Steps
  /** Of the steps that can be taken now: how many, and which is chosen. */
  private count = 0
  private chosen = 0

  constructor(model: Model, dice: Prng) {
    this.at = new State(model)
    this.first = initialState(model)
    this.dice = dice
    this.rows = new Rows(model)
    this.steps = new Steps(model, this)
  }

  walk(length: number): number[] {
    const path: number[] = []
    this.violation = NONE
    this.at.copyFrom(this.first)
    while (path.length < length && this.violation === NONE) {
      // Packed and unpacked, so that members are in the order in which replay() has them.
      this.rows.pack(this.at)
      this.rows.unpack(this.rows.row, 0, this.steps.now)
      this.count = 0
      this.steps.all()
      if (this.count === 0) break
      path.push(this.chosen)
    }
    return path
  }

  acceptedResults(): number {
    let accepted = 0
    for (let view = 1; view < this.at.views; view++) accepted += this.at.accepted[view]!
    return accepted
  }

  /** The k-th step takes the place of the chosen one in one of k cases: in the end all are equally likely. */
  onStep(next: State, step: Readonly<Step>): void {
    const number = this.count++
    if (this.dice.below(number + 1) !== 0) return
    this.chosen = number
    this.at.copyFrom(next)
    this.violation = step.violation
  }
}
