/**
 * An ordered block: consecutive messages of one origin under consecutive request numbers, or one view
 * change. Immutable and self-contained; its place in the order and its accepted mark stand outside, so
 * that the same bytes serve the request, the broadcast, the history, repair, and later relays and logs
 * (design 4.2). A block passes through the sequencer without being parsed message by message: the
 * header says how many places it takes.
 *
 *   0       1       2       3       4               8
 *   +-------+-------+-------+-------+---------------+
 *   | kind  | flags |     count     |    length     |   length: bytes of the whole block, header included
 *   +-------+-------+-------+-------+---------------+
 *   |            member (who sends or forwards)     |   8 bytes
 *   +-----------------------------------------------+
 *   |            first request number               |   8 bytes
 *   +-----------------------------------------------+
 *   |            session, only with flag SESSION    |   8 bytes: the origin is a client session
 *   +-----------------------------------------------+
 *   |            records                            |
 *
 * A record of a message block: channel (1 byte, 0 for programs), header length and body length (LEB128,
 * at most 5 bytes each), header, body. Numbers are big-endian.
 */
import { assert } from './assert.ts'
import { NO_BYTES, readU32, readU53, readU64, writeU32, writeU53 } from './bytes.ts'
import type { MemberId, RequestNumber } from './identity.ts'

/** Append only: these numbers are on the wire. */
export const BlockKind = { messages: 1, join: 2, leave: 3, result: 4, settings: 5 } as const
export type BlockKind = (typeof BlockKind)[keyof typeof BlockKind]

/** What the one-byte channel of a record means. Append only. */
export const Channel = { program: 0, stateTransfer: 1, rpc: 2, locks: 3, maps: 4, settings: 5 } as const

const BLOCK_FLAG_SESSION = 1
export const BLOCK_HEADER_BYTES = 24
const SESSION_BYTES = 8
export const BLOCK_COUNT_MAX = 0xffff

export interface BlockHeader {
  readonly kind: BlockKind
  /** How many places in the order the block takes: its messages, or 1. */
  readonly count: number
  /** Bytes of the whole block. */
  readonly length: number
  readonly member: MemberId
  readonly firstRequest: RequestNumber
  /** 64-bit client session that the member forwards for, if it is not the member itself. */
  readonly session: bigint | undefined
  /** Where the records begin. */
  readonly recordsAt: number
}

/**
 * Reads the header of the block at `at`; undefined if it is cut short or cannot be one. The records may
 * lie elsewhere (an order by reference names a block by its header alone).
 */
export function readBlockHeader(bytes: Uint8Array, at: number): BlockHeader | undefined {
  if (at + BLOCK_HEADER_BYTES > bytes.length) return undefined
  const kind = bytes[at]!
  const flags = bytes[at + 1]!
  const count = (bytes[at + 2]! << 8) | bytes[at + 3]!
  const length = readU32(bytes, at + 4)
  const member = readU53(bytes, at + 8)
  const firstRequest = readU53(bytes, at + 16)
  if (kind < BlockKind.messages || kind > BlockKind.settings || (flags & ~BLOCK_FLAG_SESSION) !== 0)
    return undefined
  if (count === 0 || (kind !== BlockKind.messages && count !== 1)) return undefined
  if (member < 0 || firstRequest < 0 || firstRequest + count > Number.MAX_SAFE_INTEGER) return undefined
  const hasSession = (flags & BLOCK_FLAG_SESSION) !== 0
  const headerBytes = BLOCK_HEADER_BYTES + (hasSession ? SESSION_BYTES : 0)
  if (at + headerBytes > bytes.length || length < headerBytes) return undefined
  const session = hasSession ? readU64(bytes, at + BLOCK_HEADER_BYTES) : undefined
  return { kind: kind as BlockKind, count, length, member, firstRequest, session, recordsAt: headerBytes }
}

/** The header of a block of this kind that is here whole, with nothing behind it; undefined for anything else. */
export function headerOfWhole(block: Uint8Array, kind: BlockKind): BlockHeader | undefined {
  const header = readBlockHeader(block, 0)
  return header?.kind === kind && header.length === block.length ? header : undefined
}

/** Writes a block header at `at`. Blocks of the member itself carry no session. */
export function writeBlockHeader(
  bytes: Uint8Array,
  at: number,
  header: { kind: BlockKind; count: number; length: number; member: MemberId; firstRequest: RequestNumber },
): void {
  assert(header.count > 0 && header.count <= BLOCK_COUNT_MAX, 'a block has 1 to 65535 records', header.count)
  bytes[at] = header.kind
  bytes[at + 1] = 0
  bytes[at + 2] = header.count >>> 8
  bytes[at + 3] = header.count & 0xff
  writeU32(bytes, at + 4, header.length)
  writeU53(bytes, at + 8, header.member)
  writeU53(bytes, at + 16, header.firstRequest)
}

