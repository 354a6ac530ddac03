/**
 * One process's life in one group, from the join's answer to the accepted leave: what comes in from the program and
 * from the clock, and what the order's going on means for the life itself. Its parts are made and tied together in
 * composition.ts.
 *
 * Reading order: arrivals.ts (who may say anything), fellow-packets.ts (what each kind means), onOrder. What a member
 * does while a reset is under way is in renewal.ts.
 */

import { assert } from '../../kernel/assert.ts'
import { BlockKind } from '../../kernel/block.ts'
import type { ErrorCode } from '../../kernel/errors.ts'
import type { Entry } from '../../kernel/history.ts'
import type { Address, Micros, Right, Seq } from '../../kernel/identity.ts'
import type { Locate } from '../../kernel/meeting-packets.ts'
import { LeaveReason } from '../../kernel/membership.ts'
import type { OrderState } from '../../kernel/order-state.ts'
import { type PacketHeader, PacketKind, type RejectReason } from '../../kernel/packet.ts'
import { type DataFragment, decodeLeft, ORDER_FLAG_REPORT, readOrderHead } from '../../kernel/packets.ts'
import type { Token } from '../../kernel/port.ts'
import type { TimerName } from '../../kernel/timers.ts'
import type { Member as ViewMember } from '../../kernel/view.ts'
import type { Sequencer } from '../../sequencer/sequencer.ts'
import { type Admission, Composition, type Resources } from './composition.ts'
import type { Leaver } from './leaver.ts'
import type { MemberOptions } from './options.ts'
import type { Sender } from './sender.ts'

export interface MembershipHost {
  /** The own join is accepted. */
  joined(): void
  /** The own leave is accepted, and nobody needs this member any more. */
  left(): void
  /** This member wanted to leave, and its group has stopped: nobody orders anything any more. */
  leftBehind(reason: string): void
  /** The others have gone on without this member. */
  expelled(reason: string): void
  /** Nobody is left who may rebuild the group. */
  orphaned(reason: string): void
  /** The own join was dropped, or the sequencer died before it was accepted. */
  lost(reason: string): void
}

export interface MembershipParts extends Resources {
  readonly host: MembershipHost
}

export class Membership {
  /** Place of the own join, until that is accepted. */
  private joinSeq: Seq | undefined
  private isClosed = false
  private expelledBecause: string | undefined
  private readonly resources: Resources
  private readonly parts: Composition
  private readonly host: MembershipHost

  constructor(entry: Admission, resources: MembershipParts, options: MemberOptions) {
    const { host } = resources
    this.joinSeq = entry.baseline.seq
    this.resources = resources
    this.host = host
    this.parts = new Composition(entry, resources, options, {
      joinSeq: () => this.joinSeq,
      isClosed: () => this.isClosed,
      flush: () => this.flush(),
      maySend: () => this.mayAct && this.maySend,
      onOrder: (member, header, packet) => this.onOrder(member, header, packet),
      onBlock: (data, block) => this.onBlock(data, block),
      onLeft: (member, packet) => this.onLeft(member, packet),
      onAccepted: (accepted) => this.onAccepted(accepted),
      onOwnOrdered: (entry) => this.onOwnOrdered(entry),
      onOwnLeave: (reason) => this.onOwnLeave(reason),
      onLeftGroup: () => this.onLeftGroup(),
      onDoubtResolved: () => this.onDoubtResolved(),
      onExpelled: (reason) => this.onExpelled(reason),
      left: () => host.left(),
      leftBehind: (reason) => host.leftBehind(reason),
      lost: (reason) => host.lost(reason),
      orphaned: (reason) => host.orphaned(reason),
    })
    this.parts.silence.begin()
  }

  get state(): OrderState {
    return this.parts.state
  }

  get sender(): Sender {
    return this.parts.sender
  }

  get leaver(): Leaver {
    return this.parts.leaver
  }

  /** The sequencer part of this member, if it numbers. */
  get sequencer(): Sequencer | undefined {
    return this.parts.office.sequencer
  }

  /** Why the group cannot go on here until it is reset. */
  get failure(): string | undefined {
    return this.parts.renewal.failure ?? this.parts.standstill.reason
  }

  /** Bound by a promise: this member does nothing in its view any more. */
  get isBound(): boolean {
    return this.parts.renewal.recovery.isBound
  }

  /** What this member may do; it is what the view says of it, and never changes. */
  get right(): Right {
    return this.parts.right
  }

  /** The creator is the first sequencer, and its join needs nobody's acks. */
  found(): void {
    this.parts.office.take()
    this.parts.receiver.acceptHeld()
    this.onAccepted(this.state.accepted)
  }

  /** The joiner begins to fetch what is not stable yet. */
  enter(): void {
    this.parts.gaps.check()
    this.parts.reports.onProgress()
    this.parts.entering.arm()
  }

