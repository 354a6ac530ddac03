/**
 * A member's part in a reset: what a suspicion leads to, who may invite this member, what each packet means
 * while it is bound, and how it comes out: resumed in a new view, stopped, or out of the group. The protocol
 * itself is recovery/; those who are in no view any more are outsiders.ts.
 */
import type { AssemblyStore } from '../../kernel/assembly.ts'
import { type Ballot, compareBallots } from '../../kernel/ballot.ts'
import type { Counters } from '../../kernel/counters.ts'
import { ErrorCode } from '../../kernel/errors.ts'
import {
  type Address,
  type MemberId,
  type Micros,
  type Nonce,
  Right,
  type Seq,
} from '../../kernel/identity.ts'
import type { OrderState } from '../../kernel/order-state.ts'
import type { Outbox } from '../../kernel/outbox.ts'
import { type PacketHeader, PacketKind, type RejectReason } from '../../kernel/packet.ts'
import { readOrderHead, readStreamFragment, STATE_FLAG_RESULT, StreamPurpose } from '../../kernel/packets.ts'
import type { Token } from '../../kernel/port.ts'
import type { Prng } from '../../kernel/prng.ts'
import {
  decodeInvite,
  decodeRefusal,
  INVITE_FLAG_AUTOMATIC,
  type Lack,
  RefusalReason,
} from '../../kernel/recovery-packets.ts'
import type { RoundTrips } from '../../kernel/rtt.ts'
import type { SipKey } from '../../kernel/siphash.ts'
import type { Streams } from '../../kernel/streams.ts'
import type { TimerName, Timers } from '../../kernel/timers.ts'
import { findMember, type View, type Member as ViewMember } from '../../kernel/view.ts'
import { INCARNATION_STEP_MAX } from '../../recovery/binding.ts'
import { Recovery } from '../../recovery/recovery.ts'
import type { FellowPackets } from './fellow-packets.ts'
import type { Gaps } from './gaps.ts'
import type { Intake } from './intake.ts'
import { Introductions, type Invitation } from './introductions.ts'
import type { Leaver } from './leaver.ts'
import { Outsiders } from './outsiders.ts'
import type { Patrons } from './patrons.ts'
import type { Receiver } from './receiver.ts'
import type { Sender } from './sender.ts'
import type { Silence } from './silence.ts'

export interface RenewalHost {
  /** Place of the own join, until that is accepted. */
  joinSeq(): Seq | undefined
  /** A joiner that nobody answers any more goes. */
  endIfForsaken(): void
  /** This member is no sequencer any more, if it was one. */
  stopNumbering(): void
  /** The view in force has a sequencer, this member or another one. */
  newSequencer(): void
  onOrder(member: ViewMember, header: PacketHeader, packet: Uint8Array): void
  left(): void
  leftBehind(reason: string): void
  expelled(reason: string): void
  /** For challenges to those of whom nothing is known. */
  challengeKey(): SipKey
}

export interface RenewalParts {
  readonly self: MemberId
  readonly state: OrderState
  readonly outbox: Outbox
  readonly timers: Timers
  readonly streams: Streams
  readonly counters: Counters
  readonly roundTrips: RoundTrips
  readonly prng: Prng
  readonly assemblies: AssemblyStore
  readonly sender: Sender
  readonly receiver: Receiver
  readonly gaps: Gaps
  readonly intake: Intake
  readonly leaver: Leaver
  readonly silence: Silence
  readonly fellowPackets: FellowPackets
  readonly patrons: Patrons
  /** Of this member. */
  readonly right: Right
  readonly host: RenewalHost
}

/** Armed for a view that means nothing any more. */
const TIMERS_OF_A_VIEW: readonly TimerName[] = [
  'request',
  'report',
  'gap',
  'heartbeat',
  'acks',
  'entering',
  'leave',
  'stall',
]

export class Renewal {
  readonly recovery: Recovery
  readonly outsiders: Outsiders
  private readonly introductions: Introductions
  /** Why the group cannot go on here until it is reset. */
  failure: string | undefined
  /** The program has been told that the group has stopped: since it was bound last, or (automatic) since it went on. */
  private isToldStopped = false
  private readonly parts: RenewalParts

