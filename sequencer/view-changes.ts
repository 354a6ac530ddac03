/**
 * Joins and leaves on their way into the order (design 4.4): who may ask for them, what each waits for, and the
 * blocks that take the places. They go one at a time; acceptance.ts says when one is official.
 */
import { Allowance } from '../kernel/allowance.ts'
import { encodeJoinAnswer } from '../kernel/answers.ts'
import { assert } from '../kernel/assert.ts'
import { BlockKind } from '../kernel/block.ts'
import { NO_BYTES } from '../kernel/bytes.ts'
import type { Counters } from '../kernel/counters.ts'
import type { Credentials } from '../kernel/credentials.ts'
import type { Entry } from '../kernel/history.ts'
import { type Address, hex64, type MemberId, type Micros, type Nonce, Right } from '../kernel/identity.ts'
import { encodeJoinRefused, hasVersion, JoinRefusal, type JoinRequest } from '../kernel/meeting-packets.ts'
import { decodeLeave, encodeJoin, encodeLeave, LeaveReason } from '../kernel/membership.ts'
import type { OrderState } from '../kernel/order-state.ts'
import type { Outbox } from '../kernel/outbox.ts'
import { HEADER_BYTES, PacketKind } from '../kernel/packet.ts'
import { ENTRY_OVERHEAD, ORDER_HEAD_BYTES, StreamPurpose } from '../kernel/packets.ts'
import type { SipKey } from '../kernel/siphash.ts'
import type { Streams } from '../kernel/streams.ts'
import type { Timers } from '../kernel/timers.ts'
import { findMember, type Member, withJoined } from '../kernel/view.ts'
import type { Request } from './admission.ts'
import { type Applicant, Authorization } from './authorization.ts'
import { type Asker, Challenge } from './challenge.ts'
import { type WaitingChange, WaitingChanges, type WaitingJoin, type WaitingLeave } from './changes.ts'
import type { Dependence } from './held-up.ts'
import type { ProgressTable } from './progress.ts'

/** New joiners: so many at once, and one more each so many microseconds; who is refused asks again. */
const JOINS_AT_ONCE = 256
const JOIN_EVERY: Micros = 5_000

export interface ViewChangesOptions {
  /** Bytes of the largest packet. */
  readonly packetSize: number
  /** Bytes that a socket can buffer, of one who has not told. */
  readonly window: number
  /** A joiner not heard for so long is not let in. */
  readonly joinPatience: Micros
  /** Judges the joiners' rights; without keys everybody is let in as what it says. */
  readonly verify?: Credentials['verify'] | undefined
  /** The program decides about each joiner (`authorize`). */
  readonly asksProgram: boolean
}

export interface ViewChangesHost {
  /** What this member has asked for and is not ordered by now never will be. */
  forget(member: MemberId): void
  /** Gives the entry its place. */
  append(entry: Entry): Entry
  broadcast(entry: Entry): void
}

export class ViewChanges {
  private readonly waiting = new WaitingChanges()
  private readonly joins = new Allowance(JOINS_AT_ONCE, JOIN_EVERY)
  private readonly challenge: Challenge
  private readonly authorization: Authorization
  private readonly self: Member
  private readonly state: OrderState
  private readonly progress: ProgressTable
  private readonly dependence: Dependence
  private readonly outbox: Outbox
  private readonly timers: Timers
  private readonly streams: Streams
  private readonly counters: Counters
  private readonly options: ViewChangesOptions
  private readonly host: ViewChangesHost

  constructor(parts: {
    self: Member
    state: OrderState
    progress: ProgressTable
    dependence: Dependence
    outbox: Outbox
    timers: Timers
    streams: Streams
    counters: Counters
    options: ViewChangesOptions
    challengeKey: SipKey
    host: ViewChangesHost
  }) {
    this.self = parts.self
    this.state = parts.state
    this.progress = parts.progress
    this.dependence = parts.dependence
    this.outbox = parts.outbox
    this.timers = parts.timers
    this.streams = parts.streams
    this.counters = parts.counters
    this.options = parts.options
    this.host = parts.host
    this.authorization = new Authorization(({ address, nonce, request }) => {
      const { name, role, right, token } = request
      const joiner = { nonce, name, address, role, right }
      // a copy: the packet's buffer is not the program's
      this.outbox.output({ output: 'authorize', joiner, token: new Uint8Array(token) })
    })
    this.challenge = new Challenge(parts.challengeKey, parts.outbox.now)
  }

