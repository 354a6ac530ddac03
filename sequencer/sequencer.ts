/**
 * The sequencer: it numbers messages and broadcasts them (paper, section 4.1). The same member as all
 * others, with this beside it for as long as it is the sequencer.
 *
 * What arrives during one turn of the loop is admitted at once and numbered at its end (`flush`), so that
 * waiting requests share a broadcast while a lone one goes out immediately. A block is numbered as a whole;
 * nobody looks at its messages on the way.
 *
 * Start reading at `flush`. Admission, room, acceptance and the changes of view are files of their own.
 */

import { encodeJoinAnswer } from '../kernel/answers.ts'
import { assert } from '../kernel/assert.ts'
import { type BlockHeader, BlockKind, readBlockHeader } from '../kernel/block.ts'
import type { Counters } from '../kernel/counters.ts'
import { type Entry, lastSeqOf } from '../kernel/history.ts'
import { type Address, hex64, type MemberId, type Micros, type Nonce, type Seq } from '../kernel/identity.ts'
import { decodeLeave, encodeJoin, encodeLeave, LeaveReason } from '../kernel/membership.ts'
import type { OrderState } from '../kernel/order-state.ts'
import type { Outbox } from '../kernel/outbox.ts'
import { HEADER_BYTES, PACKET_BYTES_MAX, type PacketHeader, PacketKind } from '../kernel/packet.ts'
import {
  ENTRY_OVERHEAD,
  encodeJoinRefused,
  JoinRefusal,
  type JoinRequest,
  LAST_REQUEST_MAX,
  ORDER_FLAG_REPORT,
  ORDER_HEAD_BYTES,
  type PlacedBlock,
  REQUEST_ACK_BYTES,
  StreamPurpose,
  writeRequestAck,
} from '../kernel/packets.ts'
import type { Prng } from '../kernel/prng.ts'
import type { RoundTrips } from '../kernel/rtt.ts'
import type { Streams } from '../kernel/streams.ts'
import type { Timers } from '../kernel/timers.ts'
import { findMember, type Member } from '../kernel/view.ts'
import { acceptableUpTo, ackersToAsk } from './acceptance.ts'
import { AdmissionQueue, type Request } from './admission.ts'
import { Challenge } from './challenge.ts'
import { type WaitingChange, WaitingChanges, type WaitingJoin, type WaitingLeave } from './changes.ts'
import { Laggards } from './laggards.ts'
import { ProgressTable } from './progress.ts'
import { orderPacket, wireBytesOf } from './repair.ts'
import { Room } from './room.ts'

const ORDER_OVERHEAD = HEADER_BYTES + ORDER_HEAD_BYTES
/** The largest block that still fits into one broadcast. */
export const BLOCK_BYTES_MAX = PACKET_BYTES_MAX - ORDER_OVERHEAD - ENTRY_OVERHEAD
/** Unanswered questions to all before the silent are asked one by one. */
const TRIES_BEFORE_KNOCKING = 3

export interface SequencerOptions {
  readonly packetSize: number
  /** Bytes of requests that are kept for one member. */
  readonly requestBytes: number
  readonly window: number
  readonly heartbeatFirst: Micros
  readonly heartbeatIdle: Micros
  /** What the member has learnt of distances. */
  readonly roundTrips: RoundTrips
  /** A joiner not heard for so long is not let in. */
  readonly joinPatience: Micros
}

/** What the sequencer needs from the member around it. */
export interface SequencerHost {
  /** An entry has been numbered here, hence is held here. */
  numbered(entry: Entry): void
  /** More has become official. */
  accepted(): void
  /** Everybody has been asked once more, and these have said nothing since the last time. */
  unanswered(silent: readonly Member[]): void
  /** The group stands still because this member does not receive. */
  slow(member: MemberId, lagMessages: number): void
}

