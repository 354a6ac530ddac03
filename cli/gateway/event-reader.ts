/**
 * One reader of a group's events: a place in the ring, and a sink that takes what its client can receive. It keeps no
 * events of its own beside one piece in its connection's buffer. A client that does not keep up is cut off: when its
 * place has left the ring (which is bounded in messages, bytes and age), or when its connection has taken nothing for
 * `stuckMs`. It may come back with the last id that it has received.
 */
import type { Cursor } from './cursor.ts'
import type { EventRing, ResumePoint } from './event-ring.ts'
import { type GapData, type GapReason, type GatewayEvent, plainEvent } from './events.ts'

/** A connection that carries events one way. */
export interface Sink {
  /** Hands on events; false if the connection is full. Then nothing more is written until `ready` is called. */
  write(events: readonly GatewayEvent[]): boolean
  /** A sign of life, which is no event. */
  heartbeat(): void
  /** Ends the connection in order. */
  end(): void
  /** Ends it at once. */
  destroy(): void
}

/** Where to begin: behind a place, with the oldest kept event, or with what comes from now on. */
export type Start = Cursor | 'oldest' | 'now'

/** Bytes handed to a sink at once, save that one event is never cut. */
const CHUNK_BYTES = 65_536
/** How long a reader's place may be beyond this gateway's before it is taken for a mistake. */
const AHEAD_MS = 10_000

export class EventReader {
  private readonly ring: EventRing
  private readonly sink: Sink
  private readonly stuckMs: number
  private readonly onCut: (reason: string) => void
  private next: number
  /** The place of a reader that has seen more than this gateway, and since when. */
  private ahead: { readonly cursor: Cursor; readonly since: number } | undefined
  private blockedSince: number | undefined
  private isOver = false

  /** `onCut` is called once if the reader is cut off. `opening` is told in the first event. */
  constructor(
    ring: EventRing,
    sink: Sink,
    options: {
      readonly stuckMs: number
      readonly start: Start
      readonly opening: object
      readonly now: number
      onCut(reason: string): void
    },
  ) {
    this.ring = ring
    this.sink = sink
    this.stuckMs = options.stuckMs
    this.onCut = options.onCut
    this.next = ring.end
    this.begin(options.start, options.opening, options.now)
  }

  /** Events that wait in the ring. */
  get behind(): number {
    return Math.max(0, this.ring.end - this.next)
  }

  /** Hands on what is new, as far as the connection takes it. */
  pump(now: number): void {
    if (this.isOver) return
    if (this.ahead !== undefined && !this.hasCaughtUp(now)) return
    if (this.next < this.ring.start) return this.cut('its place has left the ring')
    while (this.blockedSince === undefined && this.next < this.ring.end) {
      const chunk: GatewayEvent[] = []
      let bytes = 0
      while (this.next < this.ring.end && bytes < CHUNK_BYTES) {
        const event = this.ring.at(this.next++)
        chunk.push(event)
        bytes += event.bytes
      }
      this.write(chunk, now)
    }
  }

  /** The connection has room again. */
  ready(now: number): void {
    this.blockedSince = undefined
    this.pump(now)
  }

  /** To be called now and then: time passes for clients that take nothing, too. */
  check(now: number): void {
    if (this.isOver) return
    const { blockedSince } = this
    if (blockedSince !== undefined && now - blockedSince > this.stuckMs) {
      return this.cut(`its connection has taken nothing for ${now - blockedSince} ms`)
    }
    this.pump(now)
  }

  heartbeat(): void {
    if (!this.isOver && this.blockedSince === undefined) this.sink.heartbeat()
  }

  /** Ends the stream with a last event. */
  finish(data: { readonly reason: string; readonly code?: string }): void {
    if (this.isOver) return
    this.isOver = true
    this.sink.write([plainEvent('end', data)])
    this.sink.end()
  }

  /** The client has gone. */
  stop(): void {
    this.isOver = true
  }

  private begin(start: Start, opening: object, now: number): void {
    const { ring } = this
    if (start === 'now' || start === 'oldest') {
      this.next = start === 'now' ? ring.end : ring.start
      this.write([plainEvent('open', opening, start === 'now' ? ring.last : ring.floor)], now)
      return
    }
    const point = ring.resume(start)
    this.write([plainEvent('open', opening, isWithoutGap(point) ? start : undefined)], now)
    if (point === 'ahead') this.ahead = { cursor: start, since: now }
    else this.goOnAt(point, now)
  }

  private goOnAt({ index, gap }: Exclude<ResumePoint, 'ahead'>, now: number): void {
    this.next = index
    if (gap !== undefined) this.tellGap(gap.reason, gap.after, now)
  }

  private tellGap(reason: GapReason, after: number, now: number): void {
    const { ring, next } = this
    let following: GatewayEvent | undefined
    for (let i = next; i < ring.end && following?.cursor === undefined; i++) following = ring.at(i)
    const data: GapData = { reason, after, before: following?.cursor?.seq ?? null }
    this.write([plainEvent('gap', data)], now)
  }

  /** Whether this gateway has come as far as the reader; then the reader has a place in the ring. */
  private hasCaughtUp(now: number): boolean {
    const { cursor, since } = this.ahead!
    const point = this.ring.resume(cursor)
    if (point !== 'ahead') {
      this.ahead = undefined
      this.goOnAt(point, now)
      return true
    }
    if (now - since < AHEAD_MS) return false
    this.ahead = undefined
    this.next = this.ring.end
    this.tellGap('unknown-place', 0, now)
    return true
  }

  private write(events: readonly GatewayEvent[], now: number): void {
    if (!this.sink.write(events)) this.blockedSince ??= now
  }

  private cut(reason: string): void {
    this.isOver = true
    this.sink.destroy()
    this.onCut(reason)
  }
}

function isWithoutGap(point: ResumePoint): boolean {
  return point === 'ahead' || point.gap === undefined
}
