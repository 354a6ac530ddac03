/**
 * Asking for what is missing (paper, section 4.1): a member that sees a later seq than the one it expects,
 * or hears of one, asks for exactly what it lacks; first the sequencer, then, unanswered, the others in
 * turn, because every member keeps a history.
 */
import type { Assembly } from '../../kernel/assembly.ts'
import type { PlacedEntry } from '../../kernel/history.ts'
import type { MemberId, Micros, RequestNumber, Seq } from '../../kernel/identity.ts'
import type { OrderState } from '../../kernel/order-state.ts'
import type { Outbox } from '../../kernel/outbox.ts'
import { PacketKind } from '../../kernel/packet.ts'
import { DATA_RANGES_MAX, encodeDataGap, GAP_RANGES_MAX, gapBytes, writeGap } from '../../kernel/packets.ts'
import type { RoundTrips } from '../../kernel/rtt.ts'
import type { Timers } from '../../kernel/timers.ts'
import type { Member as ViewMember } from '../../kernel/view.ts'
import { BUDGET_MAX } from '../../sequencer/repair.ts'

/** Unanswered tries before somebody else than the sequencer is asked. */
const TRIES_AT_SEQUENCER = 2
/** Unanswered tries before small blocks are asked for by their bytes, too. */
const TRIES_FOR_WHOLE = 3
/** Bounds of the wait for packets that overtake each other. */
const REORDER_MIN: Micros = 200
const REORDER_MAX: Micros = 2_000
/** Blocks whose bytes are asked for in one go. */
const BLOCKS_ASKED_AT_ONCE = 8

export interface GapsHost {
  state(): OrderState
  /** Nothing can be missing where the numbers are given. */
  isSequencer(): boolean
  others(): readonly ViewMember[]
  /** What has come of a block apart from its order. */
  assembly(member: MemberId, request: RequestNumber): Assembly | undefined
  sequencer(): ViewMember | undefined
  reported(): void
  /** One more question, of this member or another. */
  asked(of: ViewMember): void
}

export class Gaps {
  private tries = 0
  private turn = 0
  private lastBroadcaster: MemberId = 0
  private askedFirstAt: Micros = 0
  private askedLastAt: Micros = 0
  /** Highest seq of the question under way; 0 if there is none. */
  private askedTo: Seq = 0
  /** Of blocks whose places are known: the question under way is for these. */
  private isForData = false
  private budget: number
  private budgetLeft = 0
  private readonly wholeBytes: number
  private readonly outbox: Outbox
  private readonly timers: Timers
  private readonly roundTrips: RoundTrips
  private readonly host: GapsHost

  constructor(
    parts: { outbox: Outbox; timers: Timers; roundTrips: RoundTrips; host: GapsHost },
    options: { window: number; packetSize: number },
  ) {
    this.outbox = parts.outbox
    this.timers = parts.timers
    this.roundTrips = parts.roundTrips
    this.host = parts.host
    this.wholeBytes = options.packetSize / 2
    this.budget = Math.max(1024, Math.min(BUDGET_MAX, Math.floor(options.window / 2)))
  }

  /** After anything that may have opened, narrowed or closed a gap. `isRepair`: an answer to a question has come. */
  check(repairedBytes = 0, isRepair = repairedBytes > 0): void {
    const state = this.host.state()
    if (repairedBytes > 0) this.learn()
    if (this.host.isSequencer() || state.history.received >= state.highest) {
      this.timers.stop('gap')
      this.tries = 0
      this.askedTo = 0
      return
    }
    if (repairedBytes > 0) {
      this.tries = 0
      this.budgetLeft -= repairedBytes
    }
    if (!this.timers.isSet('gap')) {
      this.timers.set('gap', this.outbox.now + Math.round(this.patience))
    } else if (
      this.askedTo > 0 &&
      (state.history.received >= this.askedTo || this.budgetLeft <= this.budget / 4)
    ) {
      // the last question has been answered as far as it went, and there is more to ask
      this.timers.set('gap', this.outbox.now)
      this.askedTo = 0
    } else if (isRepair && this.askedTo > 0 && !this.isForData && this.arePlacesKnown(state)) {
      // All has come but bytes that nobody has been asked for yet. (They used to be asked for when the timer ran out. A
      // coordinator that was waited for by a far member lost its patience before that, in each attempt: seed 13000702.)
      this.timers.set('gap', this.outbox.now + Math.round(this.patience))
      this.askedTo = 0
    }
  }

  /** How long packets that overtake each other are waited for. */
  private get patience(): Micros {
    return Math.min(REORDER_MAX, Math.max(REORDER_MIN, this.roundTrips.mean / 4))
  }