export class Sequencer {
  readonly progress = new ProgressTable()
  readonly admission: AdmissionQueue
  private readonly changes = new WaitingChanges()
  private readonly room: Room
  private readonly laggards: Laggards
  private readonly ackTimes: RoundTrips
  private ackTries = 0
  private askedAt: Micros = 0
  /** When the first of what is tentative now was broadcast. */
  private tentativeSince: Micros | undefined
  private heartbeat: Micros
  /** Whose leave has been accepted since the last broadcast: that one is for them, too. BOUNDED by the view. */
  private readonly farewell: Member[] = []
  /** What the last broadcast said, to see whether there is news. */
  private saidAccepted: Seq
  private saidStable: Seq
  private readonly challenge: Challenge

  private readonly self: Member
  private readonly state: OrderState
  private readonly outbox: Outbox
  private readonly timers: Timers
  private readonly streams: Streams
  private readonly counters: Counters
  private readonly options: SequencerOptions
  private readonly host: SequencerHost

  constructor(parts: {
    self: Member
    state: OrderState
    outbox: Outbox
    timers: Timers
    streams: Streams
    counters: Counters
    options: SequencerOptions
    prng: Prng
    host: SequencerHost
  }) {
    const { self, state, outbox, timers, streams, counters, options, prng, host } = parts
    this.self = self
    this.state = state
    this.outbox = outbox
    this.timers = timers
    this.streams = streams
    this.counters = counters
    this.options = options
    this.host = host
    this.admission = new AdmissionQueue(options.requestBytes, (member) => state.requests.get(member))
    this.room = new Room(state, this.progress)
    this.laggards = new Laggards(state, this.progress)
    this.ackTimes = options.roundTrips
    this.heartbeat = options.heartbeatFirst
    this.saidAccepted = state.accepted
    this.saidStable = state.history.stable
    this.challenge = new Challenge(prng, outbox.now)
    for (const { id } of state.latestView.members) {
      this.progress.begin(id, state.history.stable, options.window, outbox.now)
    }
    this.noteOwnProgress()
  }

  /** Bound by a reset: this object says nothing more. */
  isRetired = false

  // ---- what comes in ----------------------------------------------------------------------------------

  /** A member's packet has come, of whatever kind: its header says how far the member is. */
  onReport(id: MemberId, header: PacketHeader): void {
    if (header.received > this.state.history.received) {
      this.counters.rejected.malformed++
      return
    }
    if (this.progress.report(id, header, this.outbox.now) || this.room.waitsForSpread) this.advance()
  }

  onRequest(from: Member, header: PacketHeader, packet: Uint8Array, blocks: readonly PlacedBlock[]): void {
    if (findMember(this.state.latestView, from.id) === undefined) return
    let wantsAck = false
    for (const { head, at } of blocks) {
      const isOwn = head.member === from.id && head.session === undefined
      if (!isOwn || head.length > BLOCK_BYTES_MAX || !this.isNumberable(head)) {
        this.counters.rejected.malformed++
        return
      }
      const block = packet.subarray(at, at + head.length)
      const admission = this.admission.offer({ head, block, isSpread: false })
      if (admission === 'overflow') this.counters.rejected.overflow++
      if (admission !== 'admitted') wantsAck = true
    }
    if (wantsAck) this.acknowledgeRequests(from)
    this.timers.setEarlier('flush', this.outbox.now)
    this.onReport(from.id, header)
  }

  /**
   * A block that was spread apart from its order is whole here (method 2, or a large message): from now on it
   * is a request like others, but its broadcast will name it by its header only.
   */
  onSpreadBlock(from: Member, block: Uint8Array): void {
    const head = readBlockHeader(block, 0)
    if (head === undefined || head.session !== undefined || !this.isNumberable(head)) {
      this.counters.rejected.malformed++
      return
    }
    if (findMember(this.state.latestView, from.id) === undefined) return
    const admission = this.admission.offer({ head, block, isSpread: true })
    if (admission === 'overflow') this.counters.rejected.overflow++
    if (admission !== 'admitted') this.acknowledgeRequests(from)
    this.timers.setEarlier('flush', this.outbox.now)
  }

  /** How many bytes may be spread now; asks everybody for a report when it is used up. */
  get spreadCredit(): number {
    return this.room.spreadCredit
  }

  onSpread(bytes: number): void {
    if (!this.room.spread(bytes, this.outbox.now)) return
    this.broadcast([], true)
    this.armAckTimer()
  }

