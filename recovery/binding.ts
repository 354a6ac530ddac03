/**
 * What a member is bound to by a reset: its phase and its promise, the attempt of its own or the coordinator
 * that it follows, and the calls of the program that wait for the end. `coordinator.ts` and `follower.ts` act
 * upon it; here is how a binding begins, and its two ends: a result that is official, or too few.
 *
 * • A vote is a promise. From the moment that a member votes, invites or yields, it acks, accepts, delivers and
 * sends nothing in any older view, even if the old sequencer turns out to be alive and this attempt fails.
 */
import { assert } from '../kernel/assert.ts'
import { type Ballot, compareBallots, newestResult, type ResultName } from '../kernel/ballot.ts'
import { BlockKind } from '../kernel/block.ts'
import type { Counters } from '../kernel/counters.ts'
import { ErrorCode } from '../kernel/errors.ts'
import type { Entry } from '../kernel/history.ts'
import type { Incarnation, MemberId, Micros, Seq } from '../kernel/identity.ts'
import type { OrderState } from '../kernel/order-state.ts'
import type { Outbox } from '../kernel/outbox.ts'
import { PacketKind } from '../kernel/packet.ts'
import type { Token } from '../kernel/port.ts'
import type { Prng } from '../kernel/prng.ts'
import { encodeExpelled, encodeRefusal, type Lack, type RefusalReason } from '../kernel/recovery-packets.ts'
import { type ResultChange, resultRequest } from '../kernel/result.ts'
import type { RoundTrips } from '../kernel/rtt.ts'
import type { Streams } from '../kernel/streams.ts'
import type { Timers } from '../kernel/timers.ts'
import type { Member } from '../kernel/view.ts'
import type { Attempt } from './attempt.ts'
import { membersText } from './lack.ts'
import { Pace } from './pace.ts'
import { type Handling, handlings, type Phase, type Signal } from './phases.ts'

/** What recovery needs of the member around it. */
export interface RecoveryHost {
  state(): OrderState
  self(): MemberId
  /** Whether this member holds everything up to its own join. */
  mayVote(): boolean
  /** Whether it belongs to the view at the end of its own log. */
  mayCoordinate(): boolean
  isSuspect(id: MemberId): boolean
  /** Asks the operating system whether a member that owes an answer is there still. */
  check(member: Member): void
  /** Nothing of an older view counts any more; packets bear this ballot from here on. */
  bound(ballot: Ballot): void
  /** Drops what the chosen log does not have. */
  dropAbove(seq: Seq): void
  /** Fetches everything up to `end` from the source that the recovery names. */
  collect(end: Seq): void
  /** Takes the result into the log. */
  hold(entry: Entry): void
  /** The result is official. */
  accepted(result: ResultChange): void
  /** It is, and this member is not in the new view. */
  witnessed(result: ResultChange): void
  /** The group is one again; the resubmission of sends begins. */
  resumed(): void
  /** Nobody rebuilds the group now; `lack` says so where too few take part. */
  stopped(reason: string, lack?: Lack): void
  expelled(reason: string): void
}

export interface RecoveryParts {
  readonly outbox: Outbox
  readonly timers: Timers
  readonly streams: Streams
  readonly counters: Counters
  readonly roundTrips: RoundTrips
  readonly prng: Prng
  readonly host: RecoveryHost
}

export interface RecoveryOptions {
  readonly tries: number
  /** Longest wait between two of them. */
  readonly tryInterval: Micros
  readonly isAutomatic: boolean
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

/** The wait before the next attempt, when too few have answered, grows up to so many times the first. */
const BACKOFF_MAX = 16

/** Attempts that may have been made elsewhere since the last that was heard of. */
export const INCARNATION_STEP_MAX = 2 ** 32

export class Binding {
  phase: Phase = 'normal'
  promise: Ballot
  /** The own attempt; a member has that, or a coordinator, or neither. */
  attempt: Attempt | undefined
  /** Whom this member has promised itself to. */
  coordinator: Member | undefined
  following: Following | undefined
  highestSeen: Incarnation
  /** A coordinator waited for in vain is not yielded to in the next attempt. */
  inVain: MemberId | undefined
  /** BOUNDED by the program's own calls that have not returned. */
  calls: ResetCall[] = []
  private failures = 0
  private startedAt: Micros = 0
  readonly pace: Pace
  private readonly parts: RecoveryParts
  private readonly options: RecoveryOptions

  constructor(parts: RecoveryParts, options: RecoveryOptions) {
    this.parts = parts
    this.options = options
    this.pace = new Pace(parts.roundTrips, options)
    this.promise = newestResult(parts.host.state().log).ballot
    this.highestSeen = this.promise.incarnation
  }

  get isBound(): boolean {
    return this.phase !== 'normal'
  }

  /** Bound by an attempt that has failed, with nobody to wait for. */
  get isWaiting(): boolean {
    return this.phase === 'inviting' && this.attempt === undefined
  }

  handling(signal: Signal): Handling {
    return handlings[this.phase][signal]
  }

  /** The time in which all tries go unanswered. */
  get patience(): Micros {
    return this.pace.patience
  }

