/**
 * The invitation protocol (paper, section 4.2; made safe in design 4.6): a member that rebuilds its group, as
 * coordinator or as one who votes. `phases.ts` says which signal means what in which phase; each function below
 * is what a handling does.
 *
 * • A vote is a promise. From the moment that a member votes, invites or yields, it acks, accepts, delivers and
 * sends nothing in any older view, even if the old sequencer turns out to be alive and this attempt fails.
 */
import { assert } from '../kernel/assert.ts'
import { agreement, type Ballot, compareBallots, isSameBallot, newestResult } from '../kernel/ballot.ts'
import { BlockKind } from '../kernel/block.ts'
import type { Counters } from '../kernel/counters.ts'
import { ErrorCode } from '../kernel/errors.ts'
import type { Entry } from '../kernel/history.ts'
import type { Incarnation, MemberId, Micros, Nonce, Seq } from '../kernel/identity.ts'
import type { OrderState } from '../kernel/order-state.ts'
import type { Outbox } from '../kernel/outbox.ts'
import { PacketKind } from '../kernel/packet.ts'
import { STATE_FLAG_RESULT, StreamPurpose } from '../kernel/packets.ts'
import type { Token } from '../kernel/port.ts'
import type { Prng } from '../kernel/prng.ts'
import {
  encodeExpelled,
  encodeInvite,
  encodeRefusal,
  INVITE_FLAG_AUTOMATIC,
  INVITE_FLAG_OWING,
  type Refusal,
  RefusalReason,
} from '../kernel/recovery-packets.ts'
import { decodeResult, encodeResult, type ResultChange } from '../kernel/result.ts'
import type { RoundTrips } from '../kernel/rtt.ts'
import type { Streams } from '../kernel/streams.ts'
import type { Timers } from '../kernel/timers.ts'
import { findMember, type Member } from '../kernel/view.ts'
import { Attempt, type Invitee } from './attempt.ts'
import { type Choice, choose } from './choice.ts'
import { type Handling, handlings, type Phase, type Signal } from './phases.ts'
import { patience } from './suspicion.ts'
import { decodeVote, encodeVote, voteOf } from './vote.ts'

/** What recovery needs of the member around it. */
export interface RecoveryHost {
  state(): OrderState
  self(): MemberId
  /** Whether this member holds everything up to its own join. */
  mayVote(): boolean
  /** Whether it belongs to the view at the end of its own log. */
  mayCoordinate(): boolean
  isSuspect(id: MemberId): boolean
  /** Nothing of an older view counts any more; packets bear this ballot from here on. */
  bound(ballot: Ballot): void
  /** Drops what the chosen log does not have. */
  dropAbove(seq: Seq): void
  /** Fetches everything up to `end` from a member that holds it. */
  collect(source: Member, end: Seq): void
  /** Takes the result into the log. */
  hold(entry: Entry): void
  /** The result is official. */
  accepted(result: ResultChange): void
  /** It is, and this member is not in the new view. */
  witnessed(result: ResultChange): void
  /** The group is one again; the resubmission of sends begins. */
  resumed(result: ResultChange): void
  /** Too few take part; the group stays stopped. */
  stopped(reason: string): void
  expelled(reason: string): void
}

/** A program that waits for its resetGroup. */
interface ResetCall {
  readonly token: Token
  readonly minMembers: number
  readonly header: Uint8Array
}

/** A result under way to being official, at one who did not make it. */
interface Following {
  readonly change: ResultChange
  readonly block: Uint8Array
  isAcked: boolean
}

/** So often a coordinator shows that it is still there while its voters are patient. */
const SIGNS_PER_PATIENCE = 8
/** The wait before the next attempt, when too few have answered, grows up to so many times the first. */
const BACKOFF_MAX = 16
const NO_BYTES = new Uint8Array(0)

export class Recovery {
  phase: Phase = 'normal'
  promise: Ballot
  private attempt: Attempt | undefined
  private coordinator: Member | undefined
  private coordinatorHeardAt: Micros = 0
  private following: Following | undefined
  private highestSeen: Incarnation
  /** A coordinator waited for in vain is not yielded to in the next attempt. */
  private inVain: MemberId | undefined
  private failures = 0
  /** BOUNDED by the program's own calls that have not returned. */
  private calls: ResetCall[] = []
  private startedAt: Micros = 0
  private signAt: Micros = 0

