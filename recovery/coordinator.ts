/**
 * The coordinator of a reset (paper, section 4.2; made safe in design 4.6). Phase 1: it invites, and counts the
 * votes. Phase 2: it takes the best log, sends the result of it, and counts the acks. Whoever crashes, or comes
 * late, makes it begin again from phase 1.
 */
import { assert } from '../kernel/assert.ts'
import { agreement, type Ballot, compareBallots, isSameBallot, newestResult } from '../kernel/ballot.ts'
import { NO_BYTES } from '../kernel/bytes.ts'
import type { Micros, Nonce } from '../kernel/identity.ts'
import { PacketKind } from '../kernel/packet.ts'
import { StreamPurpose } from '../kernel/packets.ts'
import {
  encodeInvite,
  INVITE_FLAG_AUTOMATIC,
  INVITE_FLAG_OWING,
  type Lack,
  type Refusal,
  RefusalReason,
} from '../kernel/recovery-packets.ts'
import { encodeResult, type ResultChange } from '../kernel/result.ts'
import type { Member, View } from '../kernel/view.ts'
import { Attempt, type Invitee } from './attempt.ts'
import type { Binding, RecoveryParts } from './binding.ts'
import { type Choice, choose } from './choice.ts'
import { lackText } from './lack.ts'
import { decodeVote, voteOf } from './vote.ts'

/** So often a coordinator shows that it is still there while its voters are patient. */
const SIGNS_PER_PATIENCE = 8

export class Coordinator {
  private signAt: Micros = 0
  private readonly binding: Binding
  private readonly parts: RecoveryParts

  constructor(binding: Binding, parts: RecoveryParts) {
    this.binding = binding
    this.parts = parts
  }

  /** Who is to be asked for what is missing of the chosen log. */
  get source(): Member | undefined {
    const { phase, attempt } = this.binding
    return phase === 'collecting' ? attempt?.choice?.sources[0] : undefined
  }

  private get signEvery(): Micros {
    return Math.max(1, Math.round(this.binding.patience / SIGNS_PER_PATIENCE))
  }

  // ---- phase 1: invitations and votes -----------------------------------------------------------------

  /**
   * Invites everybody of the newest view known accepted, and of every later view change that is held, and those who have
   * voted in the attempt before.
   */
  begin(isAutomatic: boolean, voters: readonly Member[] = []): void {
    const { binding } = this
    const { outbox, host, roundTrips } = this.parts
    const state = host.state()
    if (!host.mayCoordinate())
      return binding.waitOn('this member is about to leave, has not joined yet, or may not rebuild the group')
    const log = state.log
    // above every incarnation that it, a vote or a refusal has shown; none is proposed twice
    const incarnation = Math.max(binding.highestSeen, binding.promise.incarnation) + 1
    const ballot: Ballot = {
      incarnation,
      endIncarnation: newestResult(log).ballot.incarnation,
      endSeq: log.end,
      coordinator: host.self(),
    }
    binding.bind(ballot, 'inviting')
    const attempt = new Attempt(ballot, isAutomatic, outbox.now, roundTrips)
    binding.attempt = attempt
    this.inviteAll(attempt, state.views)
    this.inviteMembers(attempt, voters)
    outbox.trace('inviting', { incarnation, end: log.end, invited: attempt.invitees.size })
    this.look()
  }

  /**
   * Those of a vote's views, too, whose joins this coordinator has missed: the minimum is counted over these views. (Where
   * only one member may coordinate, and it is behind, nobody else would ever invite them: seeds 7001273 and 7006208.)
   */
  private inviteAll(attempt: Attempt, views: readonly View[]): void {
    for (const { members } of views) this.inviteMembers(attempt, members)
  }

  private inviteMembers(attempt: Attempt, members: readonly Member[]): void {
    const { host } = this.parts
    for (const member of members) {
      if (attempt.invitees.has(member.nonce)) continue
      if (member.id === host.self()) this.countOwn(attempt, member)
      else attempt.invite(member, host.isSuspect(member.id))
    }
  }

  private countOwn(attempt: Attempt, member: Member): void {
    const vote = voteOf(this.parts.host.state(), attempt.ballot, this.binding.minMembersAsked)
    attempt.invite(member, false)
    attempt.count(member.nonce, { member, vote })
  }

