/**
 * What one member received in one run, in a form that members can compare. Of every message seq, sender, its sender's
 * count and its length go into one number: enough to see what was lost, repeated, or in another order, at a few
 * nanoseconds a message. Where a run does not count for the figures, every byte of the bodies is read as well.
 */
import { crc32 } from 'node:zlib'
import { recordOverhead } from '../kernel/block.ts'

const PRIME = 0x01000193
/** Odd numbers without a pattern, so that what one part of a message adds does not cancel another's. */
const OF_SENDER = 0x85ebca6b
const OF_COUNT = 0xc2b2ae35
const OF_LENGTH = 0x27d4eb2f

export class RunDigest {
  total = 0
  outOfOrder = 0
  lastSeq = 0
  private places = 0x811c9dc5
  private bytes = 0
  private readonly readsBodies: boolean
  private readonly gap: number
  /**
   * Bodies that are not in the CRC yet. Those of one array a few bytes apart go into it in one native call, with what
   * lies between them, which is the same at every member because blocks are immutable.
   */
  private stretch: Uint8Array | undefined
  private from = 0
  private to = 0
  /** Next count of each sender but the last; bounded by the members. */
  private readonly counts = new Map<number, number>()
  private lastSender = -1
  private nextCount = 0

  /** `gap`: bytes between two bodies in one array. */
  constructor(readsBodies: boolean, bodySize: number, gap = recordOverhead(0, bodySize)) {
    this.readsBodies = readsBodies
    this.gap = gap
  }

  add(seq: number, sender: number, body: Uint8Array): void {
    this.addFrom(seq, sender, body, 0, body.length)
  }

  /** A message that lies in `bytes` from `from` to `to`. */
  addFrom(seq: number, sender: number, bytes: Uint8Array, from: number, to: number): void {
    this.place(seq, sender, readCount(bytes, from), to - from)
    if (!this.readsBodies) return
    if (bytes !== this.stretch || from - this.to !== this.gap) {
      this.flush()
      this.stretch = bytes
      this.from = from
    }
    this.to = to
  }

  /** A message that is no bytes any more. */
  addCounted(seq: number, sender: number, count: number, text: string): void {
    this.place(seq, sender, count, text.length)
    if (this.readsBodies) this.bytes = crc32(text, this.bytes)
  }

  private place(seq: number, sender: number, count: number, length: number): void {
    if (sender !== this.lastSender) this.turnTo(sender)
    if (count !== this.nextCount) this.outOfOrder++
    this.nextCount = count + 1
    this.total++
    this.lastSeq = seq
    const message =
      seq + Math.imul(sender, OF_SENDER) + Math.imul(count, OF_COUNT) + Math.imul(length, OF_LENGTH)
    this.places = Math.imul(this.places ^ (message | 0), PRIME)
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
    if (this.stretch === undefined) return
    this.bytes = crc32(this.stretch.subarray(this.from, this.to), this.bytes)
    this.stretch = undefined
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
