/**
 * The history buffer (paper, section 4.1): the last ordered entries, kept until every member has taken
 * them. An entry is one block and takes `count` places in the order. Three regions:
 *
 *     stable      contiguous, here and complete        received     early: beyond a gap
 *   ----+-----------------------------------------------+---- - -  [ ] - - [ ] ----
 *       | entry | entry | entry | entry | entry | entry |
 *
 * What is at or below `stable` is gone. Only contiguous entries are *held* (design section 1): held is what
 * is acked, voted, served to others and delivered.
 *
 * BOUNDED: the sequencer numbers nothing beyond `historySize` messages and `historyBytes` bytes above the
 * least taken seq (plus a few slots reserved for view changes), and entries beyond that are refused here: in bytes what does
 * not fit into twice as many, since a member may hear late of what has become free.
 */
import { assert } from './assert.ts'
import { BlockKind } from './block.ts'
import { Deque } from './deque.ts'
import type { MemberId, RequestNumber, Seq } from './identity.ts'

export interface Entry {
  /** Its first place in the order. */
  readonly seq: Seq
  /** How many places it takes. */
  readonly count: number
  readonly kind: BlockKind
  readonly member: MemberId
  readonly firstRequest: RequestNumber
  readonly block: Uint8Array
  /** It was spread apart from its order: its broadcast names it by its header. */
  readonly isSpread?: boolean
}

/** An entry whose order is known and whose block is not here, or not whole. */
export type PlacedEntry = Omit<Entry, 'block'> & { readonly length: number }

export function lastSeqOf(entry: { readonly seq: Seq; readonly count: number }): Seq {
  return entry.seq + entry.count - 1
}

export interface SeqRange {
  readonly from: Seq
  readonly to: Seq
}

/** Slots above `historySize` that only view changes may use, so that a full history never stops one. */
export const RESERVED_SLOTS = 16
/** Bytes of a change of view: a result names all members, whatever the size of messages is. */
export const CHANGE_BYTES_MAX = 1024 * 1024
/** Bytes for the changes in these slots, beside those of messages. */
const RESERVED_BYTES = RESERVED_SLOTS * CHANGE_BYTES_MAX

export class History {
  /** Everything at or below it is taken by all and gone from here. */
  stable: Seq
  /** Highest contiguous seq held. */
  received: Seq
  bytes = 0
  private readonly held = new Deque<Entry>()
  /** By first seq. BOUNDED by `limit`. */
  private readonly early = new Map<Seq, Entry>()
  /** Order known, data missing; by first seq. BOUNDED by `limit`. */
  private readonly placed = new Map<Seq, PlacedEntry>()
  /** Of the blocks of placed entries, which are not here: as soon as bytes of them come, they are. */
  private placedBytes = 0
  private readonly sizeLimit: number
  private readonly bytesLimit: number

  constructor(start: Seq, sizeLimit: number, bytesLimit: number) {
    this.stable = start
    this.received = start
    this.sizeLimit = sizeLimit + RESERVED_SLOTS
    this.bytesLimit = bytesLimit
  }

  /** Messages kept, those beyond a gap included. */
  get messages(): number {
    let messages = this.received - Math.max(this.stable, (this.held.first()?.seq ?? this.received + 1) - 1)
    for (const entry of this.early.values()) messages += entry.count
    for (const entry of this.placed.values()) messages += entry.count
    return messages
  }

  /** Puts the next entry behind the last held one. */
  append(entry: Entry): void {
    assert(entry.seq === this.received + 1, 'held entries are contiguous', entry.seq, this.received)
    this.held.push(entry)
    this.received = lastSeqOf(entry)
    this.bytes += entry.block.length
  }

  /**
   * Takes an entry from the network, wherever it belongs. False if there is nothing to do with it: it is
   * here already, or it lies beyond what anybody may have numbered.
   */
  offer(entry: Entry): boolean {
    if (entry.seq <= this.received || this.early.has(entry.seq)) return false
    if (this.placed.has(entry.seq)) {
      this.fill(entry.seq, entry)
      return true
    }
    if (lastSeqOf(entry) > this.stable + this.sizeLimit || !this.hasBytesFor(entry)) return false
    if (entry.seq === this.received + 1) {
      this.append(entry)
      return true
    }
    this.early.set(entry.seq, entry)
    this.bytes += entry.block.length
    return true
  }

  /** Takes the order of an entry whose block is not here yet; false as for `offer`. */
  place(entry: PlacedEntry): boolean {
    if (entry.seq <= this.received || this.early.has(entry.seq) || this.placed.has(entry.seq)) return false
    if (lastSeqOf(entry) > this.stable + this.sizeLimit) return false
    // an honest sequencer stays inside; of one that names more than fits the next one is believed, as far as there is room for that
    const isNext = entry.seq === this.received + 1
    if (this.bytes + (isNext ? 0 : this.placedBytes) + entry.length > this.bytesLimitOf(entry.kind))
      return false
    this.placed.set(entry.seq, entry)
    this.placedBytes += entry.length
    return true
  }

  /**
   * Whether there is room for the bytes of an entry. (The next one was always taken, and five hundred forged orders with 60 kB
   * each made a member with 8 KiB of history keep 30 MB.)
   */
  hasBytesFor({ kind, block }: Entry): boolean {
    return this.bytes + block.length <= this.bytesLimitOf(kind)
  }

