/**
 * Who votes in a reset, and follows its coordinator (paper, section 4.2; made safe in design 4.6): it answers
 * invitations, takes over the result with what it lacks of the log, acks, and waits until that is official.
 * One who waits in vain makes an attempt of its own.
 */
import { agreement, type Ballot, compareBallots, isSameBallot } from '../kernel/ballot.ts'
import type { MemberId, Micros, Nonce, Seq } from '../kernel/identity.ts'
import { PacketKind } from '../kernel/packet.ts'
import { STATE_FLAG_RESULT, StreamPurpose } from '../kernel/packets.ts'
import { INVITE_FLAG_OWING, type Refusal, RefusalReason } from '../kernel/recovery-packets.ts'
import { decodeResult } from '../kernel/result.ts'
import { findMember, type Member } from '../kernel/view.ts'
import type { Binding, RecoveryParts } from './binding.ts'
import { lackText } from './lack.ts'
import { encodeVote, voteOf } from './vote.ts'

export class Follower {
  private coordinatorHeardAt: Micros = 0
  private readonly binding: Binding
  private readonly parts: RecoveryParts
  /** Begins an attempt of this member's own. */
  private readonly begin: () => void

  constructor(binding: Binding, parts: RecoveryParts, begin: () => void) {
    this.binding = binding
    this.parts = parts
    this.begin = begin
  }

  // ---- voting -----------------------------------------------------------------------------------------

  /** An invitation of one who belongs to a view that counts here. */
  onInvite(from: Member, ballot: Ballot, flags: number): void {
    const { binding } = this
    const order = compareBallots(ballot, binding.promise)
    binding.note(ballot)
    switch (binding.handling(order > 0 ? 'invite' : order === 0 ? 'same-invite' : 'low-invite')) {
      case 'vote':
        if (binding.inVain === from.id || !this.parts.host.mayVote()) return
        this.vote(from, ballot)
        return
      case 'note':
        if (binding.coordinator?.nonce !== from.nonce) return
        this.coordinatorHeardAt = this.parts.outbox.now
        if ((flags & INVITE_FLAG_OWING) !== 0) this.answerAgain(from)
        return
      case 'refuse':
        binding.refuse(from, ballot, RefusalReason.promised)
        return
      default:
        return
    }
  }

  private vote(from: Member, ballot: Ballot): void {
    const { outbox } = this.parts
    this.binding.bind(ballot, 'promised')
    this.binding.coordinator = from
    this.coordinatorHeardAt = outbox.now
    outbox.trace('voted', { incarnation: ballot.incarnation, coordinator: from.id })
    this.sendVote(from)
    this.armPatience()
  }

  /** The coordinator has not got what it waits for. */
  private answerAgain(coordinator: Member): void {
    const { following } = this.binding
    const { streams } = this.parts
    if (following?.isAcked === true) this.ack()
    else if (following !== undefined) return
    else if (streams.isSendingTo(coordinator.nonce)) streams.sendAgain(coordinator.nonce)
    else this.sendVote(coordinator)
  }

  private sendVote(to: Member): void {
    const { streams, host } = this.parts
    const vote = voteOf(host.state(), this.binding.promise, this.binding.minMembersAsked)
    streams.open(to.address, to.nonce, StreamPurpose.vote, encodeVote(vote))
  }

  /** The coordinator says that too few have voted. */
  onTooFew(from: Nonce, { refused, lack }: Refusal): void {
    const { binding } = this
    const isMine = from === binding.coordinator?.nonce && isSameBallot(refused, binding.promise)
    const reason = lack && lackText(lack, this.parts.host.self())
    if (isMine && binding.phase === 'promised') binding.giveUp(reason ?? 'too few members answer', lack)
  }

  // ---- following --------------------------------------------------------------------------------------

