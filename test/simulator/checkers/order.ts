/**
 * One group's order as far as anybody has delivered it. Each record hangs under the one before it; two under
 * one are a fork, which only a reset makes, and which checkers judge. A joiner may be told that it has joined
 * before anybody has delivered its join: what it delivers hangs under a loose record until then.
 */
import { Buffer } from 'node:buffer'
import { RecordReader } from '../../../kernel/block.ts'
import { hex64, type MemberId, type Seq } from '../../../kernel/identity.ts'
import type { GroupParameters } from '../../../kernel/parameters.ts'
import type { OrderedEvent } from '../../../kernel/port.ts'
import { decodeSettings } from '../../../kernel/settings.ts'
import type { View } from '../../../kernel/view.ts'
import { readTag } from '../tag.ts'
import type { LifeRecord } from './ledger.ts'
import { isOfOneIncarnation, viewKey } from './views.ts'

export type DeliveredEvent = OrderedEvent

export interface Message {
  readonly life: number
  readonly counter: number
  readonly header: Uint8Array
  readonly body: Uint8Array
}

export interface OrderedRecord {
  readonly order: Order
  /** Undefined at the beginning of the order, and for a joiner's own join that nobody has delivered yet. */
  readonly event: OrderedEvent | undefined
  readonly last: Seq
  /** Who delivered it first. */
  readonly by: LifeRecord
  /** The messages of a block, as far as their tags can be read; the others are undefined. */
  readonly messages: readonly (Message | undefined)[]
  parent: OrderedRecord | undefined
  /** BOUNDED by the branches of a run. */
  readonly children: OrderedRecord[]
  /** In force from here on. */
  readonly view: View
  /** Resets up to here, this one included. */
  resets: number
  /** Everything before it is known, back to the beginning. */
  isKnown: boolean
  /** When it was first delivered, in the ledger's count of moments. */
  readonly moment: number
}

export interface Order {
  readonly group: string
  readonly parameters: GroupParameters
  readonly root: OrderedRecord
  /** Joins that joiners were told of and nobody has delivered. BOUNDED by the joins of a run. */
  readonly loose: { readonly life: LifeRecord; readonly record: OrderedRecord }[]
  /** Every known record. BOUNDED by the events of a run. */
  readonly records: OrderedRecord[]
  /** The newest of them: most resets, then the highest seq. */
  tip: OrderedRecord
  isForked: boolean
  /** Members of the largest view. */
  largest: number
}

export class Orders {
  private readonly byGroup = new Map<string, Order>()

  values(): IterableIterator<Order> {
    return this.byGroup.values()
  }

  /** Where a joiner begins. */
  join(life: LifeRecord, view: View, parameters: GroupParameters): OrderedRecord {
    const group = hex64(view.groupId)
    const order = this.byGroup.get(group)
    if (order === undefined) {
      const begun = begin(group, life, view, parameters)
      this.byGroup.set(group, begun)
      return begun.root
    }
    // below a majority two lines of views may give the same id at the same place
    const own = order.records.find(
      ({ event, view: there }) => isJoinOf(event, view.seq, life.memberId) && isOfOneIncarnation(there, view),
    )
    if (own !== undefined) return own
    const record = makeRecord(order, undefined, view.seq, life, undefined, view, 0)
    order.loose.push({ life, record })
    return record
  }

  /**
   * Finds or makes the record of what `life` delivers after its last. `clash`: another event that somebody
   * else delivered there.
   */
  place(
    life: LifeRecord,
    event: OrderedEvent,
    moment: number,
  ): { record: OrderedRecord; clash: OrderedRecord | undefined } {
    const parent = life.at!
    const isNext = event.seq === parent.last + 1
    const standing = parent.children.find((child) => differenceOf(child.event!, event) === undefined)
    if (isNext && standing !== undefined) return { record: standing, clash: undefined }
    const clash = isNext ? parent.children[0] : undefined
    const last = event.kind === 'messages' ? event.seq + event.count - 1 : event.seq
    const view = event.kind === 'messages' ? parent.view : event.view
    const record = makeRecord(parent.order, parent, last, life, event, view, moment)
    if (isNext) {
      parent.children.push(record)
      if (clash !== undefined) parent.order.isForked = true
    }
    return { record, clash }
  }
}

function begin(group: string, life: LifeRecord, view: View, parameters: GroupParameters): Order {
  const order = { group, parameters, loose: [], records: [], isForked: false, largest: view.members.length }
  const root = makeRecord(order as unknown as Order, undefined, view.seq, life, undefined, view, 0)
  root.isKnown = true
  return Object.assign(order, { root, tip: root })
}

function makeRecord(
  order: Order,
  parent: OrderedRecord | undefined,
  last: Seq,
  by: LifeRecord,
  event: OrderedEvent | undefined,
  view: View,
  moment: number,
): OrderedRecord {
  const messages = event === undefined ? [] : messagesOf(event)
  const common = { resets: 0, isKnown: false, moment }
  return { order, event, last, by, messages, parent, children: [], view, ...common }
}

/**
 * Takes `record` and what hangs under it into the known order, if what is before it is known, and hangs the
 * joiner's records under its join. Gives what is new, in order.
 */
