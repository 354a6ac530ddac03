/**
 * The facts of a run, without judgement: who sent what, who delivered what where. The first delivery at a
 * place of a group's order is the record that all later ones are compared with.
 */
import { RecordReader } from '../../../kernel/block.ts'
import type { ErrorCode, Outcome } from '../../../kernel/errors.ts'
import { hex64, type MemberId, type Nonce, type Seq } from '../../../kernel/identity.ts'
import type { GroupParameters } from '../../../kernel/parameters.ts'
import type { OrderedEvent, Token } from '../../../kernel/port.ts'
import type { View } from '../../../kernel/view.ts'
import { readTag } from '../tag.ts'

export type DeliveredEvent = OrderedEvent
export type SendState = 'open' | 'sent' | 'refused' | 'unknown'

/** One message that a program has sent. */
export interface SendRecord {
  readonly life: number
  readonly counter: number
  readonly token: Token
  readonly header: Uint8Array
  readonly body: Uint8Array
  cancelled: boolean
  state: SendState
  code: ErrorCode | undefined
  /** Where the answer says that it is. */
  seq: Seq | undefined
  /** Where it has been seen in the order. */
  place: Seq | undefined
}

/** One life of a member machine: from its making to its end. */
export interface LifeRecord {
  readonly index: number
  /** For people: `n2`, `n2.2` for the second life on one node. */
  readonly name: string
  readonly nonce: Nonce
  phase: 'opening' | 'member' | 'leaving' | 'left' | 'closed' | 'failed'
  memberId: MemberId
  group: string | undefined
  parameters: GroupParameters | undefined
  /** The view as of its last delivery. */
  view: View | undefined
  joinedAt: Seq
  delivered: Seq
  taken: Seq
  /** Highest contiguous seq held, as of the last sample. */
  received: Seq
  leaveToken: Token | undefined
  openToken: Token | undefined
  readonly sends: SendRecord[]
  unanswered: number
}

export interface OrderedRecord {
  readonly group: string
  readonly event: OrderedEvent
  readonly last: Seq
  /** Who delivered it first. */
  readonly by: LifeRecord
  /** The messages of a block, as far as their tags can be read; the others are undefined. */
  readonly messages: readonly (Message | undefined)[]
}

export interface Message {
  readonly life: number
  readonly counter: number
  readonly header: Uint8Array
  readonly body: Uint8Array
}

/** One group's one order, as far as anybody has delivered it. */
export interface Order {
  readonly group: string
  /** BOUNDED by the events of one run. */
  readonly places: Map<Seq, OrderedRecord>
  /** The view as of `complete`. */
  view: View
  /** All views up to there. BOUNDED by the changes of one run. */
  readonly views: View[]
  /** Every place up to here is known. */
  complete: Seq
  last: Seq
}

export class Ledger {
  readonly lives: LifeRecord[] = []
  readonly orders = new Map<string, Order>()

  begin(name: string, nonce: Nonce): LifeRecord {
    const life: LifeRecord = {
      index: this.lives.length,
      name,
      nonce,
      phase: 'opening',
      memberId: 0,
      group: undefined,
      parameters: undefined,
      view: undefined,
      joinedAt: 0,
      delivered: 0,
      taken: 0,
      received: 0,
      leaveToken: undefined,
      openToken: undefined,
      sends: [],
      unanswered: 0,
    }
    this.lives.push(life)
    return life
  }

  send(life: LifeRecord, token: Token, header: Uint8Array, body: Uint8Array): void {
    life.sends.push({
      life: life.index,
      counter: life.sends.length,
      token,
      header,
      body,
      cancelled: false,
      state: 'open',
      code: undefined,
      seq: undefined,
      place: undefined,
    })
    life.unanswered++
  }

  /** Tokens of sends rise by one, from the first on. */
  sendOf(life: LifeRecord, token: Token): SendRecord | undefined {
    const first = life.sends[0]
    return first === undefined ? undefined : life.sends[token - first.token]
  }

  answer(life: LifeRecord, send: SendRecord, state: SendState, seq: Seq | undefined, code?: ErrorCode): void {
    send.state = state
    send.seq = seq
    send.code = code
    life.unanswered--
  }

  join(life: LifeRecord, memberId: MemberId, view: View, parameters: GroupParameters): Order {
    const group = hex64(view.groupId)
    life.phase = 'member'
    life.memberId = memberId
    life.group = group
    life.parameters = parameters
    life.view = view
    life.joinedAt = life.delivered = life.taken = view.seq
    life.received = Math.max(life.received, view.seq)
    let order = this.orders.get(group)
    if (order === undefined) {
      order = { group, places: new Map(), view, views: [view], complete: view.seq, last: view.seq }
      this.orders.set(group, order)
    }
    order.last = Math.max(order.last, view.seq)
    return order
  }

  /** Finds or makes the record of what `life` delivers. */
  place(life: LifeRecord, event: OrderedEvent): { record: OrderedRecord; clash: OrderedRecord | undefined } {
    const { places, group } = this.orderOf(life)
    const standing = places.get(event.seq)
    if (standing !== undefined)
      return { record: standing, clash: standing.event.seq === event.seq ? undefined : standing }
    const last = event.kind === 'messages' ? event.seq + event.count - 1 : event.seq
    const record: OrderedRecord = { group, event, last, by: life, messages: messagesOf(event) }
    let clash: OrderedRecord | undefined
    for (let seq = event.seq; seq <= last; seq++) {
      clash ??= places.get(seq)
      places.set(seq, record)
    }
    return { record, clash }
  }

  orderOf(life: LifeRecord): Order {
    const order = life.group === undefined ? undefined : this.orders.get(life.group)
    if (order === undefined) throw new Error(`${life.name} is in no group`)
    return order
  }

  /** Those that take part in `group`, or did until they left. */
  inGroup(group: string): LifeRecord[] {
    return this.lives.filter((life) => life.group === group)
  }
}

export function outcomeState(outcome: Outcome | undefined): SendState {
  return outcome === 'refused' ? 'refused' : 'unknown'
}

function messagesOf(event: OrderedEvent): (Message | undefined)[] {
  if (event.kind !== 'messages') return []
  const reader = new RecordReader(event.block)
  const messages: (Message | undefined)[] = []
  for (let i = 0; i < event.count; i++) {
    const record = reader.next()
    const tag = record && readTag(record.header, record.body)
    messages.push(record && tag && { ...tag, header: record.header, body: record.body })
  }
  return messages
}