  /** The result of the attempt that this member has promised itself to. */
  onResult(from: Nonce, block: Uint8Array): void {
    const { binding } = this
    const { coordinator, promise } = binding
    const { host, outbox } = this.parts
    const change = decodeResult(block)
    if (change === undefined || coordinator?.nonce !== from || !isSameBallot(change.ballot, promise)) return
    const state = host.state()
    switch (binding.handling('result')) {
      case 'take':
        break
      case 'repeat':
        if (binding.following?.isAcked) this.ack()
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
    this.coordinatorHeardAt = outbox.now
    binding.phase = 'following'
    binding.following = { change, block, isAcked: false }
    host.dropAbove(common)
    outbox.trace('result', { seq, common, member: isMember })
    host.collect(seq - 1)
    this.armPatience()
    this.onHeld()
  }

  /** More is held than before: it may be everything below the result. */
  onHeld(): void {
    const { following } = this.binding
    const { host, outbox } = this.parts
    if (following === undefined || following.isAcked) return
    const { change, block } = following
    if (host.state().history.received !== change.view.seq - 1) return
    following.isAcked = true
    this.binding.hold(change, block)
    outbox.trace('result-held', { seq: change.view.seq })
    this.ack()
  }

  private ack(): void {
    const { coordinator } = this.binding
    const { outbox } = this.parts
    if (coordinator === undefined) return
    const packet = outbox.packet(PacketKind.state, STATE_FLAG_RESULT, coordinator.nonce, 0)
    outbox.unicast(coordinator.address, packet)
    this.armPatience()
  }

  /** A broadcast of the one who made the result: if it says that everything up to there is accepted, it is. */
  onOrder(from: MemberId, accepted: Seq): void {
    const { host } = this.parts
    const { following } = this.binding
    if (this.binding.handling('order') !== 'take' || following?.isAcked !== true) return
    const { change } = following
    if (from !== change.view.sequencer || accepted < change.view.seq) return
    if (findMember(change.view, host.self()) === undefined) return host.witnessed(change)
    this.binding.settle(change)
  }

  /** A notice of expulsion: true if it only says that the result which this member bears witness to is official. */
  onNotice(newest: Ballot): boolean {
    const { host } = this.parts
    const { following, promise } = this.binding
    if (following?.isAcked !== true || !isSameBallot(newest, promise)) return false
    if (findMember(following.change.view, host.self()) !== undefined) return false
    host.witnessed(following.change)
    return true
  }

  // ---- patience with the coordinator ------------------------------------------------------------------

  onHeard(from: Member): void {
    if (from.nonce === this.binding.coordinator?.nonce) this.coordinatorHeardAt = this.parts.outbox.now
  }

  /** No need to be patient with one that lives no more. */
  onGone(nonce: Nonce): void {
    if (this.binding.coordinator?.nonce !== nonce) return
    const { timers, outbox } = this.parts
    this.coordinatorHeardAt = outbox.now - this.binding.patience
    timers.setEarlier('recovery', outbox.now)
  }

  private armPatience(): void {
    const { timers, outbox, prng } = this.parts
    // not all at the same moment: with equal distances it would be the same member's packet that is lost each time
    const again = Math.round(this.binding.patience / 4)
    timers.set('recovery', outbox.now + again + prng.below(Math.max(1, again)))
  }

  onTimer(): void {
    const { binding } = this
    const { coordinator, patience } = binding
    const { outbox, host } = this.parts
    if (coordinator !== undefined && outbox.now - this.coordinatorHeardAt < patience) {
      host.check(coordinator)
      if (binding.following?.isAcked === true) this.ack()
      else this.armPatience()
      return
    }
    const begins = host.mayCoordinate()
    outbox.trace('coordinator-silent', { coordinator: coordinator?.id ?? 0, begins })
    if (begins) {
      binding.inVain = coordinator?.id
      this.begin()
    } else host.stopped('the member that rebuilds the group does not answer')
    if (binding.phase === 'promised' || binding.phase === 'following') this.armPatience()
  }
}