  /** How many wait. */
  get length(): number {
    return this.waiting.length
  }

  /** After its own leave the sequencer numbers nothing any more. */
  get hasHandedOver(): boolean {
    return findMember(this.state.latestView, this.self.id) === undefined
  }

  // ---- who asks ---------------------------------------------------------------------------------------

  /** `keys`: ids of the key under which it has come, and of the newest that the joiner says it holds. */
  onJoinRequest(from: Address, nonce: Nonce, request: JoinRequest, keys: readonly number[] = []): void {
    const latest = this.state.latestView
    if (latest.members.some((member) => member.nonce === nonce)) return
    // a late copy of a request whose life is over would make a ghost that the group waits for
    if (this.state.former.some(({ member }) => member.nonce === nonce)) return
    // The address that it names, too, must be shown to receive: repairs and all else will go there. (Taken unproved, it let
    // anybody have repairs sent to addresses of its choice, a hundred packets for 26 MB.)
    const address = request.address || from
    const applicant = { from, address, nonce, request, keys }
    const reason = this.whyNot(applicant)
    if (reason !== undefined) this.refuseJoin(address, nonce, reason)
    else if (this.options.asksProgram) this.askProgram(applicant)
    else this.admit(applicant, this.outbox.now)
    this.timers.setEarlier('flush', this.outbox.now)
  }

  /** Why a joiner is not let in, whatever the program may say; undefined if it may be. */
  private whyNot({ address, nonce, request, keys }: Applicant): JoinRefusal | undefined {
    const { state, counters } = this
    const latest = state.latestView
    if (!this.isCurrentChallenge(request.challenge, { address, nonce })) return JoinRefusal.challenge
    const lack = this.cannotFollow(request, keys)
    if (lack !== undefined) return lack
    if (latest.sequencer !== this.self.id) return JoinRefusal.notSequencer
    if (latest.members.length >= state.parameters.maxMembers) {
      counters.limited.members++
      return JoinRefusal.full
    }
    if (!this.hasRight(nonce, request)) {
      // shown by a former key of the group: the joiner is told of the new one, and shows it by that
      if (keys[0] !== undefined && keys[0] !== state.settings.keyId) return JoinRefusal.key
      counters.rejected.right++
      return JoinRefusal.notAuthorized
    }
    if (this.authorization.has(nonce) || this.mayJoin(nonce)) return undefined
    counters.overflow('newJoins')
    return JoinRefusal.busy
  }

  /** A proof is over the challenge, which is this sequencer's, and over the joiner's life: no other one shows it again. */
  private hasRight(nonce: Nonce, { right, challenge, address, proof }: JoinRequest): boolean {
    const { verify } = this.options
    const { view, settings } = this.state
    const asked = { groupId: view.groupId, nonce, challenge, address }
    return verify === undefined || verify(right, asked, proof, settings.keyId)
  }

  private askProgram(applicant: Applicant): void {
    const { address, nonce } = applicant
    const verdict = this.authorization.onAsked(applicant, this.outbox.now)
    if (verdict === 'admitted') this.admitKnown(nonce)
    else if (verdict === 'refused') this.refuseJoin(address, nonce, JoinRefusal.notAuthorized)
    else if (verdict === 'deciding') this.refuseJoin(address, nonce, JoinRefusal.deciding)
    else {
      this.counters.overflow('deciding')
      this.refuseJoin(address, nonce, JoinRefusal.busy)
    }
  }

  /** The program has decided about a joiner. */
  onAuthorized(nonce: Nonce, isAllowed: boolean): void {
    const applicant = this.authorization.decide(nonce, isAllowed, this.outbox.now)
    if (applicant === undefined) return
    // not let in at once: it may have given up meanwhile, and the group would wait for it
    this.refuseJoin(applicant.address, nonce, isAllowed ? JoinRefusal.decided : JoinRefusal.notAuthorized)
    this.timers.setEarlier('flush', this.outbox.now)
  }

  /** A joiner that has given up, while its turn or the program's word was waited for. False if there is none like it. */
  onGone(from: Address, nonce: Nonce): boolean {
    const hadCase = this.authorization.drop(from, nonce)
    return this.waiting.dropJoin(from, nonce) || hadCase
  }

