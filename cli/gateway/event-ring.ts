/**
 * The last events of a group, kept so that readers can resume. Bounded in messages, bytes and age; the oldest go
 * first, whether anybody has read them or not: readers never hold up the group.
 *
 * Between two lives of the gateway in its group (an expulsion, and the way back) lies a seam: seqs rise within a life
 * only. `floor` of a life is the place right before its oldest kept event: its own join at first.
 */
import { Deque } from '../../kernel/deque.ts'
import { type Cursor, isSameView } from './cursor.ts'
import type { GapReason, GatewayEvent } from './events.ts'

export interface RingBounds {
  readonly messages: number
  /** Of the events' texts, and what belongs to them. */
  readonly bytes: number
  readonly ageMs: number
}

interface Kept {
  readonly event: GatewayEvent
  readonly seq: number
  readonly at: number
  /** As it stands in the ring's sum. */
  bytes: number
}

interface Life {
  /** Index of its first event. */
  readonly from: number
  floor: Cursor
}

/** Where a reader goes on. */
export type ResumePoint =
  | { readonly index: number; readonly gap?: { readonly reason: GapReason; readonly after: number } }
  /** The reader has seen more than this gateway: it has come from a faster one. */
  | 'ahead'

export class EventRing {
  private readonly bounds: RingBounds
  private readonly kept = new Deque<Kept>()
  private readonly lives: Life[]
  /** Index of the oldest kept event, counted since the beginning. */
  private first = 0
  private sum = 0
  private newest: Cursor

  constructor(floor: Cursor, bounds: RingBounds) {
    this.bounds = bounds
    this.lives = [{ from: 0, floor }]
    this.newest = floor
  }

  /** Indices of the oldest kept event, and behind the newest. */
  get start(): number {
    return this.first
  }

  get end(): number {
    return this.first + this.kept.length
  }

  get bytes(): number {
    return this.sum
  }

  /** The place of the newest event, or of the own join. */
  get last(): Cursor {
    return this.newest
  }

  /** The place right before the oldest kept event. */
  get floor(): Cursor {
    return this.lives[0]!.floor
  }

  push(event: GatewayEvent, now: number): void {
    const { bytes, cursor } = event
    const seq = cursor?.seq ?? this.newest.seq
    this.sum += bytes
    this.kept.push({ event, seq, at: now, bytes })
    if (cursor !== undefined) this.newest = cursor
    this.trim(now)
  }

  /** Where it turns out, before the first event in the order, that the own join was earlier. */
  rebase(floor: Cursor): void {
    this.lives[0]!.floor = floor
    this.newest = floor
  }

  /** A new life begins with its own join at `join`; `events` say so to those who read on. */
  restart(join: Cursor, events: readonly GatewayEvent[], now: number): void {
    this.newest = join
    this.lives.push({ from: this.end, floor: join })
    for (const event of events) this.push(event, now)
  }

  /** The event at `index`, which must be kept. */
  at(index: number): GatewayEvent {
    const kept = this.kept.at(index - this.first)!
    void kept.event.data
    this.sum += kept.event.bytes - kept.bytes
    kept.bytes = kept.event.bytes
    return kept.event
  }

  /** Lets go what is beyond the bounds. */
  trim(now: number): void {
    const { messages, bytes, ageMs } = this.bounds
    for (let oldest = this.kept.first(); oldest !== undefined; oldest = this.kept.first()) {
      const isBeyond = this.kept.length > messages || this.sum > bytes || now - oldest.at > ageMs
      if (!isBeyond) return
      this.kept.shift()
      this.first++
      this.sum -= oldest.bytes
      while (this.lives.length > 1 && this.lives[1]!.from <= this.first) this.lives.shift()
      const life = this.lives[0]!
      if (oldest.event.cursor !== undefined && life.from < this.first) life.floor = oldest.event.cursor
    }
  }

  /** Where a reader goes on that has received everything up to `cursor`, here or at another gateway. */
  resume(cursor: Cursor): ResumePoint {
    const lives = this.lives.filter(({ floor }) => floor.groupId === cursor.groupId)
    if (lives.length === 0) return this.gapAtStart('another-group', 0)
    const { newest } = this
    if (newest.groupId === cursor.groupId && this.isPlausiblyAhead(cursor)) return 'ahead'
    const life = lives.findLast(({ floor }) => floor.seq <= cursor.seq)
    if (life === undefined) return this.gapAtStart('too-old', cursor.seq)
    const end = this.lives[this.lives.indexOf(life) + 1]?.from ?? this.end
    const index = this.behindSeq(life, end, cursor.seq)
    const place = this.placeBefore(life, index)
    const isBeyondLife = end < this.end && index === end
    if (isSameView(place, cursor) || isBeyondLife) return { index }
    return this.afterCommonPart(life, end, cursor)
  }

  private gapAtStart(reason: GapReason, after: number): ResumePoint {
    return { index: this.first, gap: { reason, after } }
  }

  private isPlausiblyAhead(cursor: Cursor): boolean {
    const { newest } = this
    if (cursor.seq <= newest.seq) return cursor.incarnation > newest.incarnation
    return isSameView(cursor, newest) || cursor.incarnation > newest.incarnation
  }

  /** Index of the first event of the life after place `seq`; events beside the order belong to the place before. */
  private behindSeq(life: Life, end: number, seq: number): number {
    let low = Math.max(life.from, this.first)
    let high = end
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.kept.at(middle - this.first)!.seq <= seq) low = middle + 1
      else high = middle
    }
    // What came beside the order after that place is told again rather than left out.
    while (low > Math.max(life.from, this.first) && this.cursorAt(low - 1) === undefined) low--
    return low
  }

  private cursorAt(index: number): Cursor | undefined {
    return this.kept.at(index - this.first)?.event.cursor
  }

  /** The last place of the life before `index`. */
  private placeBefore(life: Life, index: number): Cursor {
    for (let i = index - 1; i >= Math.max(life.from, this.first); i--) {
      const cursor = this.cursorAt(i)
      if (cursor !== undefined) return cursor
    }
    return life.floor
  }

  /** The reader's line of events ended before its place; goes on behind the last event that both have. */
  private afterCommonPart(life: Life, end: number, cursor: Cursor): ResumePoint {
    for (let i = end - 1; i >= Math.max(life.from, this.first); i--) {
      const place = this.cursorAt(i)
      if (place === undefined || !isSameView(place, cursor)) continue
      return { index: i + 1, gap: { reason: 'other-order', after: place.seq } }
    }
    const from = Math.max(life.from, this.first)
    const after = isSameView(life.floor, cursor) ? life.floor.seq : 0
    return { index: from, gap: { reason: 'other-order', after } }
  }
}
