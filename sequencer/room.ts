/**
 * Whether the next event may be numbered: flow control (design 4.9). Nothing is ever thrown away to make
 * room; requests wait, and their senders with them (I10).
 */
import { Deque } from '../kernel/deque.ts'
import { RESERVED_SLOTS } from '../kernel/history.ts'
import type { Micros, Seq } from '../kernel/identity.ts'
import type { OrderState } from '../kernel/order-state.ts'
import type { ProgressTable } from './progress.ts'

/** A broadcast that some member is not known to have received. */
interface Flight {
  /** Of its last message. */
  readonly seq: Seq
  /** In the packet, and in packets in which its senders have broadcast blocks themselves. */
  readonly bytes: number
  /** Of blocks of the sequencer's own program. */
  readonly ownBytes: number
  readonly hasOthers: boolean
}

export class Room {
  /** BOUNDED by the history. */
  private readonly flight = new Deque<Flight>()
  private flightBytes = 0
  private ownFlightBytes = 0
  /** Broadcasts in flight with blocks of others. */
  private othersFlights = 0
  private bytesSinceReport = 0
  private seqAtReport: Seq
  private spreadBytes = 0
  private spreadAskedAt: Micros | undefined
  private readonly state: OrderState
  private readonly progress: ProgressTable

  constructor(state: OrderState, progress: ProgressTable) {
    this.state = state
    this.progress = progress
    this.seqAtReport = state.history.received
  }

  /**
   * Whether `count` messages of `bytes` bytes together, `wireBytes` in the broadcast, fit into every member's
   * history and window. A single block always fits into an empty one: whatever the limits are, the group must
   * be able to go on.
   */
  fits(count: number, bytes: number, wireBytes: number, isSingle: boolean): boolean {
    if ((this.flightBytes > 0 || !isSingle) && this.flightBytes + wireBytes > this.window()) return false
    return this.hasHistory(count, bytes, isSingle)
  }

  /** Whether they fit into the history, which members that do not receive keep full. */
  hasHistory(count: number, bytes: number, isSingle: boolean): boolean {
    const { history, parameters } = this.state
    if (history.received === history.stable && isSingle) return true
    if (history.received + count - history.stable > parameters.historySize) return false
    return history.bytes + bytes <= parameters.historyBytes
  }

  /** View changes may use slots that messages may not. */
  fitsChange(): boolean {
    const { history, parameters } = this.state
    return history.received + 1 - history.stable <= parameters.historySize + RESERVED_SLOTS
  }

  /** The smallest receive buffer among the members bounds what may be in flight (the audience of broadcasts). */
  private window(): number {
    return this.progress.leastWindow(this.state.latestView.members)
  }

  sent(flight: Flight): void {
    this.flight.push(flight)
    this.flightBytes += flight.bytes
    this.ownFlightBytes += flight.ownBytes
    if (flight.hasOthers) this.othersFlights++
    this.bytesSinceReport += flight.bytes
  }

  /**
   * Whether the sequencer's own program has its share under way, and others use theirs. A member's window is used
   * until its requests have come back numbered; the sequencer's own have their numbers at once, and would leave the
   * others next to nothing of the rate (five sixths were its own, with all sending what they could).
   */
  isOwnShareUsed(share: number, othersWait: boolean): boolean {
    return this.ownFlightBytes >= share && (othersWait || this.othersFlights > 0)
  }

  /**
   * Data spread apart from its order, which no seq acknowledges: after half a window of it everybody is asked
   * for a report, and a report sent later means that everything before it has left the socket. After less of it, `share`,
   * where the others have a share, too.
   */
  spreadCredit(share: number): number {
    return this.spreadAskedAt === undefined ? Math.max(1, this.spreadLimit(share) - this.spreadBytes) : 0
  }

  private spreadLimit(share: number): number {
    return Math.min(this.window() / 2, share)
  }

  /** True when it is time to ask for reports. */
  spread(bytes: number, share: number, now: Micros): boolean {
    this.spreadBytes += bytes
    if (this.spreadBytes < this.spreadLimit(share) || this.spreadAskedAt !== undefined) return false
    this.spreadAskedAt = now
    return true
  }

  get waitsForSpread(): boolean {
    return this.spreadAskedAt !== undefined
  }

  /** Who has not reported since then keeps what was spread from having landed. */
  get waitsSince(): Micros {
    return this.spreadAskedAt ?? Number.POSITIVE_INFINITY
  }

  /** Everybody has reported since then: what was spread before everybody was asked has landed. True if that gives new credit. */
  spreadLanded(reportedSince: Micros): boolean {
    if (this.spreadAskedAt === undefined || reportedSince <= this.spreadAskedAt) return false
    this.spreadAskedAt = undefined
    this.spreadBytes = 0
    return true
  }

  /** Everybody has received up to `seq`. True if that is news. */
  landed(seq: Seq): boolean {
    const { length } = this.flight
    for (
      let first = this.flight.first();
      first !== undefined && first.seq <= seq;
      first = this.flight.first()
    ) {
      this.flight.shift()
      this.flightBytes -= first.bytes
      this.ownFlightBytes -= first.ownBytes
      if (first.hasOthers) this.othersFlights--
    }
    return this.flight.length < length
  }

  /** Whether the next broadcast should ask everybody for a report, before something runs full. */
  wantsReport(): boolean {
    const { history, parameters } = this.state
    const due =
      history.received - this.seqAtReport >= Math.max(1, parameters.historySize / 4) ||
      this.bytesSinceReport >= Math.min(this.window(), parameters.historyBytes) / 4
    if (due) this.reportAsked()
    return due
  }

  reportAsked(): void {
    this.seqAtReport = this.state.history.received
    this.bytesSinceReport = 0
  }
}