  private admitKnown(nonce: Nonce): void {
    const known = this.authorization.find(nonce)
    if (known !== undefined && !this.hasHandedOver) this.admit(known.applicant, known.heardAt)
  }

  private admit(applicant: Applicant, heardAt: Micros): void {
    const hasWaited = this.waiting.hasJoin(applicant.nonce)
    if (this.waiting.addJoin({ change: 'join', ...applicant, heardAt })) {
      // it has asked again: without a word it would take this sequencer for dead
      const why = this.dependence.isAnybodySilent ? JoinRefusal.heldUp : JoinRefusal.busy
      if (hasWaited) this.refuseJoin(applicant.address, applicant.nonce, why)
      return
    }
    this.counters.overflow('waitingJoins')
    this.refuseJoin(applicant.address, applicant.nonce, JoinRefusal.busy)
  }

  /** Each join is an event, and a stream of all that the group knows: not more of them than the group has use for. */
  private mayJoin(nonce: Nonce): boolean {
    return this.waiting.hasJoin(nonce) || this.joins.take(this.outbox.now)
  }

  /**
   * Why the joiner could not follow the group as it is now. Looked at again when the join gets its place: whoever is
   * numbered behind a change of settings must be able to do what it says.
   */
  private cannotFollow({ versions }: JoinRequest, keys: readonly number[]): JoinRefusal | undefined {
    const { version, keyId } = this.state.settings
    if (!hasVersion(versions, version)) return JoinRefusal.version
    return keyId === 0 || keys.includes(keyId) ? undefined : JoinRefusal.key
  }

  private refuseJoin(to: Address, nonce: Nonce, reason: JoinRefusal): void {
    const challenge = this.currentChallenge({ address: to, nonce })
    const body = encodeJoinRefused({ reason, challenge, agreed: this.state.settings })
    this.outbox.unicast(to, this.outbox.packetOf(PacketKind.joinRefused, 0, nonce, body))
  }

  currentChallenge(asker: Asker): bigint {
    return this.challenge.current(this.outbox.now, asker)
  }

  isCurrentChallenge(repeated: bigint, asker: Asker): boolean {
    return this.challenge.isValid(repeated, this.outbox.now, asker)
  }

  /** A member asks for its own leave. */
  onLeave({ head, block }: Request): void {
    const leave = decodeLeave(block)
    if (leave === undefined) {
      this.counters.rejected.malformed++
      return
    }
    const { member, request, header } = leave
    assert(member === head.member, 'a member asks for its own leave')
    this.waiting.addLeave({ change: 'leave', member, request, header, reason: LeaveReason.wish })
  }

  /** The sequencer orders the leave of a member in its place. */
  takeOut(member: MemberId, reason: LeaveReason): void {
    this.waiting.addLeave({ change: 'leave', member, header: NO_BYTES, reason })
    this.timers.setEarlier('flush', this.outbox.now)
  }

  // ---- numbering --------------------------------------------------------------------------------------

  /** One change at a time, and none after the own leave; false if none is ready. */
  numberNext(): boolean {
    if (this.waiting.length === 0 || this.state.pending.length > 0 || this.hasHandedOver) return false
    for (;;) {
      const change = this.waiting.takeFirst((waiting) => this.isReady(waiting))
      if (change === undefined) return false
      if (change.change === 'join') {
        if (this.outbox.now - change.heardAt > this.options.joinPatience) continue
        if (this.state.latestView.members.length >= this.state.parameters.maxMembers) {
          this.counters.limited.members++
          this.refuseJoin(change.address, change.nonce, JoinRefusal.full)
          continue
        }
        const reason = this.cannotFollow(change.request, change.keys)
        if (reason !== undefined) {
          this.refuseJoin(change.address, change.nonce, reason)
          continue
        }
        this.numberJoin(change)
        return true
      }
      if (findMember(this.state.latestView, change.member) === undefined) continue
      this.numberLeave(change)
      return true
    }
  }

