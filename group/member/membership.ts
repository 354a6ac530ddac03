/**
 * One process's life in one group, from the join's answer to the accepted leave: composes the sender, the
 * receiver, what asks and what reports, and, in one member of each group, the sequencer.
 *
 * Reading order: onPacket (who may say anything), fellow-packets.ts (what each kind means), onOrder. What a member
 * does while a reset is under way is in renewal.ts.
 */

import { AssemblyStore } from '../../kernel/assembly.ts'
import { assert } from '../../kernel/assert.ts'
import { BLOCK_HEADER_BYTES, BlockKind } from '../../kernel/block.ts'
import type { Counters } from '../../kernel/counters.ts'
import { ErrorCode } from '../../kernel/errors.ts'
import type { Address, MemberId, Micros, RequestNumber, Seq } from '../../kernel/identity.ts'
import { LeaveReason } from '../../kernel/membership.ts'
import { type Baseline, OrderState } from '../../kernel/order-state.ts'
import type { Outbox } from '../../kernel/outbox.ts'
import { type PacketHeader, PacketKind, type RejectReason } from '../../kernel/packet.ts'
import {
  type DataFragment,
  decodeJoinRequest,
  decodeLeft,
  encodeLeft,
  type Locate,
  ORDER_FLAG_REPORT,
  readOrderHead,
  readStreamAck,
} from '../../kernel/packets.ts'
import { parameterLimits } from '../../kernel/parameters.ts'
import type { Token } from '../../kernel/port.ts'
import type { Prng } from '../../kernel/prng.ts'
import type { RoundTrips } from '../../kernel/rtt.ts'
import type { Streams } from '../../kernel/streams.ts'
import type { TimerName, Timers } from '../../kernel/timers.ts'
import { findMember, type Member as ViewMember } from '../../kernel/view.ts'
import type { Sequencer } from '../../sequencer/sequencer.ts'
import { Concierge } from './concierge.ts'
import { admit } from './door.ts'
import { Entering } from './entering.ts'
import { FellowPackets } from './fellow-packets.ts'
import { Gaps } from './gaps.ts'
import { Intake } from './intake.ts'
import { Leaver } from './leaver.ts'
import { Office, REQUEST_WINDOWS } from './office.ts'
import { type MemberOptions, timesOf } from './options.ts'
import { Receiver } from './receiver.ts'
import { Renewal } from './renewal.ts'
import { Reports } from './reports.ts'
import { Sender } from './sender.ts'
import { Silence } from './silence.ts'

/** Blocks from this size on go by method 2 where nothing else is said. */
const METHOD_THRESHOLD = 4 * 1024
/** How long a program may hold up its own send before it is told so. */
const STALL_PATIENCE: Micros = 1_000_000
const WOULD_BLOCK =
  'the history is full of deliveries that this program has not taken, and the send waits for them: receive beside sending, not after it'
/** Channel and lengths of one record, at most. */
const RECORD_OVERHEAD_MAX = 11

export interface MembershipHost {
  /** The own join is accepted. */
  joined(): void
  /** The own leave is accepted, and nobody needs this member any more. */
  left(): void
  /** This member wanted to leave, and its group has stopped: nobody orders anything any more. */
  leftBehind(reason: string): void
  /** The others have gone on without this member. */
  expelled(reason: string): void
  /** The own join was dropped, or the sequencer died before it was accepted. */
  lost(reason: string): void
}

export interface MembershipParts {
  readonly outbox: Outbox
  readonly timers: Timers
  readonly counters: Counters
  readonly streams: Streams
  readonly roundTrips: RoundTrips
  readonly prng: Prng
  readonly host: MembershipHost
}

export class Membership {
  readonly state: OrderState
  readonly sender: Sender
  readonly leaver: Leaver
  /** Place of the own join, until that is accepted. */
  private joinSeq: Seq | undefined
  private isClosed = false
  private expelledBecause: string | undefined
  private readonly self: MemberId
  private readonly receiver: Receiver
  private readonly concierge: Concierge
  private readonly gaps: Gaps
  private readonly reports: Reports
  private readonly silence: Silence
  private readonly renewal: Renewal
  private readonly assemblies: AssemblyStore
  private readonly intake: Intake
  private readonly entering: Entering
  private readonly fellowPackets: FellowPackets
  private readonly office: Office
  private readonly port: string
  private readonly outbox: Outbox
  private readonly timers: Timers
  private readonly counters: Counters
  private readonly streams: Streams
  private readonly host: MembershipHost

