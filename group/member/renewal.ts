/**
 * A member's part in a reset: who may invite it, what being bound means for the rest of the member, and who is
 * told that the group has gone on without them. The protocol itself is recovery/recovery.ts.
 */
import { type Ballot, compareBallots, isSameBallot, type ResultName } from '../../kernel/ballot.ts'
import type { Counters } from '../../kernel/counters.ts'
import type { Entry } from '../../kernel/history.ts'
import { type MemberId, type Micros, type Nonce, Role, type Seq } from '../../kernel/identity.ts'
import type { OrderState } from '../../kernel/order-state.ts'
import type { Outbox } from '../../kernel/outbox.ts'
import type { PacketHeader, RejectReason } from '../../kernel/packet.ts'
import { StreamPurpose } from '../../kernel/packets.ts'
import type { Token } from '../../kernel/port.ts'
import type { Prng } from '../../kernel/prng.ts'
import {
  decodeExpelled,
  decodeInvite,
  decodeRefusal,
  INVITE_FLAG_AUTOMATIC,
  type Invite,
  RefusalReason,
} from '../../kernel/recovery-packets.ts'
import type { ResultChange } from '../../kernel/result.ts'
import type { RoundTrips } from '../../kernel/rtt.ts'
import type { Streams } from '../../kernel/streams.ts'
import type { Timers } from '../../kernel/timers.ts'
import { findMember, type Member as ViewMember } from '../../kernel/view.ts'
import { Recovery } from '../../recovery/recovery.ts'
import type { Silence } from './silence.ts'

export interface RenewalHost {
  self(): MemberId
  isEntering(): boolean
  joinSeq(): Seq | undefined
  /** Has handed over, and only waits for its successor's word. */
  isLingering(): boolean
  silence(): Silence
  /** Nothing of the older view counts any more. */
  bound(): void
  dropAbove(seq: Seq): void
  /** More is to be fetched, or everything is here. */
  collect(): void
  hold(entry: Entry): void
  accepted(change: ResultChange): void
  witnessed(change: ResultChange): void
  resumed(change: ResultChange): void
  stopped(reason: string): void
  expelled(reason: string): void
}

/** Members that a reset has removed are told so again and again for a while: they may only have been cut off. */
const REMOVED_KEPT = 64
const REMINDER_FIRST: Micros = 500_000
const REMINDER_LAST: Micros = 30_000_000
const REMINDERS_MAX = 40

interface Removed {
  readonly member: ViewMember
  reminders: number
  nextAt: Micros
}

export class Renewal {
  readonly recovery: Recovery
  /** BOUNDED by REMOVED_KEPT, oldest first. */
  private removed: Removed[] = []
  /** Other lines of this group's views that have been reported. BOUNDED by SPLITS_KEPT. */
  private readonly reported = new Set<string>()
  private readonly state: OrderState
  private readonly outbox: Outbox
  private readonly counters: Counters
  private readonly host: RenewalHost