  /**
   * Of the changes that wait, those that could not become official if they were numbered: everything behind them would
   * wait, too. (In a group of three at r = 0, one of whom was dead, another's leave stopped the sequencer for good.)
   */
  heldUp(): { readonly isAny: boolean; readonly leavers: readonly MemberId[] } {
    // one at a time: as long as another has its place, that one is what matters
    if (this.waiting.length === 0 || this.state.pending.length > 0) return NONE_HELD_UP
    const heldUp = [...this.waiting].filter((change) => !this.canBeOfficial(change))
    const isAny = heldUp.length > 0
    const leavers = heldUp.flatMap((one) =>
      one.change === 'leave' && one.request !== undefined ? [one.member] : [],
    )
    const isLeaving = [...this.waiting].some((one) => one.change === 'leave' && one.member === this.self.id)
    if (!isLeaving || leavers.includes(this.self.id)) return { isAny, leavers }
    // the handover waits for those who are gone to be out, and for the last joiners to have their answers (one that has died
    // meanwhile never has: seeds 74027453 and 74029917)
    const isUnread = this.dependence.silent.some(({ nonce }) => this.streams.isSendingTo(nonce))
    const waits = (isAny && this.progress.hasGone) || isUnread
    return { isAny, leavers: waits ? [...leavers, this.self.id] : leavers }
  }

  /** Whether it could become official, once it is numbered, without those who are gone or suspect. */
  private canBeOfficial(change: WaitingChange): boolean {
    const { latestView, nextMemberId, history } = this.state
    const seq = history.received + 1
    if (change.change === 'join') {
      return this.dependence.allows(withJoined(latestView, memberOf(change, nextMemberId), seq))
    }
    // (it has left meanwhile: nothing of this change is left to be numbered)
    if (findMember(latestView, change.member) === undefined) return true
    const members = latestView.members.filter(({ id }) => id !== change.member)
    return this.dependence.allows({ ...latestView, seq, members }, change.member)
  }

  private isReady(change: WaitingChange): boolean {
    if (!this.canBeOfficial(change)) return false
    if (change.change === 'join') return true
    // a leave waits for the leaver's own messages before it; of one who is gone, no more will come
    const ordered = this.state.requests.get(change.member)
    if (change.request !== undefined && ordered !== undefined && ordered !== change.request - 1) return false
    // the handover waits until every joiner has its answer, which only this sequencer can repeat, and until
    // those known to be gone are out, because the successor does not know it of them
    return (
      change.member !== this.self.id ||
      !(this.streams.isSending(StreamPurpose.joinAnswer) || this.progress.hasGone)
    )
  }

  private numberJoin(join: WaitingJoin): void {
    const { state } = this
    const id = state.nextMemberId
    const { nonce, address } = join
    const { lastRequest, header } = join.request
    const member = memberOf(join, id)
    this.progress.begin(id, state.history.stable, this.options.window, this.outbox.now)
    const block = encodeJoin({ member, header, lastRequest })
    const entry = this.append(BlockKind.join, id, lastRequest, block)
    const answer = encodeJoinAnswer({ memberId: id, baseline: state.toBaseline() })
    this.host.broadcast(entry)
    this.streams.open(address, nonce, StreamPurpose.joinAnswer, answer)
    this.outbox.trace('join-numbered', { id, seq: entry.seq, nonce: hex64(nonce) })
  }

  private numberLeave({ member, header, reason, ...change }: WaitingLeave): void {
    const request = change.request ?? (this.state.requests.get(member) ?? 0) + 1
    this.host.forget(member)
    const others = this.state.latestView.members.filter(({ id }) => id !== member)
    // the oldest of those that may number; without one the group ends for those who stay
    const heir = others.find(({ right }) => right === Right.all)
    const successor = member === this.self.id ? (heir?.id ?? 0) : 0
    const block = encodeLeave({ member, request, header, successor, reason })
    const entry = this.append(BlockKind.leave, member, request, block)
    this.host.broadcast(entry)
    this.outbox.trace(successor === 0 ? 'leave-numbered' : 'handover-numbered', {
      member,
      seq: entry.seq,
      successor,
    })
  }

  private append(kind: BlockKind, member: MemberId, firstRequest: number, block: Uint8Array): Entry {
    const isSpread = HEADER_BYTES + ORDER_HEAD_BYTES + ENTRY_OVERHEAD + block.length > this.options.packetSize
    const seq = this.state.history.received + 1
    return this.host.append({ seq, count: 1, kind, member, firstRequest, block, isSpread })
  }
}

const NONE_HELD_UP = { isAny: false, leavers: [] }

function memberOf({ nonce, address, request }: WaitingJoin, id: MemberId): Member {
  const { name, role, right, versions } = request
  return { id, nonce, name, address, role, right, versions }
}