  constructor(
    entry: { port: string; memberId: MemberId; baseline: Baseline },
    parts: MembershipParts,
    options: MemberOptions,
  ) {
    const { port, memberId, baseline } = entry
    const { outbox, timers, counters, streams, roundTrips, host } = parts
    this.port = port
    this.self = memberId
    this.outbox = outbox
    this.timers = timers
    this.counters = counters
    this.streams = streams
    this.host = host
    this.joinSeq = baseline.seq
    this.state = new OrderState(baseline)
    const times = timesOf(options.detection)
    const { maxMessageSize } = baseline.parameters
    const largest = maxMessageSize + parameterLimits.headerBytes + BLOCK_HEADER_BYTES + RECORD_OVERHEAD_MAX
    this.assemblies = new AssemblyStore(Math.max(REQUEST_WINDOWS * options.sendWindow, largest), largest)
    const toSequencer = {
      state: () => this.state,
      sequencer: () => this.source,
      isSequencer: () => this.sequencer !== undefined,
      reported: () => this.reports.onReported(),
      asked: (member: ViewMember) => this.silence.onAsked(member),
      others: () => this.sources,
      assembly: (member: MemberId, request: RequestNumber) => this.assemblies.get(member, request),
    }
    this.sender = new Sender(
      {
        outbox,
        timers,
        counters,
        roundTrips,
        host: {
          ...toSequencer,
          submit: () => {
            const { sequencer } = this
            return sequencer && ((block, isSpread) => sequencer.submit(block, isSpread))
          },
          spreadCredit: () => this.sequencer?.spreadCredit,
          spread: (bytes) => this.sequencer?.onSpread(bytes),
          present: () => this.present,
          memberId: () => this.self,
          parameters: () => this.state.parameters,
        },
      },
      {
        packetSize: options.packetSize,
        sendWindow: options.sendWindow,
        window: options.window,
        method: options.method ?? 'auto',
        methodThreshold: options.methodThreshold ?? METHOD_THRESHOLD,
        firstRequest: (baseline.requests.get(memberId) ?? 0) + 1,
      },
    )
    this.gaps = new Gaps({ outbox, timers, roundTrips, host: toSequencer }, options)
    this.reports = new Reports({ outbox, timers, host: toSequencer }, { quietAck: times.quietAck })
    this.concierge = new Concierge({
      port,
      state: this.state,
      outbox,
      streams,
      sequencer: () => this.sequencer,
      isAskedSingly: options.transport === 'unicast',
      silence: 3 * times.heartbeatIdle,
    })
    this.leaver = new Leaver(
      {
        outbox,
        timers,
        roundTrips,
        host: {
          others: () => this.others,
          successor: () => this.sequencerMember,
          needsSuccessor: () => this.sequencer !== undefined && this.state.view.members.length > 0,
          lastHeard: () => this.silence.lastHeard,
          left: () => this.onLeftGroup(),
        },
      },
      { tries: options.detection.tries, patience: options.detection.tries * times.maxRto },
    )
    this.receiver = new Receiver({
      state: this.state,
      self: memberId,
      delivered: baseline.seq,
      accepted: baseline.accepted,
      outbox,
      counters,
      assemblies: this.assemblies,
      host: {
        ownOrdered: (entry) => {
          // a leave that the sequencer ordered in this member's place is none of its own requests
          if (entry.kind === BlockKind.leave && !this.sender.isLeaving) return
          this.sender.onOrdered(entry)
          if (entry.kind === BlockKind.leave && this.sequencer === undefined) this.leaver.onOrdered()
        },
        ownBlock: (request) => this.sender.ownBlock(request),
        ownLeave: (reason) => this.onOwnLeave(reason),
        accepted: (accepted) => this.onAccepted(accepted),
        mayDeliver: () => !this.silence.isDoubting,
      },
    })
    this.intake = new Intake({
      outbox,
      counters,
      state: this.state,
      receiver: this.receiver,
      assemblies: this.assemblies,
      host: {
        sequencer: () => this.sequencer,
        present: () => this.present,
        onBlock: (data, block) => this.onBlock(data, block),
        repaired: (bytes) => this.gaps.check(bytes),
      },
    })
    this.silence = new Silence(
      {
        outbox,
        timers,
        counters,
        roundTrips,
        host: {
          view: () => this.state.view,
          others: () => this.others,
          sequencer: () => this.sequencerMember,
          isSequencer: () => this.sequencer !== undefined,
          isBound: () => this.isClosed || this.recovery.isBound,
          isAutomatic: () => this.state.parameters.recovery === 'auto' && this.joinSeq === undefined,
          sequencerFailed: (id) => this.renewal.onSequencerFailed(id),
          memberFailed: () => this.renewal.onMemberFailed(),
          suspected: () => this.renewal.onSuspected(),
          sequencerBack: () => this.renewal.onSequencerBack(),
          doubtResolved: () => this.onDoubtResolved(),
        },
      },
      { tries: options.detection.tries, heartbeatIdle: times.heartbeatIdle },
    )
    this.entering = new Entering({
      outbox,
      timers,
      roundTrips,
      silence: this.silence,
      host: { sequencer: () => this.sequencerMember, lost: (reason) => host.lost(reason) },
    })
    this.fellowPackets = new FellowPackets(
      {
        outbox,
        counters,
        state: this.state,
        sender: this.sender,
        intake: this.intake,
        silence: this.silence,
        host: {
          sequencer: () => this.sequencer,
          learnSuccession: () => this.learnSuccession(),
          onOrder: (member, header, packet) => this.onOrder(member, header, packet),
          onStreamData: (from, header, packet) => this.renewal.onStreamData(from, header, packet),
          onLeft: (member, packet) => this.onLeft(member, packet),
        },
      },
      { packetSize: options.packetSize },
    )
    this.office = new Office(
      {
        ...parts,
        self: memberId,
        state: this.state,
        receiver: this.receiver,
        host: { asked: (member) => this.silence.onAsked(member), present: () => this.present },
      },
      options,
    )
    this.renewal = new Renewal(
      {
        ...parts,
        self: memberId,
        state: this.state,
        assemblies: this.assemblies,
        sender: this.sender,
        receiver: this.receiver,
        gaps: this.gaps,
        intake: this.intake,
        leaver: this.leaver,
        silence: this.silence,
        fellowPackets: this.fellowPackets,
        host: {
          joinSeq: () => this.joinSeq,
          isForsaken: () => this.entering.isForsaken(),
          stopNumbering: () => this.office.giveUp(),
          newSequencer: () => this.onNewSequencer(),
          onOrder: (member, header, packet) => this.onOrder(member, header, packet),
          left: () => host.left(),
          leftBehind: (reason) => host.leftBehind(reason),
          expelled: (reason) => this.onExpelled(reason),
        },
      },
      { tries: options.detection.tries },
    )
    this.silence.begin()
  }

