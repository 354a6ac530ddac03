/**
 * What the sequencer must know of this member: what it holds and what its program has taken. Mostly that
 * rides on packets that go there anyway; a quiet member reports after Δt (paper, section 4.1), staggered by
 * rank, and at once when it is asked, or when it is the one that the group waits for.
 *
 * A report of every quiet member after each lone message would be as many packets at the sequencer as the group has
 * members. So in a larger group each broadcast makes it the turn of a few only, by its place, and these wait longer:
 * so many reports a broadcast, and so many in each Δt, whatever the members. What nobody tells meanwhile is no more
 * than the sequencer lets grow before it asks everybody; in an idle group it is told when members are probed.
 */
import type { Micros, Seq } from '../../kernel/identity.ts'
import type { OrderState } from '../../kernel/order-state.ts'
import type { Outbox } from '../../kernel/outbox.ts'
import { PacketKind } from '../../kernel/packet.ts'
import type { Timers } from '../../kernel/timers.ts'
import { rankAmongOthers, type Member as ViewMember } from '../../kernel/view.ts'

/** Between two reports of a member that the group may be waiting for. */
const HOLD_UP_SPACING: Micros = 500
/** So few answers need no spreading; each of more comes so much later than the one before. */
const ANSWERS_AT_ONCE = 4
const ANSWER_SPACING: Micros = 50
/** So many quiet members report of their own accord for a broadcast, and in each Δt. */
const REPORTERS = 2

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
  private timesAsked = 0
  private reportedAt: Micros = 0
  /** It was this member's turn to report, or everybody was asked, and it has not told all it holds as taken since. */
  private hasTurn = false
  private wasAsked = true
  /** Everybody was asked: only a report of its own says that this member has heard that. */
  private owesAnswer = false
  private seenUpTo: Seq = 0
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

  /**
   * A broadcast, up to `seq`: the sequencer asks `ackers` of the lowest-ranked others for an ack, or everybody for a
   * report; or it may be this member's turn. One that `isAlone` has only official places before it: its ack goes at once,
   * while those for several that come in a turn are one packet at its end.
   */
  onAsked(seq: Seq, ackers: number, everybody: boolean, isAlone: boolean): void {
    const state = this.host.state()
    const { view } = state
    const rank = rankAmongOthers(state.latestView, this.outbox.identity.memberId)
    this.timesAsked++
    if (seq !== this.seenUpTo) {
      this.seenUpTo = seq
      // by the place, which all members know: exactly so many, and others the next time
      if ((rank + scattered(0, seq)) % this.turns === 0) this.hasTurn = true
    }
    if (everybody) {
      this.wasAsked = this.owesAnswer = true
      this.timers.setEarlier('report', this.outbox.now + this.stagger(rank, view.members.length))
    }
    if (rank >= ackers) return
    this.wanted = Math.max(this.wanted, seq)
    // what is held and reported already is reported again: the ack may have been lost
    if (state.history.received < seq) return
    const wait = this.stagger(rank, ackers)
    if (isAlone && wait === 0) this.onTimer()
    else this.timers.setEarlier('report', this.outbox.now + wait)
  }

  /**
   * Answers of many at the same moment overrun the sequencer's socket, and with equal distances it would be
   * the same member's answer that is lost each time (seen with 13 members and room for 8 packets: the group
   * stood still for ever). So answers are spread, each time in another way. (Rank and count added up are the same for
   * members that have joined one after the other, with one question in between: they all answered at one moment.)
   */
  private stagger(rank: number, asked: number): Micros {
    return asked <= ANSWERS_AT_ONCE ? 0 : (scattered(rank, this.timesAsked) % asked) * ANSWER_SPACING
  }

  /** It is everybody's turn once in so many broadcasts, on average. */
  private get turns(): number {
    return Math.max(1, Math.ceil((this.host.state().latestView.members.length - 1) / REPORTERS))
  }

  /** Whether it changes when the next report goes that the program has taken everything up to `seq`. */
  wouldReport(seq: Seq): boolean {
    if (seq <= this.reportedTaken) return false
    const state = this.host.state()
    if (state.highest - this.reportedTaken >= state.parameters.historySize / 2) return true
    return (this.hasTurn || this.wasAsked) && !this.timers.isSet('report')
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
      this.timers.setEarlier('report', now)
      return
    }
    const holdsUp = state.highest - this.reportedTaken >= state.parameters.historySize / 2
    if (holdsUp && taken > this.reportedTaken) {
      // the group may be waiting for this: say so at once, but not for every message that the program takes
      this.timers.setEarlier('report', Math.max(now, this.reportedAt + HOLD_UP_SPACING))
      return
    }
    if (!(this.hasTurn || this.wasAsked) || this.timers.isSet('report')) return
    const rank = rankAmongOthers(state.latestView, this.outbox.identity.memberId)
    const quiet = this.wasAsked ? this.quietAck : this.quietAck * this.turns
    this.timers.set('report', now + quiet + Math.round((rank * this.quietAck) / 16))
  }

  /** Any packet to the sequencer has carried the numbers; but where it has asked everybody, it is to have an answer of its own. */
  onReported(): void {
    if (this.owesAnswer) return
    const state = this.host.state()
    this.reportedReceived = state.history.received
    this.reportedTaken = Math.min(this.outbox.taken, this.reportedReceived)
    this.reportedAt = this.outbox.now
    if (this.reportedTaken === this.reportedReceived) this.hasTurn = this.wasAsked = false
    this.timers.stop('report')
  }

  /** The `report` timer has run out. */
  onTimer(): void {
    const sequencer = this.host.sequencer()
    this.owesAnswer = false
    if (sequencer === undefined || this.host.isSequencer()) return
    this.outbox.unicast(sequencer.address, this.outbox.packet(PacketKind.state, 0, sequencer.nonce, 0))
    this.onReported()
  }

  /** The new sequencer knows nothing of what the old one was told. */
  onNewSequencer(): void {
    this.reportedReceived = 0
    this.reportedTaken = 0
    this.wasAsked = true
    this.owesAnswer = false
    this.onProgress()
  }
}

/** The same two numbers give the same one, and neighbours have nothing in common. */
function scattered(rank: number, times: number): number {
  let mixed = Math.imul(rank + 1, 0x9e3779b1) ^ Math.imul(times + 1, 0x85ebca6b)
  mixed = Math.imul(mixed ^ (mixed >>> 15), 0x2c1b3c6d)
  return (mixed ^ (mixed >>> 12)) >>> 0
}
