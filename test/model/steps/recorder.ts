/**
 * One state in, its successors out. The steps write each successor into the same scratch state, which the sink
 * must be done with when it returns: nothing is allocated for a successor.
 */
import { checkViews, NONE, type Violation } from '../invariants.ts'
import type { Model } from '../model.ts'
import { forget, State } from '../state.ts'

/** What happens in a step; steps/describe.ts has the sentence for each. */
export const stepKinds = {
  fetch: 0,
  takeUnfetched: 1,
  voteEmpty: 2,
  number: 3,
  numberJoin: 4,
  numberLeave: 5,
  accept: 6,
  take: 7,
  deliver: 8,
  start: 9,
  vote: 10,
  form: 11,
  keepOwn: 12,
  takeOver: 13,
  takeOverPart: 14,
  receiveBeyondGap: 15,
  acceptResult: 16,
} as const

export type StepKind = (typeof stepKinds)[keyof typeof stepKinds]

export interface Step {
  kind: StepKind
  /** Who does it. */
  member: number
  /** The view or attempt that it belongs to. */
  view: number
  /** What else there is to say: a member, a set or a seq, by kind. */
  detail: number
  violation: Violation
}

export interface StepSink {
  onStep(next: State, step: Readonly<Step>): void
}

export class Recorder {
  readonly model: Model
  /** The state that steps start from; not written to by them. */
  readonly now: State
  private readonly sink: StepSink
  private readonly next: State
  private readonly step: Step = { kind: stepKinds.fetch, member: 0, view: 0, detail: 0, violation: NONE }

  constructor(model: Model, sink: StepSink) {
    this.model = model
    this.sink = sink
    this.now = new State(model)
    this.next = new State(model)
  }

  /** A copy of the state, to be changed into a successor. */
  begin(): State {
    this.next.copyFrom(this.now)
    return this.next
  }

  /** The successor is ready. */
  emit(kind: StepKind, member: number, view: number, detail = 0, violation: Violation = NONE): void {
    const { step, next, model } = this
    step.kind = kind
    step.member = member
    step.view = view
    step.detail = detail
    const accepts = kind === stepKinds.accept || kind === stepKinds.acceptResult
    step.violation = violation === NONE && accepts ? checkViews(model, next) : violation
    forget(model, next)
    this.sink.onStep(next, step)
  }
}
