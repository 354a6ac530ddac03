/** What readers are told: deliveries and what happens beside the order, as names and JSON. */
import type { Delivery, GroupEvents, View } from '../../group/index.ts'
import { type Cursor, formatCursor } from './cursor.ts'
import { type Envelope, readEnvelope } from './envelope.ts'

/** In the order: these have an id. Beside it, and about the stream itself: these have none. */
export type OrderedName = 'message' | 'repeat' | 'join' | 'leave' | 'reset' | 'rejoin'
export type EventName =
  | OrderedName
  | 'open'
  | 'gap'
  | 'expelled'
  | 'suspect'
  | 'stopped'
  | 'slow'
  | 'split'
  | 'end'

/** Why events are missing from a stream. */
export type GapReason =
  /** The reader's place has left this gateway's ring. */
  | 'too-old'
  /** The port has been created anew since: seqs of the two groups have nothing to do with each other. */
  | 'another-group'
  /** What the reader was told after `after` is not in the group's order: a crash has undone it. */
  | 'other-order'
  /** This gateway was out of the group. */
  | 'expelled'
  /** The place is beyond all that this gateway has seen, and has stayed so. */
  | 'unknown-place'

const NO_BYTES = new Uint8Array(0)
/** Beside the text of an event: its objects here. */
const EVENT_BYTES = 300

/** One event; its text is made when the first reader needs it, and then kept in place of the delivery. */
export class GatewayEvent {
  readonly name: EventName
  /** The place in the order that a reader has reached with this event. */
  readonly cursor: Cursor | undefined
  private compose: (() => string) | undefined
  private text: Buffer | undefined
  private readonly estimate: number

  constructor(name: EventName, cursor: Cursor | undefined, estimate: number, compose: () => string) {
    this.name = name
    this.cursor = cursor
    this.estimate = estimate
    this.compose = compose
  }

  get id(): string | undefined {
    return this.cursor === undefined ? undefined : formatCursor(this.cursor)
  }

  /** JSON in one line. */
  get data(): Buffer {
    if (this.text === undefined) {
      this.text = Buffer.from(this.compose!())
      this.compose = undefined
    }
    return this.text
  }

  /** Bytes that it keeps alive. */
  get bytes(): number {
    return EVENT_BYTES + (this.text?.length ?? this.estimate)
  }
}

export function plainEvent(name: EventName, data: object, cursor?: Cursor): GatewayEvent {
  const text = JSON.stringify(data)
  return new GatewayEvent(name, cursor, text.length, () => text)
}

/** The place of a delivery, under the view as of that place. */
export function cursorOf({ seq, view }: { readonly seq: number; readonly view: View }): Cursor {
  const { groupId, incarnation, coordinator } = view
  return { groupId, incarnation, coordinator, seq }
}

/** `firstSeq`: this message repeats the one there. */
export function deliveryEvent(delivery: Delivery<Uint8Array>, firstSeq: number | undefined): GatewayEvent {
  const cursor = cursorOf(delivery)
  if (delivery.kind !== 'message') return plainEvent(delivery.kind, changeData(delivery), cursor)
  const { seq, sender, header, body = NO_BYTES } = delivery
  if (firstSeq !== undefined) return plainEvent('repeat', { seq, sender, firstSeq }, cursor)
  return new GatewayEvent('message', cursor, Math.ceil(1.4 * (header.length + body.length)) + 100, () =>
    messageText(seq, sender, header, body),
  )
}

function changeData(delivery: Exclude<Delivery<Uint8Array>, { kind: 'message' }>): object {
  const { seq, sender, view, header } = delivery
  const common = { seq, sender, ...(header.length > 0 ? { header: base64(header) } : {}), view }
  if (delivery.kind === 'rejoin') return { ...common, missedFrom: delivery.missedFrom }
  if (delivery.kind !== 'reset') return common
  return { ...common, removed: delivery.removed, lossPossible: delivery.lossPossible }
}

function messageText(seq: number, sender: number, header: Uint8Array, body: Uint8Array): string {
  const envelope = readEnvelope(header)
  const head = JSON.stringify({
    seq,
    sender,
    via: envelope === undefined ? 'member' : 'gateway',
    ...envelope,
    ...(envelope === undefined && header.length > 0 ? { header: base64(header) } : {}),
  })
  return `${head.slice(0, -1)},${bodyField(envelope, body)}}`
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** `"json":…`, `"text":…` or `"base64":…`: whatever the content type promises and the bytes keep. */
function bodyField(envelope: Envelope | undefined, body: Uint8Array): string {
  const kind = bodyKind(envelope?.contentType)
  if (kind !== 'bytes') {
    try {
      const text = utf8.decode(body)
      if (kind === 'text') return `"text":${JSON.stringify(text)}`
      JSON.parse(text)
      // As it was sent, so that no number is rounded. Line breaks in JSON lie between values only.
      return `"json":${text.replace(/[\r\n]/g, ' ')}`
    } catch {}
  }
  return `"base64":"${base64(body)}"`
}

/** How a body of this media type is shown to readers. */
export function bodyKind(contentType: string | undefined): 'json' | 'text' | 'bytes' {
  const [type = '', ...parameters] = (contentType ?? '').toLowerCase().split(';')
  const charset = parameters.map((one) => /^\s*charset="?([\w-]+)"?\s*$/.exec(one)?.[1]).find(Boolean)
  if (charset !== undefined && charset !== 'utf-8' && charset !== 'us-ascii') return 'bytes'
  const name = type.trim()
  if (name === 'application/json' || name.endsWith('+json')) return 'json'
  const isText = name.startsWith('text/') || name.endsWith('+xml') || name === 'application/xml'
  return isText || name === 'application/x-www-form-urlencoded' ? 'text' : 'bytes'
}

function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('base64')
}

/** Events that a group tells beside its order. */
export function besideOrder<N extends 'expelled' | 'suspect' | 'stopped' | 'slow' | 'split'>(
  name: N,
  event: GroupEvents[N],
): GatewayEvent {
  return plainEvent(name, event)
}

export interface GapData {
  readonly reason: GapReason
  /** The last place that is certain; 0 if none is. */
  readonly after: number
  /** The place that the stream goes on with; null if nothing has come yet. */
  readonly before: number | null
}