  /** The sequencer's own send takes the same way without a packet. False if there is no room for it yet. */
  submit(block: Uint8Array, isSpread: boolean): boolean {
    const head = readBlockHeader(block, 0)
    assert(head !== undefined && this.isNumberable(head), 'own blocks can be numbered', block.length)
    this.timers.setEarlier('flush', this.outbox.now)
    return this.admission.offer({ head, block, isSpread }) !== 'overflow'
  }

  private isNumberable(head: BlockHeader): boolean {
    if (head.firstRequest > LAST_REQUEST_MAX) return false
    if (head.length > this.state.parameters.historyBytes) return false
    if (head.kind === BlockKind.leave) return true
    return head.kind === BlockKind.messages && head.count <= this.state.parameters.historySize
  }

  /**
   * The kernel at a member's address says that the member's nonce lives no more. That is knowledge, not
   * suspicion: the sequencer orders the leave in its place. (A joiner that gave up before its answer came
   * would else be waited for until somebody resets the group.)
   */
  onGone(nonce: Nonce): void {
    const member = this.state.latestView.members.find((one) => one.nonce === nonce)
    if (member === undefined || this.progress.isGone(member.id)) return
    this.outbox.trace('gone', { id: member.id })
    this.progress.markGone(member.id)
    this.takeOut(member.id, LeaveReason.gone)
    this.advance()
  }

  /** Tells a sender what is already here, so that it neither repeats that nor waits with what is missing. */
  private acknowledgeRequests(to: Member): void {
    const packet = this.outbox.packet(PacketKind.requestAck, 0, to.nonce, REQUEST_ACK_BYTES)
    writeRequestAck(packet, this.admission.expected(to.id))
    this.outbox.unicast(to.address, packet)
  }

  onJoinRequest(from: Address, nonce: Nonce, request: JoinRequest): void {
    const latest = this.state.latestView
    if (latest.members.some((member) => member.nonce === nonce)) return
    // a late copy of a request whose life is over would make a ghost that the group waits for
    if (this.state.former.some(({ member }) => member.nonce === nonce)) return
    const refuse = (reason: JoinRefusal) => this.refuseJoin(from, nonce, reason)
    if (!this.isCurrentChallenge(request.challenge)) {
      refuse(JoinRefusal.challenge)
    } else if (latest.sequencer !== this.self.id) {
      refuse(JoinRefusal.notSequencer)
    } else if (latest.members.length >= this.state.parameters.maxMembers) {
      refuse(JoinRefusal.full)
    } else if (!this.changes.addJoin({ change: 'join', nonce, from, request, heardAt: this.outbox.now })) {
      refuse(JoinRefusal.busy)
    }
    this.timers.setEarlier('flush', this.outbox.now)
  }

  private refuseJoin(to: Address, nonce: Nonce, reason: JoinRefusal): void {
    const body = encodeJoinRefused(reason, this.currentChallenge())
    this.outbox.unicast(to, this.outbox.packetOf(PacketKind.joinRefused, 0, nonce, body))
  }

  currentChallenge(): bigint {
    return this.challenge.current(this.outbox.now)
  }

  isCurrentChallenge(repeated: bigint): boolean {
    return this.challenge.isValid(repeated, this.outbox.now)
  }

  // ---- numbering --------------------------------------------------------------------------------------

  /** The end of a turn: number what waits and has room, broadcast it, and say what else is news. */
  flush(): void {
    let broadcasts = 0
    for (const leave of this.admission.takeLeaves()) this.queueLeave(leave)
    for (let batch = this.takeBatch(); batch.length > 0; batch = this.takeBatch()) {
      this.number(batch)
      broadcasts++
    }
    if (this.numberChange()) broadcasts++
    this.laggards.note(this.admission.length > 0, this.present, this.outbox.now)
    this.advance()
    const isNews = this.state.accepted > this.saidAccepted
    if (broadcasts === 0 && (isNews || this.isStableNews())) this.broadcast([], false)
    this.armAckTimer()
  }

