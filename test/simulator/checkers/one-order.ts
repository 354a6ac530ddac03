/**
 * I1, one order: members of a group deliver the same event under the same seq, each member contiguously from
 * the event after its own join, nothing twice; what a leaver delivered is a prefix of what the others do. Only a
 * reset can part two lines: forks.ts.
 */
import { describeEvent } from '../trace.ts'
import { type Checker, check } from './checker.ts'
import type { LifeRecord } from './ledger.ts'
import { type DeliveredEvent, differenceOf, type OrderedRecord } from './order.ts'

export class OneOrder implements Checker {
  readonly invariant = 'I1'

  delivered(
    life: LifeRecord,
    event: DeliveredEvent,
    _record: OrderedRecord,
    clash: OrderedRecord | undefined,
  ): void {
    check(event.seq === life.delivered + 1, 'I1', () =>
      event.seq <= life.delivered
        ? `${life.name} delivers ${describeEvent(event)} again: it had delivered up to ${life.delivered}`
        : `${life.name} delivers ${describeEvent(event)} and has skipped ${life.delivered + 1} to ${event.seq - 1}`,
    )
    const other = clash?.event
    // where a reset parts lines, forks.ts judges
    if (other === undefined || event.kind === 'reset' || other.kind === 'reset') return
    check(
      false,
      'I1',
      () =>
        `${life.name} delivers ${describeEvent(event)}, and ${clash!.by.name} delivered ${describeEvent(other)}: ${differenceOf(other, event)}`,
    )
  }
}