  constructor(parts: RenewalParts, options: { tries: number; tryInterval: Micros }) {
    this.parts = parts
    const { state, outbox, counters, timers, streams, roundTrips, prng, host, gaps } = parts
    this.recovery = new Recovery(
      {
        outbox,
        timers,
        streams,
        counters,
        roundTrips,
        prng,
        host: {
          state: () => state,
          self: () => parts.self,
          mayVote: () => this.mayVote,
          mayCoordinate: () => this.mayCoordinate,
          isSuspect: (id) => parts.silence.suspicion.isSuspect(id),
          check: (member) => parts.silence.check(member),
          bound: (ballot) => this.onBound(ballot),
          dropAbove: (seq) => {
            parts.receiver.dropAbove(seq)
            parts.sender.dropAbove(seq)
          },
          collect: (end) => {
            state.highest = Math.max(state.history.received, end)
            gaps.restart()
            gaps.check()
          },
          hold: (entry) => parts.receiver.hold(entry),
          accepted: (change) => parts.receiver.acceptUpTo(change.view.seq),
          witnessed: (change) => this.onWitnessed(change.view.seq),
          resumed: () => this.onResumed(),
          stopped: (reason, lack) => this.onStopped(reason, lack),
          expelled: (reason) => host.expelled(reason),
        },
      },
      { ...options, isAutomatic: this.isAutomatic },
    )
    const { recovery } = this
    const expelled = (reason: string) => host.expelled(reason)
    const standsStill = () => recovery.isBound || this.failure !== undefined
    this.outsiders = new Outsiders({ state, outbox, counters, recovery, expelled, standsStill })
    this.introductions = new Introductions(outbox, () => host.challengeKey())
  }

  private get isAutomatic(): boolean {
    return this.parts.state.parameters.recovery === 'auto'
  }

  private get whoResets(): string {
    return this.parts.right === Right.all ? 'call' : 'a member with every right must call'
  }

  private get mayVote(): boolean {
    const { host, state } = this.parts
    const joinSeq = host.joinSeq()
    return joinSeq === undefined || state.history.received >= joinSeq
  }

  private get mayCoordinate(): boolean {
    const { host, leaver, self, state, right } = this.parts
    // • only who may number may decide who goes on
    if (right !== Right.all) return false
    const isMember = findMember(state.latestView, self) !== undefined
    return isMember && host.joinSeq() === undefined && !leaver.isLingering
  }

  /** ResetGroup. */
  call(token: Token, minMembers: number, header: Uint8Array): void {
    this.recovery.call(token, minMembers, header)
  }

  // ---- what a suspicion leads to ----------------------------------------------------------------------

  /**
   * Without its sequencer the group stands still. With `recovery: 'manual'` calls end here; blocks that are on
   * their way stay, because their request numbers are taken: if the sequencer was only slow, they are ordered
   * after all.
   */
  onSequencerFailed(id: MemberId): void {
    const { host, sender } = this.parts
    const reason = `member ${id}, the sequencer, does not answer any more`
    if (host.joinSeq() !== undefined) return
    this.parts.patrons.begin()
    if (this.isAutomatic) return this.recovery.start()
    this.failure = `${reason}; the group needs a reset before it can go on: ${this.whoResets} resetGroup`
    sender.refuseAll(ErrorCode.memberFailed, this.failure)
    if (sender.isLeaving) host.leftBehind(reason)
  }

  onSequencerBack(): void {
    if (this.recovery.isBound) return
    this.failure = undefined
    this.parts.patrons.end()
  }

  /** A member does not answer its sequencer, which is this one. */
  onMemberFailed(): void {
    if (!this.isAutomatic) {
      // what waits for it is looked at when the turn is over (standstill.ts)
      const { timers, outbox } = this.parts
      return timers.setEarlier('flush', outbox.now)
    }
    if (this.mayCoordinate) return this.recovery.start()
    // a sequencer about to leave would be out of the view that it makes: somebody else has to make it
    // (one that lingers has left, and gives up by itself)
    if (!this.parts.silence.inquiry.resign() && !this.parts.leaver.isLingering)
      this.onStopped('nobody else answers that may rebuild the group')
  }

