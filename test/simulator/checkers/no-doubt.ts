/**
 * I11, no doubt: a send fails only if the program gave it up, it was too large, the member was leaving or was
 * expelled, or the group waits for its program to reset it (manual recovery). What was refused is never
 * ordered. What a manual recovery has failed as unknown is ordered before the reset, or never.
 */
import { ErrorCode } from '../../../kernel/errors.ts'
import { Right } from '../../../kernel/identity.ts'
import { type Checker, check } from './checker.ts'
import { isLiving, type Ledger, type LifeRecord, type SendRecord } from './ledger.ts'
import type { OrderedRecord } from './order.ts'
import { rightOf } from './rights.ts'

export class NoDoubt implements Checker {
  readonly invariant = 'I11'
  private readonly ledger: Ledger

  constructor(ledger: Ledger) {
    this.ledger = ledger
  }

  answered(life: LifeRecord, send: SendRecord): void {
    if (send.state === 'sent') return
    check(
      mayFail(life, send),
      'I11',
      () => `the send ${send.counter} of ${life.name} fails with ${send.code}, and nothing was wrong`,
    )
    check(
      send.state !== 'refused' || send.places.length === 0,
      'I11',
      () =>
        `the send ${send.counter} of ${life.name} ends as refused (${send.code}), and it is ordered at ${send.places[0]?.event?.seq}`,
    )
  }

  ordered({ event, messages }: OrderedRecord, before: OrderedRecord['view']): void {
    for (const message of messages) {
      const life = message && this.ledger.lives[message.life]
      const send = message && life?.sends[message.counter]
      const then = send?.answeredIn
      if (send?.state !== 'unknown' || send.code !== ErrorCode.memberFailed || then === undefined) continue
      check(
        then.incarnation === before.incarnation && then.coordinator === before.coordinator,
        'I11',
        () =>
          `the send ${send.counter} of ${life!.name} failed with ${send.code} in incarnation ${then.incarnation}.${then.coordinator}, and it is ordered at ${event!.seq} in ${before.incarnation}.${before.coordinator}, after a reset`,
      )
    }
  }

  finished(): void {
    for (const life of this.ledger.lives) {
      if (!isLiving(life)) continue
      const told = life.sends.find(({ code }) => code === ErrorCode.expelled)
      check(
        told === undefined,
        'I11',
        () => `the send ${told?.counter} of ${life.name} failed with ${told?.code}, and it is still a member`,
      )
    }
  }
}

function mayFail(life: LifeRecord, send: SendRecord): boolean {
  const limit = life.parameters?.maxMessageSize ?? Number.POSITIVE_INFINITY
  switch (send.code) {
    case ErrorCode.aborted:
      return send.cancelled
    case ErrorCode.tooLarge:
      return send.header.length + send.body.length > limit && send.state === 'refused'
    case ErrorCode.expelled:
      return true
    case ErrorCode.notAuthorized:
      return rightOf(life) === Right.receive && send.state === 'refused'
    case ErrorCode.resetFailed:
      return rightOf(life) !== Right.all
    case ErrorCode.memberFailed:
      return life.phase !== 'member' || life.parameters?.recovery === 'manual'
    default:
      return life.phase !== 'member'
  }
}
