/**
 * Keeps the ledger and asks every checker. The run tells it of each call and each output; a test can do so
 * by hand.
 */
import type { Nonce } from '../../../kernel/identity.ts'
import type { Call, MemberInfo, OrderedEvent, Output } from '../../../kernel/port.ts'
import { Bounds } from './bounds.ts'
import { type Checker, Violation } from './checker.ts'
import { Integrity, SenderOrder } from './integrity.ts'
import { Ledger, type LifeRecord, type Order, outcomeState } from './ledger.ts'
import { OneOrder } from './one-order.ts'
import { NoDoubt, OwnMessages } from './own-messages.ts'
import { Resilience } from './resilience.ts'
import { OneGroup, Views } from './views.ts'

export class Judge {
  readonly ledger = new Ledger()
  private readonly checkers: readonly Checker[]

  /** `sampleAll` has the info of every living machine sampled; for I5. */
  constructor(options: { packetSize: number }, sampleAll: () => void) {
    const { ledger } = this
    this.checkers = [
      new OneOrder(),
      new Integrity(ledger),
      new SenderOrder(),
      new OwnMessages(ledger),
      new NoDoubt(),
      new Views(ledger),
      new OneGroup(ledger),
      new Bounds(ledger, options.packetSize),
      new Resilience(ledger, sampleAll),
    ]
  }

  begin(name: string, nonce: Nonce): LifeRecord {
    return this.ledger.begin(name, nonce)
  }

  call(life: LifeRecord, call: Call): void {
    switch (call.call) {
      case 'open':
        life.openToken = call.token
        return
      case 'send':
        this.ledger.send(life, call.token, call.header, call.body)
        return
      case 'sendMany':
        call.bodies.forEach((body, i) => {
          this.ledger.send(life, call.token + i, NO_BYTES, body)
        })
        return
      case 'cancel': {
        const send = this.ledger.sendOf(life, call.token)
        if (send !== undefined) send.cancelled = true
        return
      }
      case 'taken':
        life.taken = call.seq
        return
      case 'leave':
        life.leaveToken = call.token
        life.phase = 'leaving'
        return
      default:
        return
    }
  }

  output(life: LifeRecord, output: Output): void {
    for (const checker of this.checkers) checker.output?.(life, output)
    switch (output.output) {
      case 'joined':
        return this.joined(life, output)
      case 'sent':
        for (let i = 0; i < output.count; i++)
          this.answered(life, output.token + i, output.seq + i, undefined)
        return
      case 'failed':
        return this.failed(life, output)
      case 'deliveries':
        for (const event of output.deliveries) this.delivered(life, event)
        return
      case 'left':
        life.phase = 'left'
        return
      case 'event':
        if (output.event.event === 'closed') life.phase = 'closed'
        return
      default:
        return
    }
  }

  private joined(life: LifeRecord, output: Extract<Output, { output: 'joined' }>): void {
    if (life.phase !== 'opening' || output.token !== life.openToken) {
      throw new Violation(
        'I6',
        `${life.name} is told that it joined (#${output.token}) while it is ${life.phase}`,
      )
    }
    this.ledger.join(life, output.memberId, output.view, output.parameters)
    for (const checker of this.checkers) checker.joined?.(life, output.view)
  }

  private answered(
    life: LifeRecord,
    token: number,
    seq: number | undefined,
    failure: Extract<Output, { output: 'failed' }> | undefined,
  ): void {
    const send = this.ledger.sendOf(life, token)
    if (send === undefined || send.state !== 'open') {
      throw new Violation(
        'I9',
        `${life.name} gets an answer to #${token}, ${send === undefined ? 'which is no send' : `which was ${send.state} already`}`,
      )
    }
    const state = failure === undefined ? 'sent' : outcomeState(failure.outcome)
    this.ledger.answer(life, send, state, seq, failure?.code)
    for (const checker of this.checkers) checker.answered?.(life, send)
  }

  private failed(life: LifeRecord, output: Extract<Output, { output: 'failed' }>): void {
    const { token, code, message } = output
    if (token === life.openToken && life.phase === 'opening') {
      life.phase = 'failed'
    } else if (token === life.leaveToken) {
      throw new Violation(
        'I9',
        `the leave of ${life.name} fails with ${code} (${message}), and nothing was wrong`,
      )
    } else {
      this.answered(life, token, undefined, output)
    }
  }

  private delivered(life: LifeRecord, event: OrderedEvent): void {
    if (life.phase !== 'member' && life.phase !== 'leaving') {
      throw new Violation('I6', `${life.name} is handed ${event.seq} while it is ${life.phase}`)
    }
    const { record, clash } = this.ledger.place(life, event)
    for (const checker of this.checkers) checker.delivered?.(life, event, record, clash)
    life.delivered = record.last
    if (event.kind !== 'messages') life.view = event.view
    const order = this.ledger.orderOf(life)
    if (record.last > order.last) order.last = record.last
    this.complete(order)
  }

  /** Tells of every event up to the first place that nobody has delivered. */
  private complete(order: Order): void {
    for (
      let record = order.places.get(order.complete + 1);
      record !== undefined;
      record = order.places.get(order.complete + 1)
    ) {
      for (const checker of this.checkers) checker.ordered?.(record, order.view)
      if (record.event.kind !== 'messages') {
        order.view = record.event.view
        order.views.push(order.view)
      }
      order.complete = record.last
    }
  }

  sampled(life: LifeRecord, info: MemberInfo): void {
    life.received = info.received
    for (const checker of this.checkers) checker.sampled?.(life, info)
  }

  stepped(life: LifeRecord): void {
    for (const checker of this.checkers) checker.stepped?.(life)
  }

  finished(): void {
    for (const checker of this.checkers) checker.finished?.()
  }
}

const NO_BYTES = new Uint8Array(0)