  /** The sequencer's heartbeat. */
  onHeartbeat(): void {
    this.outsiders.remind()
    if (this.parts.silence.isAnybodySuspect) this.onMemberFailed()
  }

  /**
   * One who leaves, with nobody else there, has left. Whether in order, its log says: the others may have gone on without
   * it while it stood still, and have left, too.
   */
  onSuspected(): void {
    const { sender, silence, host } = this.parts
    if (!sender.isLeaving || !silence.isEverybodySuspect) return
    if (this.holdsOwnLeave) host.left()
    else host.leftBehind('nobody else answers any more')
  }

  private get holdsOwnLeave(): boolean {
    const { state, self } = this.parts
    return state.pending.some(({ leave }) => leave?.member === self)
  }

  onGone(nonce: Nonce): void {
    this.outsiders.onGone(nonce)
    this.recovery.onGone(nonce)
  }

  // ---- packets of whatever ballot ---------------------------------------------------------------------

  private reject(reason: RejectReason): void {
    this.parts.counters.rejected[reason]++
  }

  /** Invitations, refusals and notices come under whatever ballot; each says itself what it is about. */
  onResetPacket(
    from: Address,
    header: PacketHeader,
    packet: Uint8Array,
  ): RejectReason | undefined | 'not one' {
    switch (header.kind) {
      case PacketKind.invite:
        return this.onInvite(from, header, packet)
      case PacketKind.refusal:
        return this.onRefusal(header, packet)
      case PacketKind.expelled:
        return this.outsiders.onExpelled(from, header, packet)
      case PacketKind.probeAnswer:
        return this.onProbeAnswer(from, header, packet)
      default:
        return 'not one'
    }
  }

  /**
   * • An invitation is voted on if the inviter belongs to the newest view known accepted here, or to any later
   * view change that is held; otherwise the answer is "expelled". One who has joined since is known by its own word only,
   * and must show first that it receives where it says (introductions.ts).
   */
  private onInvite(from: Address, header: PacketHeader, packet: Uint8Array): RejectReason | undefined {
    const invite = decodeInvite(packet)
    if (invite === undefined || invite.ballot.coordinator !== header.sender) return 'malformed'
    if (invite.ballot.incarnation - this.recovery.promise.incarnation > INCARNATION_STEP_MAX) {
      this.parts.counters.overflow('attempts')
      return undefined
    }
    return this.onInvitation({ from, header, invite, bytes: packet.length })
  }

  private onInvitation(invitation: Invitation): RejectReason | undefined {
    const { from, header, invite, bytes } = invitation
    const { recovery, outsiders, introductions } = this
    const { ballot } = invite
    const fellow = this.parts.state.insider(header.sender, header.senderNonce)
    const inviter = fellow ?? outsiders.laterMember(from, header, invite)
    if (inviter === undefined) {
      if (!recovery.isBound) outsiders.tell(from, header, bytes, invite.results)
      return 'stranger'
    }
    if (fellow === undefined && !introductions.isKnown(invitation)) {
      introductions.probe(invitation)
      return undefined
    }
    // • its result would make it the sequencer
    if (inviter.right !== Right.all) return 'right'
    this.parts.patrons.onInvited()
    const isAutomatic = (header.flags & INVITE_FLAG_AUTOMATIC) !== 0
    const isNews = compareBallots(ballot, recovery.promise) > 0
    if (isAutomatic && isNews && !recovery.isBound && this.denies(inviter, ballot)) return undefined
    recovery.onInvite(inviter, ballot, header.flags)
    return undefined
  }

  /** An inviter of whom nothing was known receives where it says: what it has said counts now. */
  private onProbeAnswer(
    from: Address,
    header: PacketHeader,
    packet: Uint8Array,
  ): RejectReason | undefined | 'not one' {
    if (this.parts.state.insider(header.sender, header.senderNonce) !== undefined) return 'not one'
    const answered = this.introductions.onAnswer(from, header, packet)
    if (answered === false) return 'not one'
    return answered === true ? undefined : this.onInvitation(answered)
  }