  private readonly outbox: Outbox
  private readonly timers: Timers
  private readonly streams: Streams
  private readonly counters: Counters
  private readonly roundTrips: RoundTrips
  private readonly prng: Prng
  private readonly host: RecoveryHost
  private readonly triesAllowed: number
  private readonly isAutomatic: boolean

  constructor(
    parts: {
      outbox: Outbox
      timers: Timers
      streams: Streams
      counters: Counters
      roundTrips: RoundTrips
      prng: Prng
      host: RecoveryHost
    },
    options: { tries: number; isAutomatic: boolean },
  ) {
    this.outbox = parts.outbox
    this.timers = parts.timers
    this.streams = parts.streams
    this.counters = parts.counters
    this.roundTrips = parts.roundTrips
    this.prng = parts.prng
    this.host = parts.host
    this.triesAllowed = options.tries
    this.isAutomatic = options.isAutomatic
    this.promise = newestResult(parts.host.state().log).ballot
    this.highestSeen = this.promise.incarnation
  }

  get isBound(): boolean {
    return this.phase !== 'normal'
  }

  /** Who is to be asked for what is missing now; undefined in a view that goes on. */
  get source(): Member | undefined {
    if (this.phase === 'following' || this.phase === 'promised') return this.coordinator
    if (this.phase === 'collecting') return this.attempt?.choice?.sources[0]
    return undefined
  }

  private handling(signal: Signal): Handling {
    return handlings[this.phase][signal]
  }

  /** Whom this member has promised itself to. */
  get leader(): Member | undefined {
    return this.coordinator
  }

  /** Whether what comes from a history now belongs to the log that goes on. */
  get isCollecting(): boolean {
    return this.handling('repair') === 'take' && this.isBound
  }

  /** The time in which all tries go unanswered. */
  private get patience(): Micros {
    return patience(this.roundTrips, this.triesAllowed)
  }

  private get signEvery(): Micros {
    return Math.max(1, Math.round(this.patience / SIGNS_PER_PATIENCE))
  }

  // ---- beginning --------------------------------------------------------------------------------------

  /** ResetGroup, called by the program. */
  call(token: Token, minMembers: number, header: Uint8Array): void {
    this.calls.push({ token, minMembers, header })
    // an attempt of the own that is not beyond its votes takes the call along; another's ends in one view, too
    if (this.phase === 'normal' || this.isWaiting) this.begin(false)
  }

  /** Somebody is suspect, and the policy is to go on by itself. */
  start(): void {
    if (this.phase === 'normal') this.begin(true)
  }

  /** The sequencer is accused without reason: one who has invited is bound, and a new view takes it along. */
  outbid(ballot: Ballot): void {
    this.highestSeen = Math.max(this.highestSeen, ballot.incarnation)
    this.start()
  }

  /** Bound by an attempt that has failed, with nobody to wait for. */
  private get isWaiting(): boolean {
    return this.phase === 'inviting' && this.attempt === undefined
  }

  /** Phase 1: invite everybody of the newest view known accepted, and of every later view change that is held. */
  private begin(isAutomatic: boolean): void {
    const { outbox, host } = this
    const state = host.state()
    if (!host.mayCoordinate()) return this.waitOn('this member is about to leave, or has not joined yet')
    const log = state.log
    // above every incarnation that it, a vote or a refusal has shown; none is proposed twice
    const incarnation = Math.max(this.highestSeen, this.promise.incarnation) + 1
    const ballot: Ballot = {
      incarnation,
      endIncarnation: newestResult(log).ballot.incarnation,
      endSeq: log.end,
      coordinator: host.self(),
    }
    if (this.phase === 'normal') this.startedAt = outbox.now
    this.bind(ballot, 'inviting')
    const attempt = new Attempt(ballot, isAutomatic, outbox.now, this.roundTrips)
    this.attempt = attempt
    for (const view of [state.view, ...state.pending.map((change) => change.view)]) {
      for (const member of view.members) {
        if (member.id === host.self()) this.countOwn(attempt, member)
        else if (!attempt.invitees.has(member.nonce)) attempt.invite(member, host.isSuspect(member.id))
      }
    }
    outbox.trace('inviting', { incarnation, end: log.end, invited: attempt.invitees.size })
    this.look()
  }

