/**
 * What one member received in one run, in a form that members can compare: one number over seq, sender and body
 * of every message, cheap enough to be kept at a million messages a second. The bodies of one block lie in one
 * buffer a few bytes apart; they go into the CRC in one native call, with the few bytes between them, which are
 * the same at every member because blocks are immutable.
 */
import { crc32 } from 'node:zlib'
import { recordOverhead } from '../kernel/block.ts'

const PRIME = 0x01000193

export class RunDigest {
  total = 0
  outOfOrder = 0
  lastSeq = 0
  private places = 0x811c9dc5
  private bytes = 0
  private readonly gap: number
  /** A stretch of bodies that are not in the CRC yet. */
  private buffer: ArrayBufferLike | undefined
  private from = 0
  private to = 0
  /** Next count of each sender but the last; bounded by the members. */
  private readonly counts = new Map<number, number>()
  private lastSender = -1
  private nextCount = 0

  /** `gap`: bytes between two bodies of one buffer. */
  constructor(bodySize: number, gap = recordOverhead(0, bodySize)) {
    this.gap = gap
  }

  add(seq: number, sender: number, body: Uint8Array): void {
    this.addFrom(seq, sender, body, 0, body.length)
  }

  /** A message that lies in `bytes` from `from` to `to`. */
  addFrom(seq: number, sender: number, bytes: Uint8Array, from: number, to: number): void {
    this.place(seq, sender, readCount(bytes, from))
    const { buffer, byteOffset } = bytes
    if (buffer !== this.buffer || byteOffset + from - this.to !== this.gap) {
      this.flush()
      this.buffer = buffer
      this.from = byteOffset + from
    }
    this.to = byteOffset + to
  }

  /** A message that is no bytes any more: by its count and its length. */
  addCounted(seq: number, sender: number, count: number, length: number): void {
    this.place(seq, sender, count)
    this.places = Math.imul(this.places ^ length, PRIME)
  }

  private place(seq: number, sender: number, count: number): void {
    if (sender !== this.lastSender) this.turnTo(sender)
    if (count !== this.nextCount) this.outOfOrder++
    this.nextCount = count + 1
    this.total++
    this.lastSeq = seq
    this.places = Math.imul(this.places ^ (seq | 0), PRIME)
    this.places = Math.imul(this.places ^ sender, PRIME)
  }

  /** Messages come in blocks of one sender. */
  private turnTo(sender: number): void {
    if (this.lastSender >= 0) this.counts.set(this.lastSender, this.nextCount)
    this.lastSender = sender
    this.nextCount = this.counts.get(sender) ?? 0
  }

  get bySender(): Record<string, number> {
    this.turnTo(-1)
    return Object.fromEntries(this.counts)
  }

  get value(): string {
    this.flush()
    return `${(this.places >>> 0).toString(16)}-${(this.bytes >>> 0).toString(16)}`
  }

  private flush(): void {
    if (this.buffer === undefined) return
    this.bytes = crc32(new Uint8Array(this.buffer, this.from, this.to - this.from), this.bytes)
    this.buffer = undefined
  }
}

/** A message begins with its sender's count of the messages of this run. */
export function writeCount(body: Uint8Array, count: number): void {
  body[0] = count
  body[1] = count >>> 8
  body[2] = count >>> 16
  body[3] = count >>> 24
}

function readCount(body: Uint8Array, at: number): number {
  return (body[at]! | (body[at + 1]! << 8) | (body[at + 2]! << 16) | (body[at + 3]! << 24)) >>> 0
}
