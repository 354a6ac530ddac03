/**
 * The sequencer: it numbers messages and broadcasts them (paper, section 4.1). The same member as all
 * others, with this beside it for as long as it is the sequencer.
 *
 * What arrives during one turn of the loop is admitted at once and numbered at its end (`flush`), so that
 * waiting requests share a broadcast; a request that is alone is numbered in the step that it comes in. A block
 * is numbered as a whole; nobody looks at its messages on the way.
 *
 * Start reading at `flush`. Files of their own: admission, room, acceptance, joins and leaves (view-changes.ts), and who
 * is told what (broadcasts.ts).
 */

import { assert } from '../kernel/assert.ts'
import { BlockKind, readBlockHeader } from '../kernel/block.ts'
import type { Counters } from '../kernel/counters.ts'
import { type Entry, lastSeqOf } from '../kernel/history.ts'
import type { MemberId, Micros, Nonce } from '../kernel/identity.ts'
import { isWorthCopying, keep } from '../kernel/keeping.ts'
import { LeaveReason } from '../kernel/membership.ts'
import type { OrderState } from '../kernel/order-state.ts'
import type { Outbox } from '../kernel/outbox.ts'
import { HEADER_BYTES, PACKET_BYTES_MAX, type PacketHeader, PacketKind } from '../kernel/packet.ts'
import {
  ENTRY_OVERHEAD,
  ORDER_HEAD_BYTES,
  type PlacedBlock,
  REQUEST_ACK_BYTES,
  REQUEST_ACK_FLAG_GAP,
  writeRequestAck,
} from '../kernel/packets.ts'
import type { Lag } from '../kernel/port.ts'
import type { RoundTrips } from '../kernel/rtt.ts'
import { encodeSettings } from '../kernel/settings.ts'
import type { SipKey } from '../kernel/siphash.ts'
import type { Streams } from '../kernel/streams.ts'
import type { Timers } from '../kernel/timers.ts'
import { findMember, type Member } from '../kernel/view.ts'
import { acceptableUpTo } from './acceptance.ts'
import { AdmissionQueue, isNumberable, mayAsk, type Request } from './admission.ts'
import { Broadcasts, type BroadcastsOptions } from './broadcasts.ts'
import { Dependence, type HeldUp, NOTHING_HELD_UP } from './held-up.ts'
import { Laggards } from './laggards.ts'
import { ProgressTable } from './progress.ts'
import { wireBytesOf } from './repair.ts'
import { Room } from './room.ts'
import { SettingsKeeper } from './settings-keeper.ts'
import { ViewChanges, type ViewChangesOptions } from './view-changes.ts'

const ORDER_OVERHEAD = HEADER_BYTES + ORDER_HEAD_BYTES
/** The largest block that still fits into one broadcast. */
const BLOCK_BYTES_MAX = PACKET_BYTES_MAX - ORDER_OVERHEAD - ENTRY_OVERHEAD
/** Unanswered questions to all before the silent are asked one by one. */
const TRIES_BEFORE_KNOCKING = 3

export interface SequencerOptions extends BroadcastsOptions, ViewChangesOptions {
  /** Bytes of requests that are kept for one member. */
  readonly requestBytes: number
  /** Bytes of its own program's that the sequencer has under way while others send. */
  readonly ownShare: number
}

/** What the sequencer needs from the member around it. */
export interface SequencerHost {
  /** An entry has been numbered here, hence is held here. */
  numbered(entry: Entry): void
  /** More has become official. */
  accepted(): void
  /** The end of a turn comes now, if nothing speaks against it. */
  flush(): void
  /** Everybody has been asked once more, and these have said nothing since the last time. */
  unanswered(silent: readonly Member[]): void
  /** Whether this member has not answered for too long. */
  isSuspect(id: MemberId): boolean
  /** The group stands still because this member does not receive. */
  slow(member: MemberId, lagMessages: number): void
}