  /** One that has heard the sequencer lately says so, and does not vote; the sequencer itself takes over. */
  private denies(inviter: ViewMember, ballot: Ballot): boolean {
    const { recovery } = this
    const { self, silence, state } = this.parts
    const { sequencer } = state.view
    if (sequencer === self) {
      // the inviter is bound and can only go on in a new view: make it one for all
      if (this.mayCoordinate) recovery.outbid(ballot)
      return this.mayCoordinate
    }
    if (inviter.id === sequencer) return false
    const verdict = silence.inquiry.onInvitation(sequencer)
    if (verdict === true) recovery.refuse(inviter, ballot, RefusalReason.alive)
    return verdict !== false
  }

  private onRefusal(header: PacketHeader, packet: Uint8Array): RejectReason | undefined {
    const refusal = decodeRefusal(packet)
    if (refusal === undefined) return 'malformed'
    const { sender, senderNonce } = header
    const isLeader = this.recovery.leader?.nonce === senderNonce
    // whoever else says so has nothing to refuse, and would raise the numbers of attempts
    if (!isLeader && this.parts.state.insider(sender, senderNonce) === undefined) return 'stranger'
    this.recovery.onRefusal(header.senderNonce, refusal)
    return undefined
  }

  // ---- while bound ------------------------------------------------------------------------------------

  /** From a promise on this member does nothing in any older view (design 4.6). */
  private onBound({ incarnation, coordinator }: Ballot): void {
    const { outbox, timers, assemblies, receiver, sender, host } = this.parts
    Object.assign(outbox.identity, { incarnation, coordinator })
    for (const timer of TIMERS_OF_A_VIEW) timers.stop(timer)
    host.stopNumbering()
    assemblies.clear()
    receiver.freeze()
    sender.pause()
    this.parts.patrons.begin()
    if (this.isAutomatic) return
    this.isToldStopped = false
    this.failure = 'the group is being rebuilt'
    sender.refuseAll(ErrorCode.memberFailed, `${this.failure}; send again when the reset is delivered`)
  }

  /**
   * One who is not bound yet asks for what it lacks of the older view. Who is bound may answer: these are the
   * sequencer's own words, as if they had been long under way. (A joiner that lacks its own join could else never
   * vote, when everybody who has it is bound.)
   */
  onOlderGap(header: PacketHeader, packet: Uint8Array): boolean {
    const { state, outbox, fellowPackets } = this.parts
    const { view } = state
    const isGap = header.kind === PacketKind.gap || header.kind === PacketKind.dataGap
    const isOfView = header.incarnation === view.incarnation && header.coordinator === view.coordinator
    if (!this.recovery.isBound || !isGap || !isOfView) return false
    const asker = state.insider(header.sender, header.senderNonce)
    if (asker === undefined) return false
    // but nothing from beyond that view: the log here may be another one by now, with other events at those places
    const next = state.results.find(({ ballot, seq }) => seq > view.seq && !isOf(view, ballot))
    const last = next === undefined ? undefined : next.seq - 1
    outbox.under(view, () => {
      if (header.kind === PacketKind.gap) fellowPackets.repairFor(asker.address, header, packet, last)
      else fellowPackets.repairDataFor(asker.address, header, packet, last)
    })
    return true
  }

