/**
 * Where two lines of one order part, a reset is on at least one of them.
 * I1's tail: what the lost delivered may be missing among the survivors only if r = 0, or more than r were lost
 * at once, or the minimum is below a majority. I12: where it is a majority, accepted resets form one line, and
 * with r of half the view nothing is accepted beside it. I5: a reset that says that nothing is lost has dropped
 * nothing. I8: one view for each incarnation. I7: whoever comes into one view has delivered the same before.
 */
import { resilienceFor } from '../../../kernel/parameters.ts'
import type { View } from '../../../kernel/view.ts'
import { describeEvent } from '../trace.ts'
import { type Checker, check } from './checker.ts'
import { isLiving, type Ledger, type LifeRecord } from './ledger.ts'
import { isOnLineTo, needsMajority, type Order, type OrderedRecord } from './order.ts'
import { isOfOneIncarnation } from './views.ts'

export class Forks implements Checker {
  readonly invariant = 'I12'
  private readonly ledger: Ledger

  constructor(ledger: Ledger) {
    this.ledger = ledger
  }

  ordered(record: OrderedRecord): void {
    if (record.event?.kind === 'reset') this.judgeReset(record)
    for (const other of record.parent!.children) {
      if (other === record || !other.isKnown) continue
      if (record.event?.kind === 'reset') judgeTail(record, other)
      if (other.event?.kind === 'reset') judgeTail(other, record)
    }
  }

  private judgeReset(record: OrderedRecord): void {
    const { order, view, event, by } = record
    for (const other of order.records) {
      if (other === record || other.event?.kind !== 'reset') continue
      const isSame = isOfOneIncarnation(other.view, view)
      check(
        !isSame || other.parent === record.parent,
        'I7',
        () =>
          `${by.name} delivers ${describeEvent(event!)}, which ${other.by.name} delivered as well, after other events`,
      )
      if (isSame || needsMajority(order)) {
        check(
          other.view.incarnation !== view.incarnation,
          'I8',
          () => `two views of incarnation ${view.incarnation}: ${inWords(other)}, and ${inWords(record)}`,
        )
      }
      if (!needsMajority(order)) continue
      check(
        isOnLineTo(other, record) || isOnLineTo(record, other),
        'I12',
        () => `two sides have reset the group: ${inWords(other)}, and ${inWords(record)}`,
      )
    }
  }

  /** Whoever is not lost has delivered what the others have. */
  finished(): void {
    for (const order of this.ledger.orders.values()) {
      if (!needsMajority(order)) continue
      for (const life of this.ledger.lives) {
        if (life.at?.order !== order || !mustAgree(life, order)) continue
        check(
          isOnLineTo(life.at, order.tip),
          'I1',
          () =>
            `${life.name} is ${life.phase}, not lost, and has delivered ${describeEvent(life.at!.event!)}, which is not in the order of ${order.tip.by.name}`,
        )
      }
    }
  }
}

/** Whoever leaves a group that cannot go on leaves as if by a crash; its leave has no place then. */
function mustAgree(life: LifeRecord, { tip }: Order): boolean {
  if (isLiving(life)) return true
  if ((life.phase !== 'left' && life.phase !== 'closed') || life.isExpelled) return false
  for (let one: OrderedRecord | undefined = tip; one !== undefined; one = one.parent)
    if (one.event?.kind === 'leave' && one.event.sender === life.memberId) return true
  return false
}

/** `tail` was delivered by some, and `reset` dropped it. */
function judgeTail(reset: OrderedRecord, tail: OrderedRecord): void {
  const { event, order } = reset
  const before = reset.parent!.view
  if (event?.kind !== 'reset') return
  const inWordsOfBoth = () =>
    `${tail.by.name} delivered ${describeEvent(tail.event!)}, and ${reset.by.name} has ${describeEvent(event)} instead`
  // below a majority another side may have taken over what nobody had accepted before it
  if (!needsMajority(order) || tail.event?.kind === 'reset') return
  check(event.lossPossible, 'I5', () => `${inWordsOfBoth()}, which says that nothing is lost`)
  const degree = resilienceFor(order.parameters, before.members.length)
  check(
    degree === 0 || degree < Math.floor((before.members.length - 1) / 2),
    'I12',
    () => `${inWordsOfBoth()}, although no other side can accept anything at resilience ${degree}`,
  )
  const lost = lostBetween(before, reset.view)
  check(
    degree === 0 || lost > degree,
    'I1',
    () => `${inWordsOfBoth()}, although only ${lost} were lost at once and the resilience is ${degree}`,
  )
}

/** How many of `before` are not in the view of a reset any more. */
export function lostBetween(before: View, after: View): number {
  return before.members.filter(({ nonce }) => after.members.every((member) => member.nonce !== nonce)).length
}

function inWords({ by, event }: OrderedRecord): string {
  return `${by.name} has ${describeEvent(event!)}`
}