  /** Nothing can be begun here now, and it may be that nobody else does. */
  private waitOn(reason: string): void {
    if (!this.isBound) return
    this.timers.set('recovery', this.outbox.now + this.patience)
    this.host.stopped(reason)
  }

  private countOwn(attempt: Attempt, member: Member): void {
    const asked = Math.max(0, ...this.calls.map(({ minMembers }) => minMembers))
    const vote = voteOf(this.host.state(), attempt.ballot, asked)
    attempt.invite(member, false)
    attempt.count(member.nonce, { member, vote })
  }

  /** • Promises only rise. */
  private bind(ballot: Ballot, phase: Phase): void {
    assert(compareBallots(ballot, this.promise) > 0, 'promises only rise', ballot.incarnation)
    if (this.coordinator !== undefined) this.streams.close(this.coordinator.nonce)
    for (const { member } of this.attempt?.invitees.values() ?? []) this.streams.close(member.nonce)
    this.attempt = undefined
    this.following = undefined
    this.coordinator = undefined
    this.promise = ballot
    this.highestSeen = Math.max(this.highestSeen, ballot.incarnation)
    this.phase = phase
    this.host.bound(ballot)
  }

  // ---- voting -----------------------------------------------------------------------------------------

  /** An invitation of one who belongs to a view that counts here. */
  onInvite(from: Member, ballot: Ballot, flags: number): void {
    const order = compareBallots(ballot, this.promise)
    this.highestSeen = Math.max(this.highestSeen, ballot.incarnation)
    switch (this.handling(order > 0 ? 'invite' : order === 0 ? 'same-invite' : 'low-invite')) {
      case 'vote':
        if (this.inVain === from.id || !this.host.mayVote()) return
        this.vote(from, ballot)
        return
      case 'note':
        if (this.coordinator?.nonce !== from.nonce) return
        this.coordinatorHeardAt = this.outbox.now
        if ((flags & INVITE_FLAG_OWING) !== 0) this.answerAgain(from)
        return
      case 'refuse':
        this.refuse(from, ballot, RefusalReason.promised)
        return
      default:
        return
    }
  }

  private vote(from: Member, ballot: Ballot): void {
    if (this.phase === 'normal') this.startedAt = this.outbox.now
    this.bind(ballot, 'promised')
    this.coordinator = from
    this.coordinatorHeardAt = this.outbox.now
    this.outbox.trace('voted', { incarnation: ballot.incarnation, coordinator: from.id })
    this.sendVote(from)
    this.armPatience()
  }

  /** The coordinator has not got what it waits for. */
  private answerAgain(coordinator: Member): void {
    if (this.following?.isAcked === true) this.ack()
    else if (this.following === undefined && !this.streams.isSendingTo(coordinator.nonce)) {
      this.sendVote(coordinator)
    }
  }

  private sendVote(to: Member): void {
    const asked = Math.max(0, ...this.calls.map(({ minMembers }) => minMembers))
    const vote = voteOf(this.host.state(), this.promise, asked)
    this.streams.open(to.address, to.nonce, StreamPurpose.vote, encodeVote(vote))
  }

  refuse(to: Member, refused: Ballot, reason: RefusalReason): void {
    const body = encodeRefusal({ reason, refused, promise: this.promise })
    this.outbox.unicast(to.address, this.outbox.packetOf(PacketKind.refusal, 0, to.nonce, body))
  }

  // ---- the coordinator's phase 1 ----------------------------------------------------------------------

  onVote(from: Nonce, bytes: Uint8Array): void {
    const vote = decodeVote(bytes)
    const { attempt } = this
    const invitee = attempt?.invitees.get(from)
    if (vote === undefined || invitee === undefined || !isSameBallot(vote.ballot, attempt!.ballot)) return
    switch (this.handling('vote')) {
      case 'count':
        attempt!.count(from, { member: invitee.member, vote })
        this.look()
        return
      case 'late':
        // it can reach this coordinator after all, and the log may be another one with its vote: once more
        if (invitee.vote === undefined) this.fail('a vote came late')
        return
      default:
        return
    }
  }

