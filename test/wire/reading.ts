/** What a packet says, field by field, in a form that can be kept in a file: 64-bit numbers and bytes as hexadecimal text. */
import { BlockKind, RecordReader } from '../../kernel/block.ts'
import { decodeJoin, decodeLeave } from '../../kernel/membership.ts'
import { PacketKind, packetKindNames, readHeader } from '../../kernel/packet.ts'
import { type PlacedBlock, readRequestBlocks, readStreamFragment } from '../../kernel/packets.ts'
import { bodyDecoders, type Decoder, readOrdered, streamDecoders } from './decoders.ts'

function orderedOf(packet: Uint8Array): unknown {
  const body = readOrdered(packet)
  return body && { ...body, entries: body.entries.map((placed) => blockOf(packet, placed)) }
}

function blockOf(packet: Uint8Array, { head, at, isReference }: PlacedBlock): unknown {
  if (isReference) return { head, isReference }
  const block = packet.subarray(at, at + head.length)
  if (head.kind === BlockKind.join) return { head, join: decodeJoin(block) }
  if (head.kind === BlockKind.leave) return { head, leave: decodeLeave(block) }
  const reader = new RecordReader(block)
  return { head, records: Array.from({ length: head.count }, () => reader.next()) }
}

/** With what their blocks and streams hold. */
const bodies: Readonly<Record<PacketKind, Decoder>> = {
  ...bodyDecoders,
  [PacketKind.request]: (packet) => readRequestBlocks(packet)?.map((placed) => blockOf(packet, placed)),
  [PacketKind.order]: orderedOf,
  [PacketKind.repair]: orderedOf,
  [PacketKind.streamData]: (packet) => {
    const fragment = readStreamFragment(packet)
    return fragment && { ...fragment, bytes: streamDecoders[fragment.purpose]?.(fragment.bytes) }
  },
}

/** Header and body as plain data; throws for what cannot be read. */
export function fieldsOf(packet: Uint8Array): { kind: string; header: unknown; body: unknown } {
  const header = readHeader(packet)
  if (typeof header === 'string') throw new Error(`the header is refused: ${header}`)
  const body = bodies[header.kind](packet)
  if (body === undefined) throw new Error(`the body of ${packetKindNames[header.kind]} cannot be read`)
  const plain = JSON.parse(JSON.stringify({ header, body }, replace)) as { header: unknown; body: unknown }
  return { kind: packetKindNames[header.kind]!, ...plain }
}

function replace(_key: string, value: unknown): unknown {
  if (typeof value === 'bigint') return `0x${value.toString(16)}`
  if (value instanceof Uint8Array) return `hex ${Buffer.from(value).toString('hex')}`
  if (value instanceof Map) return [...value]
  return value
}

/** Hexadecimal text in lines, with a comment before it. */
export function parseHex(file: string): Uint8Array {
  const digits = file
    .split('\n')
    .filter((line) => !line.startsWith('#'))
    .join('')
    .replace(/\s/g, '')
  return Uint8Array.from(Buffer.from(digits, 'hex'))
}

export function formatHex(comment: string, packet: Uint8Array): string {
  const lines =
    Buffer.from(packet)
      .toString('hex')
      .match(/.{1,64}/g) ?? []
  return `# ${comment}\n${lines.join('\n')}\n`
}
