/**
 * One process's life in one group, from the join's answer to the accepted leave: composes the sender, the
 * receiver, what asks and what reports, and, in one member of each group, the sequencer ("the same code, a
 * flag tells it to process messages differently", paper, section 4).
 *
 * Reading order: onPacket (who may say anything), onMemberPacket (what each kind means), afterProgress.
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
  decodeDataAck,
  decodeDataGap,
  decodeJoinRequest,
  decodeLeft,
  encodeLeft,
  type Locate,
  ORDER_FLAG_REPORT,
  readGap,
  readOrderHead,
  readRequestAck,
  readRequestBlocks,
  readStreamAck,
  readStreamFragment,
  STATE_FLAG_LEAVING,
  STATE_FLAG_RESULT,
} from '../../kernel/packets.ts'
import { parameterLimits } from '../../kernel/parameters.ts'
import type { Token } from '../../kernel/port.ts'
import type { Prng } from '../../kernel/prng.ts'
import type { RoundTrips } from '../../kernel/rtt.ts'
import type { Streams } from '../../kernel/streams.ts'
import type { TimerName, Timers } from '../../kernel/timers.ts'
import { findMember, type Member as ViewMember } from '../../kernel/view.ts'
import { repair, repairData } from '../../sequencer/repair.ts'
import { Sequencer } from '../../sequencer/sequencer.ts'
import { Concierge } from './concierge.ts'
import { admit } from './door.ts'
import { Gaps } from './gaps.ts'
import { Intake } from './intake.ts'
import { Leaver } from './leaver.ts'
import { type MemberOptions, timesOf } from './options.ts'
import { Receiver } from './receiver.ts'
import { Renewal } from './renewal.ts'
import { Reports } from './reports.ts'
import { Sender } from './sender.ts'
import { Silence } from './silence.ts'

/** Requests kept for one member at the sequencer, as a multiple of what a sender may have on its way. */
const REQUEST_WINDOWS = 4
/** Blocks from this size on go by method 2 where nothing else is said. */
const METHOD_THRESHOLD = 4 * 1024
/** A joiner hears nobody for so many suspicion times before it gives up. */
const ENTERING_PATIENCES = 4
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
  sequencer: Sequencer | undefined
  /** Why the group cannot go on here until it is reset. */
  failure: string | undefined
  /** Place of the own join, until that is accepted. */
  private joinSeq: Seq | undefined
  private enteringTries = 0
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
  private readonly roundTrips: RoundTrips
  private readonly port: string
  private readonly options: MemberOptions
  private readonly outbox: Outbox
  private readonly timers: Timers
  private readonly counters: Counters
  private readonly streams: Streams
  private readonly prng: Prng
  private readonly host: MembershipHost

  constructor(
    entry: { port: string; memberId: MemberId; baseline: Baseline },
    parts: MembershipParts,
    options: MemberOptions,
  ) {
    const { port, memberId, baseline } = entry
    const { outbox, timers, counters, streams, roundTrips, prng, host } = parts
    this.port = port
    this.self = memberId
    this.options = options
    this.outbox = outbox
    this.timers = timers
    this.counters = counters
    this.streams = streams
    this.prng = prng
    this.host = host
    this.joinSeq = baseline.seq
    this.state = new OrderState(baseline)
    const times = timesOf(options.detection)
    const { maxMessageSize } = baseline.parameters
    const largest = maxMessageSize + parameterLimits.headerBytes + BLOCK_HEADER_BYTES + RECORD_OVERHEAD_MAX
    this.assemblies = new AssemblyStore(Math.max(REQUEST_WINDOWS * options.sendWindow, largest), largest)
    this.roundTrips = roundTrips
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
          lastHeard: () => this.lastHeard,
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
          sequencerFailed: (id) => this.onSequencerFailed(id),
          memberFailed: () => this.onMemberFailed(),
          suspected: () => this.onSuspected(),
          sequencerBack: () => {
            if (!this.recovery.isBound) this.failure = undefined
          },
          doubtResolved: () => this.onDoubtResolved(),
        },
      },
      { tries: options.detection.tries, heartbeatIdle: times.heartbeatIdle },
    )
    this.renewal = new Renewal(
      {
        state: this.state,
        outbox,
        timers,
        streams,
        counters,
        roundTrips,
        prng,
        host: {
          self: () => this.self,
          isEntering: () => this.joinSeq !== undefined,
          joinSeq: () => this.joinSeq,
          isLingering: () => this.leaver.isLingering,
          silence: () => this.silence,
          bound: () => this.onBound(),
          dropAbove: (seq) => {
            this.receiver.dropAbove(seq)
            this.sender.dropAbove(seq)
          },
          collect: () => {
            this.gaps.restart()
            this.gaps.check()
          },
          hold: (entry) => this.receiver.hold(entry),
          accepted: (change) => this.receiver.acceptUpTo(change.view.seq),
          witnessed: (change) => this.onWitnessed(change.view.seq),
          resumed: () => this.onResumed(),
          stopped: (reason) => this.onStopped(reason),
          expelled: (reason) => this.onExpelled(reason),
        },
      },
      { tries: options.detection.tries },
    )
    this.silence.begin()
  }

  private get recovery(): Renewal['recovery'] {
    return this.renewal.recovery
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
    this.armEntering()
  }

  /** Until the own join is accepted, the sequencer is asked: it may die in between. */
  private armEntering(): void {
    this.timers.set('entering', this.outbox.now + this.roundTrips.timeout(this.enteringTries))
  }

  /**
   * A joiner whose sequencer dies stays: its join may be accepted, and then its vote may be needed (of a view of
   * four two are no majority). It goes when nobody of the group has been heard for long.
   */
  private isForsaken(): boolean {
    const { suspicion, patience } = this.silence
    const isSilent =
      this.outbox.now - this.lastHeard > ENTERING_PATIENCES * patience ||
      this.others.every(({ id }) => suspicion.isSuspect(id))
    if (isSilent) this.host.lost('no member of the group answers any more')
    return isSilent
  }

  /** When anybody else was heard last. */
  private get lastHeard(): Micros {
    return Math.max(0, ...this.others.map(({ id }) => this.silence.suspicion.lastHeard(id)))
  }

  private onEntering(): void {
    const sequencer = this.sequencerMember
    if (this.joinSeq === undefined || sequencer === undefined || this.isForsaken()) return
    this.enteringTries++
    const { outbox } = this
    outbox.unicast(sequencer.address, outbox.packet(PacketKind.state, 0, sequencer.nonce, 0))
    this.armEntering()
    this.silence.onAsked(sequencer)
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
        if (this.sequencer !== undefined) this.onSequencerHeartbeat()
        return
      case 'acks':
        this.sequencer?.onAckTimer()
        return
      case 'leave':
        this.leaver.onTimer()
        return
      case 'entering':
        this.onEntering()
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
    const heardAt = this.silence.suspicion.lastHeard(this.state.view.sequencer)
    this.concierge.onLocate(from, header, locate, heardAt)
  }

  onPacket(from: Address, header: PacketHeader, packet: Uint8Array): void {
    if (header.kind === PacketKind.inspect && header.groupId === this.state.view.groupId) {
      if (!this.concierge.onInspect(from, header, packet)) this.reject('malformed')
      return
    }
    if (header.kind === PacketKind.streamAck) return this.onStreamAck(header, packet)
    if (header.groupId === this.state.view.groupId && !this.leaver.isLingering) {
      const rejected = this.onResetPacket(from, header, packet)
      if (rejected !== 'not one') return rejected === undefined ? undefined : this.reject(rejected)
    }
    const { leader } = this.recovery
    const admittance = admit(this.state, header, this.self, this.outbox.identity, leader)
    if (typeof admittance === 'string') {
      if (admittance === 'incarnation') this.renewal.onForeign(from, header, this.sequencer !== undefined)
      return this.reject(admittance)
    }
    if (this.recovery.isBound && admittance.who !== 'member') return this.reject('phase')
    switch (admittance.who) {
      case 'joiner': {
        const request = decodeJoinRequest(packet)
        if (request === undefined || request.port !== this.port) return this.reject('malformed')
        if (this.sequencer === undefined) this.concierge.tellWhere(from, header)
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
        if (this.recovery.isBound) this.onPacketWhileBound(admittance.member, from, header, packet)
        else this.onMemberPacket(admittance.member, from, header, packet)
        return
    }
  }

  /** Invitations, refusals and notices come under whatever ballot; each says itself what it is about. */
  private onResetPacket(
    from: Address,
    header: PacketHeader,
    packet: Uint8Array,
  ): RejectReason | undefined | 'not one' {
    switch (header.kind) {
      case PacketKind.invite:
        return this.renewal.onInvite(from, header, packet)
      case PacketKind.refusal:
        return this.renewal.onRefusal(header, packet)
      case PacketKind.expelled:
        return this.renewal.onExpelled(packet)
      default:
        return 'not one'
    }
  }

  /** A packet of the attempt that this member is bound to. */
  private onPacketWhileBound(
    member: ViewMember,
    from: Address,
    header: PacketHeader,
    packet: Uint8Array,
  ): void {
    const { recovery, state } = this
    recovery.onHeard(member)
    const before = state.history.received
    switch (header.kind) {
      case PacketKind.streamData:
        this.onStreamData(from, header, packet)
        return
      case PacketKind.state:
        if ((header.flags & STATE_FLAG_RESULT) !== 0) recovery.onAck(member)
        return
      case PacketKind.gap:
        this.repairFor(from, header, packet)
        return
      case PacketKind.dataGap:
        this.repairDataFor(from, header, packet)
        return
      case PacketKind.repair: {
        if (!recovery.isCollecting) return this.reject('phase')
        const head = readOrderHead(packet)
        if (head === undefined || !this.receiver.onCollected(head, packet, state.highest)) {
          return this.reject('malformed')
        }
        this.gaps.check(state.history.received > before ? packet.length : 0)
        recovery.onHeld()
        return
      }
      case PacketKind.data:
        if (!recovery.isCollecting) return this.reject('phase')
        this.intake.onData(member, from, header, packet)
        return
      case PacketKind.order: {
        const head = readOrderHead(packet)
        if (head === undefined) return this.reject('malformed')
        recovery.onOrder(member.id, head.accepted)
        if (!this.recovery.isBound) this.onOrder(member, header, packet)
        return
      }
      case PacketKind.probe:
        this.silence.onPacket(member, header, packet)
        return
      case PacketKind.left:
        // a witness that has missed the word of its expulsion is answered like any former member
        if (!recovery.onNotice(recovery.promise)) this.reject('phase')
        return
      default:
        this.reject('phase')
    }
  }

  private onStreamData(from: Address, header: PacketHeader, packet: Uint8Array): void {
    const fragment = readStreamFragment(packet)
    if (fragment === undefined) return this.reject('malformed')
    const bytes = this.streams.onFragment(from, header.senderNonce, fragment)
    if (bytes !== undefined) this.renewal.onStream(header.senderNonce, fragment.purpose, bytes)
  }

  /** Streams go to joiners and askers, too, who are no members; the stream knows its receiver by the nonce. */
  private onStreamAck(header: PacketHeader, packet: Uint8Array): void {
    const ack = readStreamAck(packet)
    if (ack === undefined) return this.reject('malformed')
    this.streams.onAck(header.senderNonce, ack)
    this.timers.setEarlier('flush', this.outbox.now)
  }

  /** What each kind of packet from a fellow member means. */
  private onMemberPacket(member: ViewMember, from: Address, header: PacketHeader, packet: Uint8Array): void {
    switch (header.kind) {
      case PacketKind.order:
      case PacketKind.repair:
        this.onOrder(member, header, packet)
        return
      case PacketKind.request: {
        const blocks = readRequestBlocks(packet)
        if (blocks === undefined) return this.reject('malformed')
        this.learnSuccession()
        if (this.sequencer === undefined) return this.reject('phase')
        this.sequencer.onRequest(member, header, packet, blocks)
        return
      }
      case PacketKind.state:
        if ((header.flags & STATE_FLAG_LEAVING) === 0) this.learnSuccession()
        this.sequencer?.onReport(member.id, header)
        // it has not heard yet that the result is accepted
        if ((header.flags & STATE_FLAG_RESULT) !== 0) this.sequencer?.tell(member)
        return
      case PacketKind.inquiry:
      case PacketKind.testimony:
      case PacketKind.probe:
      case PacketKind.probeAnswer:
        this.sequencer?.onReport(member.id, header)
        if (!this.silence.onPacket(member, header, packet)) this.reject('malformed')
        return
      case PacketKind.gap: {
        this.sequencer?.onReport(member.id, header)
        this.repairFor(from, header, packet)
        return
      }
      case PacketKind.data:
        this.sequencer?.onReport(member.id, header)
        this.intake.onData(member, from, header, packet)
        return
      case PacketKind.dataGap:
        this.sequencer?.onReport(member.id, header)
        this.repairDataFor(from, header, packet)
        return
      case PacketKind.dataAck: {
        const ack = decodeDataAck(packet)
        if (ack === undefined) return this.reject('malformed')
        this.sender.onDataAck(ack)
        return
      }
      case PacketKind.requestAck: {
        const expected = readRequestAck(packet)
        if (expected === undefined) return this.reject('malformed')
        this.sender.onRequestAck(expected)
        return
      }
      case PacketKind.streamData:
        // a join's answer or a result that is here already: acknowledged again, because the ack was lost
        this.onStreamData(from, header, packet)
        return
      case PacketKind.left:
        this.onLeft(member, packet)
        return
      default:
        this.reject('phase')
    }
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

  private repairFor(address: Address, header: PacketHeader, packet: Uint8Array): void {
    const gap = readGap(packet)
    if (gap === undefined) return this.reject('malformed')
    const to = { address, nonce: header.senderNonce }
    const { packetSize } = this.options
    this.counters.retransmissions.repair += repair(this.state, this.outbox, packetSize, to, gap)
  }

  private repairDataFor(address: Address, header: PacketHeader, packet: Uint8Array): void {
    const gap = decodeDataGap(packet)
    if (gap === undefined) return this.reject('malformed')
    const entry = this.state.history.entryAt(gap.seq)
    if (entry === undefined) return
    const to = { address, nonce: header.senderNonce }
    this.counters.retransmissions.data += repairData(entry, this.outbox, this.options.packetSize, to, gap)
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
    const { state, receiver, options } = this
    const { received } = state.history
    const self = findMember(state.view, this.self)
    assert(self !== undefined, 'only a member becomes sequencer', this.self)
    assert(
      received === state.accepted,
      'the successor numbers behind what is accepted',
      received,
      state.accepted,
    )
    for (const timer of ['report', 'gap'] as const) this.timers.stop(timer)
    state.highest = received
    const times = timesOf(options.detection)
    this.sequencer = new Sequencer({
      self,
      state,
      outbox: this.outbox,
      timers: this.timers,
      streams: this.streams,
      counters: this.counters,
      prng: this.prng,
      options: {
        packetSize: options.packetSize,
        requestBytes: REQUEST_WINDOWS * options.sendWindow,
        window: options.window,
        joinPatience: 2 * times.maxRto,
        roundTrips: this.roundTrips,
        ...times,
      },
      host: {
        numbered: (entry) => receiver.noteHeld(entry),
        accepted: () => receiver.deliver(),
        unanswered: (silent) => {
          for (const member of silent) this.silence.onAsked(member)
        },
        slow: (member, lagMessages) => {
          this.outbox.output({ output: 'event', event: { event: 'slow', member, lagMessages } })
        },
      },
    })
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

  /**
   * Without its sequencer the group stands still. With `recovery: 'manual'` calls end here; blocks that are on
   * their way stay, because their request numbers are taken: if the sequencer was only slow, they are ordered
   * after all.
   */
  private onSequencerFailed(id: MemberId): void {
    const reason = `member ${id}, the sequencer, does not answer any more`
    if (this.joinSeq !== undefined) return
    if (this.state.parameters.recovery === 'auto') return this.recovery.start()
    this.failure = `${reason}; the group needs a reset before it can go on: call resetGroup`
    this.sender.refuse(ErrorCode.memberFailed, this.failure)
    if (this.sender.isLeaving) this.host.leftBehind(reason)
  }

  private onMemberFailed(): void {
    if (this.state.parameters.recovery !== 'auto') return
    if (this.renewal.mayCoordinate) return this.recovery.start()
    // a sequencer about to leave would be out of the view that it makes: somebody else has to make it
    if (!this.silence.inquiry.resign()) this.onStopped('nobody else answers')
  }

  private onSequencerHeartbeat(): void {
    this.renewal.remind()
    const { suspicion } = this.silence
    if (this.others.some(({ id }) => suspicion.isSuspect(id))) this.onMemberFailed()
  }

  private onSuspected(): void {
    const { suspicion } = this.silence
    if (this.sender.isLeaving && this.others.every((one) => suspicion.isSuspect(one.id))) this.host.left()
  }

  /** From a promise on this member does nothing in any older view (design 4.6). */
  private onBound(): void {
    for (const timer of [
      'request',
      'report',
      'gap',
      'heartbeat',
      'acks',
      'entering',
      'leave',
      'stall',
    ] as const) {
      this.timers.stop(timer)
    }
    if (this.sequencer !== undefined) {
      for (const { nonce } of this.present) this.streams.close(nonce)
      this.sequencer = undefined
    }
    this.assemblies.clear()
    this.receiver.freeze()
    this.sender.pause()
    if (this.state.parameters.recovery === 'auto') return
    this.failure = 'the group is being rebuilt'
    this.sender.refuse(ErrorCode.memberFailed, `${this.failure}; send again when the reset is delivered`)
  }

  /** A new view is accepted: who numbers now, and what is still to be sent. */
  private onResumed(): void {
    const { state, outbox } = this
    this.failure = undefined
    this.gaps.restart()
    if (findMember(state.view, this.self) === undefined) return
    if (state.parameters.recovery === 'manual') {
      const lastOrdered = state.requests.get(this.self) ?? 0
      const message = 'the group has been rebuilt without this message; it will not be ordered now'
      this.sender.abandon(ErrorCode.memberFailed, message, lastOrdered)
    }
    outbox.trace('resumed', { incarnation: state.view.incarnation, members: state.view.members.length })
    this.onNewSequencer()
    this.timers.setEarlier('flush', outbox.now)
  }

  /**
   * A result without this member is official. If it was about to leave, its leave lies in the log that goes on:
   * that is as orderly a leave as any, with what was sent before it.
   */
  private onWitnessed(seq: Seq): void {
    const hasLeft = this.state.pending.some(({ leave }) => leave?.member === this.self)
    if (hasLeft) this.receiver.acceptUpTo(seq)
    else this.onExpelled('the group has gone on without this member')
  }

  /** Too few answer: the group stays stopped. Who wants to leave need not wait for it. */
  private onStopped(reason: string): void {
    if (this.joinSeq !== undefined) {
      this.isForsaken()
      return
    }
    if (this.sender.isLeaving) return this.host.leftBehind(reason)
    if (this.state.parameters.recovery === 'manual') this.failure = `${reason}; the group stays stopped`
  }

  private onExpelled(reason: string): void {
    if (this.joinSeq !== undefined) this.host.lost(reason)
    else this.host.expelled(reason)
  }
}
