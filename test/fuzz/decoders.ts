/** Every function that reads bytes from outside. None may throw, hang, or give something larger than the bytes pay for. */
import { isWellFormed, RecordCursor, readBlockHeader } from '../../kernel/block.ts'
import { portAskedFor } from '../../kernel/meeting-packets.ts'
import { decodeJoin, decodeLeave } from '../../kernel/membership.ts'
import { HEADER_BYTES, readHeader, readRoute } from '../../kernel/packet.ts'
import { decodeSettings } from '../../kernel/settings.ts'
import { decodeText } from '../../kernel/wire.ts'
import { bodyDecoders, type Decoder, readNothing, streamDecoders } from '../wire/decoders.ts'

/** Take a whole packet. */
export const packetDecoders: readonly Decoder[] = [
  ...new Set([readHeader, portAskedFor, routeOf, ...Object.values(bodyDecoders)]),
].filter((decode) => decode !== readNothing)

/** Take what a stream or a block carries. */
export const payloadDecoders: readonly Decoder[] = [
  ...Object.values(streamDecoders),
  decodeJoin,
  decodeLeave,
  decodeSettings,
  decodeText,
  isWellFormed,
  headOf,
  recordsOf,
]

function routeOf(packet: Uint8Array): unknown {
  return packet.length < HEADER_BYTES ? undefined : readRoute(packet)
}

function headOf(bytes: Uint8Array): unknown {
  return readBlockHeader(bytes, 0)
}

function recordsOf(bytes: Uint8Array): unknown {
  const head = readBlockHeader(bytes, 0)
  if (head === undefined || head.length !== bytes.length) return undefined
  const cursor = new RecordCursor(bytes)
  let records = 0
  while (cursor.next()) if (++records > head.count) throw new Error('more records than the header says')
  return records
}

/** Things that a decoder has made: bytes cannot name more of them than they have room for. */
export function thingsIn(value: unknown): number {
  if (typeof value !== 'object' || value === null) return 1
  if (value instanceof Uint8Array) return 1
  let things = 1
  const children = value instanceof Map ? [...value.values()] : Object.values(value)
  for (const child of children) things += thingsIn(child)
  return things
}