  /** The sequencer part of this member, if it numbers. */
  get sequencer(): Sequencer | undefined {
    return this.office.sequencer
  }

  private get recovery(): Renewal['recovery'] {
    return this.renewal.recovery
  }

  /** Why the group cannot go on here until it is reset. */
  get failure(): string | undefined {
    return this.renewal.failure
  }

  /** The creator is the first sequencer, and its join needs nobody's acks. */
  found(): void {
    this.becomeSequencer()
    this.receiver.acceptHeld()
    this.onAccepted(this.state.accepted)
  }

  /** The joiner begins to fetch what is not stable yet. */
  enter(): void {
    this.gaps.check()
    this.reports.onProgress()
    this.entering.arm()
  }

  // ---- calls and time ---------------------------------------------------------------------------------

  /**
   * A send waits for room that only this very program can make: it has deliveries that it does not take, and
   * they fill most of the history (design 4.9: `for await (…) await sendToGroup(…)`).
   */
  private get holdsUpItself(): boolean {
    const { history, parameters, highest } = this.state
    if (!this.sender.isWaiting || this.receiver.delivered <= this.outbox.taken) return false
    const lag = highest - this.outbox.taken
    return lag * 2 >= parameters.historySize || history.bytes * 2 >= parameters.historyBytes
  }

  /** Armed while the member holds itself up; anything that the program takes begins the wait anew. */
  private watchStall(): void {
    if (!this.holdsUpItself) this.timers.stop('stall')
    else if (!this.timers.isSet('stall')) this.timers.set('stall', this.outbox.now + STALL_PATIENCE)
  }

  onTaken(seq: Seq): void {
    assert(
      seq <= this.receiver.delivered,
      'only what was delivered can be taken',
      seq,
      this.receiver.delivered,
    )
    if (seq <= this.outbox.taken) return
    this.outbox.taken = seq
    this.timers.stop('stall')
    this.onProgress()
    this.watchStall()
  }

