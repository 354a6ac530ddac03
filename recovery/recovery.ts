/**
 * Recovery, as the member around it sees it: the calls that begin a reset, and every packet and moment that
 * belongs to one, handed to the side that it concerns. `phases.ts` says which signal means what in which phase;
 * `coordinator.ts` is the side of the member that rebuilds its group, `follower.ts` that of everybody else, and
 * both act upon `binding.ts`, which says what a member is bound to.
 */
import type { Ballot, ResultName } from '../kernel/ballot.ts'
import { ErrorCode } from '../kernel/errors.ts'
import type { MemberId, Nonce, Seq } from '../kernel/identity.ts'
import type { Token } from '../kernel/port.ts'
import { type Refusal, RefusalReason } from '../kernel/recovery-packets.ts'
import type { Member } from '../kernel/view.ts'
import { Binding, type RecoveryOptions, type RecoveryParts } from './binding.ts'
import { Coordinator } from './coordinator.ts'
import { Follower } from './follower.ts'
import { membersText } from './lack.ts'
import type { Phase } from './phases.ts'

export class Recovery {
  private readonly binding: Binding
  private readonly coordinator: Coordinator
  private readonly follower: Follower
  private readonly parts: RecoveryParts

  constructor(parts: RecoveryParts, options: RecoveryOptions) {
    this.parts = parts
    this.binding = new Binding(parts, options)
    this.coordinator = new Coordinator(this.binding, parts)
    this.follower = new Follower(this.binding, parts, () => this.coordinator.begin(options.isAutomatic))
  }

  get phase(): Phase {
    return this.binding.phase
  }

  get promise(): Ballot {
    return this.binding.promise
  }

  get isBound(): boolean {
    return this.binding.isBound
  }

  /** Whom this member has promised itself to. */
  get leader(): Member | undefined {
    return this.binding.coordinator
  }

  /** Who takes part in the reset under way, if it is in no view that this member holds: its leader, or whom it has invited. */
  partner(nonce: Nonce): Member | undefined {
    return this.binding.attempt?.invitees.get(nonce)?.member ?? this.leader
  }

  /** Who is to be asked for what is missing now; undefined in a view that goes on. */
  get source(): Member | undefined {
    if (this.phase === 'following' || this.phase === 'promised') return this.leader
    return this.coordinator.source
  }

  /** Whether what comes from a history now belongs to the log that goes on. */
  get isCollecting(): boolean {
    return this.binding.handling('repair') === 'take' && this.isBound
  }

  // ---- beginning, and the end -------------------------------------------------------------------------

  /** ResetGroup, called by the program. */
  call(token: Token, minMembers: number, header: Uint8Array): void {
    const most = this.mostMembers
    if (minMembers > most) {
      const message = `this call asks for ${membersText(minMembers)}, and the view has ${most}; nothing has been changed: ask for ${most} at most, or wait until more have joined`
      return this.parts.outbox.output({ output: 'failed', token, code: ErrorCode.resetFailed, message })
    }
    this.binding.calls.push({ token, minMembers, header })
    // an attempt of the own that is not beyond its votes takes the call along; another's ends in one view, too
    if (!this.isBound || this.binding.isWaiting) this.coordinator.begin(false)
    if (this.isBound) return
    this.close(
      ErrorCode.resetFailed,
      'this member is about to leave and cannot rebuild the group; let another do it',
    )
  }

  /** Nobody else can vote: who asked for more would stop a group that is well, and with manual recovery for good. */
  private get mostMembers(): number {
    return Math.max(...this.parts.host.state().views.map(({ members }) => members.length))
  }

  /** Somebody is suspect, and the policy is to go on by itself. */
  start(): void {
    if (!this.isBound) this.coordinator.begin(true)
  }

  /** Somebody wants to leave, and the next attempt may be far off: it is made now, and says whether anybody is there. */
  hurry(): void {
    const { timers, outbox } = this.parts
    if (this.binding.isWaiting) timers.setEarlier('recovery', outbox.now)
  }

  /** The sequencer is accused without reason: one who has invited is bound, and a new view takes it along. */
  outbid(ballot: Ballot): void {
    this.binding.note(ballot)
    this.start()
  }

  /** The member's life is over. */
  close(code: ErrorCode, message: string): void {
    this.binding.close(code, message)
  }

  // ---- packets ----------------------------------------------------------------------------------------

  /** An invitation of one who belongs to a view that counts here. */
  onInvite(from: Member, ballot: Ballot, flags: number): void {
    this.follower.onInvite(from, ballot, flags)
  }

  onVote(from: Nonce, bytes: Uint8Array): void {
    this.coordinator.onVote(from, bytes)
  }

  onRefusal(from: Nonce, refusal: Refusal): void {
    this.binding.note(refusal.promise)
    if (refusal.reason === RefusalReason.tooFew) this.follower.onTooFew(from, refusal)
    else this.coordinator.onRefusal(from, refusal)
  }

  /** The result of the attempt that this member has promised itself to. */
  onResult(from: Nonce, block: Uint8Array): void {
    this.follower.onResult(from, block)
  }

  /** A member or witness holds everything up to the result. */
  onAck(from: Member): void {
    this.coordinator.onAck(from)
  }

  /** More is held than before: the coordinator may have all of the chosen log, a follower the result. */
  onHeld(): void {
    this.coordinator.onHeld()
    this.follower.onHeld()
  }

  /** A broadcast of the one who made the result: if it says that everything up to there is accepted, it is. */
  onOrder(from: MemberId, accepted: Seq): void {
    this.follower.onOrder(from, accepted)
  }

  /** A notice of expulsion: true if it only says that the result which this member bears witness to is official. */
  onNotice(newest: Ballot): boolean {
    return this.follower.onNotice(newest)
  }

  refuse(to: Member, refused: Ballot, reason: RefusalReason): void {
    this.binding.refuse(to, refused, reason)
  }

  /** The group has gone on without this member; `common` is the newest result that both are known to hold. */
  tellExpelled(to: Pick<Member, 'address' | 'nonce'>, common?: ResultName): void {
    this.binding.tellExpelled(to, common)
  }

  // ---- time, and who lives ----------------------------------------------------------------------------

  /** The `recovery` timer has run out. */
  onTimer(): void {
    if (!this.isBound) return
    if (this.phase === 'promised' || this.phase === 'following') this.follower.onTimer()
    else this.coordinator.onTimer()
  }

  /** Anything has come of a participant, under this ballot. */
  onHeard(from: Member): void {
    this.follower.onHeard(from)
    this.coordinator.onHeard(from)
  }

  onGone(nonce: Nonce): void {
    this.coordinator.onGone(nonce)
    this.follower.onGone(nonce)
  }
}
