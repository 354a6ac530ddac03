/**
 * What the sequencer must know of this member: what it holds and what its program has taken. Mostly that
 * rides on packets that go there anyway; a quiet member reports after Δt (paper, section 4.1), staggered by
 * rank, and at once when it is asked, or when it is the one that the group waits for.
 */
import type { Micros, Seq } from '../../kernel/identity.ts'
import type { OrderState } from '../../kernel/order-state.ts'
import type { Outbox } from '../../kernel/outbox.ts'
import { PacketKind } from '../../kernel/packet.ts'
import type { Timers } from '../../kernel/timers.ts'
import { rankAmongOthers, type Member as ViewMember } from '../../kernel/view.ts'

/** Between two reports of a member that the group may be waiting for. */
const HOLD_UP_SPACING: Micros = 500

export interface ReportsHost {
  state(): OrderState
  sequencer(): ViewMember | undefined
  isSequencer(): boolean
}

export class Reports {
  private reportedReceived: Seq = 0
  private reportedTaken: Seq = 0
  /** The sequencer waits for an ack of this seq. */
  private wanted: Seq = 0
  private reportedAt: Micros = 0
  private readonly outbox: Outbox
  private readonly timers: Timers
  private readonly host: ReportsHost
  private readonly quietAck: Micros

  constructor(parts: { outbox: Outbox; timers: Timers; host: ReportsHost }, options: { quietAck: Micros }) {
    this.outbox = parts.outbox
    this.timers = parts.timers
    this.host = parts.host
    this.quietAck = options.quietAck
  }

  /** The sequencer asks `ackers` of the lowest-ranked others for an ack of `seq`, or everybody for a report. */
  onAsked(seq: Seq, ackers: number, everybody: boolean): void {
    const state = this.host.state()
    if (everybody) this.timers.set('report', this.outbox.now)
    if (rankAmongOthers(state.latestView, this.outbox.identity.memberId) < ackers) {
      this.wanted = Math.max(this.wanted, seq)
      // what is held and reported already is reported again: the ack may have been lost
      if (state.history.received >= seq) this.timers.set('report', this.outbox.now)
    }
  }

  /** Something has been received or taken. */
  onProgress(): void {
    const state = this.host.state()
    if (this.host.isSequencer()) return
    const { received } = state.history
    const taken = Math.min(this.outbox.taken, received)
    if (received <= this.reportedReceived && taken <= this.reportedTaken) return
    const { now } = this.outbox
    if (this.wanted > this.reportedReceived && received >= this.wanted) {
      this.timers.set('report', now)
      return
    }
    const holdsUp = state.highest - this.reportedTaken >= state.parameters.historySize / 2
    if (holdsUp && taken > this.reportedTaken) {
      // the group may be waiting for this: say so at once, but not for every message that the program takes
      this.timers.setEarlier('report', Math.max(now, this.reportedAt + HOLD_UP_SPACING))
      return
    }
    if (!this.timers.isSet('report')) {
      const rank = rankAmongOthers(state.latestView, this.outbox.identity.memberId)
      this.timers.set('report', now + this.quietAck + Math.round((rank * this.quietAck) / 16))
    }
  }

  /** Any packet to the sequencer has carried the numbers. */
  onReported(): void {
    const state = this.host.state()
    this.reportedReceived = state.history.received
    this.reportedTaken = Math.min(this.outbox.taken, this.reportedReceived)
    this.reportedAt = this.outbox.now
    this.timers.stop('report')
  }

  /** The `report` timer has run out. */
  onTimer(): void {
    const sequencer = this.host.sequencer()
    if (sequencer === undefined || this.host.isSequencer()) return
    this.outbox.unicast(sequencer.address, this.outbox.packet(PacketKind.state, 0, sequencer.nonce, 0))
    this.onReported()
  }

  /** The new sequencer knows nothing of what the old one was told. */
  onNewSequencer(): void {
    this.reportedReceived = 0
    this.reportedTaken = 0
    this.onProgress()
  }
}
