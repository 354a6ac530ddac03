/**
 * Whether the next event may be numbered: flow control (design 4.9). Nothing is ever thrown away to make
 * room; requests wait, and their senders with them (I10).
 */
import { Deque } from '../kernel/deque.ts'
import { RESERVED_SLOTS } from '../kernel/history.ts'
import type { Micros, Seq } from '../kernel/identity.ts'
import type { OrderState } from '../kernel/order-state.ts'
import type { ProgressTable } from './progress.ts'

export class Room {
  /** Broadcasts that some member is not known to have received. BOUNDED by the history. */
  private readonly flight = new Deque<{ seq: Seq; bytes: number }>()
  private flightBytes = 0
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
    const { history, parameters } = this.state
    if ((this.flightBytes > 0 || !isSingle) && this.flightBytes + wireBytes > this.window()) return false
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

  sent(lastSeq: Seq, bytes: number): void {
    this.flight.push({ seq: lastSeq, bytes })
    this.flightBytes += bytes
    this.bytesSinceReport += bytes
  }

  /**
   * Data spread apart from its order, which no seq acknowledges: after half a window of it everybody is asked
   * for a report, and a report sent later means that everything before it has left the socket.
   */
  get spreadCredit(): number {
    return this.spreadAskedAt === undefined ? Math.max(1, this.window() / 2 - this.spreadBytes) : 0
  }

  /** True when it is time to ask for reports. */
  spread(bytes: number, now: Micros): boolean {
    this.spreadBytes += bytes
    if (this.spreadBytes < this.window() / 2 || this.spreadAskedAt !== undefined) return false
    this.spreadAskedAt = now
    return true
  }

  get waitsForSpread(): boolean {
    return this.spreadAskedAt !== undefined
  }

  /** Everybody has been heard since `now`: what was spread before has landed. True if that gives new credit. */
  spreadLanded(heardSince: Micros): boolean {
    if (this.spreadAskedAt === undefined || heardSince <= this.spreadAskedAt) return false
    this.spreadAskedAt = undefined
    this.spreadBytes = 0
    return true
  }

  /** Everybody has received up to `seq`. */
  landed(seq: Seq): void {
    for (
      let first = this.flight.first();
      first !== undefined && first.seq <= seq;
      first = this.flight.first()
    ) {
      this.flight.shift()
      this.flightBytes -= first.bytes
    }
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
