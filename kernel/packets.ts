/**
 * Bodies of the packets, kind by kind. Each reader gives undefined for bytes that are no such body; none
 * throws. The layout of each is the order of the calls in its writer.
 */
import type { ByteRange } from './assembly.ts'
import { BLOCK_HEADER_BYTES, type BlockHeader, readBlockHeader } from './block.ts'
import { readU32, readU53, writeU32, writeU53 } from './bytes.ts'
import type { SeqRange } from './history.ts'
import type { MemberId, RequestNumber, Seq } from './identity.ts'
import { HEADER_BYTES } from './packet.ts'
import { Reader, Writer } from './wire.ts'

// ---- order and repair ---------------------------------------------------------------------------------

/** Flag of an order packet: every member is to report at once what it holds and has taken. */
export const ORDER_FLAG_REPORT = 1
/** Body: highest u53, accepted u53, stable u53, first seq u53, entries u16, ackers u16, then the entries. */
export const ORDER_HEAD_BYTES = 36
/** An entry is this byte and the block. Append only. */
export const ENTRY_INLINE = 0
/** Only the block's header: the block itself has been, or will be, spread apart from its order. */
export const ENTRY_REFERENCE = 1
export const ENTRY_OVERHEAD = 1

export interface OrderHead {
  /** Highest seq that the sender knows to be numbered. */
  readonly highest: Seq
  readonly accepted: Seq
  readonly stable: Seq
  /** Place of the first entry; 0 without entries. */
  readonly firstSeq: Seq
  readonly entries: number
  /** So many of the lowest-ranked others are asked to ack at once (design 4.3). */
  readonly ackers: number
}

export function writeOrderHead(packet: Uint8Array, head: OrderHead): void {
  writeU53(packet, HEADER_BYTES, head.highest)
  writeU53(packet, HEADER_BYTES + 8, head.accepted)
  writeU53(packet, HEADER_BYTES + 16, head.stable)
  writeU53(packet, HEADER_BYTES + 24, head.firstSeq)
  packet[HEADER_BYTES + 32] = head.entries >>> 8
  packet[HEADER_BYTES + 33] = head.entries & 0xff
  packet[HEADER_BYTES + 34] = head.ackers >>> 8
  packet[HEADER_BYTES + 35] = head.ackers & 0xff
}

export function readOrderHead(packet: Uint8Array): OrderHead | undefined {
  if (packet.length < HEADER_BYTES + ORDER_HEAD_BYTES) return undefined
  const at = HEADER_BYTES
  const highest = readU53(packet, at)
  const accepted = readU53(packet, at + 8)
  const stable = readU53(packet, at + 16)
  const firstSeq = readU53(packet, at + 24)
  const entries = (packet[at + 32]! << 8) | packet[at + 33]!
  const ackers = (packet[at + 34]! << 8) | packet[at + 35]!
  if (stable < 0 || firstSeq < 0 || stable > accepted || accepted > highest) return undefined
  if (entries > 0 && firstSeq === 0) return undefined
  return { highest, accepted, stable, firstSeq, entries, ackers }
}

/** One block where it lies in a packet. */
export interface PlacedBlock {
  readonly head: BlockHeader
  readonly at: number
  /** Only its header is here. */
  readonly isReference: boolean
}

/** The blocks of an order or repair packet, or undefined if they do not fill it exactly. */
export function readEntries(packet: Uint8Array, entries: number): PlacedBlock[] | undefined {
  const blocks: PlacedBlock[] = []
  let at = HEADER_BYTES + ORDER_HEAD_BYTES
  for (let i = 0; i < entries; i++) {
    const type = packet[at]
    if (type !== ENTRY_INLINE && type !== ENTRY_REFERENCE) return undefined
    at += ENTRY_OVERHEAD
    const head = readBlockHeader(packet, at)
    if (head === undefined) return undefined
    const isReference = type === ENTRY_REFERENCE
    blocks.push({ head, at, isReference })
    at += isReference ? head.recordsAt : head.length
    if (at > packet.length) return undefined
  }
  return at === packet.length ? blocks : undefined
}

// ---- requests -----------------------------------------------------------------------------------------

/** A request is blocks of one member, one behind the other; undefined if they do not fill it exactly. */
export function readRequestBlocks(packet: Uint8Array): PlacedBlock[] | undefined {
  const blocks: PlacedBlock[] = []
  let at = HEADER_BYTES
  while (at + BLOCK_HEADER_BYTES <= packet.length) {
    const head = readBlockHeader(packet, at)
    if (head === undefined || at + head.length > packet.length) return undefined
    blocks.push({ head, at, isReference: false })
    at += head.length
  }
  return at === packet.length && blocks.length > 0 ? blocks : undefined
}

export const REQUEST_ACK_BYTES = 8
/** Flag of a requestAck: later requests are here, so the one at `expected` has been lost on the way. */
export const REQUEST_ACK_FLAG_GAP = 1

/** Up to but not including `expected`, the sequencer holds all requests of the asker. */
export function writeRequestAck(packet: Uint8Array, expected: RequestNumber): void {
  writeU53(packet, HEADER_BYTES, expected)
}