  private arePlacesKnown({ history }: OrderState): boolean {
    return history.missing(this.askedTo, 1, this.wholeBytes).length === 0
  }

  /** What was asked for before is not wanted any more. */
  restart(): void {
    this.timers.stop('gap')
    this.tries = 0
    this.askedTo = 0
    this.lastBroadcaster = 0
  }

  onBroadcast(from: MemberId): void {
    this.lastBroadcaster = from
  }

  /** Who was asked lives no more: somebody else is asked at once. */
  onGone(id: MemberId): void {
    if (this.lastBroadcaster === id) this.lastBroadcaster = 0
    if (!this.timers.isSet('gap') || this.host.sequencer()?.id !== id) return
    // with nobody else to ask there is no hurry
    if (this.host.others().length < 2) return
    this.tries = Math.max(this.tries, TRIES_AT_SEQUENCER)
    this.timers.set('gap', this.outbox.now + REORDER_MIN)
  }

  private learn(): void {
    const { now } = this.outbox
    if (this.tries === 1) this.roundTrips.sample(now - this.askedFirstAt)
    else if (this.tries > 1) this.roundTrips.answeredRepeated(now - this.askedFirstAt, now - this.askedLastAt)
  }

  /** The `gap` timer has run out. */
  onTimer(): void {
    const state = this.host.state()
    if (this.host.isSequencer()) return
    // whoever is asked may have smaller packets than the sender of a block: then its bytes are asked for
    const wholeBytes = this.tries < TRIES_FOR_WHOLE ? this.wholeBytes : 0
    const ranges = state.history.missing(state.highest, GAP_RANGES_MAX, wholeBytes)
    const lacking = state.history.lacking(wholeBytes)
    if (ranges.length === 0 && lacking.length === 0) return
    const target = this.target()
    // the lowest first: what lies behind a block that is missing can wait
    const dataFirst = lacking[0] !== undefined && lacking[0].seq <= (ranges[0]?.from ?? lacking[0].seq)
    // up to where this question goes: when all of that has come, the next follows at once
    let askedTo = ranges.at(-1)?.to ?? lacking.at(-1)?.seq ?? 0
    if (target !== undefined && dataFirst) askedTo = this.askForData(target, lacking)
    else if (target !== undefined && ranges.length > 0) {
      const packet = this.outbox.packet(PacketKind.gap, 0, target.nonce, gapBytes(ranges.length))
      writeGap(packet, { budget: this.budget, ranges })
      this.outbox.unicast(target.address, packet)
      if (target === this.host.sequencer()) this.host.reported()
    }
    this.askedTo = askedTo
    this.isForData = dataFirst
    if (this.tries === 0) this.askedFirstAt = this.outbox.now
    this.askedLastAt = this.outbox.now
    this.budgetLeft = this.budget
    this.timers.set('gap', this.outbox.now + this.roundTrips.timeout(this.tries))
    this.tries++
    if (target !== undefined) this.host.asked(target)
  }

  /**
   * Places are known, blocks are not whole: exactly the bytes that are missing are asked for. Gives the last seq asked
   * for. (It used to be the last that was missing: after the first few blocks nothing more was asked for until a
   * timer ran out, and a member that had lost a hundred came back at four blocks a timeout.)
   */
  private askForData(target: ViewMember, lacking: readonly PlacedEntry[]): Seq {
    let budget = this.budget
    let askedTo = 0
    for (const { seq, member, firstRequest, length } of lacking.slice(0, BLOCKS_ASKED_AT_ONCE)) {
      if (budget <= 0) break
      askedTo = seq
      const assembly = this.host.assembly(member, firstRequest)
      const ranges = assembly?.missing(DATA_RANGES_MAX, length) ?? [{ from: 0, to: length }]
      if (ranges.length === 0) continue
      const body = encodeDataGap({ seq, budget, ranges })
      for (const range of ranges) budget -= range.to - range.from
      this.outbox.unicast(target.address, this.outbox.packetOf(PacketKind.dataGap, 0, target.nonce, body))
    }
    return askedTo
  }

  private target(): ViewMember | undefined {
    const others = this.host.others()
    // after handovers that lie in the gap the last broadcast came from who really numbers now
    const sequencer = others.find(({ id }) => id === this.lastBroadcaster) ?? this.host.sequencer()
    if (sequencer !== undefined && (this.tries < TRIES_AT_SEQUENCER || others.length < 2)) return sequencer
    return others[this.turn++ % Math.max(1, others.length)]
  }
}
