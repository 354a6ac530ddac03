/**
 * I1, one order: members of a group deliver the same event under the same seq, each member contiguously from
 * the event after its own join, nothing twice; what a leaver delivered is a prefix of what the others do.
 */
import { Buffer } from 'node:buffer'
import { describeEvent } from '../trace.ts'
import { type Checker, check } from './checker.ts'
import type { DeliveredEvent, LifeRecord, OrderedRecord } from './ledger.ts'
import { viewKey } from './views.ts'

export class OneOrder implements Checker {
  readonly invariant = 'I1'

  delivered(
    life: LifeRecord,
    event: DeliveredEvent,
    record: OrderedRecord,
    clash: OrderedRecord | undefined,
  ): void {
    check(event.seq === life.delivered + 1, 'I1', () =>
      event.seq <= life.delivered
        ? `${life.name} delivers ${describeEvent(event)} again: it had delivered up to ${life.delivered}`
        : `${life.name} delivers ${describeEvent(event)} and has skipped ${life.delivered + 1} to ${event.seq - 1}`,
    )
    check(
      clash === undefined,
      'I1',
      () =>
        `${life.name} delivers ${describeEvent(event)} where ${clash!.by.name} delivered ${describeEvent(clash!.event)}`,
    )
    if (record.event === event) return
    const difference = differenceOf(record.event, event)
    check(
      difference === undefined,
      'I1',
      () =>
        `${life.name} delivers ${describeEvent(event)}, and ${record.by.name} delivered ${describeEvent(record.event)}: ${difference}`,
    )
  }
}

/** What makes two events at one place different ones; undefined if they are the same. */
function differenceOf(a: DeliveredEvent, b: DeliveredEvent): string | undefined {
  if (a.kind !== b.kind) return 'another kind of event'
  if (a.sender !== b.sender) return 'another sender'
  if (a.kind === 'messages' || b.kind === 'messages') {
    if (a.kind !== 'messages' || b.kind !== 'messages') return 'another kind of event'
    if (a.count !== b.count) return 'another number of messages'
    return isSame(a.block, b.block) ? undefined : 'other bytes'
  }
  if (!isSame(a.header, b.header)) return 'another header'
  return viewKey(a.view) === viewKey(b.view)
    ? undefined
    : `another view (${viewKey(a.view)}, ${viewKey(b.view)})`
}

function isSame(a: Uint8Array, b: Uint8Array): boolean {
  return a === b || Buffer.compare(a, b) === 0
}