export function readRequestAck(packet: Uint8Array): RequestNumber | undefined {
  if (packet.length !== HEADER_BYTES + REQUEST_ACK_BYTES) return undefined
  const expected = readU53(packet, HEADER_BYTES)
  return expected < 0 ? undefined : expected
}

/** Flag of a state packet: the sender asks, of anybody, whether its leave is accepted. */
export const STATE_FLAG_LEAVING = 1
/** Flag of a state packet: the sender holds everything up to and including the result of this ballot. */
export const STATE_FLAG_RESULT = 2

// ---- gaps ---------------------------------------------------------------------------------------------

export const GAP_RANGES_MAX = 32

export interface GapRequest {
  /** How many bytes of repair the asker has room for. */
  readonly budget: number
  readonly ranges: readonly SeqRange[]
}

export function gapBytes(ranges: number): number {
  return 6 + 16 * ranges
}

export function writeGap(packet: Uint8Array, gap: GapRequest): void {
  writeU32(packet, HEADER_BYTES, gap.budget)
  packet[HEADER_BYTES + 4] = 0
  packet[HEADER_BYTES + 5] = gap.ranges.length
  gap.ranges.forEach(({ from, to }, i) => {
    writeU53(packet, HEADER_BYTES + 6 + 16 * i, from)
    writeU53(packet, HEADER_BYTES + 14 + 16 * i, to)
  })
}

export function readGap(packet: Uint8Array): GapRequest | undefined {
  if (packet.length < HEADER_BYTES + gapBytes(0)) return undefined
  const count = packet[HEADER_BYTES + 5]!
  if (count > GAP_RANGES_MAX || packet.length !== HEADER_BYTES + gapBytes(count)) return undefined
  const ranges: SeqRange[] = []
  for (let i = 0; i < count; i++) {
    const from = readU53(packet, HEADER_BYTES + 6 + 16 * i)
    const to = readU53(packet, HEADER_BYTES + 14 + 16 * i)
    // ranges rise and do not overlap: nobody can ask for the same thing many times in one packet
    if (from <= (ranges.at(-1)?.to ?? -1) || to < from) return undefined
    ranges.push({ from, to })
  }
  return { budget: readU32(packet, HEADER_BYTES), ranges }
}

// ---- data apart from its order ------------------------------------------------------------------------

/** Body: member u53, first request u53, total u32, offset u32, bytes of the block from there. */
export const DATA_HEAD_BYTES = 24
/** Flag of a data packet: the sequencer is to answer at once how far it is. */
export const DATA_FLAG_ACK = 1

export interface DataFragment {
  readonly member: MemberId
  readonly request: RequestNumber
  readonly total: number
  readonly offset: number
  readonly bytes: Uint8Array
}

export function writeData(packet: Uint8Array, fragment: DataFragment): void {
  writeDataHead(packet, fragment)
  packet.set(fragment.bytes, HEADER_BYTES + DATA_HEAD_BYTES)
}

/** Before bytes that stand in the packet already. */
export function writeDataHead(packet: Uint8Array, fragment: Omit<DataFragment, 'bytes'>): void {
  writeU53(packet, HEADER_BYTES, fragment.member)
  writeU53(packet, HEADER_BYTES + 8, fragment.request)
  writeU32(packet, HEADER_BYTES + 16, fragment.total)
  writeU32(packet, HEADER_BYTES + 20, fragment.offset)
}

export function readData(packet: Uint8Array): DataFragment | undefined {
  if (packet.length <= HEADER_BYTES + DATA_HEAD_BYTES) return undefined
  const member = readU53(packet, HEADER_BYTES)
  const request = readU53(packet, HEADER_BYTES + 8)
  const total = readU32(packet, HEADER_BYTES + 16)
  const offset = readU32(packet, HEADER_BYTES + 20)
  const bytes = packet.subarray(HEADER_BYTES + DATA_HEAD_BYTES)
  if (member < 0 || request < 0 || offset + bytes.length > total) return undefined
  return { member, request, total, offset, bytes }
}

export const DATA_RANGES_MAX = 32

export interface DataGap {
  readonly seq: Seq
  readonly budget: number
  readonly ranges: readonly ByteRange[]
}

/** `dataGap`: place of the block u53, budget u32, ranges of bytes. */
export function encodeDataGap(gap: DataGap): Uint8Array {
  return writeRanges(new Writer().u53(gap.seq).u32(gap.budget), gap.ranges).finish()
}

export function decodeDataGap(packet: Uint8Array): DataGap | undefined {
  const reader = new Reader(packet, HEADER_BYTES)
  const seq = reader.u53()
  const budget = reader.u32()
  const ranges = readRanges(reader)
  return reader.done && ranges !== undefined ? { seq, budget, ranges } : undefined
}

/** `dataAck`: request number u53, complete up to u32, and what is missing before the furthest byte. */
export interface DataAck {
  readonly request: RequestNumber
  readonly contiguous: number
  readonly missing: readonly ByteRange[]
}