  /** The program takes nothing any more: what it leaves unread must not hold the others up. */
  leave(header: Uint8Array): void {
    this.outbox.taken = Number.MAX_SAFE_INTEGER
    this.onProgress()
    this.sender.leave(header)
  }

  private onProgress(): void {
    if (this.recovery.isBound) return
    if (this.sequencer !== undefined) this.sequencer.advance()
    else this.reports.onProgress()
  }

  flush(): void {
    if (this.recovery.isBound || this.silence.isDoubting) return
    if (this.joinSeq === undefined && this.failure === undefined) this.sender.flush()
    this.sequencer?.flush()
    this.watchStall()
  }

  onTimer(name: TimerName): void {
    // bound by a promise: what was armed for the older view, or by its last entries, means nothing
    if (this.recovery.isBound && name !== 'recovery' && name !== 'gap') return
    switch (name) {
      case 'request':
        this.sender.onTimer()
        return
      case 'gap':
        this.gaps.onTimer()
        return
      case 'report':
        this.reports.onTimer()
        return
      case 'heartbeat':
        this.sequencer?.onHeartbeat()
        this.leaver.onHeartbeat()
        if (this.sequencer !== undefined) this.renewal.onHeartbeat()
        return
      case 'acks':
        this.sequencer?.onAckTimer()
        return
      case 'leave':
        this.leaver.onTimer()
        return
      case 'entering':
        if (this.joinSeq !== undefined) this.entering.onTimer()
        return
      case 'stall':
        if (this.holdsUpItself) this.sender.refuse(ErrorCode.wouldBlock, WOULD_BLOCK)
        return
      case 'recovery':
        this.recovery.onTimer()
        return
      case 'inquiry':
      case 'watch':
      case 'doubt':
        this.silence.onTimer(name)
        return
      default:
        assert(false, 'this timer is not the membership’s', name)
    }
  }

  // ---- packets ----------------------------------------------------------------------------------------

  private reject(reason: RejectReason): void {
    this.counters.rejected[reason]++
  }

  onLocate(from: Address, header: PacketHeader, locate: Locate): void {
    if (this.joinSeq !== undefined || this.leaver.isLingering) return
    // a group that stands still lives: nobody may take its port for free
    const heardAt = this.recovery.isBound
      ? Number.NEGATIVE_INFINITY
      : this.silence.suspicion.lastHeard(this.state.view.sequencer)
    this.concierge.onLocate(from, header, locate, heardAt)
  }

  onPacket(from: Address, header: PacketHeader, packet: Uint8Array): void {
    if (header.kind === PacketKind.inspect && header.groupId === this.state.view.groupId) {
      if (!this.concierge.onInspect(from, header, packet)) this.reject('malformed')
      return
    }
    if (header.kind === PacketKind.streamAck) return this.onStreamAck(header, packet)
    if (header.groupId === this.state.view.groupId && !this.leaver.isLingering) {
      const rejected = this.renewal.onResetPacket(from, header, packet)
      if (rejected !== 'not one') return rejected === undefined ? undefined : this.reject(rejected)
    }
    if (this.renewal.onOlderGap(from, header, packet)) return
    const { leader } = this.recovery
    const admittance = admit(this.state, header, this.self, this.outbox.identity, leader)
    if (typeof admittance === 'string') {
      const { outsiders } = this.renewal
      if (admittance === 'incarnation') outsiders.onForeign(from, header, this.sequencer !== undefined)
      return this.reject(admittance)
    }
    if (this.recovery.isBound && admittance.who !== 'member') return this.reject('phase')
    switch (admittance.who) {
      case 'joiner': {
        const request = decodeJoinRequest(packet)
        if (request === undefined || request.port !== this.port) return this.reject('malformed')
        if (this.state.former.some(({ member }) => member.nonce === header.senderNonce)) {
          // it was let in without ever hearing of it, and removed: only another life can join again
          this.recovery.tellExpelled({ address: from, nonce: header.senderNonce })
        } else if (this.sequencer === undefined) this.concierge.tellWhere(from, header)
        else this.sequencer.onJoinRequest(from, header.senderNonce, request)
        return
      }
      case 'former': {
        // two who have both left must not tell each other so for ever; and an old sequencer waits for the
        // word of its successor, who may not have heard yet that it is the successor
        if (header.kind === PacketKind.left) return
        if (header.kind === PacketKind.order && this.sequencer === undefined) return
        if (header.kind === PacketKind.gap) this.repairFor(from, header, packet)
        const seq = encodeLeft(admittance.leftAt)
        this.outbox.unicast(from, this.outbox.packetOf(PacketKind.left, 0, header.senderNonce, seq))
        return
      }
      case 'beyond':
        this.onOrder(undefined, header, packet)
        return
      case 'member':
        this.silence.onHeard(admittance.member)
        if (this.recovery.isBound) this.renewal.onPacketWhileBound(admittance.member, from, header, packet)
        else this.fellowPackets.on(admittance.member, from, header, packet)
        return
    }
  }