/** A block that is no messages: it takes one place, and `payload` is all that stands in it. */
export function blockAround(
  kind: BlockKind,
  member: MemberId,
  request: RequestNumber,
  payload: Uint8Array,
): Uint8Array {
  const length = BLOCK_HEADER_BYTES + payload.length
  const block = new Uint8Array(length)
  writeBlockHeader(block, 0, { kind, count: 1, length, member, firstRequest: request })
  block.set(payload, BLOCK_HEADER_BYTES)
  return block
}

/** Bytes that a record takes beside header and body. */
export function recordOverhead(headerLength: number, bodyLength: number): number {
  return 1 + lebBytes(headerLength) + lebBytes(bodyLength)
}

/** Writes one record at `at` and returns where the next begins. */
export function writeRecord(
  bytes: Uint8Array,
  at: number,
  channel: number,
  header: Uint8Array,
  body: Uint8Array,
): number {
  bytes[at++] = channel
  at = writeLeb(bytes, at, header.length)
  at = writeLeb(bytes, at, body.length)
  if (header.length > 0) {
    bytes.set(header, at)
    at += header.length
  }
  bytes.set(body, at)
  return at + body.length
}

/** One message inside a block; header and body are views into it. */
export interface MessageRecord {
  readonly channel: number
  readonly header: Uint8Array
  readonly body: Uint8Array
}

/**
 * Walks the records of a message block, without an object for each. `next()` is false at the end, and also at the
 * first record that does not fit: every member parses the same bytes, hence stops at the same place.
 */
export class RecordCursor {
  readonly bytes: Uint8Array
  /** The record that it stands at: its header lies at `headerAt` to `bodyAt`, its body from there to `end`. */
  channel = 0
  headerAt = 0
  bodyAt = 0
  end: number
  private left: number

  constructor(block: Uint8Array) {
    const header = readBlockHeader(block, 0)
    assert(header !== undefined && header.length === block.length, 'records are read from one whole block')
    this.bytes = block
    this.end = header.recordsAt
    this.left = header.kind === BlockKind.messages ? header.count : 1
  }

  next(): boolean {
    if (this.left === 0) return false
    const { bytes } = this
    let at = this.end
    if (at >= bytes.length) return this.stop()
    const channel = bytes[at++]!
    let headerLength = bytes[at++] ?? 0
    if (headerLength >= 0x80) {
      const rest = readLebRest(bytes, at, headerLength)
      if (rest === undefined) return this.stop()
      headerLength = rest.value
      at = rest.at
    }
    let bodyLength = bytes[at++] ?? 0
    if (bodyLength >= 0x80) {
      const rest = readLebRest(bytes, at, bodyLength)
      if (rest === undefined) return this.stop()
      bodyLength = rest.value
      at = rest.at
    }
    const end = at + headerLength + bodyLength
    if (end > bytes.length) return this.stop()
    this.left--
    this.channel = channel
    this.headerAt = at
    this.bodyAt = at + headerLength
    this.end = end
    return true
  }

  /** Whether every byte of the block has been read. */
  get isAtEnd(): boolean {
    return this.left === 0 && this.end === this.bytes.length
  }

  private stop(): false {
    this.left = 0
    return false
  }
}

/** The same with an object for each record; `next()` is undefined where the cursor's is false. */
export class RecordReader {
  private readonly cursor: RecordCursor

  constructor(block: Uint8Array) {
    this.cursor = new RecordCursor(block)
  }

  next(): MessageRecord | undefined {
    const { cursor } = this
    if (!cursor.next()) return undefined
    const { bytes, channel, headerAt, bodyAt, end } = cursor
    const header = headerAt === bodyAt ? NO_BYTES : bytes.subarray(headerAt, bodyAt)
    return { channel, header, body: bytes.subarray(bodyAt, end) }
  }
}

/** Whether the records of a message block are exactly as many and as long as its header says. */
export function isWellFormed(block: Uint8Array): boolean {
  const header = readBlockHeader(block, 0)
  if (header === undefined || header.length !== block.length) return false
  if (header.kind !== BlockKind.messages) return true
  const cursor = new RecordCursor(block)
  for (let i = 0; i < header.count; i++) if (!cursor.next()) return false
  return cursor.isAtEnd
}

function lebBytes(value: number): number {
  if (value < 0x80) return 1
  if (value < 0x4000) return 2
  if (value < 0x200000) return 3
  return value < 0x10000000 ? 4 : 5
}

function writeLeb(bytes: Uint8Array, at: number, value: number): number {
  while (value >= 0x80) {
    bytes[at++] = (value & 0x7f) | 0x80
    value = Math.floor(value / 128)
  }
  bytes[at++] = value
  return at
}

function readLebRest(
  bytes: Uint8Array,
  at: number,
  first: number,
): { value: number; at: number } | undefined {
  let value = first & 0x7f
  let scale = 128
  for (let i = 1; i < 5; i++) {
    const byte = bytes[at++]
    if (byte === undefined) return undefined
    value += (byte & 0x7f) * scale
    if (byte < 0x80) return { value, at }
    scale *= 128
  }
  return undefined
}