  /** The most that a waiting call asks for; 0 if none waits. */
  get minMembersAsked(): number {
    return Math.max(0, ...this.calls.map(({ minMembers }) => minMembers))
  }

  note({ incarnation }: Ballot): void {
    // attempts take the next number: who shows one so far ahead would use them all up
    if (incarnation - this.highestSeen > INCARNATION_STEP_MAX) return
    this.highestSeen = Math.max(this.highestSeen, incarnation)
  }

  /** • Promises only rise. */
  bind(ballot: Ballot, phase: Phase): void {
    const { streams, outbox, host } = this.parts
    if (this.phase === 'normal') this.startedAt = outbox.now
    assert(compareBallots(ballot, this.promise) > 0, 'promises only rise', ballot.incarnation)
    if (this.coordinator !== undefined) streams.close(this.coordinator.nonce)
    for (const { member } of this.attempt?.invitees.values() ?? []) streams.close(member.nonce)
    this.attempt = undefined
    this.following = undefined
    this.coordinator = undefined
    this.promise = ballot
    this.note(ballot)
    this.phase = phase
    host.bound(ballot)
  }

  // ---- what is said at the edge -----------------------------------------------------------------------

  refuse(to: Member, refused: Ballot, reason: RefusalReason, lack?: Lack): void {
    const { outbox } = this.parts
    const body = encodeRefusal({ reason, refused, promise: this.promise, lack })
    outbox.unicast(to.address, outbox.packetOf(PacketKind.refusal, 0, to.nonce, body))
  }

  /** The group has gone on without this member; `common` is the newest result that both are known to hold. */
  tellExpelled({ address, nonce }: Pick<Member, 'address' | 'nonce'>, common?: ResultName): void {
    const { outbox, host } = this.parts
    const body = encodeExpelled(host.state().results, common)
    outbox.unicast(address, outbox.packetOf(PacketKind.expelled, 0, nonce, body))
  }

  // ---- the result -------------------------------------------------------------------------------------

  /** The result goes into the log behind everything that it lies upon; it is not official by that. */
  hold(change: ResultChange, block: Uint8Array): void {
    const member = change.ballot.coordinator
    const { seq } = change.view
    this.parts.host.hold({
      seq,
      count: 1,
      kind: BlockKind.result,
      member,
      firstRequest: resultRequest(seq),
      block,
    })
  }

  /** It is official: the reset is over. */
  settle(change: ResultChange): void {
    const { timers, counters, outbox, host } = this.parts
    host.accepted(change)
    this.phase = 'normal'
    this.attempt = undefined
    this.following = undefined
    this.coordinator = undefined
    this.inVain = undefined
    this.failures = 0
    timers.stop('recovery')
    counters.reset(outbox.now - this.startedAt)
    const { calls } = this
    this.calls = []
    host.resumed()
    const size = change.view.members.length
    for (const { token, minMembers } of calls) {
      if (size >= minMembers) {
        outbox.output({ output: 'reset', token, size })
        continue
      }
      // it came too late to count in the votes, or in somebody else's attempt
      const message = `the group has been rebuilt with ${membersText(size)}, and this call wanted ${minMembers}; it goes on with ${size}`
      outbox.output({ output: 'failed', token, code: ErrorCode.resetFailed, message })
    }
  }

  // ---- too few ----------------------------------------------------------------------------------------

  /** Nothing can be begun here now, and it may be that nobody else does. */
  waitOn(reason: string): void {
    if (!this.isBound) return
    const { timers, outbox, host } = this.parts
    timers.set('recovery', outbox.now + this.patience)
    host.stopped(reason)
  }

  /** Too few take part: callers are told, and an automatic group tries again later. */
  giveUp(reason: string, lack?: Lack): void {
    const { outbox, timers, prng, host } = this.parts
    outbox.trace('too-few', { reason })
    this.attempt = undefined
    this.inVain = undefined
    this.coordinator = undefined
    this.phase = 'inviting'
    const { calls } = this
    this.calls = []
    this.failures++
    if (!host.mayCoordinate()) {
      // a joiner, or a leaver: its own time is limited, whatever the policy
      timers.set('recovery', outbox.now + this.patience)
    } else if (this.options.isAutomatic) {
      const first = this.patience
      const backoff = Math.min(BACKOFF_MAX, 2 ** Math.min(this.failures, 10) / 2) * first
      timers.set('recovery', outbox.now + Math.round(backoff / 2 + prng.below(backoff)))
    } else {
      timers.stop('recovery')
    }
    const then = this.options.isAutomatic ? 'the group goes on trying' : 'the group stays stopped'
    const message = `${reason}; ${then}, what was received can still be read, and resetGroup can be tried again`
    for (const { token } of calls)
      outbox.output({ output: 'failed', token, code: ErrorCode.resetFailed, message })
    host.stopped(reason, lack)
  }

  /** The member's life is over. */
  close(code: ErrorCode, message: string): void {
    const { calls } = this
    this.calls = []
    for (const { token } of calls) this.parts.outbox.output({ output: 'failed', token, code, message })
  }
}
