/** All steps that can be taken from one state, in one fixed order, so that a step can be named by its number. */
import type { Model } from '../model.ts'
import { has } from '../sets.ts'
import type { State } from '../state.ts'
import { start, vote } from './attempt.ts'
import { Choice } from './choice.ts'
import { follow, join, sequence } from './order.ts'
import { Recorder, type StepSink } from './recorder.ts'
import { acceptResult, form, takeOver } from './result.ts'

export class Steps {
  readonly model: Model
  private readonly recorder: Recorder
  private readonly choice: Choice

  constructor(model: Model, sink: StepSink) {
    this.model = model
    this.recorder = new Recorder(model, sink)
    this.choice = new Choice(model)
  }

  /** The state that the next calls start from. To be filled in; steps do not write to it. */
  get now(): State {
    return this.recorder.now
  }

  all(): void {
    for (let member = 0; member < this.model.processes; member++) this.of(member)
  }

  /** A crash or a pause is a member of which nothing is asked any more: no step of its own. */
  of(member: number): void {
    const out = this.recorder
    if (has(out.now.gone, member)) return
    if (!has(out.now.holders, member)) {
      join(out, member)
      return
    }
    sequence(out, member)
    follow(out, member)
    start(out, member)
    vote(out, member)
    form(out, member, this.choice)
    takeOver(out, member)
    acceptResult(out, member)
  }

  startOf(member: number): void {
    start(this.recorder, member)
  }

  voteOf(member: number): void {
    vote(this.recorder, member)
  }

  formOf(member: number): void {
    form(this.recorder, member, this.choice)
  }
}
