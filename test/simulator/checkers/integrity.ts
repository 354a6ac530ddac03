/**
 * I2, integrity: what is delivered was sent by the member that it names, byte for byte, and has one place
 * only. I3, sender order: a member's messages are ordered as it sent them. I11 as far as it goes without
 * crashes: what was refused is never ordered.
 */
import { Buffer } from 'node:buffer'
import { type Checker, check } from './checker.ts'
import type { Ledger, SendRecord } from './ledger.ts'
import { isOnLineTo, type Message, type OrderedRecord } from './order.ts'

export class Integrity implements Checker {
  readonly invariant = 'I2'
  private readonly ledger: Ledger

  constructor(ledger: Ledger) {
    this.ledger = ledger
  }

  ordered(record: OrderedRecord): void {
    const { order, event, by, messages } = record
    if (event === undefined) return
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
        life?.group === order.group && life.memberId === event.sender && send !== undefined,
        'I2',
        () =>
          `${by.name} delivers at ${seq} from m${event.sender} what m${event.sender} never sent (${name(message)})`,
      )
      check(
        isWhole(send, message),
        'I2',
        () => `${by.name} delivers at ${seq} another content than ${life.name} sent (${name(message)})`,
      )
      const other = send.places.find((place) => isOnLineTo(place, record))
      check(
        other === undefined,
        'I2',
        () => `${name(message)} is ordered twice, in the event at ${other?.event?.seq} and at ${seq}`,
      )
      check(
        send.state !== 'refused',
        'I11',
        () => `${name(message)} is ordered at ${seq}, and its send ended as refused (${send.code})`,
      )
      send.places.push(record)
    })
  }
}

export class SenderOrder implements Checker {
  readonly invariant = 'I3'
  /** What is ordered of each life, on all branches. BOUNDED by the sends of a run. */
  private readonly places = new Map<number, { counter: number; record: OrderedRecord }[]>()

  ordered(record: OrderedRecord): void {
    record.messages.forEach((message, i) => {
      if (message === undefined) return
      const places = this.places.get(message.life) ?? []
      const before = places.filter((one) => isOnLineTo(one.record, record))
      const highest = Math.max(-1, ...before.map(({ counter }) => counter))
      check(
        message.counter > highest,
        'I3',
        () =>
          `m${record.event!.sender} sent its message ${message.counter} before ${highest}, and it is ordered after it, at ${record.event!.seq + i}`,
      )
      places.push({ counter: message.counter, record })
      this.places.set(message.life, places)
    })
  }
}

function isWhole(send: SendRecord, message: Message): boolean {
  return Buffer.compare(send.header, message.header) === 0 && Buffer.compare(send.body, message.body) === 0
}

function name({ life, counter }: Message): string {
  return `message ${counter} of life ${life}`
}
