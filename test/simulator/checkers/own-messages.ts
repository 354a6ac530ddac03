/**
 * I4, own messages: a sender that stays receives its own messages, where the answer says that they are; what a
 * leaver has sent is ordered before its leave. Where recovery is automatic, what a member that stays has sent is
 * ordered, unless it was given up or refused (I11).
 */
import { ErrorCode } from '../../../kernel/errors.ts'
import { type Checker, check } from './checker.ts'
import { isLiving, type Ledger, type LifeRecord, type SendRecord } from './ledger.ts'
import { isOnLineTo, type OrderedRecord, recordAt } from './order.ts'

export class OwnMessages implements Checker {
  readonly invariant = 'I4'
  private readonly ledger: Ledger

  constructor(ledger: Ledger) {
    this.ledger = ledger
  }

  answered(life: LifeRecord, send: SendRecord): void {
    if (send.seq === undefined) return
    const record = this.seen(life, send.seq)
    if (record?.event === undefined) return
    const first = record.event.seq
    const message = record.messages[send.seq - first]
    check(
      message?.life === life.index && message.counter === send.counter,
      'I4',
      () =>
        `${life.name} was told that its message ${send.counter} is at ${send.seq}, where ${record.by.name} delivered another event`,
    )
  }

  /** What is known to be at `seq` on the line of `life`. */
  private seen(life: LifeRecord, seq: number): OrderedRecord | undefined {
    const { at } = life
    if (at === undefined || at.last >= seq) return at && recordAt(at, seq)
    // further on only where no reset is between, which may have changed what comes there
    for (let one = at; one.children.length === 1; ) {
      one = one.children[0]!
      if (one.event?.kind === 'reset') return undefined
      if (one.last >= seq) return one
    }
    return undefined
  }

  ordered(record: OrderedRecord): void {
    const { event, messages } = record
    messages.forEach((message, i) => {
      const send = message && this.ledger.lives[message.life]?.sends[message.counter]
      if (send?.seq === undefined) return
      // on another branch it may be where the answer says; which branch may be is not the question here
      const { seq } = send
      const isThereElsewhere = send.places.some(
        (place) => place.event!.seq <= seq && place.last >= seq && !isOnLineTo(place, record),
      )
      if (isThereElsewhere) return
      check(
        send.seq === event!.seq + i,
        'I4',
        () =>
          `message ${send.counter} of life ${send.life} was answered as ${send.seq} and is ordered at ${event!.seq + i}`,
      )
    })
  }

  finished(): void {
    for (const life of this.ledger.lives) {
      if (life.phase === 'member') for (const send of life.sends) this.checkStaying(life, send)
      this.checkLeaver(life)
    }
  }

  private checkStaying(life: LifeRecord, send: SendRecord): void {
    const places = send.places.filter((place) => isOnLineTo(place, life.at!)).length
    check(
      send.seq === undefined || places > 0 || this.mayBeLost(life, send),
      'I4',
      () =>
        `${life.name} stays a member, was told that its message ${send.counter} is at ${send.seq}, and has not received it`,
    )
    const isPending = send.state === 'unknown' && !send.cancelled
    check(
      !isPending || places > 0 || life.parameters?.recovery === 'manual',
      'I11',
      () =>
        `${life.name} stays a member, recovery is automatic, and its message ${send.counter} is never ordered`,
    )
  }

  /** What a reset has dropped since is the business of I5. */
  private mayBeLost(life: LifeRecord, { answeredAt, seq }: SendRecord): boolean {
    return answeredAt !== undefined && answeredAt.last < seq! && life.at!.resets > answeredAt.resets
  }

  /** A leave goes behind the member's own sends; one may end as unknown, but it has its place. */
  private checkLeaver(life: LifeRecord): void {
    const hasWitness = () => this.ledger.lives.some((one) => isLiving(one) && one.group === life.group)
    if (life.leaveToken === undefined || life.phase === 'crashed' || life.isExpelled) return
    if (life.group === undefined || life.isLeftBehind || !hasWitness()) return
    for (const send of life.sends) {
      check(
        send.state !== 'unknown' || send.cancelled || send.places.length > 0 || isGivenUp(life, send),
        'I4',
        () => `${life.name} has left, and its message ${send.counter}, sent before, was never ordered`,
      )
    }
  }
}

/** Manual recovery fails what is on its way, and does not send it again. */
function isGivenUp(life: LifeRecord, { code }: SendRecord): boolean {
  return life.parameters?.recovery === 'manual' && code === ErrorCode.memberFailed
}