  /** Streams go to joiners and askers, too, who are no members; the stream knows its receiver by the nonce. */
  private onStreamAck(header: PacketHeader, packet: Uint8Array): void {
    const ack = readStreamAck(packet)
    if (ack === undefined) return this.reject('malformed')
    this.streams.onAck(header.senderNonce, ack)
    this.timers.setEarlier('flush', this.outbox.now)
  }

  /** A placed block has become whole: more may be held, accepted and delivered now. */
  private onBlock(data: DataFragment, block: Uint8Array): void {
    const before = this.state.history.received
    const sequencerBefore = this.state.view.sequencer
    this.receiver.onBlock(data.member, data.request, block)
    if (this.state.history.received === before) return
    if (this.recovery.isBound) {
      this.gaps.check(block.length)
      this.recovery.onHeld()
      return
    }
    if (this.state.view.sequencer !== sequencerBefore) this.onNewSequencer()
    this.gaps.check(block.length)
    this.reports.onProgress()
  }

  private repairFor(from: Address, header: PacketHeader, packet: Uint8Array): void {
    this.fellowPackets.repairFor(from, header, packet)
  }

  /** A fellow member, who holds it accepted, tells that this member has left, or is out. */
  private onLeft(from: ViewMember, packet: Uint8Array): void {
    const seq = decodeLeft(packet)
    if (seq === undefined) return this.reject('malformed')
    if (this.leaver.isLingering) {
      if (from.id === this.state.view.sequencer) this.onLeftGroup()
      return
    }
    if (!this.sender.isLeaving) return this.onExpelled('the group has gone on without this member')
    // what was sent before the leave has its place, too: it is fetched while somebody still has it
    this.receiver.expectUpTo(seq)
    this.gaps.check()
    this.leaver.onTold()
  }

  private onOrder(member: ViewMember | undefined, header: PacketHeader, packet: Uint8Array): void {
    const { receiver, state } = this
    const head = readOrderHead(packet)
    if (head === undefined) return this.reject('malformed')
    if (this.leaver.isLingering && member?.id === state.view.sequencer) return this.onLeftGroup()
    if (this.sequencer !== undefined) return this.reject('phase')
    const before = state.history.received
    const sequencerBefore = state.view.sequencer
    const isOrder = header.kind === PacketKind.order
    if (!receiver.onOrder(head, packet, isOrder)) this.reject('malformed')
    if (header.kind === PacketKind.order) {
      if (member !== undefined) this.gaps.onBroadcast(member.id)
      this.reports.onAsked(head.highest, head.ackers, (header.flags & ORDER_FLAG_REPORT) !== 0)
    }
    if (state.view.sequencer !== sequencerBefore) this.onNewSequencer()
    this.watchStall()
    this.gaps.check(header.kind === PacketKind.repair && state.history.received > before ? packet.length : 0)
    this.reports.onProgress()
  }

  // ---- the order goes on ------------------------------------------------------------------------------

  private get sequencerMember(): ViewMember | undefined {
    return findMember(this.state.view, this.state.view.sequencer)
  }

  /** All that a broadcast is for: the view, and the one after it. */
  private get present(): readonly ViewMember[] {
    const { view, latestView } = this.state
    if (view === latestView) return view.members
    return [...view.members, ...latestView.members.filter(({ id }) => findMember(view, id) === undefined)]
  }

  /** Who has what is missing here: the sequencer, or whom a reset under way names. */
  private get source(): ViewMember | undefined {
    return this.recovery.isBound ? this.recovery.source : this.sequencerMember
  }

  private get sources(): readonly ViewMember[] {
    if (!this.recovery.isBound) return this.others
    const { source } = this.recovery
    return source === undefined ? [] : [source]
  }

  private get others(): readonly ViewMember[] {
    return this.state.latestView.members.filter(({ id }) => id !== this.self)
  }

