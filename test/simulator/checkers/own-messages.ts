/**
 * I4, own messages: a sender that stays receives its own messages, where the answer says that they are; what a
 * leaver has sent is ordered before its leave.
 * I11 as far as it goes without crashes: a send fails only if the program gave it up, it was too large, or
 * the member was leaving.
 */
import { ErrorCode } from '../../../kernel/errors.ts'
import { type Checker, check } from './checker.ts'
import type { Ledger, LifeRecord, OrderedRecord, SendRecord } from './ledger.ts'

export class OwnMessages implements Checker {
  readonly invariant = 'I4'
  private readonly ledger: Ledger

  constructor(ledger: Ledger) {
    this.ledger = ledger
  }

  answered(life: LifeRecord, send: SendRecord): void {
    if (send.seq === undefined) return
    const record = this.ledger.orderOf(life).places.get(send.seq)
    if (record === undefined) return
    const message = record.messages[send.seq - record.event.seq]
    check(
      message?.life === life.index && message.counter === send.counter,
      'I4',
      () =>
        `${life.name} was told that its message ${send.counter} is at ${send.seq}, where ${record.by.name} delivered another event`,
    )
  }

  ordered({ event, messages }: OrderedRecord): void {
    messages.forEach((message, i) => {
      const send = message && this.ledger.lives[message.life]?.sends[message.counter]
      if (send?.seq === undefined) return
      check(
        send.seq === event.seq + i,
        'I4',
        () =>
          `message ${send.counter} of life ${send.life} was answered as ${send.seq} and is ordered at ${event.seq + i}`,
      )
    })
  }

  finished(): void {
    for (const life of this.ledger.lives) {
      const isStaying = life.phase === 'member'
      for (const send of life.sends) {
        if (send.seq === undefined) continue
        const wasSeen = this.ledger.orderOf(life).places.has(send.seq)
        check(
          !isStaying || (wasSeen && life.delivered >= send.seq),
          'I4',
          () =>
            `${life.name} stays a member, was told that its message ${send.counter} is at ${send.seq}, and has not received it`,
        )
      }
      this.checkLeaver(life)
    }
  }

  /** A leave goes behind the member's own sends; one may end as unknown, but it has its place. */
  private checkLeaver(life: LifeRecord): void {
    const hasWitness = () =>
      this.ledger.lives.some(({ phase, group }) => phase === 'member' && group === life.group)
    if (life.leaveToken === undefined || life.group === undefined || !hasWitness()) return
    for (const send of life.sends) {
      check(
        send.state !== 'unknown' || send.cancelled || send.place !== undefined,
        'I4',
        () => `${life.name} has left, and its message ${send.counter}, sent before, was never ordered`,
      )
    }
  }
}

export class NoDoubt implements Checker {
  readonly invariant = 'I11'

  answered(life: LifeRecord, send: SendRecord): void {
    if (send.state === 'sent') return
    const limit = life.parameters?.maxMessageSize ?? Number.POSITIVE_INFINITY
    const size = send.header.length + send.body.length
    const isExpected =
      send.code === ErrorCode.aborted
        ? send.cancelled
        : send.code === ErrorCode.tooLarge
          ? size > limit && send.state === 'refused'
          : life.phase !== 'member'
    check(
      isExpected,
      'I11',
      () => `the send ${send.counter} of ${life.name} fails with ${send.code}, and nothing was wrong`,
    )
  }
}
