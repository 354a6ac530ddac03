/**
 * I10, nothing thrown away: what somebody has not taken yet stays in histories; and memory stays inside what
 * CreateGroup asked for.
 */
import type { MemberInfo } from '../../../kernel/port.ts'
import { type Checker, check } from './checker.ts'
import type { Ledger, LifeRecord } from './ledger.ts'
import { type DeliveredEvent, isSplitOff, needsMajority } from './order.ts'

/** Places beyond historySize that view changes may use. */
const RESERVE = 32

export class Bounds implements Checker {
  readonly invariant = 'I10'
  private readonly ledger: Ledger
  private readonly packetSize: number

  constructor(ledger: Ledger, packetSize: number) {
    this.ledger = ledger
    this.packetSize = packetSize
  }

  delivered(life: LifeRecord, event: DeliveredEvent): void {
    // who leaves takes nothing any more, so that the others need not wait for it
    if (life.phase !== 'member') return
    const last = event.kind === 'messages' ? event.seq + event.count - 1 : event.seq
    const limit = (life.parameters?.historySize ?? 0) + RESERVE
    check(
      last - life.taken <= limit,
      'I10',
      () =>
        `${life.name} has been handed ${last - life.taken} messages that its program has not taken; the bound is ${limit}`,
    )
  }

  sampled(life: LifeRecord, info: MemberInfo): void {
    if (life.parameters === undefined || life.phase === 'opening') return
    const { historySize, historyBytes } = life.parameters
    check(
      info.historyMessages <= historySize + RESERVE,
      'I10',
      () =>
        `the history of ${life.name} holds ${info.historyMessages} messages; the bound is ${historySize} and ${RESERVE} for changes of view`,
    )
    const bytes = historyBytes + RESERVE * this.packetSize
    check(
      info.historyBytes <= bytes,
      'I10',
      () => `the history of ${life.name} holds ${info.historyBytes} bytes; the bound is ${bytes}`,
    )
    check(
      info.stable <= info.accepted && info.accepted <= info.received && info.received <= info.seq,
      'I10',
      () =>
        `the marks of ${life.name} are out of order: stable ${info.stable}, accepted ${info.accepted}, received ${info.received}, seq ${info.seq}`,
    )
    check(
      life.phase !== 'member' || life.delivered <= info.accepted,
      'I10',
      () =>
        `${life.name} has delivered up to ${life.delivered}, and says that only ${info.accepted} is accepted`,
    )
    const { tip } = this.ledger.orderOf(life)
    for (const other of this.ledger.inGroup(life.group!)) {
      // who is out and does not know it yet holds nobody up (this one may not know it either, and hear of what is stable from
      // one that does: seed 74008686), nor who has gone another way (both sides of a split may have
      // let the same one in: seed 40600138, with four members, two crashes and heavy loss)
      const isOut = [info.view, tip.view].some((view) =>
        view?.members.every(({ nonce }) => nonce !== other.nonce),
      )
      check(
        other.phase !== 'member' ||
          isOut ||
          info.stable <= other.taken ||
          (isSplitOff(other, life.at) && !needsMajority(life.at!.order)),
        'I10',
        () =>
          `${life.name} takes ${info.stable} for stable, and ${other.name} has taken no more than ${other.taken}`,
      )
    }
  }
}