  // ---- calls ------------------------------------------------------------------------------------------

  /** False if it is waited for, and a step is to do what follows from it; the next one that there is does it else. */
  noteTaken(seq: Seq): boolean {
    const { timers, outbox } = this.resources
    const { receiver, reports } = this.parts
    if (seq > receiver.delivered || timers.isSet('stall')) return false
    if (this.sequencer === undefined ? reports.wouldReport(seq) : this.sequencer.isWaitingForRoom)
      return false
    if (seq > outbox.taken) outbox.taken = seq
    return true
  }

  onTaken(seq: Seq): void {
    const { receiver, holdUp } = this.parts
    const { outbox } = this.resources
    assert(seq <= receiver.delivered, 'only what was delivered can be taken', seq, receiver.delivered)
    if (seq <= outbox.taken) return
    outbox.taken = seq
    holdUp.onTaken()
    this.onProgress()
    holdUp.watch()
  }

  /** The program takes nothing any more: what it leaves unread must not hold the others up. */
  leave(header: Uint8Array): void {
    this.resources.outbox.taken = Number.MAX_SAFE_INTEGER
    this.onProgress()
    this.sender.leave(header)
    this.parts.renewal.recovery.hurry()
  }

  private onProgress(): void {
    if (this.isBound) return
    if (this.sequencer !== undefined) this.sequencer.advance()
    else this.parts.reports.onProgress()
  }

  /** ResetGroup. */
  reset(token: Token, minMembers: number, header: Uint8Array): void {
    this.parts.renewal.call(token, minMembers, header)
  }

  /**
   * The process's keys are others now. Each packet says so; one more goes out at once, because the group may be waiting
   * for this member to hold a new one.
   */
  onKeys(): void {
    const { timers, outbox } = this.resources
    if (this.isBound) return
    if (this.sequencer === undefined) timers.setEarlier('report', outbox.now)
    else timers.setEarlier('flush', outbox.now)
  }

  // ---- time -------------------------------------------------------------------------------------------

  flush(): void {
    if (!this.mayAct) return
    // this may come before the end of a turn
    this.resources.timers.stop('flush')
    if (this.maySend) this.sender.flush()
    this.sequencer?.flush()
    this.parts.holdUp.watch()
    this.parts.standstill.look()
  }

  /** Neither bound by a reset nor in doubt whether it still belongs to its group. */
  private get mayAct(): boolean {
    return !this.isBound && !this.parts.silence.isDoubting
  }

  private get maySend(): boolean {
    return this.joinSeq === undefined && this.failure === undefined
  }

  onTimer(name: TimerName): void {
    const { sender, gaps, reports, leaver, renewal, entering, holdUp, lookout, silence, standstill } =
      this.parts
    // what was armed for the older view, or by its last entries, means nothing
    if (this.isBound && name !== 'recovery' && name !== 'gap' && name !== 'patrons') return
    switch (name) {
      case 'request':
        sender.onTimer()
        return
      case 'gap':
        gaps.onTimer()
        return
      case 'report':
        reports.onTimer()
        return
      case 'heartbeat':
        this.sequencer?.onHeartbeat()
        leaver.onHeartbeat()
        if (this.sequencer !== undefined) renewal.onHeartbeat()
        standstill.onBeat()
        return
      case 'acks':
        this.sequencer?.onAckTimer()
        standstill.onBeat()
        return
      case 'leave':
        leaver.onTimer()
        return
      case 'entering':
        if (this.joinSeq !== undefined) entering.onTimer()
        return
      case 'stall':
        holdUp.onTimer()
        return
      case 'lookout':
        lookout.onTimer()
        return
      case 'patrons':
        this.parts.patrons.onTimer()
        return
      case 'recovery':
        renewal.recovery.onTimer()
        return
      case 'inquiry':
      case 'watch':
      case 'doubt':
        silence.onTimer(name)
        return
      default:
        assert(false, 'this timer is not the membership’s', name)
    }
  }

  /** This process has stood still for so long that the others may have gone on without it. */
  onStall(stalled: Micros): void {
    if (this.joinSeq === undefined && !this.leaver.isLingering) this.parts.silence.onStall(stalled)
  }

  get stallLimit(): Micros {
    return this.parts.silence.stallLimit
  }

  private onDoubtResolved(): void {
    if (this.isBound) return
    this.parts.receiver.acceptHeld()
    if (this.state.view.sequencer === 0 && this.state.view.members.length > 0)
      return this.parts.patrons.onNoHeir()
    this.resources.timers.setEarlier('flush', this.resources.outbox.now)
  }

  // ---- from outside -----------------------------------------------------------------------------------

  onLocate(from: Address, header: PacketHeader, locate: Locate, bytes: number): void {
    this.parts.arrivals.onLocate(from, header, locate, bytes)
  }

