/**
 * I2, integrity: what is delivered was sent by the member that it names, byte for byte, and has one place
 * only. I3, sender order: a member's messages are ordered as it sent them. I11 as far as it goes without
 * crashes: what was refused is never ordered.
 */
import { Buffer } from 'node:buffer'
import { type Checker, check } from './checker.ts'
import type { Ledger, Message, OrderedRecord, SendRecord } from './ledger.ts'

export class Integrity implements Checker {
  readonly invariant = 'I2'
  private readonly ledger: Ledger

  constructor(ledger: Ledger) {
    this.ledger = ledger
  }

  ordered({ group, event, by, messages }: OrderedRecord): void {
    messages.forEach((message, i) => {
      const seq = event.seq + i
      check(
        message !== undefined,
        'I2',
        () => `${by.name} delivers at ${seq} from m${event.sender} what nobody sent`,
      )
      const life = this.ledger.lives[message.life]
      const send = life?.sends[message.counter]
      check(
        life?.group === group && life.memberId === event.sender && send !== undefined,
        'I2',
        () =>
          `${by.name} delivers at ${seq} from m${event.sender} what m${event.sender} never sent (${name(message)})`,
      )
      check(
        isWhole(send, message),
        'I2',
        () => `${by.name} delivers at ${seq} another content than ${life.name} sent (${name(message)})`,
      )
      check(
        send.place === undefined,
        'I2',
        () => `${name(message)} is ordered twice, at ${send.place} and at ${seq}`,
      )
      check(
        send.state !== 'refused',
        'I11',
        () => `${name(message)} is ordered at ${seq}, and its send ended as refused (${send.code})`,
      )
      send.place = seq
    })
  }
}

export class SenderOrder implements Checker {
  readonly invariant = 'I3'
  /** Highest counter ordered, per life. BOUNDED by the lives of a run. */
  private readonly highest = new Map<number, number>()

  ordered({ event, messages }: OrderedRecord): void {
    messages.forEach((message, i) => {
      if (message === undefined) return
      const before = this.highest.get(message.life) ?? -1
      check(
        message.counter > before,
        'I3',
        () =>
          `m${event.sender} sent its message ${message.counter} before ${before}, and it is ordered after it, at ${event.seq + i}`,
      )
      this.highest.set(message.life, message.counter)
    })
  }
}

function isWhole(send: SendRecord, message: Message): boolean {
  return Buffer.compare(send.header, message.header) === 0 && Buffer.compare(send.body, message.body) === 0
}

function name({ life, counter }: Message): string {
  return `message ${counter} of life ${life}`
}
