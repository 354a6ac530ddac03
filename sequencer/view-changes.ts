/**
 * Joins and leaves on their way into the order (design 4.4): who may ask for them, what each waits for, and the
 * blocks that take the places. They go one at a time; acceptance.ts says when one is official.
 */
import { encodeJoinAnswer } from '../kernel/answers.ts'
import { assert } from '../kernel/assert.ts'
import { BlockKind } from '../kernel/block.ts'
import type { Counters } from '../kernel/counters.ts'
import type { Entry } from '../kernel/history.ts'
import { type Address, hex64, type MemberId, type Micros, type Nonce } from '../kernel/identity.ts'
import { decodeLeave, encodeJoin, encodeLeave, LeaveReason } from '../kernel/membership.ts'
import type { OrderState } from '../kernel/order-state.ts'
import type { Outbox } from '../kernel/outbox.ts'
import { HEADER_BYTES, PacketKind, WIRE_VERSION } from '../kernel/packet.ts'
import {
  ENTRY_OVERHEAD,
  encodeJoinRefused,
  hasVersion,
  JoinRefusal,
  type JoinRequest,
  ORDER_HEAD_BYTES,
  StreamPurpose,
} from '../kernel/packets.ts'
import type { Prng } from '../kernel/prng.ts'
import type { Streams } from '../kernel/streams.ts'
import type { Timers } from '../kernel/timers.ts'
import { findMember, type Member } from '../kernel/view.ts'
import type { Request } from './admission.ts'
import { type Asker, Challenge } from './challenge.ts'
import { type WaitingChange, WaitingChanges, type WaitingJoin, type WaitingLeave } from './changes.ts'
import type { ProgressTable } from './progress.ts'

/** New joiners: so many at once, and one more each so many microseconds; who is refused asks again. */
const JOINS_AT_ONCE = 256
const JOIN_EVERY: Micros = 5_000

export interface ViewChangesOptions {
  readonly packetSize: number
  readonly window: number
  /** A joiner not heard for so long is not let in. */
  readonly joinPatience: Micros
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
  private joins = JOINS_AT_ONCE
  private joinsAt: Micros = 0
  private readonly challenge: Challenge
  private readonly self: Member
  private readonly state: OrderState
  private readonly progress: ProgressTable
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
    outbox: Outbox
    timers: Timers
    streams: Streams
    counters: Counters
    options: ViewChangesOptions
    prng: Prng
    host: ViewChangesHost
  }) {
    this.self = parts.self
    this.state = parts.state
    this.progress = parts.progress
    this.outbox = parts.outbox
    this.timers = parts.timers
    this.streams = parts.streams
    this.counters = parts.counters
    this.options = parts.options
    this.host = parts.host
    this.challenge = new Challenge(parts.prng, parts.outbox.now)
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

  onJoinRequest(from: Address, nonce: Nonce, request: JoinRequest): void {
    const latest = this.state.latestView
    if (latest.members.some((member) => member.nonce === nonce)) return
    // a late copy of a request whose life is over would make a ghost that the group waits for
    if (this.state.former.some(({ member }) => member.nonce === nonce)) return
    const refuse = (reason: JoinRefusal) => this.refuseJoin(from, nonce, reason)
    if (!this.isCurrentChallenge(request.challenge, { address: from, nonce })) {
      refuse(JoinRefusal.challenge)
    } else if (!hasVersion(request.versions, WIRE_VERSION)) {
      refuse(JoinRefusal.version)
    } else if (latest.sequencer !== this.self.id) {
      refuse(JoinRefusal.notSequencer)
    } else if (latest.members.length >= this.state.parameters.maxMembers) {
      refuse(JoinRefusal.full)
    } else if (
      !this.mayJoin(nonce) ||
      !this.waiting.addJoin({ change: 'join', nonce, from, request, heardAt: this.outbox.now })
    ) {
      this.counters.rejected.overflow++
      refuse(JoinRefusal.busy)
    }
    this.timers.setEarlier('flush', this.outbox.now)
  }

  /** Each join is an event, and a stream of all that the group knows: not more of them than the group has use for. */
  private mayJoin(nonce: Nonce): boolean {
    if (this.waiting.hasJoin(nonce)) return true
    const { now } = this.outbox
    const earned = Math.floor((now - this.joinsAt) / JOIN_EVERY)
    if (earned > 0) {
      this.joins = Math.min(JOINS_AT_ONCE, this.joins + earned)
      this.joinsAt = now
    }
    if (this.joins === 0) return false
    this.joins--
    return true
  }

  private refuseJoin(to: Address, nonce: Nonce, reason: JoinRefusal): void {
    const body = encodeJoinRefused(reason, this.currentChallenge({ address: to, nonce }))
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
    const request = (this.state.requests.get(member) ?? 0) + 1
    this.waiting.addLeave({ change: 'leave', member, request, header: new Uint8Array(0), reason })
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
          this.refuseJoin(change.from, change.nonce, JoinRefusal.full)
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

  private isReady(change: WaitingChange): boolean {
    if (change.change === 'join') return true
    // a leave waits for the leaver's own messages before it; of one who is gone, no more will come
    const ordered = this.state.requests.get(change.member)
    const waits = ordered !== undefined && ordered !== change.request - 1
    if (waits && change.reason === LeaveReason.wish) return false
    // the handover waits until every joiner has its answer, which only this sequencer can repeat, and until
    // those known to be gone are out, because the successor does not know it of them
    return (
      change.member !== this.self.id ||
      !(this.streams.isSending(StreamPurpose.joinAnswer) || this.progress.hasGone)
    )
  }

  private numberJoin({ nonce, from, request }: WaitingJoin): void {
    const { state } = this
    const id = state.nextMemberId
    const { name, role, lastRequest, header } = request
    const member: Member = { id, nonce, name, address: request.address || from, role }
    this.progress.begin(id, state.history.stable, this.options.window, this.outbox.now)
    const block = encodeJoin({ member, header, lastRequest })
    const entry = this.append(BlockKind.join, id, lastRequest, block)
    const answer = encodeJoinAnswer({ memberId: id, baseline: state.toBaseline() })
    this.host.broadcast(entry)
    // to where the challenge was repeated from: nobody has shown that it receives at the address that it names
    this.streams.open(from, nonce, StreamPurpose.joinAnswer, answer)
    this.outbox.trace('join-numbered', { id, seq: entry.seq, nonce: hex64(nonce) })
  }

  private numberLeave({ member, header, reason, ...change }: WaitingLeave): void {
    const request = reason === LeaveReason.wish ? change.request : (this.state.requests.get(member) ?? 0) + 1
    this.host.forget(member)
    const others = this.state.latestView.members.filter(({ id }) => id !== member)
    const successor = member === this.self.id ? (others[0]?.id ?? 0) : 0
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