  /** Neighbouring requests that fit into one broadcast, and into everybody's history. */
  private takeBatch(): Request[] {
    const batch: Request[] = []
    if (this.hasHandedOver) return batch
    let bytes = ORDER_OVERHEAD
    let count = 0
    let blockBytes = 0
    let wireBytes = 0
    for (let next = this.admission.first(); next !== undefined; next = this.admission.first()) {
      const { head } = next
      const size = ENTRY_OVERHEAD + wireBytesOf(next)
      if (batch.length > 0 && bytes + size > this.options.packetSize) break
      if (!this.room.fits(count + head.count, blockBytes + head.length, wireBytes + size, batch.length === 0))
        break
      this.admission.take()
      batch.push(next)
      bytes += size
      wireBytes += size
      count += head.count
      blockBytes += head.length
    }
    return batch
  }

  private queueLeave({ head, block }: Request): void {
    const leave = decodeLeave(block)
    if (leave === undefined) {
      this.counters.rejected.malformed++
      return
    }
    const { member, request, header } = leave
    assert(member === head.member, 'a member asks for its own leave')
    this.changes.addLeave({ change: 'leave', member, request, header, reason: LeaveReason.wish })
  }

  private number(batch: readonly Request[]): void {
    const entries: Entry[] = []
    let messages = 0
    for (const { head, block, isSpread } of batch) {
      messages += head.count
      entries.push(this.append({ ...head, seq: this.state.history.received + 1, block, isSpread }))
    }
    this.counters.ordered += messages
    this.counters.broadcast(messages)
    this.broadcast(entries, false)
  }

  private append(fields: Entry): Entry {
    const { seq, count, kind, member, firstRequest, block, isSpread } = fields
    const entry: Entry = { seq, count, kind, member, firstRequest, block, isSpread: isSpread === true }
    assert(Number.isSafeInteger(lastSeqOf(entry)), 'the order has reached its last number', seq)
    this.counters.orderedBytes += block.length
    this.state.history.append(entry)
    this.state.apply(entry)
    this.host.numbered(entry)
    return entry
  }

  // ---- changes of view --------------------------------------------------------------------------------

