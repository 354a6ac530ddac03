/**
 * What the floor sends for messages of a size: as many packets, as large, and on the same way as the library's. By method 1 a
 * block goes to the sequencer, which multicasts it; from a size on its sender multicasts it, and the sequencer names
 * many in one small packet.
 */
import { BLOCK_HEADER_BYTES, recordOverhead } from '../kernel/block.ts'
import { HEADER_BYTES } from '../kernel/packet.ts'
import { DATA_HEAD_BYTES, ENTRY_OVERHEAD, ORDER_HEAD_BYTES } from '../kernel/packets.ts'
import type { Method } from './messages.ts'

/** Bytes of a block from which on the library takes method 2 by itself; its default. */
export const METHOD_THRESHOLD = 4 * 1024

/** A block in an order packet stands behind so many bytes, one that was spread behind these. */
const INLINE_AT = HEADER_BYTES + ORDER_HEAD_BYTES + ENTRY_OVERHEAD
const SPREAD_AT = HEADER_BYTES + DATA_HEAD_BYTES

/** What one member sends again and again: one block. */
export interface FloorBlock {
  readonly messages: number
  /** Of the whole block, its header included. */
  readonly bytes: number
  /** Where the first message stands in it, and from there to the next. */
  readonly bodyAt: number
  readonly stride: number
  /** By its sender, to all; else to the sequencer, who multicasts it. */
  readonly isToAll: boolean
  /** The sequencer says of each such block, in a packet of its own, that it has a place. */
  readonly isNamed: boolean
  readonly packets: readonly FloorPacket[]
}

export interface FloorPacket {
  readonly bytes: number
  /** Which part of the block is in it, and where it stands in the packet. */
  readonly offset: number
  readonly part: number
  readonly dataAt: number
}

export interface FloorCase {
  readonly packetSize: number
  readonly method: Method
  /** Bytes of a message. */
  readonly size: number
  /** One message in a block, however many would have room. */
  readonly isLone: boolean
  readonly isSequencer: boolean
}

export function floorBlock({ packetSize, method, size, isLone, isSequencer }: FloorCase): FloorBlock {
  const overhead = recordOverhead(0, size)
  const stride = size + overhead
  const room = packetSize - INLINE_AT - BLOCK_HEADER_BYTES
  const messages = isLone ? 1 : Math.max(1, Math.floor(room / stride))
  const bytes = BLOCK_HEADER_BYTES + messages * stride
  const isLarge = bytes > room + BLOCK_HEADER_BYTES
  const isForAll = method === 'bb' || (method === 'auto' && bytes >= METHOD_THRESHOLD)
  // the sequencer's own goes out once by either method, and in its order unless it is too large
  const isToAll = isSequencer || isForAll
  const isNamed = isLarge || (isForAll && !isSequencer)
  const dataAt = isNamed ? SPREAD_AT : INLINE_AT
  const packets: FloorPacket[] = []
  for (let offset = 0; offset < bytes; offset += packetSize - dataAt) {
    const part = Math.min(bytes - offset, packetSize - dataAt)
    packets.push({ bytes: dataAt + part, offset, part, dataAt })
  }
  return { messages, bytes, bodyAt: BLOCK_HEADER_BYTES + overhead, stride, isToAll, isNamed, packets }
}

// ---- what stands in a packet ----------------------------------------------------------------------------

const NAMES = 1
/** Of a block that the sequencer names when all of it is there. */
const LAST = 2

const SENDER_AT = 2
const DATA_AT = 4
const OFFSET_AT = 8
const BLOCK_AT = 12
const MESSAGES_AT = 16

export function writeFloorPacket(sender: number, block: FloorBlock, packet: FloorPacket): Buffer {
  const { bytes, offset, part, dataAt } = packet
  const written = Buffer.alloc(bytes, sender)
  written[0] = block.isNamed && offset + part === block.bytes ? LAST : 0
  written.writeUInt16LE(sender, SENDER_AT)
  written.writeUInt16LE(dataAt, DATA_AT)
  written.writeUInt32LE(offset, OFFSET_AT)
  written.writeUInt32LE(block.bytes, BLOCK_AT)
  written.writeUInt32LE(block.messages, MESSAGES_AT)
  return written
}

export const isNames = (packet: Buffer): boolean => packet[0] === NAMES
export const isToBeNamed = (packet: Buffer): boolean => packet[0] === LAST
export const senderOf = (packet: Buffer): number => packet.readUInt16LE(SENDER_AT)
export const dataAtOf = (packet: Buffer): number => packet.readUInt16LE(DATA_AT)
export const offsetOf = (packet: Buffer): number => packet.readUInt32LE(OFFSET_AT)
export const blockBytesOf = (packet: Buffer): number => packet.readUInt32LE(BLOCK_AT)
export const messagesOf = (packet: Buffer): number => packet.readUInt32LE(MESSAGES_AT)

/** Messages in it; of a large one, the part. */
export function partOf(packet: Buffer): number {
  return (messagesOf(packet) * (packet.length - dataAtOf(packet))) / blockBytesOf(packet)
}

/** A block that has its place: whose it is, and the bytes of its last packet. */
export interface Named {
  readonly sender: number
  readonly bytes: number
}

const NAMES_AT = HEADER_BYTES + ORDER_HEAD_BYTES
/** As an order by reference has them: its kind, and the block's header. */
const NAME_BYTES = ENTRY_OVERHEAD + BLOCK_HEADER_BYTES

/** As many packets as they take, one in all but the smallest. */
export function writeNames(named: readonly Named[], packetSize: number): Buffer[] {
  const most = Math.floor((packetSize - NAMES_AT) / NAME_BYTES)
  const packets: Buffer[] = []
  for (let from = 0; from < named.length; from += most) {
    const some = named.slice(from, from + most)
    const packet = Buffer.alloc(NAMES_AT + some.length * NAME_BYTES)
    packet[0] = NAMES
    some.forEach(({ sender, bytes }, i) => {
      packet.writeUInt16LE(sender, NAMES_AT + i * NAME_BYTES)
      packet.writeUInt32LE(bytes, NAMES_AT + i * NAME_BYTES + 2)
    })
    packets.push(packet)
  }
  return packets
}

/** Of all that are named in it, the bytes of one sender's. */
export function namedBytes(packet: Buffer, sender: number): number {
  let bytes = 0
  for (let at = NAMES_AT; at < packet.length; at += NAME_BYTES)
    if (packet.readUInt16LE(at) === sender) bytes += packet.readUInt32LE(at + 2)
  return bytes
}