  onRefusal(from: Nonce, refusal: Refusal): void {
    const { attempt } = this
    this.highestSeen = Math.max(this.highestSeen, refusal.promise.incarnation)
    if (refusal.reason === RefusalReason.tooFew) {
      const isMine = from === this.coordinator?.nonce && isSameBallot(refusal.refused, this.promise)
      if (isMine && this.phase === 'promised') this.giveUp('too few members answer')
      return
    }
    if (attempt === undefined || this.handling('refusal') !== 'heed') return
    const invitee = attempt.invitees.get(from)
    if (invitee === undefined || !isSameBallot(refusal.refused, attempt.ballot)) return
    if (refusal.reason === RefusalReason.alive) {
      this.outbox.trace('denied', { by: invitee.member.id })
      invitee.isOut = true
    } else if (compareBallots(refusal.promise, attempt.ballot) > 0) {
      // its coordinator invites this member, too: one of the two goes on, and this attempt is not the one
      attempt.beatenUntil ??= this.outbox.now + this.patience
    }
    this.look()
  }

  onGone(nonce: Nonce): void {
    this.attempt?.gone(nonce)
    if (this.phase === 'inviting' && this.attempt !== undefined) this.look()
    else if (this.attempt?.choice !== undefined && this.isNeeded(nonce)) this.fail('a member is gone')
    else if (this.coordinator?.nonce === nonce) this.coordinatorHeardAt = this.outbox.now - this.patience
    if (this.coordinator?.nonce === nonce) this.timers.setEarlier('recovery', this.outbox.now)
  }

  private isNeeded(nonce: Nonce): boolean {
    const choice = this.attempt?.choice
    if (choice === undefined) return false
    return [...choice.members, ...choice.witnesses].some((member) => member.nonce === nonce)
  }

  /** Invites who has not voted, and goes on when nobody else is waited for. */
  private look(): void {
    const { attempt, outbox } = this
    if (attempt === undefined || this.phase !== 'inviting') return
    const { now } = outbox
    if (attempt.beatenUntil !== undefined) {
      if (now >= attempt.beatenUntil) return this.fail('another attempt came to nothing')
    } else if (attempt.isComplete(now)) {
      return this.decide(attempt)
    }
    for (const invitee of attempt.invitees.values()) {
      if (invitee.vote === undefined && !invitee.isOut && now >= invitee.nextTryAt)
        this.invite(attempt, invitee)
    }
    this.showSigns()
    const next = attempt.beatenUntil ?? attempt.nextLook()
    this.timers.set('recovery', Math.min(Math.max(next, now + 1), this.signAt))
  }

  private invite(attempt: Attempt, invitee: Invitee): void {
    const { now } = this.outbox
    if (invitee.tries > this.triesAllowed) {
      invitee.isOut = true
      this.timers.setEarlier('recovery', now)
      return
    }
    invitee.nextTryAt = now + this.roundTrips.timeout(invitee.tries)
    if (++invitee.tries > 1 || invitee.wasSuspect) this.outbox.check(invitee.member.address)
    this.sendInvite(attempt, invitee.member, INVITE_FLAG_OWING)
  }

  private sendInvite(attempt: Attempt, to: Member, flags: number): void {
    const all = attempt.isAutomatic ? flags | INVITE_FLAG_AUTOMATIC : flags
    const { view, results, accepted } = this.host.state()
    const body = encodeInvite({
      ballot: attempt.ballot,
      viewSeq: view.seq,
      results: results.filter(({ seq }) => seq <= Math.max(accepted, results[0]!.seq)),
    })
    this.outbox.unicast(to.address, this.outbox.packetOf(PacketKind.invite, all, to.nonce, body))
  }

  /** Voters wait: they are shown that this coordinator is still there. */
  private showSigns(): void {
    const { attempt, outbox } = this
    if (attempt === undefined || outbox.now < this.signAt) return
    if (this.signAt > 0) {
      for (const { member, vote } of attempt.invitees.values()) {
        if (vote !== undefined && member.id !== this.host.self()) this.sendInvite(attempt, member, 0)
      }
    }
    this.signAt = outbox.now + this.signEvery
  }

