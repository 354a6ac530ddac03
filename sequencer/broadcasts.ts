/**
 * What the sequencer says, and to whom: everybody present, those to whom a broadcast brings the news that they
 * have left, and now and then one alone. It knows what was said last, so that silence after news, or for long,
 * is noticed here.
 */
import type { Entry } from '../kernel/history.ts'
import type { Micros, Seq } from '../kernel/identity.ts'
import type { OrderState } from '../kernel/order-state.ts'
import type { Outbox } from '../kernel/outbox.ts'
import { PacketKind } from '../kernel/packet.ts'
import { encodeSlow, ORDER_FLAG_REPORT, type SlowNotice } from '../kernel/packets.ts'
import type { Timers } from '../kernel/timers.ts'
import type { Member } from '../kernel/view.ts'
import { ackersToAsk } from './acceptance.ts'
import { orderPacket } from './repair.ts'

export interface BroadcastsOptions {
  readonly heartbeatFirst: Micros
  readonly heartbeatIdle: Micros
}

export class Broadcasts {
  private heartbeat: Micros
  /** Whose leave has been accepted since the last broadcast: that one is for them, too. BOUNDED by the view. */
  private readonly farewell: Member[] = []
  /** What the last broadcast said, to see whether there is news. */
  private saidAccepted: Seq
  private saidStable: Seq
  private readonly state: OrderState
  private readonly outbox: Outbox
  private readonly timers: Timers
  private readonly options: BroadcastsOptions

  constructor(parts: { state: OrderState; outbox: Outbox; timers: Timers; options: BroadcastsOptions }) {
    const { state, options } = parts
    this.state = state
    this.outbox = parts.outbox
    this.timers = parts.timers
    this.options = options
    this.heartbeat = options.heartbeatFirst
    this.saidAccepted = state.accepted
    this.saidStable = state.history.stable
  }

  // ---- to whom ----------------------------------------------------------------------------------------

  /** Whom a broadcast is for: those present, and those to whom it brings the news that they have left. */
  private get audience(): readonly Member[] {
    const { present } = this.state
    return this.farewell.length === 0 ? present : [...present, ...this.farewell]
  }

  /** Its leave is accepted, and the next broadcast says so. */
  sayFarewell(leaver: Member): void {
    this.farewell.push(leaver)
  }

  // ---- to all -----------------------------------------------------------------------------------------

  get hasNews(): boolean {
    return this.state.accepted > this.saidAccepted || this.isStableNews
  }

  /** Members that wait for stability to rise are told when much of the history has become free. */
  private get isStableNews(): boolean {
    return this.state.history.stable - this.saidStable >= Math.max(1, this.state.parameters.historySize / 2)
  }

  /** Gives the size of the packet. `tries` are the unanswered questions for acks so far. */
  say(entries: readonly Entry[], asksReport: boolean, tries: number): number {
    const { state } = this
    const bytes = this.sayToAll(asksReport ? ORDER_FLAG_REPORT : 0, entries, tries)
    this.farewell.length = 0
    this.saidAccepted = state.accepted
    this.saidStable = state.history.stable
    this.beatAfter(this.options.heartbeatFirst)
    return bytes
  }

  /** An idle sequencer repeats its highest seq, more and more seldom, so that a lost last broadcast is noticed. */
  repeat(tries: number): void {
    this.sayToAll(0, [], tries)
    this.beatAfter(Math.min(this.heartbeat * 2, this.options.heartbeatIdle))
  }

  private sayToAll(flags: number, entries: readonly Entry[], tries: number): number {
    const { state, outbox } = this
    const ackers = ackersToAsk(state, tries)
    const packet = orderPacket(state, outbox, PacketKind.order, flags, 0n, entries, ackers)
    outbox.broadcast(packet, this.audience)
    return packet.length
  }

  private beatAfter(pause: Micros): void {
    this.heartbeat = pause
    this.timers.set('heartbeat', this.outbox.now + pause)
  }

  /** Told again with every question while it lasts: a packet may be lost, and who is told knows what it has heard. */
  saySlow(notice: SlowNotice): void {
    const { outbox } = this
    outbox.broadcast(outbox.packetOf(PacketKind.slow, 0, 0n, encodeSlow(notice)), this.state.present)
  }

  // ---- to one -----------------------------------------------------------------------------------------

  /**
   * Asks those who have said nothing each under its own nonce: where a kernel is alive and the member is not,
   * the kernel answers that it is gone.
   */
  knock(silent: readonly Member[], tries: number): void {
    for (const member of silent) this.sayTo(member, ORDER_FLAG_REPORT, ackersToAsk(this.state, tries))
  }

  /** One who may not have heard it is told where the order stands. */
  tell(member: Member): void {
    this.sayTo(member, 0, 0)
  }

  private sayTo({ nonce, address }: Member, flags: number, ackers: number): void {
    const { state, outbox } = this
    outbox.unicast(address, orderPacket(state, outbox, PacketKind.order, flags, nonce, [], ackers))
  }
}