export function complete(record: OrderedRecord, lives: readonly LifeRecord[]): OrderedRecord[] {
  const { order, parent, event } = record
  if (record.isKnown || parent?.isKnown !== true) return []
  record.isKnown = true
  record.resets = parent.resets + (event?.kind === 'reset' ? 1 : 0)
  order.records.push(record)
  order.largest = Math.max(order.largest, record.view.members.length)
  if (isNewer(record, order.tip)) order.tip = record
  const index = order.loose.findIndex(
    ({ life, record: own }) => event !== undefined && isJoinOf(event, own.last, life.memberId),
  )
  if (index >= 0) {
    const { record: own } = order.loose[index]!
    for (const child of own.children) child.parent = record
    record.children.push(...own.children)
    for (const life of lives) if (life.at === own) life.at = record
    for (const life of lives)
      for (const send of life.sends) if (send.answeredAt === own) send.answeredAt = record
    order.loose.splice(index, 1)
  }
  return [record, ...record.children.flatMap((child) => complete(child, lives))]
}

function isJoinOf(event: OrderedEvent | undefined, seq: Seq, id: MemberId): boolean {
  return event?.kind === 'join' && event.seq === seq && event.sender === id
}

export function isNewer(a: OrderedRecord, b: OrderedRecord): boolean {
  return a.resets > b.resets || (a.resets === b.resets && a.last > b.last)
}

// ---- looking around -------------------------------------------------------------------------------------

/** Whether `record` is `other` or before it on its line. */
export function isOnLineTo(record: OrderedRecord, other: OrderedRecord): boolean {
  if (!record.order.isForked && record.isKnown && other.isKnown) return record.last <= other.last
  for (let one: OrderedRecord | undefined = other; one !== undefined; one = one.parent)
    if (one === record) return true
  return false
}

/** Whether its deliveries lie on another branch of the order than `record`. */
export function isSplitOff({ at }: LifeRecord, record: OrderedRecord | undefined): boolean {
  if (at === undefined || record === undefined || at.order !== record.order) return false
  return !isOnLineTo(at, record) && !isOnLineTo(record, at)
}

/** What is at `seq` on the line to `tip`. */
export function recordAt(tip: OrderedRecord, seq: Seq): OrderedRecord | undefined {
  for (let one: OrderedRecord | undefined = tip; one?.event !== undefined; one = one.parent)
    if (one.event.seq <= seq) return one.last >= seq ? one : undefined
  return undefined
}

/** The last place before `seq` on the line of `life`; where it is not so far yet, on that of the others. */
export function placeBefore(at: OrderedRecord, seq: Seq): OrderedRecord {
  let one = at
  while (one.last >= seq && one.parent !== undefined) one = one.parent
  for (;;) {
    const next: OrderedRecord | undefined =
      one.children.find(({ event }) => event!.kind !== 'reset') ?? one.children[0]
    if (next === undefined || next.last >= seq) return one
    one = next
  }
}

/** Where the lines to `a` and `b` part; undefined if nothing is known to be on both. */
export function forkOf(a: OrderedRecord, b: OrderedRecord): OrderedRecord | undefined {
  const seen = new Set<OrderedRecord>()
  for (let one: OrderedRecord | undefined = a; one !== undefined; one = one.parent) seen.add(one)
  for (let one: OrderedRecord | undefined = b; one !== undefined; one = one.parent)
    if (seen.has(one)) return one
  return undefined
}

/** The child of `record` on the line to `tip`. */
export function nextTo(record: OrderedRecord, tip: OrderedRecord): OrderedRecord | undefined {
  let next: OrderedRecord | undefined
  for (let one: OrderedRecord | undefined = tip; one !== record; one = one.parent) {
    if (one === undefined) return undefined
    next = one
  }
  return next
}

/** Where the floor for a reset makes two sides impossible: `minMembers` is more than half of every view. */
export function needsMajority({ parameters, largest }: Order): boolean {
  return parameters.minMembers === 'majority' || 2 * parameters.minMembers > largest
}

/** What makes two events at one place different ones; undefined if they are the same. */
export function differenceOf(a: DeliveredEvent, b: DeliveredEvent): string | undefined {
  if (a.kind !== b.kind) return 'another kind of event'
  if (a.sender !== b.sender) return 'another sender'
  if (a.seq !== b.seq) return 'another place'
  if (a.kind === 'messages' || b.kind === 'messages') {
    if (a.kind !== 'messages' || b.kind !== 'messages') return 'another kind of event'
    if (a.count !== b.count) return 'another number of messages'
    return isSame(a.block, b.block) ? undefined : 'other bytes'
  }
  if (!isSame(a.header, b.header)) return 'another header'
  if (a.kind === 'reset' && b.kind === 'reset') {
    if (a.lossPossible !== b.lossPossible) return 'another word about loss'
    if (a.removed.join() !== b.removed.join()) return 'others removed'
  }
  return viewKey(a.view) === viewKey(b.view)
    ? undefined
    : `another view (${viewKey(a.view)}, ${viewKey(b.view)})`
}

function isSame(a: Uint8Array, b: Uint8Array): boolean {
  return a === b || Buffer.compare(a, b) === 0
}

function messagesOf(event: OrderedEvent): (Message | undefined)[] {
  if (event.kind !== 'messages' || decodeSettings(event.block) !== undefined) return []
  const reader = new RecordReader(event.block)
  const messages: (Message | undefined)[] = []
  for (let i = 0; i < event.count; i++) {
    const record = reader.next()
    const tag = record && readTag(record.header, record.body)
    messages.push(record && tag && { ...tag, header: record.header, body: record.body })
  }
  return messages
}