export function encodeDataAck(ack: DataAck): Uint8Array {
  return writeRanges(new Writer().u53(ack.request).u32(ack.contiguous), ack.missing).finish()
}

export function decodeDataAck(packet: Uint8Array): DataAck | undefined {
  const reader = new Reader(packet, HEADER_BYTES)
  const request = reader.u53()
  const contiguous = reader.u32()
  const missing = readRanges(reader)
  return reader.done && missing !== undefined ? { request, contiguous, missing } : undefined
}

function writeRanges(writer: Writer, ranges: readonly ByteRange[]): Writer {
  writer.u8(ranges.length)
  for (const { from, to } of ranges) writer.u32(from).u32(to)
  return writer
}

function readRanges(reader: Reader): ByteRange[] | undefined {
  const count = reader.u8()
  if (count > DATA_RANGES_MAX) return undefined
  const ranges: ByteRange[] = []
  for (let i = 0; i < count && !reader.bad; i++) {
    const from = reader.u32()
    const to = reader.u32()
    if (to <= from || from < (ranges.at(-1)?.to ?? 0)) return undefined
    ranges.push({ from, to })
  }
  return ranges
}

// ---- streams ------------------------------------------------------------------------------------------

/** Body: stream u32, purpose u8, total u32, offset u32, bytes. */
export const STREAM_HEAD_BYTES = 13
/** What a stream carries. Append only. */
export const StreamPurpose = { joinAnswer: 1, inspection: 2, vote: 3, result: 4 } as const
export type StreamPurpose = (typeof StreamPurpose)[keyof typeof StreamPurpose]

export interface StreamFragment {
  readonly stream: number
  readonly purpose: number
  readonly total: number
  readonly offset: number
  readonly bytes: Uint8Array
}

export function writeStreamFragment(packet: Uint8Array, fragment: StreamFragment): void {
  writeU32(packet, HEADER_BYTES, fragment.stream)
  packet[HEADER_BYTES + 4] = fragment.purpose
  writeU32(packet, HEADER_BYTES + 5, fragment.total)
  writeU32(packet, HEADER_BYTES + 9, fragment.offset)
  packet.set(fragment.bytes, HEADER_BYTES + STREAM_HEAD_BYTES)
}

export function readStreamFragment(packet: Uint8Array): StreamFragment | undefined {
  if (packet.length < HEADER_BYTES + STREAM_HEAD_BYTES) return undefined
  const total = readU32(packet, HEADER_BYTES + 5)
  const offset = readU32(packet, HEADER_BYTES + 9)
  const bytes = packet.subarray(HEADER_BYTES + STREAM_HEAD_BYTES)
  if (offset + bytes.length > total || (bytes.length === 0 && total > 0)) return undefined
  return { stream: readU32(packet, HEADER_BYTES), purpose: packet[HEADER_BYTES + 4]!, total, offset, bytes }
}

/** Body: stream u32, received u32. */
export const STREAM_ACK_BYTES = 8

/** The receiver of a stream holds the first `received` bytes of it. */
export function writeStreamAck(packet: Uint8Array, stream: number, received: number): void {
  writeU32(packet, HEADER_BYTES, stream)
  writeU32(packet, HEADER_BYTES + 4, received)
}

export function readStreamAck(packet: Uint8Array): { stream: number; received: number } | undefined {
  if (packet.length !== HEADER_BYTES + STREAM_ACK_BYTES) return undefined
  return { stream: readU32(packet, HEADER_BYTES), received: readU32(packet, HEADER_BYTES + 4) }
}

// ---- short notices ------------------------------------------------------------------------------------

/** `left`: the place of the leave, which is accepted. */
export function encodeLeft(seq: Seq): Uint8Array {
  return new Writer().u53(seq).finish()
}

export function decodeLeft(packet: Uint8Array): Seq | undefined {
  const reader = new Reader(packet, HEADER_BYTES)
  const seq = reader.u53()
  return reader.done ? seq : undefined
}

/** `slow`: members that the group waits for, all with the same `taken`, beyond which no room can be made. */
export interface SlowNotice {
  readonly taken: Seq
  /** How many messages that is behind the last one numbered. */
  readonly lagMessages: number
  readonly members: readonly MemberId[]
}

/** Of more members, the first are told. */
const SLOW_NAMED_MAX = 32

export function encodeSlow({ taken, lagMessages, members }: SlowNotice): Uint8Array {
  const named = members.slice(0, SLOW_NAMED_MAX)
  const writer = new Writer().u53(taken).u53(lagMessages).u16(named.length)
  for (const id of named) writer.u53(id)
  return writer.finish()
}

export function decodeSlow(packet: Uint8Array): SlowNotice | undefined {
  const reader = new Reader(packet, HEADER_BYTES)
  const taken = reader.u53()
  const lagMessages = reader.u53()
  const count = reader.u16()
  if (count > SLOW_NAMED_MAX) return undefined
  const members = Array.from({ length: count }, () => reader.u53())
  return reader.done ? { taken, lagMessages, members } : undefined
}
