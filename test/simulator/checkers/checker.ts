/**
 * What checkers are told. They stand outside the machines: all that they know is what programs called, what
 * machines answered, and samples of info().
 */
import type { MemberInfo, Output } from '../../../kernel/port.ts'
import type { View } from '../../../kernel/view.ts'
import type { LifeRecord, SendRecord } from './ledger.ts'
import type { DeliveredEvent, OrderedRecord } from './order.ts'

/** Something that must never be has been. */
export class Violation extends Error {
  override readonly name = 'Violation'
  readonly invariant: string

  constructor(invariant: string, sentence: string) {
    super(sentence)
    this.invariant = invariant
  }
}

export interface Checker {
  /** Of the list in the design, or a word for what the contract of machines demands. */
  readonly invariant: string
  joined?(life: LifeRecord, view: View): void
  /** `clash`: another event that somebody else delivered at one of these places. */
  delivered?(
    life: LifeRecord,
    event: DeliveredEvent,
    record: OrderedRecord,
    clash: OrderedRecord | undefined,
  ): void
  /**
   * Once for each event of a group, in ascending order, as soon as everything before it is known; `before` is
   * the view in force until then.
   */
  ordered?(record: OrderedRecord, before: View): void
  /** A send has been answered. */
  answered?(life: LifeRecord, send: SendRecord): void
  output?(life: LifeRecord, output: Output): void
  taken?(life: LifeRecord): void
  sampled?(life: LifeRecord, info: MemberInfo): void
  /** A machine's step and all its outputs are over. */
  stepped?(life: LifeRecord): void
  /** It has crashed, perhaps in the middle of a step, so that the rest of what the step would have said is missing. */
  crashed?(life: LifeRecord): void
  /** The run has reached its goal; not called where it could not. */
  finished?(): void
}

export function check(condition: boolean, invariant: string, sentence: () => string): asserts condition {
  if (!condition) throw new Violation(invariant, sentence())
}