  onVote(from: Nonce, bytes: Uint8Array): void {
    const vote = decodeVote(bytes)
    const { attempt } = this.binding
    const invitee = attempt?.invitees.get(from)
    if (vote === undefined || invitee === undefined || !isSameBallot(vote.ballot, attempt!.ballot)) return
    switch (this.binding.handling('vote')) {
      case 'count':
        attempt!.count(from, { member: invitee.member, vote })
        this.inviteAll(attempt!, vote.views)
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
    const { attempt } = this.binding
    if (attempt === undefined || this.binding.handling('refusal') !== 'heed') return
    const invitee = attempt.invitees.get(from)
    if (invitee === undefined || !isSameBallot(refusal.refused, attempt.ballot)) return
    const { outbox } = this.parts
    if (refusal.reason === RefusalReason.alive) {
      outbox.trace('denied', { by: invitee.member.id })
      invitee.isOut = true
    } else if (compareBallots(refusal.promise, attempt.ballot) > 0) {
      // its coordinator invites this member, too: one of the two goes on, and this attempt is not the one
      attempt.beatenUntil ??= outbox.now + this.binding.patience
    }
    this.look()
  }

  /** Invites who has not voted, and goes on when nobody else is waited for. */
  private look(): void {
    const { attempt, phase } = this.binding
    const { outbox, timers } = this.parts
    if (attempt === undefined || phase !== 'inviting') return
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
    timers.set('recovery', Math.min(Math.max(next, now + 1), this.signAt))
  }

  private invite(attempt: Attempt, invitee: Invitee): void {
    const { outbox, timers, host } = this.parts
    const { pace } = this.binding
    const { now } = outbox
    if (invitee.tries > pace.tries) {
      invitee.isOut = true
      timers.setEarlier('recovery', now)
      return
    }
    invitee.nextTryAt = now + pace.wait(invitee.tries)
    if (++invitee.tries > 1 || invitee.wasSuspect) host.check(invitee.member)
    this.sendInvite(attempt, invitee.member, INVITE_FLAG_OWING)
  }

  private sendInvite(attempt: Attempt, to: Member, flags: number): void {
    const { outbox, host } = this.parts
    const all = attempt.isAutomatic ? flags | INVITE_FLAG_AUTOMATIC : flags
    const { view, results, accepted } = host.state()
    const body = encodeInvite({
      ballot: attempt.ballot,
      viewSeq: view.seq,
      results: results.filter(({ seq }) => seq <= Math.max(accepted, results[0]!.seq)),
    })
    outbox.unicast(to.address, outbox.packetOf(PacketKind.invite, all, to.nonce, body))
  }

  /** Voters wait: they are shown that this coordinator is still there. */
  private showSigns(): void {
    const { attempt } = this.binding
    const { outbox, host } = this.parts
    if (attempt === undefined || outbox.now < this.signAt) return
    if (this.signAt > 0) {
      for (const { member, vote } of attempt.invitees.values()) {
        if (vote !== undefined && member.id !== host.self()) this.sendInvite(attempt, member, 0)
      }
    }
    this.signAt = outbox.now + this.signEvery
  }

  // ---- phase 2: the log, the result and its acks ------------------------------------------------------

  private decide(attempt: Attempt): void {
    const { binding } = this
    const { host, outbox } = this.parts
    const state = host.state()
    const choice = choose(attempt.voters, state.parameters)
    if (choice.lack !== undefined) {
      return this.stop(attempt, lackText(choice.lack, host.self()), choice.lack)
    }
    if (!choice.members.some(({ id }) => id === host.self()))
      return this.stop(attempt, 'this member is out of the view')
    attempt.choice = choice
    const common = agreement(state.log, choice.log)
    if (common === undefined || common < state.accepted) {
      return host.expelled('what this member has delivered is not in the order of the others')
    }
    host.dropAbove(common)
    for (const { nonce } of [...choice.members, ...choice.witnesses]) attempt.owing.add(nonce)
    for (const invitee of attempt.invitees.values()) invitee.tries = 0
    binding.phase = 'collecting'
    outbox.trace('collecting', { from: common, to: choice.log.end })
    if (state.history.received < choice.log.end) host.collect(choice.log.end)
    this.onHeld()
    if (binding.phase === 'collecting') this.armSigns()
  }

  /** More is held than before: it may be all of the chosen log. */
  onHeld(): void {
    const { phase, attempt } = this.binding
    if (phase !== 'collecting' || attempt?.choice === undefined) return
    if (this.parts.host.state().history.received >= attempt.choice.log.end) {
      this.propose(attempt, attempt.choice)
    }
  }

  private propose(attempt: Attempt, choice: Choice): void {
    const { binding } = this
    const { host, outbox, streams } = this.parts
    const state = host.state()
    const seq = state.history.received + 1
    const { members, witnesses } = choice
    const self = host.self()
    const requests = new Map(members.map(({ id }) => [id, state.requests.get(id) ?? 0]))
    const nextMemberIds = attempt.voters.map(({ vote }) => vote.nextMemberId)
    const { incarnation, coordinator } = attempt.ballot
    const { groupId } = choice.view
    const change: ResultChange = {
      ballot: attempt.ballot,
      view: { groupId, incarnation, coordinator, seq, sequencer: self, members },
      witnesses,
      results: [...state.results],
      stable: state.history.stable,
      requests,
      nextMemberId: Math.max(...nextMemberIds),
      removed: choice.removed.map(({ id }) => id),
      lossPossible: choice.lossPossible,
      header: binding.calls[0]?.header ?? NO_BYTES,
    }
    const block = encodeResult(change)
    binding.phase = 'proposing'
    binding.hold(change, block)
    outbox.trace('proposing', { seq, members: members.length, witnesses: witnesses.length })
    attempt.owing.delete(members.find(({ id }) => id === self)!.nonce)
    for (const { address, nonce } of [...members, ...witnesses]) {
      if (attempt.owing.has(nonce)) streams.open(address, nonce, StreamPurpose.result, block)
    }
    this.acceptIfAcked(attempt, change)
    this.armSigns()
  }

  /** A member or witness holds everything up to the result. */
  onAck(from: Member): void {
    const { attempt } = this.binding
    if (attempt === undefined || this.binding.handling('ack') !== 'count') return
    attempt.owing.delete(from.nonce)
    const change = this.parts.host.state().pending.at(-1)?.result
    assert(change !== undefined, 'a proposed result is the last of the log')
    this.acceptIfAcked(attempt, change)
  }

  /** • The result is itself tentative: it is accepted when all members and witnesses have acked it. */
  private acceptIfAcked(attempt: Attempt, change: ResultChange): void {
    if (attempt.owing.size > 0) return
    this.parts.outbox.trace('reset', { seq: change.view.seq, incarnation: change.ballot.incarnation })
    for (const witness of change.witnesses) this.binding.tellExpelled(witness)
    this.binding.settle(change)
  }

  // ---- time, and what goes wrong ----------------------------------------------------------------------

  onTimer(): void {
    const { attempt, phase, calls } = this.binding
    if (attempt === undefined) this.begin(calls.length === 0)
    else if (phase === 'inviting') this.look()
    else this.watchOver(attempt)
  }

  private armSigns(): void {
    if (!this.binding.isBound) return
    const { timers, outbox } = this.parts
    this.signAt = outbox.now + this.signEvery
    timers.set('recovery', this.signAt)
  }

  /** Phase 2 goes on for as long as everybody who has to ack, or to give, still answers. */
  private watchOver(attempt: Attempt): void {
    const isProposing = this.binding.phase === 'proposing'
    const source = this.source?.nonce
    for (const invitee of attempt.invitees.values()) {
      const { member, vote } = invitee
      if (vote === undefined || member.id === this.parts.host.self()) continue
      const isWaitedFor = isProposing ? attempt.owing.has(member.nonce) : member.nonce === source
      if (isWaitedFor && ++invitee.tries > SIGNS_PER_PATIENCE) return this.fail('a member does not answer')
      // answers of all at once would overrun this member's socket: only those that are missing are asked for
      const isOwing = isProposing && isWaitedFor
      this.sendInvite(attempt, member, isOwing ? INVITE_FLAG_OWING : 0)
    }
    this.armSigns()
  }

  onHeard(from: Member): void {
    const { attempt, phase } = this.binding
    const invitee = attempt?.invitees.get(from.nonce)
    if (invitee !== undefined && phase !== 'inviting') invitee.tries = 0
  }

  onGone(nonce: Nonce): void {
    const { attempt, phase } = this.binding
    if (attempt === undefined) return
    attempt.gone(nonce)
    if (phase === 'inviting') this.look()
    else if (attempt.choice !== undefined && isNeeded(attempt.choice, nonce)) this.fail('a member is gone')
  }

  /** Somebody has crashed, or come late: phase 1 begins again. */
  private fail(reason: string): void {
    const { binding } = this
    const isAutomatic = binding.attempt?.isAutomatic ?? true
    // whoever has voted is bound to this coordinator, and may be known here by the vote of one that is gone by now
    const voters = binding.attempt?.voters.map(({ member }) => member) ?? []
    this.parts.outbox.trace('attempt-failed', { reason })
    binding.attempt = undefined
    binding.phase = 'inviting'
    binding.inVain = undefined
    this.begin(isAutomatic, voters)
  }

  /** Too few take part: the voters are told. */
  private stop(attempt: Attempt, reason: string, lack?: Lack): void {
    const { host, counters } = this.parts
    const { binding } = this
    counters.resets.failed++
    for (const { member } of attempt.voters) {
      if (member.id !== host.self()) binding.refuse(member, binding.promise, RefusalReason.tooFew, lack)
    }
    binding.giveUp(reason, lack)
  }
}

function isNeeded({ members, witnesses }: Choice, nonce: Nonce): boolean {
  return [...members, ...witnesses].some((member) => member.nonce === nonce)
}