  /** A packet of the attempt that this member is bound to. */
  onPacketWhileBound(member: ViewMember, from: Address, header: PacketHeader, packet: Uint8Array): void {
    const { recovery } = this
    const { state, receiver, gaps, intake, silence, fellowPackets, host } = this.parts
    recovery.onHeard(member)
    const before = state.history.received
    switch (header.kind) {
      case PacketKind.streamData:
        this.onStreamData(from, header, packet)
        return
      case PacketKind.state:
        if ((header.flags & STATE_FLAG_RESULT) !== 0) recovery.onAck(member)
        return
      case PacketKind.gap:
        fellowPackets.repairFor(member.address, header, packet)
        return
      case PacketKind.dataGap:
        fellowPackets.repairDataFor(member.address, header, packet)
        return
      case PacketKind.repair: {
        if (!recovery.isCollecting) return this.reject('phase')
        const head = readOrderHead(packet)
        if (head === undefined || !receiver.onCollected(head, packet, state.highest)) {
          return this.reject('malformed')
        }
        gaps.check(state.history.received > before ? packet.length : 0, true)
        recovery.onHeld()
        return
      }
      case PacketKind.data:
        if (!recovery.isCollecting) return this.reject('phase')
        intake.onData(member, header, packet)
        return
      case PacketKind.order: {
        const head = readOrderHead(packet)
        if (head === undefined) return this.reject('malformed')
        recovery.onOrder(member.id, head.accepted)
        if (!recovery.isBound) host.onOrder(member, header, packet)
        return
      }
      case PacketKind.probe:
        silence.onPacket(member, header, packet)
        return
      case PacketKind.left:
        // a witness that has missed the word of its expulsion is answered like any former member
        // (and one whose vote came too late learns that the result is made without it)
        if (!recovery.onNotice(recovery.promise) && recovery.phase === 'promised') {
          host.expelled('the group has gone on without this member')
        }
        return
      default:
        this.reject('phase')
    }
  }

  /** Votes and results come by stream. */
  onStreamData(from: Address, header: PacketHeader, packet: Uint8Array): void {
    const fragment = readStreamFragment(packet)
    if (fragment === undefined) return this.reject('malformed')
    const nonce = header.senderNonce
    const bytes = this.parts.streams.onFragment(from, nonce, fragment)
    if (bytes === undefined) return
    if (fragment.purpose === StreamPurpose.vote) this.recovery.onVote(nonce, bytes)
    else if (fragment.purpose === StreamPurpose.result) this.recovery.onResult(nonce, bytes)
  }

  // ---- the ways out -----------------------------------------------------------------------------------

  /** A new view is accepted: who numbers now, and what is still to be sent. */
  private onResumed(): void {
    const { state, outbox, timers, gaps, sender, self, silence, host } = this.parts
    this.outsiders.onResult()
    silence.onReset()
    this.parts.patrons.end()
    this.failure = undefined
    this.isToldStopped = false
    gaps.restart()
    if (findMember(state.view, self) === undefined) return
    if (state.parameters.recovery === 'manual') {
      const lastOrdered = state.requests.get(self) ?? 0
      const message = 'the group has been rebuilt without this message; it will not be ordered now'
      sender.abandon(ErrorCode.memberFailed, message, lastOrdered)
    }
    outbox.trace('resumed', { incarnation: state.view.incarnation, members: state.view.members.length })
    host.newSequencer()
    timers.setEarlier('flush', outbox.now)
  }

  /**
   * A result without this member is official. If it was about to leave, its leave lies in the log that goes on:
   * that is as orderly a leave as any, with what was sent before it.
   */
  private onWitnessed(seq: Seq): void {
    const { receiver, host } = this.parts
    if (this.holdsOwnLeave) receiver.acceptUpTo(seq)
    else host.expelled('the group has gone on without this member')
  }

  /** Nobody rebuilds the group now. Who wants to leave need not wait for it. */
  private onStopped(reason: string, lack?: Lack): void {
    const { sender, host } = this.parts
    if (host.joinSeq() !== undefined) {
      host.endIfForsaken()
      return
    }
    if (sender.isLeaving) return host.leftBehind(reason)
    // (an automatic group that somebody else may rebuild any moment has not stopped)
    if (this.isToldStopped || (this.isAutomatic && lack === undefined)) return
    this.isToldStopped = true
    if (!this.isAutomatic) this.failure = `${reason}; the group stays stopped`
    // a program that did not ask for this reset has to hear that somebody must ask for the next
    const then = this.isAutomatic ? 'it goes on trying' : `${this.whoResets} resetGroup`
    const numbers = lack === undefined ? {} : { present: lack.have, needed: lack.need }
    const event = { event: 'stopped', reason: `${reason}: ${then}`, ...numbers } as const
    this.parts.outbox.output({ output: 'event', event })
  }
}

function isOf({ incarnation, coordinator }: View, ballot: Ballot): boolean {
  return ballot.incarnation === incarnation && ballot.coordinator === coordinator
}