  // ---- the coordinator's phase 2 ----------------------------------------------------------------------

  private decide(attempt: Attempt): void {
    const { host, outbox } = this
    const state = host.state()
    const choice = choose(attempt.voters, state.parameters)
    if (choice.lack !== undefined) {
      return this.stop(`${choice.lack.have} members answer, and it takes ${choice.lack.need}`)
    }
    if (!choice.members.some(({ id }) => id === host.self()))
      return this.stop('this member is out of the view')
    attempt.choice = choice
    const common = agreement(state.log, choice.log)
    if (common === undefined || common < state.accepted) {
      return host.expelled('what this member has delivered is not in the order of the others')
    }
    host.dropAbove(common)
    for (const { nonce } of [...choice.members, ...choice.witnesses]) attempt.owing.add(nonce)
    for (const invitee of attempt.invitees.values()) invitee.tries = 0
    this.phase = 'collecting'
    outbox.trace('collecting', { from: common, to: choice.log.end })
    const source = choice.sources.find(({ id }) => id === host.self()) ?? choice.sources[0]!
    if (state.history.received < choice.log.end) host.collect(source, choice.log.end)
    this.onHeld()
    if (this.phase === 'collecting') this.armSigns()
  }

  /** More is held than before: the coordinator may have all of the chosen log, a follower the result. */
  onHeld(): void {
    const { received } = this.host.state().history
    const { attempt, following } = this
    if (this.phase === 'collecting' && attempt?.choice !== undefined && received >= attempt.choice.log.end) {
      this.propose(attempt, attempt.choice)
    } else if (following !== undefined && !following.isAcked && received === following.change.view.seq - 1) {
      const { change, block } = following
      following.isAcked = true
      this.host.hold(resultEntry(change, block))
      this.outbox.trace('result-held', { seq: change.view.seq })
      this.ack()
    }
  }

  private propose(attempt: Attempt, choice: Choice): void {
    const { host, outbox } = this
    const state = host.state()
    const seq = state.history.received + 1
    const members = [...choice.members]
    const self = host.self()
    const requests = new Map(members.map(({ id }) => [id, state.requests.get(id) ?? 0]))
    const nextMemberIds = attempt.voters.map(({ vote }) => vote.nextMemberId)
    const { incarnation, coordinator } = attempt.ballot
    const { groupId } = choice.view
    const change: ResultChange = {
      ballot: attempt.ballot,
      view: { groupId, incarnation, coordinator, seq, sequencer: self, members },
      witnesses: choice.witnesses,
      results: [...state.results],
      stable: state.history.stable,
      requests,
      nextMemberId: Math.max(...nextMemberIds),
      removed: choice.removed.map(({ id }) => id),
      lossPossible: choice.lossPossible,
      header: this.calls[0]?.header ?? NO_BYTES,
    }
    const block = encodeResult(change)
    this.phase = 'proposing'
    host.hold(resultEntry(change, block))
    outbox.trace('proposing', { seq, members: members.length, witnesses: choice.witnesses.length })
    attempt.owing.delete(members.find(({ id }) => id === self)!.nonce)
    for (const { address, nonce } of [...members, ...choice.witnesses]) {
      if (attempt.owing.has(nonce)) this.streams.open(address, nonce, StreamPurpose.result, block)
    }
    this.acceptIfAcked(attempt, change)
    this.armSigns()
  }

  /** A member or witness holds everything up to the result. */
  onAck(from: Member): void {
    const { attempt } = this
    switch (this.handling('ack')) {
      case 'count': {
        if (attempt === undefined) return
        attempt.owing.delete(from.nonce)
        const change = this.host.state().pending.at(-1)?.result
        assert(change !== undefined, 'a proposed result is the last of the log')
        this.acceptIfAcked(attempt, change)
        return
      }
      default:
        return
    }
  }

  /** • The result is itself tentative: it is accepted when all members and witnesses have acked it. */
  private acceptIfAcked(attempt: Attempt, change: ResultChange): void {
    if (attempt.owing.size > 0) return
    this.outbox.trace('reset', { seq: change.view.seq, incarnation: change.ballot.incarnation })
    for (const witness of change.witnesses) this.tellExpelled(witness)
    this.host.accepted(change)
    this.settle(change)
  }