  private onLeftGroup(): void {
    if (this.expelledBecause === undefined) this.host.left()
    else this.host.expelled(this.expelledBecause)
  }

  private onOwnLeave(reason: LeaveReason): void {
    if (reason === LeaveReason.wish) return this.leaver.onAccepted()
    this.expelledBecause = 'this member did not receive, and the others have gone on without it'
    // an expelled sequencer, too, stays until its successor has broadcast
    this.leaver.onAccepted()
  }

  /** More is official: the own join is done, and sends return; their messages are delivered right after. */
  private onAccepted(accepted: Seq): void {
    if (this.joinSeq !== undefined && accepted >= this.joinSeq) {
      this.joinSeq = undefined
      this.timers.stop('entering')
      this.host.joined()
      this.timers.setEarlier('flush', this.outbox.now)
    }
    this.sender.onAccepted(accepted)
  }

  /** The kernel at somebody's address says that this nonce lives no more. */
  onGone(from: Address, header: PacketHeader): void {
    const nonce = header.senderNonce
    const member = this.present.find((one) => one.nonce === nonce)
    if (header.groupId !== this.state.view.groupId || member?.address !== from) return this.reject('stranger')
    this.sequencer?.onGone(nonce)
    this.gaps.onGone(member.id)
    this.renewal.onGone(nonce)
    if (this.sequencer === undefined) this.silence.onGone(member.id)
    if (this.leaver.isLingering && member.id === this.state.view.sequencer) this.onLeftGroup()
  }

  /** The operating system says that nobody listens at this address: whoever was there is gone. */
  onRefused(address: Address): void {
    for (const { id, nonce, address: at } of this.present) {
      if (at !== address || id === this.self) continue
      this.sequencer?.onGone(nonce)
      this.gaps.onGone(id)
      this.renewal.onGone(nonce)
      if (this.sequencer === undefined) this.silence.onGone(id)
    }
    this.timers.setEarlier('flush', this.outbox.now)
  }

  /** The leave of the old sequencer is accepted, and this is who numbers from here on. */
  private onNewSequencer(): void {
    const { view } = this.state
    this.outbox.trace('new-sequencer', { sequencer: view.sequencer, seq: view.seq })
    if (findMember(view, this.self) === undefined) return
    this.silence.begin()
    if (view.sequencer === this.self) {
      this.becomeSequencer()
      this.sequencer?.announce()
      this.releasePredecessor()
    } else {
      this.reports.onNewSequencer()
    }
    this.sender.onNewSequencer()
  }

  /**
   * A request or report comes to me, and I am named as the successor in a handover that I hold: whoever sent it knows
   * that the handover is accepted. (The old sequencer may be gone before I could hear it from itself.)
   */
  private learnSuccession(): void {
    const handover = this.state.pending[0]
    if (this.sequencer !== undefined || handover?.leave?.successor !== this.self) return
    this.receiver.acceptUpTo(handover.seq)
    this.onNewSequencer()
  }

  /** The old sequencer waits for its successor's word, and is in no audience any more. */
  private releasePredecessor(): void {
    const predecessor = this.state.former.at(-1)
    if (predecessor === undefined) return
    const { address, nonce } = predecessor.member
    const seq = encodeLeft(predecessor.leftAt)
    this.outbox.unicast(address, this.outbox.packetOf(PacketKind.left, 0, nonce, seq))
  }

  private becomeSequencer(): void {
    this.office.take()
  }

  // ---- silence and recovery ---------------------------------------------------------------------------

  /** This process has stood still for so long that the others may have gone on without it. */
  onStall(stalled: Micros): void {
    if (this.joinSeq === undefined && !this.leaver.isLingering) this.silence.onStall(stalled)
  }

  get stallLimit(): Micros {
    return this.silence.stallLimit
  }

  /** This life is over: whatever waits for an answer gets it now. */
  close(code: ErrorCode, message: string): void {
    this.isClosed = true
    this.sender.close(code, message)
    this.recovery.close(code, message)
  }

  private onDoubtResolved(): void {
    if (this.recovery.isBound) return
    this.receiver.acceptHeld()
    this.timers.setEarlier('flush', this.outbox.now)
  }

  /** ResetGroup. */
  reset(token: Token, minMembers: number, header: Uint8Array): void {
    this.renewal.call(token, minMembers, header)
  }

  private onExpelled(reason: string): void {
    if (this.joinSeq !== undefined) this.host.lost(reason)
    else this.host.expelled(reason)
  }
}