  private bytesLimitOf(kind: BlockKind): number {
    return kind === BlockKind.messages ? this.bytesLimit : this.bytesLimit + RESERVED_BYTES
  }

  /** Whether an entry that begins at `seq` would bring nothing new. */
  has(seq: Seq): boolean {
    return seq <= this.received || this.early.has(seq)
  }

  placedAt(seq: Seq): PlacedEntry | undefined {
    return this.placed.get(seq)
  }

  /** The block of a placed entry has come. */
  private fill(seq: Seq, entry: Entry): void {
    this.unplace(seq)
    if (seq === this.received + 1) this.append(entry)
    else {
      this.early.set(seq, entry)
      this.bytes += entry.block.length
    }
  }

  private unplace(seq: Seq): void {
    const entry = this.placed.get(seq)
    if (entry === undefined) return
    this.placed.delete(seq)
    this.placedBytes -= entry.length
  }

  /** Placed entries of more than `wholeBytes`, lowest first. */
  lacking(wholeBytes: number): PlacedEntry[] {
    return [...this.placed.values()].filter(({ length }) => length > wholeBytes).sort((a, b) => a.seq - b.seq)
  }

  /** Moves the next early entry behind the held ones, if there is no gap before it any more. */
  joinEarly(): Entry | undefined {
    const entry = this.early.get(this.received + 1)
    if (entry === undefined) {
      this.forgetPassed()
      return undefined
    }
    this.early.delete(entry.seq)
    this.bytes -= entry.block.length
    this.append(entry)
    return entry
  }

  /** Early entries that others have overlapped (only a forged packet makes such) are of no use to anybody. */
  private forgetPassed(): void {
    for (const [seq, entry] of this.early) {
      if (seq > this.received) continue
      this.early.delete(seq)
      this.bytes -= entry.block.length
    }
    for (const seq of this.placed.keys()) if (seq <= this.received) this.unplace(seq)
  }

  get hasEarly(): boolean {
    return this.early.size > 0
  }

  /**
   * What is missing up to `highest`, lowest first, at most `most` ranges. Placed entries are no gaps, but for
   * those of up to `wholeBytes`: these are asked for whole.
   */
  missing(highest: Seq, most: number, wholeBytes: number): SeqRange[] {
    if (this.received >= highest) return []
    if (!this.hasEarly && this.placed.size === 0) return [{ from: this.received + 1, to: highest }]
    const ranges: SeqRange[] = []
    let next = this.received + 1
    const known = [...this.early.values(), ...this.lacking(wholeBytes)].sort((a, b) => a.seq - b.seq)
    for (const entry of known) {
      if (ranges.length === most || next > highest) return ranges
      if (entry.seq > next) ranges.push({ from: next, to: Math.min(entry.seq - 1, highest) })
      next = lastSeqOf(entry) + 1
    }
    if (next <= highest && ranges.length < most) ranges.push({ from: next, to: highest })
    return ranges
  }

  /** The held entry that takes place `seq`, if it is still here. */
  entryAt(seq: Seq): Entry | undefined {
    const index = this.indexOf(seq)
    return index < 0 ? undefined : this.held.at(index)
  }

  /** Held entries from the one at `seq` on. */
  *entriesFrom(seq: Seq): Generator<Entry> {
    for (let index = this.indexOf(seq); index >= 0 && index < this.held.length; index++)
      yield this.held.at(index)!
  }

  private indexOf(seq: Seq): number {
    if (seq > this.received) return -1
    let low = 0
    let high = this.held.length - 1
    // mostly the last one is wanted
    if (high >= 0 && seq >= this.held.at(high)!.seq) return high
    while (low <= high) {
      const middle = (low + high) >>> 1
      const entry = this.held.at(middle)!
      if (seq < entry.seq) high = middle - 1
      else if (seq > lastSeqOf(entry)) low = middle + 1
      else return middle
    }
    return -1
  }

  /** Takes out what is held above `seq`, and gives it, the last first; of what came early nothing is kept. */
  dropAbove(seq: Seq): Entry[] {
    const dropped: Entry[] = []
    for (let last = this.held.last(); last !== undefined && last.seq > seq; last = this.held.last()) {
      this.held.pop()
      this.bytes -= last.block.length
      this.received = last.seq - 1
      dropped.push(last)
    }
    assert(this.received <= seq || dropped.length === 0, 'entries are dropped whole', seq, this.received)
    for (const entry of this.early.values()) this.bytes -= entry.block.length
    this.early.clear()
    this.placed.clear()
    this.placedBytes = 0
    return dropped
  }

  /**
   * Frees what every member has taken. Stable stays at the end of an entry, though a program may have taken
   * half of one: a joiner begins to fetch there, and half an entry cannot be fetched.
   */
  release(taken: Seq): void {
    assert(taken <= this.received, 'only what is held can be stable', taken, this.received)
    for (
      let entry = this.held.first();
      entry !== undefined && lastSeqOf(entry) <= taken;
      entry = this.held.first()
    ) {
      this.held.shift()
      this.bytes -= entry.block.length
      this.stable = lastSeqOf(entry)
    }
    // (a block whose memory the program has transferred away has no length any more)
    if (this.held.length === 0 && this.early.size === 0) this.bytes = 0
  }
}