  constructor(
    parts: {
      state: OrderState
      outbox: Outbox
      timers: Timers
      streams: Streams
      counters: Counters
      roundTrips: RoundTrips
      prng: Prng
      host: RenewalHost
    },
    options: { tries: number },
  ) {
    const { state, outbox, timers, streams, counters, roundTrips, prng, host } = parts
    this.state = state
    this.outbox = outbox
    this.counters = counters
    this.host = host
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
          self: () => host.self(),
          mayVote: () => this.mayVote,
          mayCoordinate: () => this.mayCoordinate,
          isSuspect: (id) => host.silence().suspicion.isSuspect(id),
          bound: (ballot) => this.bind(ballot),
          dropAbove: (seq) => host.dropAbove(seq),
          collect: (_source, end) => {
            state.highest = Math.max(state.history.received, end)
            host.collect()
          },
          hold: (entry) => host.hold(entry),
          accepted: (change) => host.accepted(change),
          witnessed: (change) => host.witnessed(change),
          resumed: (change) => this.resume(change),
          stopped: (reason) => host.stopped(reason),
          expelled: (reason) => host.expelled(reason),
        },
      },
      { tries: options.tries, isAutomatic: state.parameters.recovery === 'auto' },
    )
  }

  private get mayVote(): boolean {
    const joinSeq = this.host.joinSeq()
    return joinSeq === undefined || this.state.history.received >= joinSeq
  }

  get mayCoordinate(): boolean {
    const { host, state } = this
    const isMember = findMember(state.latestView, host.self()) !== undefined
    return isMember && !host.isEntering() && !host.isLingering()
  }

  call(token: Token, minMembers: number, header: Uint8Array): void {
    this.recovery.call(token, minMembers, header)
  }

  private bind({ incarnation, coordinator }: Ballot): void {
    Object.assign(this.outbox.identity, { incarnation, coordinator })
    this.host.bound()
  }

  private resume(change: ResultChange): void {
    const { now } = this.outbox
    for (const { member, leftAt } of this.state.former) {
      if (leftAt !== change.view.seq || !change.removed.includes(member.id)) continue
      this.removed.push({ member, reminders: 0, nextAt: now + REMINDER_FIRST })
    }
    if (this.removed.length > REMOVED_KEPT) this.removed.splice(0, this.removed.length - REMOVED_KEPT)
    this.host.resumed(change)
  }

  /** The sequencer reminds those who were removed: one that was only cut off finds its group again. */
  remind(): void {
    const { now } = this.outbox
    for (const one of this.removed) {
      if (now < one.nextAt) continue
      one.reminders++
      one.nextAt = now + Math.min(REMINDER_LAST, REMINDER_FIRST * 2 ** one.reminders)
      this.recovery.tellExpelled(one.member)
    }
    this.removed = this.removed.filter(({ reminders }) => reminders < REMINDERS_MAX)
  }

  onGone(nonce: Nonce): void {
    this.removed = this.removed.filter(({ member }) => member.nonce !== nonce)
    this.recovery.onGone(nonce)
  }

  /** Who takes part in the reset under way, as far as this member knows. */
  participant(id: MemberId, nonce: Nonce): ViewMember | undefined {
    const { state } = this
    for (const view of [state.view, ...state.pending.map((change) => change.view)]) {
      const member = findMember(view, id)
      if (member?.nonce === nonce) return member
    }
    return undefined
  }

  // ---- packets ----------------------------------------------------------------------------------------

  /**
   * • An invitation is voted on if the inviter belongs to the newest view known accepted here, or to any later
   * view change that is held; otherwise the answer is "expelled".
   */
  onInvite(from: string, header: PacketHeader, packet: Uint8Array): RejectReason | undefined {
    const invite = decodeInvite(packet)
    if (invite === undefined || invite.ballot.coordinator !== header.sender) return 'malformed'
    const { ballot } = invite
    const { recovery } = this
    const inviter =
      this.participant(header.sender, header.senderNonce) ?? this.laterMember(from, header, invite)
    if (inviter === undefined) {
      if (!recovery.isBound) recovery.tellExpelled({ address: from, nonce: header.senderNonce })
      return 'stranger'
    }
    const isAutomatic = (header.flags & INVITE_FLAG_AUTOMATIC) !== 0
    const isNews = compareBallots(ballot, recovery.promise) > 0
    if (isAutomatic && isNews && !recovery.isBound && this.denies(inviter, ballot)) return undefined
    recovery.onInvite(inviter, ballot, header.flags)
    return undefined
  }

  /**
   * One whose join this member has missed: the view that it knows accepted lies upon mine, and this member is
   * in it, or it would not be invited. (Else a member that lags behind joins, with all that it knows dead, could
   * never vote again, and the others might lack its vote for a majority.)
   */
  private laterMember(from: string, header: PacketHeader, invite: Invite): ViewMember | undefined {
    const { state } = this
    const mine = [...state.results].reverse().find(({ seq }) => seq <= state.accepted) ?? state.results[0]!
    const liesUponMine = invite.results.some(({ ballot }) => isSameBallot(ballot, mine.ballot))
    const isNew = header.sender >= state.nextMemberId && invite.viewSeq > state.view.seq
    if (!liesUponMine || !isNew) return undefined
    return { id: header.sender, nonce: header.senderNonce, name: '', address: from, role: Role.full }
  }

  /** One that has heard the sequencer lately says so, and does not vote; the sequencer itself takes over. */
  private denies(inviter: ViewMember, ballot: Ballot): boolean {
    const { recovery, state, host } = this
    const { sequencer } = state.view
    if (sequencer === host.self()) {
      // the inviter is bound and can only go on in a new view: make it one for all
      if (this.mayCoordinate) recovery.outbid(ballot)
      return this.mayCoordinate
    }
    if (inviter.id === sequencer) return false
    const verdict = host.silence().inquiry.verdict(sequencer)
    if (verdict === true) recovery.refuse(inviter, ballot, RefusalReason.alive)
    return verdict !== false
  }

  onRefusal(header: PacketHeader, packet: Uint8Array): RejectReason | undefined {
    const refusal = decodeRefusal(packet)
    if (refusal === undefined) return 'malformed'
    this.recovery.onRefusal(header.senderNonce, refusal)
    return undefined
  }

  /** A vote or a result has come by stream. */
  onStream(from: Nonce, purpose: number, bytes: Uint8Array): void {
    if (purpose === StreamPurpose.vote) this.recovery.onVote(from, bytes)
    else if (purpose === StreamPurpose.result) this.recovery.onResult(from, bytes)
  }

  /**
   * Somebody says that the group has gone on without this member. It has, if the views of the one who says so
   * lie upon mine; if both lie upon an older one, there are two groups on one port (possible below a
   * majority), and nobody expels anybody.
   */
  onExpelled(packet: Uint8Array): RejectReason | undefined {
    const theirs = decodeExpelled(packet)
    if (theirs === undefined) return 'malformed'
    const { state } = this
    const mine = [...state.results].reverse().find(({ seq }) => seq <= state.accepted) ?? state.results[0]!
    const newest = theirs.at(-1)!.ballot
    const isIn = (ballot: Ballot, results: readonly ResultName[]) =>
      results.some((result) => isSameBallot(result.ballot, ballot))
    if (isIn(newest, state.results) || compareBallots(newest, state.results[0]!.ballot) < 0) {
      return 'incarnation'
    }
    if (this.recovery.onNotice(newest)) return undefined
    if (isIn(mine.ballot, theirs) || compareBallots(theirs[0]!.ballot, mine.ballot) > 0) {
      this.host.expelled('the group has gone on without this member')
      return undefined
    }
    this.reportSplit(newest)
    return undefined
  }

  /** A packet of this group that belongs to no view of mine, from one who is in none of mine. */
  onForeign(from: string, header: PacketHeader, isSequencer: boolean): void {
    const { recovery, outbox } = this
    if (recovery.isBound || header.sender === 0 || header.groupId !== outbox.identity.groupId) return
    if (this.participant(header.sender, header.senderNonce) !== undefined) return
    if (header.destination === 0n && !isSequencer) return
    recovery.tellExpelled({ address: from, nonce: header.senderNonce })
  }

  private reportSplit({ incarnation, coordinator }: Ballot): void {
    const name = `${incarnation}/${coordinator}`
    if (this.reported.has(name)) return
    if (this.reported.size >= SPLITS_KEPT) this.reported.clear()
    this.reported.add(name)
    this.counters.splits++
    this.outbox.trace('split', { incarnation, coordinator })
    this.outbox.output({ output: 'event', event: { event: 'split', incarnation, coordinator } })
  }
}

const SPLITS_KEPT = 16