export class Sequencer {
  readonly progress = new ProgressTable()
  readonly admission: AdmissionQueue
  /** Joins and leaves, on their way to their places. */
  readonly changes: ViewChanges
  /** When the group goes by another key or version. */
  readonly settings: SettingsKeeper
  private readonly broadcasts: Broadcasts
  private readonly room: Room
  private readonly dependence: Dependence
  private readonly laggards: Laggards
  private readonly ackTimes: RoundTrips
  private ackTries = 0
  private askedAt: Micros = 0
  /** When the first of what is tentative now was broadcast. */
  private tentativeSince: Micros | undefined
  /**
   * What was numbered last was the only request there. The next one that is alone does not wait for the end of its turn;
   * where several come in a turn the first would cost a broadcast of its own.
   */
  private wasAlone = true
  /** Bound by a reset: this object says nothing more. */
  isRetired = false

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
    /** What the member has learnt of distances. */
    roundTrips: RoundTrips
    options: SequencerOptions
    /** Under which joiners and askers are challenged. */
    challengeKey: SipKey
    host: SequencerHost
  }) {
    const { self, state, outbox, timers, streams, counters, options, host } = parts
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
    const { progress } = this
    const isSuspect = (id: MemberId) => host.isSuspect(id)
    this.dependence = new Dependence({ self: self.id, state, progress, isSuspect })
    const { dependence } = this
    this.settings = new SettingsKeeper(self.id, state, outbox, this.progress)
    this.ackTimes = parts.roundTrips
    this.broadcasts = new Broadcasts(parts)
    this.changes = new ViewChanges({
      ...parts,
      progress,
      dependence,
      host: {
        forget: (member) => this.admission.forget(member),
        append: (entry) => this.append(entry),
        broadcast: (entry) => this.broadcast([entry], false),
      },
    })
    for (const { id } of state.latestView.members) {
      this.progress.begin(id, state.history.stable, options.window, outbox.now)
    }
    this.noteOwnProgress()
    // what the one before has not ordered any more, and nobody else may be there to remind of
    if (this.settings.next() !== undefined) timers.setEarlier('flush', outbox.now)
  }

  // ---- what comes in ----------------------------------------------------------------------------------

  /** A member's packet has come, of whatever kind: its header says how far the member is. */
  onReport(id: MemberId, header: PacketHeader): void {
    if (header.received > this.state.history.received) {
      this.counters.rejected.malformed++
      return
    }
    if (this.progress.report(id, header, this.outbox.now) || this.room.waitsForSpread) this.advance()
    if (this.settings.heard(id, header)) this.timers.setEarlier('flush', this.outbox.now)
  }

  /** A packet that says nothing else. What it makes official is told at once where nothing is to be told with it. */
  onState(id: MemberId, header: PacketHeader): void {
    this.onReport(id, header)
    const { state, admission, broadcasts } = this
    const isAlone = admission.length === 0 && state.accepted === state.history.received
    if (this.wasAlone && isAlone && broadcasts.hasNews) this.host.flush()
  }

  onRequest(from: Member, header: PacketHeader, packet: Uint8Array, blocks: readonly PlacedBlock[]): void {
    if (findMember(this.state.latestView, from.id) === undefined) return
    this.onReport(from.id, header)
    let wantsAck = false
    const news = blocks.reduce((sum, { head }) => sum + (this.admission.has(head) ? 0 : head.length), 0)
    const asCopies = isWorthCopying(packet, news)
    for (const { head, at } of blocks) {
      const isOwn = head.member === from.id && head.session === undefined
      if (!isOwn || head.length > BLOCK_BYTES_MAX || !isNumberable(head, this.state.parameters)) {
        this.counters.rejected.malformed++
        return
      }
      if (!mayAsk(from, head)) {
        this.counters.rejected.right++
        continue
      }
      const block = keep(packet, at, head.length, asCopies)
      if (!this.offer({ head, block, isSpread: false })) wantsAck = true
    }
    if (wantsAck) this.acknowledgeRequests(from)
    if (this.wasAlone && this.isAlone) this.host.flush()
    else this.timers.setEarlier('flush', this.outbox.now)
  }

  /**
   * A block that was spread apart from its order is whole here (method 2, or a large message): from now on it
   * is a request like others, but its broadcast will name it by its header only.
   */
  onSpreadBlock(from: Member, block: Uint8Array): void {
    const head = readBlockHeader(block, 0)
    if (head === undefined || head.session !== undefined || !isNumberable(head, this.state.parameters)) {
      this.counters.rejected.malformed++
      return
    }
    if (findMember(this.state.latestView, from.id) === undefined) return
    if (!mayAsk(from, head)) {
      this.counters.rejected.right++
      return
    }
    if (!this.offer({ head, block, isSpread: true })) this.acknowledgeRequests(from)
    this.timers.setEarlier('flush', this.outbox.now)
  }

  /** Whether it waits for its place now. If not, its sender is to hear what is here. */
  private offer(request: Request): boolean {
    const admission = this.admission.offer(request)
    if (admission === 'overflow') this.counters.overflow('requests')
    return admission === 'admitted'
  }

  /** How many own bytes may be spread now, of `share` at once. */
  spreadCredit(share: number): number {
    return this.room.spreadCredit(share)
  }

  /** Asks everybody for a report when that is used up. */
  onSpread(bytes: number, share: number): void {
    if (!this.room.spread(bytes, share, this.outbox.now)) return
    this.broadcast([], true)
    this.armAckTimer()
  }

  /** The sequencer's own send takes the same way without a packet. False if there is no room for it yet. */
  submit(block: Uint8Array, isSpread: boolean): boolean {
    const head = readBlockHeader(block, 0)
    assert(
      head !== undefined && isNumberable(head, this.state.parameters),
      'own blocks can be numbered',
      block.length,
    )
    this.timers.setEarlier('flush', this.outbox.now)
    return this.admission.offer({ head, block, isSpread }) !== 'overflow'
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
    this.changes.takeOut(member.id, LeaveReason.gone)
    this.advance()
  }

  /** Tells a sender what is already here, so that it neither repeats that nor waits with what is missing. */
  private acknowledgeRequests(to: Member): void {
    const flags = this.admission.hasGap(to.id) ? REQUEST_ACK_FLAG_GAP : 0
    const packet = this.outbox.packet(PacketKind.requestAck, flags, to.nonce, REQUEST_ACK_BYTES)
    writeRequestAck(packet, this.admission.expected(to.id))
    this.outbox.unicast(to.address, packet)
  }

  // ---- numbering --------------------------------------------------------------------------------------

  /**
   * One request waits, and its sender, another member, holds everything: nobody else is about to send, as far as can be known.
   * (What follows from the own program's sends waits until that has been told.)
   */
  private get isAlone(): boolean {
    if (this.admission.length !== 1) return false
    const { member } = this.admission.first()!.head
    return member !== this.self.id && this.progress.received(member) === this.state.history.received
  }

  /** The end of a turn: number what waits and has room, broadcast it, and say what else is news. */
  flush(): void {
    if (this.admission.length > 0) this.wasAlone = this.isAlone
    let broadcasts = 0
    for (const leave of this.admission.takeLeaves()) this.changes.onLeave(leave)
    for (let batch = this.takeBatch(); batch.length > 0; batch = this.takeBatch()) {
      this.number(batch)
      broadcasts++
    }
    if (this.room.fitsChange() && this.changes.numberNext()) broadcasts++
    if (this.numberSettings()) broadcasts++
    this.laggards.note(this.waitsForHistory, this.state.present, this.outbox.now)
    this.advance()
    if (broadcasts === 0 && this.broadcasts.hasNews) this.broadcast([], false)
    this.armAckTimer()
  }

  /** A change of settings goes like a message of the sequencer's own. */
  private numberSettings(): boolean {
    const { state, self } = this
    const agreed = this.settings.next()
    if (agreed === undefined || this.hasHandedOver || !this.room.fitsChange()) return false
    const block = encodeSettings(self.id, agreed)
    const seq = state.history.received + 1
    const kind = BlockKind.settings
    const entry = this.append({ seq, count: 1, kind, member: self.id, firstRequest: 0, block })
    this.outbox.trace('settings-numbered', { seq, version: agreed.version, keyId: agreed.keyId })
    this.broadcast([entry], false)
    return true
  }

  /** Neighbouring requests that fit into one broadcast, and into everybody's history. */
  private takeBatch(): Request[] {
    const batch: Request[] = []
    if (this.hasHandedOver) return batch
    let bytes = ORDER_OVERHEAD
    let count = 0
    let blockBytes = 0
    let wireBytes = 0
    for (let next = this.next(); next !== undefined; next = this.next()) {
      const { head } = next
      const size = ENTRY_OVERHEAD + wireBytesOf(next)
      if (batch.length > 0 && bytes + size > this.options.packetSize) break
      const flight = wireBytes + size + this.spreadBytesOf(next, head.member)
      if (!this.room.fits(count + head.count, blockBytes + head.length, flight, batch.length === 0)) break
      this.admission.take()
      batch.push(next)
      bytes += size
      wireBytes = flight
      count += head.count
      blockBytes += head.length
    }
    return batch
  }

  /** Whose turn it is; the own program's only while it has not used its share. */
  private next(): Request | undefined {
    const { id } = this.self
    const othersWait = this.admission.hasOthersThan(id)
    const isHeld = this.room.isOwnShareUsed(this.options.ownShare, othersWait)
    return this.admission.first(isHeld ? id : undefined)
  }

  /**
   * Whether requests wait for members to receive what there is, and not for packets that are on their way. (With five members
   * that send all they can something is always waiting; the one that had taken least was expelled from a group at full rate.)
   */
  private get waitsForHistory(): boolean {
    const next = this.admission.first()
    return next !== undefined && !this.room.hasHistory(next.head.count, next.head.length, true)
  }

  private number(batch: readonly Request[]): void {
    const entries: Entry[] = []
    let messages = 0
    for (const { head, block, isSpread } of batch) {
      const { count, kind, member, firstRequest } = head
      const seq = this.state.history.received + 1
      messages += count
      entries.push(this.append({ seq, count, kind, member, firstRequest, block, isSpread }))
    }
    this.counters.ordered += messages
    this.counters.broadcast(messages)
    this.broadcast(entries, false)
  }

  private append(entry: Entry): Entry {
    assert(Number.isSafeInteger(lastSeqOf(entry)), 'the order has reached its last number', entry.seq)
    this.counters.orderedBytes += entry.block.length
    this.state.history.append(entry)
    this.state.apply(entry)
    this.host.numbered(entry)
    return entry
  }

  /** After its own leave the sequencer numbers nothing any more. */
  get hasHandedOver(): boolean {
    return this.changes.hasHandedOver
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
    if (this.room.landed(this.progress.leastReceived(this.state.present)) && this.isWaitingForRoom) {
      this.timers.setEarlier('flush', this.outbox.now)
    }
    if (this.accept()) {
      this.host.accepted()
      this.timers.setEarlier('flush', this.outbox.now)
    }
    const { present } = state
    const { room, progress } = this
    if (room.waitsForSpread && room.spreadLanded(progress.reportedSince(present, this.self.id))) {
      this.timers.setEarlier('flush', this.outbox.now)
    }
    const { stable } = state.history
    state.release(progress.takenByAll(present) ?? stable)
    if (state.history.stable > stable && this.isWaitingForRoom) {
      this.timers.setEarlier('flush', this.outbox.now)
    }
  }

  /** Takes for official what may be by now; whether that is more than before. */
  private accept(): boolean {
    const { state } = this
    const reach = acceptableUpTo(state, this.progress, this.self.id)
    if (reach <= state.accepted) return false
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
    return true
  }

  private forget(leaver: Member): void {
    this.progress.forget(leaver.id)
    this.admission.forget(leaver.id)
    this.settings.forget(leaver.id)
    // it may have gone before it could acknowledge its join's answer
    this.streams.close(leaver.nonce)
    if (leaver.id !== this.self.id) this.broadcasts.sayFarewell(leaver)
  }

  /** Whether requests or changes wait here for room or for acks. */
  get isWaitingForRoom(): boolean {
    return this.admission.length > 0 || this.changes.length > 0 || this.room.waitsForSpread
  }

  /** Something is numbered and not official, or not numbered yet. */
  get isWaiting(): boolean {
    return this.state.accepted < this.state.history.received || this.isWaitingForRoom
  }

  /** Gone, or suspect: nobody can tell when they ack, vote or take anything. */
  get missed(): readonly Member[] {
    return this.dependence.silent
  }

  /** What waits for them, now that everything else that can be numbered is. */
  heldUp(): HeldUp {
    const { dependence, changes } = this
    if (!this.isWaiting || !dependence.isAnybodySilent) return NOTHING_HELD_UP
    const { isAny, leavers } = changes.heldUp()
    return { isOrder: dependence.holdsUpAcceptance || this.isRoomHeldUp, isChange: isAny, leavers }
  }

  /** After a flush what still waits lacks room, and room is as much as the one that has taken or received least leaves. */
  private get isRoomHeldUp(): boolean {
    const { dependence, room, admission, changes } = this
    if (room.waitsForSpread && dependence.holdsUpSpread(room.waitsSince)) return true
    const waits = (admission.length > 0 && !this.hasHandedOver) || (changes.length > 0 && !room.fitsChange())
    return waits && dependence.holdsUpRoom
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
    this.laggards.note(this.waitsForHistory, this.state.present, this.outbox.now)
    this.dealWithLaggards()
    this.room.reportAsked()
    this.broadcast([], true)
    if (this.ackTries >= TRIES_BEFORE_KNOCKING) this.broadcasts.knock(silent, this.ackTries)
    this.askedAt = this.outbox.now
    this.armAckTimer()
  }

  private dealWithLaggards(): void {
    const { now } = this.outbox
    const notice = this.laggards.notice(this.state.present, now)
    if (notice !== undefined) {
      for (const id of this.laggards.toName(notice)) this.host.slow(id, notice.lagMessages)
      this.broadcasts.saySlow(notice)
    }
    for (const member of this.laggards.toExpel(this.state.view.members, now)) {
      if (findMember(this.state.latestView, member) === undefined) continue
      this.outbox.trace('expel', { member })
      this.changes.takeOut(member, LeaveReason.slow)
    }
  }

  /** Others who have said nothing since everybody was asked last. */
  private silent(): Member[] {
    return this.state.present.filter(
      ({ id }) => id !== this.self.id && (this.progress.get(id)?.heardAt ?? 0) <= this.askedAt,
    )
  }

  // ---- broadcasts -------------------------------------------------------------------------------------

  /** At r = 0 a broadcast says that what it carries is accepted: one packet, not two. */
  private broadcast(entries: readonly Entry[], report: boolean): void {
    const { state, outbox } = this
    const changes = state.pending.length
    const isMoreAccepted = state.accepted < state.history.received && this.accept()
    const asksReport = this.room.wantsReport() || report
    const last = entries.at(-1)
    if (last !== undefined && state.accepted < last.seq) this.tentativeSince ??= outbox.now
    let bytes = this.broadcasts.say(entries, asksReport, this.ackTries)
    let ownBytes = 0
    let hasOthers = false
    for (const entry of entries) {
      bytes += this.spreadBytesOf(entry, entry.member)
      if (entry.member === this.self.id) ownBytes += entry.block.length
      else hasOthers = true
    }
    if (last !== undefined) this.room.sent({ seq: lastSeqOf(last), bytes, ownBytes, hasOthers })
    if (!isMoreAccepted) return
    // behind the packet: the others wait for that, and the own program for this
    this.host.accepted()
    // the next change may go now
    if (state.pending.length < changes) this.timers.setEarlier('flush', outbox.now)
  }

  /**
   * Bytes that the sender of a block has broadcast itself: they lie in the same sockets as what is broadcast here, and
   * a receiver that is behind loses them like that. (Seen with 10-KiB messages on a busy machine: a sender and its
   * sequencer went on at full rate past a third member that had no processor for a while; and with 100 KiB, once a sender
   * alone began a block before the last one had come.) Own blocks of many packets have a credit of their own (room.ts).
   */
  private spreadBytesOf({ block, isSpread }: Pick<Entry, 'block' | 'isSpread'>, member: MemberId): number {
    const hasCredit = member === this.self.id && block.length > this.options.packetSize
    return isSpread && !hasCredit ? block.length : 0
  }

  /** An idle sequencer repeats its highest seq, so that a lost last broadcast is noticed. */
  onHeartbeat(): void {
    // what the own program has taken is only noted while nobody waits for it
    this.advance()
    this.broadcasts.repeat(this.ackTries)
  }

  /** One who may not have heard it is told where the order stands. */
  tell(member: Member): void {
    this.broadcasts.tell(member)
  }

  /** A new sequencer's first words: everybody learns who it is, and reports how far they are. */
  announce(): void {
    this.broadcast([], true)
  }

  /** How many messages each member has yet to take. */
  lags(): Lag[] {
    const { history, view } = this.state
    this.noteOwnProgress()
    return view.members.map(({ id }) => ({
      id,
      messages: Math.max(0, history.received - this.progress.taken(id)),
    }))
  }
}