  /** The group has gone on without this member. */
  tellExpelled({ address, nonce }: { address: string; nonce: Nonce }): void {
    const body = encodeExpelled(this.host.state().results)
    this.outbox.unicast(address, this.outbox.packetOf(PacketKind.expelled, 0, nonce, body))
  }

  /** Anything has come of a participant, under this ballot. */
  onHeard(from: Member): void {
    if (from.nonce === this.coordinator?.nonce) this.coordinatorHeardAt = this.outbox.now
    const invitee = this.attempt?.invitees.get(from.nonce)
    if (invitee !== undefined && this.phase !== 'inviting') invitee.tries = 0
  }

  private armSigns(): void {
    if (this.phase === 'normal') return
    this.signAt = this.outbox.now + this.signEvery
    this.timers.set('recovery', this.signAt)
  }

  /** Phase 2 goes on for as long as everybody who has to ack, or to give, still answers. */
  private watchOver(attempt: Attempt): void {
    const source = this.source?.nonce
    for (const invitee of attempt.invitees.values()) {
      const { member, vote } = invitee
      if (vote === undefined || member.id === this.host.self()) continue
      const isWaitedFor =
        this.phase === 'proposing' ? attempt.owing.has(member.nonce) : member.nonce === source
      if (isWaitedFor && ++invitee.tries > SIGNS_PER_PATIENCE) return this.fail('a member does not answer')
      // answers of all at once would overrun this member's socket: only those that are missing are asked for
      const isOwing = this.phase === 'proposing' && isWaitedFor
      this.sendInvite(attempt, member, isOwing ? INVITE_FLAG_OWING : 0)
    }
    this.armSigns()
  }

  // ---- following --------------------------------------------------------------------------------------

  /** The result of the attempt that this member has promised itself to. */
  onResult(from: Nonce, block: Uint8Array): void {
    const { coordinator, host } = this
    const change = decodeResult(block)
    if (change === undefined || coordinator?.nonce !== from || !isSameBallot(change.ballot, this.promise))
      return
    const state = host.state()
    switch (this.handling('result')) {
      case 'take':
        break
      case 'repeat':
        if (this.following?.isAcked) this.ack()
        return
      default:
        return
    }
    const self = host.self()
    const isMember = findMember(change.view, self) !== undefined
    const isWitness = change.witnesses.some(({ id }) => id === self)
    if (!isMember && !isWitness) return
    const { seq } = change.view
    // • equal seqs are not equal events: what lies above the last place where the two chains agree is dropped
    const common = agreement(state.log, { results: change.results, end: seq - 1 })
    const canFollow = common !== undefined && common >= state.accepted && common >= change.stable
    // (a witness that cannot follow has been left behind by an accepted view: nobody counts on it)
    if (!canFollow) {
      return host.expelled('what this member has delivered is not in the order of the others')
    }
    this.coordinatorHeardAt = this.outbox.now
    this.phase = 'following'
    this.following = { change, block, isAcked: false }
    host.dropAbove(common)
    this.outbox.trace('result', { seq, common: common ?? 0, member: isMember })
    host.collect(coordinator, seq - 1)
    this.armPatience()
    this.onHeld()
  }

  private ack(): void {
    const { coordinator, outbox } = this
    if (coordinator === undefined) return
    const packet = outbox.packet(PacketKind.state, STATE_FLAG_RESULT, coordinator.nonce, 0)
    outbox.unicast(coordinator.address, packet)
    this.armPatience()
  }

  /** A broadcast of the one who made the result: if it says that everything up to there is accepted, it is. */
  onOrder(from: MemberId, accepted: Seq): void {
    const { following, host } = this
    if (this.handling('order') !== 'take' || following?.isAcked !== true) return
    const { change } = following
    if (from !== change.view.sequencer || accepted < change.view.seq) return
    if (findMember(change.view, host.self()) === undefined) return host.witnessed(change)
    host.accepted(change)
    this.settle(change)
  }

  /** A notice of expulsion: true if it only says that the result which this member bears witness to is official. */
  onNotice(newest: Ballot): boolean {
    const { following, host } = this
    if (following?.isAcked !== true || !isSameBallot(newest, this.promise)) return false
    if (findMember(following.change.view, host.self()) !== undefined) return false
    host.witnessed(following.change)
    return true
  }