  /** One change at a time, and none after the own leave. */
  private numberChange(): boolean {
    if (this.changes.length === 0 || this.state.pending.length > 0 || this.hasHandedOver) return false
    if (!this.room.fitsChange()) return false
    for (;;) {
      const change = this.changes.takeFirst((waiting) => this.isReady(waiting))
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
    const entry = this.appendChange(
      BlockKind.join,
      id,
      lastRequest,
      encodeJoin({ member, header, lastRequest }),
    )
    const answer = encodeJoinAnswer({ memberId: id, baseline: state.toBaseline() })
    this.broadcast([entry], false)
    this.streams.open(member.address, nonce, StreamPurpose.joinAnswer, answer)
    this.outbox.trace('join-numbered', { id, seq: entry.seq, nonce: hex64(nonce) })
  }

  private numberLeave({ member, header, reason, ...change }: WaitingLeave): void {
    const request = reason === LeaveReason.wish ? change.request : (this.state.requests.get(member) ?? 0) + 1
    // what it asked for and is not ordered by now never will be
    this.admission.forget(member)
    const others = this.state.latestView.members.filter(({ id }) => id !== member)
    const successor = member === this.self.id ? (others[0]?.id ?? 0) : 0
    const block = encodeLeave({ member, request, header, successor, reason })
    const entry = this.appendChange(BlockKind.leave, member, request, block)
    this.broadcast([entry], false)
    this.outbox.trace(successor === 0 ? 'leave-numbered' : 'handover-numbered', {
      member,
      seq: entry.seq,
      successor,
    })
  }

  private appendChange(kind: BlockKind, member: MemberId, firstRequest: number, block: Uint8Array): Entry {
    const isSpread = ORDER_OVERHEAD + ENTRY_OVERHEAD + block.length > this.options.packetSize
    const seq = this.state.history.received + 1
    return this.append({ seq, count: 1, kind, member, firstRequest, block, isSpread })
  }

  /** After its own leave the sequencer numbers nothing any more. */
  get hasHandedOver(): boolean {
    return findMember(this.state.latestView, this.self.id) === undefined
  }

  // ---- acks, acceptance, stability --------------------------------------------------------------------

  /** The own numbers count like anybody's; called when the program has taken something. */
  noteOwnProgress(): void {
    const own = this.progress.get(this.self.id)
    if (own === undefined) return
    own.received = this.state.history.received
    own.taken = Math.max(own.taken, Math.min(this.outbox.taken, own.received))
    own.window = Number.POSITIVE_INFINITY
  }

  /** Draws the consequences of what members have reported. */
  advance(): void {
    const { state } = this
    this.noteOwnProgress()
    this.room.landed(this.progress.leastReceived(this.present))
    const reach = acceptableUpTo(state, this.progress, this.self.id)
    if (reach > state.accepted) {
      const leaving = state.pending[0]?.leave?.member
      const leaver = leaving === undefined ? undefined : findMember(state.view, leaving)
      state.accept(reach)
      if (this.tentativeSince !== undefined) {
        const { now } = this.outbox
        if (this.ackTries === 0) this.ackTimes.sample(now - this.tentativeSince)
        else this.ackTimes.answeredRepeated(now - this.tentativeSince, now - this.askedAt)
      }
      this.tentativeSince = undefined
      this.ackTries = 0
      if (leaver !== undefined && findMember(state.view, leaver.id) === undefined) this.forget(leaver)
      this.host.accepted()
      this.timers.setEarlier('flush', this.outbox.now)
    }
    if (this.room.spreadLanded(this.progress.heardSince(this.present, this.self.id))) {
      this.timers.setEarlier('flush', this.outbox.now)
    }
    const stable = state.history.stable
    state.release(this.progress.leastTaken(this.present)?.seq ?? stable)
    if (state.history.stable > stable) {
      if (this.isWaitingForRoom) this.timers.setEarlier('flush', this.outbox.now)
    }
  }

  private forget(leaver: Member): void {
    this.progress.forget(leaver.id)
    this.admission.forget(leaver.id)
    // it may have gone before it could acknowledge its join's answer
    this.streams.close(leaver.nonce)
    if (leaver.id !== this.self.id) this.farewell.push(leaver)
  }

  /** Whether requests or changes wait here for room or for acks. */
  get isWaitingForRoom(): boolean {
    return this.admission.length > 0 || this.changes.length > 0 || this.room.waitsForSpread
  }

  /** Members that wait for stability to rise are told when much of the history has become free. */
  private isStableNews(): boolean {
    return this.state.history.stable - this.saidStable >= Math.max(1, this.state.parameters.historySize / 2)
  }

  private armAckTimer(): void {
    const isTentative = this.state.accepted < this.state.history.received
    if (!isTentative && !this.isWaitingForRoom) {
      this.timers.stop('acks')
      this.ackTries = 0
    } else if (!this.timers.isSet('acks')) {
      this.timers.set('acks', this.outbox.now + this.ackTimes.timeout(this.ackTries))
    }
    const laggards = this.laggards.nextAt(this.outbox.now)
    if (laggards !== undefined) this.timers.setEarlier('acks', laggards)
  }

  /** The `acks` timer has run out: ask everybody how far they are, and one more acker than before. */
  onAckTimer(): void {
    this.ackTries++
    const silent = this.silent()
    this.host.unanswered(silent)
    // a reset may have begun by that
    if (this.isRetired) return
    this.laggards.note(this.admission.length > 0, this.present, this.outbox.now)
    this.dealWithLaggards()
    this.room.reportAsked()
    this.broadcast([], true)
    if (this.ackTries >= TRIES_BEFORE_KNOCKING) this.knock(silent)
    this.askedAt = this.outbox.now
    this.armAckTimer()
  }

  private dealWithLaggards(): void {
    const { now } = this.outbox
    for (const { id, messages } of this.laggards.toName(this.present, now)) this.host.slow(id, messages)
    for (const member of this.laggards.toExpel(this.state.view.members, now)) {
      if (findMember(this.state.latestView, member) === undefined) continue
      this.outbox.trace('expel', { member })
      this.takeOut(member, LeaveReason.slow)
    }
  }

  /** Orders the leave of a member in its place. */
  private takeOut(member: MemberId, reason: LeaveReason): void {
    const request = (this.state.requests.get(member) ?? 0) + 1
    this.changes.addLeave({ change: 'leave', member, request, header: new Uint8Array(0), reason })
    this.timers.setEarlier('flush', this.outbox.now)
  }

  /**
   * Asks those who have said nothing each under its own nonce: where a kernel is alive and the member is not,
   * the kernel answers that it is gone.
   */
  private knock(silent: readonly Member[]): void {
    const { state, outbox } = this
    for (const { nonce, address } of silent) {
      const ackers = ackersToAsk(state, this.ackTries)
      outbox.unicast(
        address,
        orderPacket(state, outbox, PacketKind.order, ORDER_FLAG_REPORT, nonce, [], ackers),
      )
    }
  }

  /** One who may not have heard it is told where the order stands. */
  tell({ nonce, address }: Member): void {
    const { state, outbox } = this
    outbox.unicast(address, orderPacket(state, outbox, PacketKind.order, 0, nonce, [], 0))
  }

  /** Others who have said nothing since everybody was asked last. */
  private silent(): Member[] {
    return this.present.filter(
      ({ id }) => id !== this.self.id && (this.progress.get(id)?.heardAt ?? 0) <= this.askedAt,
    )
  }

  // ---- broadcasts -------------------------------------------------------------------------------------

  /**
   * All that are in the view, or about to be, or about to leave. A leaver counts until its leave is accepted:
   * in a group of two its ack is needed for that, so nothing it lacks may be freed before.
   */
  private get present(): readonly Member[] {
    const { view, latestView } = this.state
    if (view === latestView) return view.members
    return [...view.members, ...latestView.members.filter(({ id }) => findMember(view, id) === undefined)]
  }

  /** Whom a broadcast is for: those present, and those to whom it brings the news that they have left. */
  private get audience(): readonly Member[] {
    return this.farewell.length === 0 ? this.present : [...this.present, ...this.farewell]
  }

  private broadcast(entries: readonly Entry[], report: boolean): void {
    const { state, outbox } = this
    this.advanceQuietly()
    const flags = this.room.wantsReport() || report ? ORDER_FLAG_REPORT : 0
    const packet = orderPacket(
      state,
      outbox,
      PacketKind.order,
      flags,
      0n,
      entries,
      ackersToAsk(state, this.ackTries),
    )
    const last = entries.at(-1)
    if (last !== undefined && state.accepted < last.seq) this.tentativeSince ??= outbox.now
    if (last !== undefined) this.room.sent(lastSeqOf(last), packet.length)
    outbox.broadcast(packet, this.audience)
    this.farewell.length = 0
    this.saidAccepted = state.accepted
    this.saidStable = state.history.stable
    this.heartbeat = this.options.heartbeatFirst
    this.timers.set('heartbeat', outbox.now + this.heartbeat)
  }

  /** Lets a broadcast at r = 0 say that what it carries is accepted: one packet, not two. */
  private advanceQuietly(): void {
    if (this.state.accepted < this.state.history.received) this.advance()
  }

  /** An idle sequencer repeats its highest seq, so that a lost last broadcast is noticed. */
  onHeartbeat(): void {
    const packet = orderPacket(
      this.state,
      this.outbox,
      PacketKind.order,
      0,
      0n,
      [],
      ackersToAsk(this.state, this.ackTries),
    )
    this.outbox.broadcast(packet, this.audience)
    this.heartbeat = Math.min(this.heartbeat * 2, this.options.heartbeatIdle)
    this.timers.set('heartbeat', this.outbox.now + this.heartbeat)
  }

  /** A new sequencer's first words: everybody learns who it is, and reports how far they are. */
  announce(): void {
    this.broadcast([], true)
  }

  /** How many messages each member has yet to take. */
  lags(): { id: MemberId; messages: number }[] {
    const { history, view } = this.state
    return view.members.map(({ id }) => ({
      id,
      messages: Math.max(0, history.received - this.progress.taken(id)),
    }))
  }
}