  onPacket(from: Address, header: PacketHeader, packet: Uint8Array): void {
    this.parts.arrivals.onPacket(from, header, packet)
  }

  onGone(from: Address, header: PacketHeader): void {
    this.parts.arrivals.onGone(from, header)
  }

  onRefused(address: Address): void {
    this.parts.arrivals.onRefused(address)
  }

  private reject(reason: RejectReason): void {
    this.resources.counters.rejected[reason]++
  }

  // ---- the order goes on ------------------------------------------------------------------------------

  private onOrder(member: ViewMember, header: PacketHeader, packet: Uint8Array): void {
    const { receiver, state, gaps, reports } = this.parts
    const head = readOrderHead(packet)
    if (head === undefined) return this.reject('malformed')
    if (this.leaver.isLingering && member.id === state.view.sequencer) return this.onLeftGroup()
    if (this.sequencer !== undefined) return this.reject('phase')
    const before = state.history.received
    const sequencerBefore = state.view.sequencer
    const isOrder = header.kind === PacketKind.order
    if (!receiver.onOrder(head, packet, isOrder)) this.reject('malformed')
    if (isOrder) gaps.onBroadcast(member.id)
    if (state.view.sequencer !== sequencerBefore) this.parts.succession.onNewSequencer()
    // the packet may have made this member's own leave official: what else it asks is for the others
    if (this.isClosed) return
    if (isOrder) {
      const everybody = (header.flags & ORDER_FLAG_REPORT) !== 0
      reports.onAsked(head.highest, head.ackers, everybody, head.accepted === head.firstSeq - 1)
    }
    this.parts.holdUp.watch()
    const isRepair = header.kind === PacketKind.repair
    gaps.check(isRepair && state.history.received > before ? packet.length : 0, isRepair)
    reports.onProgress()
  }

  /** A placed block has become whole: more may be held, accepted and delivered now. */
  private onBlock(data: DataFragment, block: Uint8Array): void {
    const { receiver, state, gaps } = this.parts
    const before = state.history.received
    const sequencerBefore = state.view.sequencer
    receiver.onBlock(data.member, data.request, block)
    if (state.history.received === before) return
    if (this.isBound) {
      gaps.check(block.length)
      this.parts.renewal.recovery.onHeld()
      return
    }
    if (state.view.sequencer !== sequencerBefore) this.parts.succession.onNewSequencer()
    if (this.isClosed) return
    gaps.check(block.length)
    this.parts.reports.onProgress()
  }

  /** More is official: the own join is done, and sends return; their messages are delivered right after. */
  private onAccepted(accepted: Seq): void {
    const { timers, outbox } = this.resources
    if (this.joinSeq !== undefined && accepted >= this.joinSeq) {
      this.joinSeq = undefined
      timers.stop('entering')
      this.host.joined()
      this.parts.silence.onJoined()
      timers.setEarlier('flush', outbox.now)
    }
    this.sender.onAccepted(accepted)
  }

  private onOwnOrdered(entry: Entry): void {
    // a leave that the sequencer ordered in this member's place is none of its own requests
    if (entry.kind === BlockKind.leave && !this.sender.isLeaving) return
    this.sender.onOrdered(entry)
    if (entry.kind === BlockKind.leave && this.sequencer === undefined) this.leaver.onOrdered()
  }

  // ---- the end ----------------------------------------------------------------------------------------

  private onOwnLeave(reason: LeaveReason): void {
    if (reason === LeaveReason.wish) return this.leaver.onAccepted()
    this.expelledBecause = 'this member did not receive, and the others have gone on without it'
    // an expelled sequencer, too, stays until its successor has broadcast
    this.leaver.onAccepted()
  }

  /** A fellow member, who holds it accepted, tells that this member has left, or is out. */
  private onLeft(from: ViewMember, packet: Uint8Array): void {
    const seq = decodeLeft(packet)
    if (seq === undefined) return this.reject('malformed')
    if (this.leaver.isLingering) {
      if (from.id === this.state.view.sequencer) this.onLeftGroup()
      return
    }
    if (!this.sender.isLeaving) return this.onExpelled('the group has gone on without this member')
    // what was sent before the leave has its place, too: it is fetched while somebody still has it
    this.parts.receiver.expectUpTo(seq)
    this.parts.gaps.check()
    this.leaver.onTold()
  }

  private onLeftGroup(): void {
    if (this.expelledBecause === undefined) this.host.left()
    else this.host.expelled(this.expelledBecause)
  }

  private onExpelled(reason: string): void {
    if (this.joinSeq !== undefined) this.host.lost(reason)
    else this.host.expelled(reason)
  }

  /** This life is over: whatever waits for an answer gets it now. */
  close(code: ErrorCode, message: string): void {
    this.isClosed = true
    this.sender.close(code, message)
    this.parts.renewal.recovery.close(code, message)
  }
}