  private settle(change: ResultChange): void {
    this.phase = 'normal'
    this.attempt = undefined
    this.following = undefined
    this.coordinator = undefined
    this.inVain = undefined
    this.failures = 0
    this.timers.stop('recovery')
    this.counters.reset(this.outbox.now - this.startedAt)
    const { calls } = this
    this.calls = []
    this.host.resumed(change)
    const size = change.view.members.length
    for (const { token } of calls) this.outbox.output({ output: 'reset', token, size })
  }

  // ---- time, and what goes wrong ----------------------------------------------------------------------

  /** The `recovery` timer has run out. */
  onTimer(): void {
    const { attempt } = this
    switch (this.phase) {
      case 'normal':
        return
      case 'inviting':
        if (attempt === undefined) this.begin(this.calls.length === 0)
        else this.look()
        return
      case 'collecting':
      case 'proposing':
        this.watchOver(attempt!)
        return
      case 'promised':
      case 'following':
        this.onPatience()
    }
  }

  private armPatience(): void {
    const { now } = this.outbox
    // not all at the same moment: with equal distances it would be the same member's packet that is lost each time
    const again = Math.round(this.patience / 4)
    this.timers.set('recovery', now + again + this.prng.below(Math.max(1, again)))
  }

  private onPatience(): void {
    const { coordinator, outbox } = this
    if (coordinator !== undefined && outbox.now - this.coordinatorHeardAt < this.patience) {
      outbox.check(coordinator.address)
      if (this.following?.isAcked === true) this.ack()
      else this.armPatience()
      return
    }
    outbox.trace('in-vain', { coordinator: coordinator?.id ?? 0 })
    this.inVain = coordinator?.id
    if (this.host.mayCoordinate()) this.begin(true)
    else this.host.stopped('the member that rebuilds the group does not answer')
    if (this.phase === 'promised' || this.phase === 'following') this.armPatience()
  }

  /** Somebody has crashed, or come late: phase 1 begins again. */
  private fail(reason: string): void {
    const isAutomatic = this.attempt?.isAutomatic ?? true
    this.outbox.trace('attempt-failed', { reason })
    this.attempt = undefined
    this.phase = 'inviting'
    this.inVain = undefined
    this.begin(isAutomatic)
  }

  /** Too few take part: the voters are told. */
  private stop(reason: string): void {
    this.counters.resets.failed++
    for (const { member } of this.attempt?.voters ?? []) {
      if (member.id !== this.host.self()) this.refuse(member, this.promise, RefusalReason.tooFew)
    }
    this.giveUp(reason)
  }

  /** Callers are told, and an automatic group tries again later. */
  private giveUp(reason: string): void {
    const { outbox } = this
    outbox.trace('too-few', { reason })
    this.attempt = undefined
    this.inVain = undefined
    this.coordinator = undefined
    this.phase = 'inviting'
    const { calls } = this
    this.calls = []
    this.failures++
    if (!this.host.mayCoordinate()) {
      // a joiner, or a leaver: its own time is limited, whatever the policy
      this.timers.set('recovery', outbox.now + this.patience)
    } else if (this.isAutomatic) {
      const first = this.patience
      const backoff = Math.min(BACKOFF_MAX, 2 ** Math.min(this.failures, 10) / 2) * first
      this.timers.set('recovery', outbox.now + Math.round(backoff / 2 + this.prng.below(backoff)))
    } else {
      this.timers.stop('recovery')
    }
    const message = `${reason}; the group stays stopped, what was received can still be read, and resetGroup can be tried again`
    for (const { token } of calls)
      outbox.output({ output: 'failed', token, code: ErrorCode.resetFailed, message })
    this.host.stopped(reason)
  }

  /** The member's life is over. */
  close(code: ErrorCode, message: string): void {
    const { calls } = this
    this.calls = []
    for (const { token } of calls) this.outbox.output({ output: 'failed', token, code, message })
  }
}

function resultEntry(change: ResultChange, block: Uint8Array): Entry {
  const member = change.ballot.coordinator
  const { seq } = change.view
  return { seq, count: 1, kind: BlockKind.result, member, firstRequest: seq, block }
}
