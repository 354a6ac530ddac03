/**
 * The parts of a membership, and how they hear of each other: each is made here, once, with what it needs of the
 * others. What is left for the membership itself to decide comes in as the host.
 */
import { AssemblyStore } from '../../kernel/assembly.ts'
import { BLOCK_HEADER_BYTES } from '../../kernel/block.ts'
import type { Counters } from '../../kernel/counters.ts'
import type { Entry } from '../../kernel/history.ts'
import { type Address, type MemberId, type RequestNumber, Right, type Seq } from '../../kernel/identity.ts'
import type { LeaveReason } from '../../kernel/membership.ts'
import { type Baseline, OrderState } from '../../kernel/order-state.ts'
import type { Outbox } from '../../kernel/outbox.ts'
import type { PacketHeader } from '../../kernel/packet.ts'
import type { DataFragment } from '../../kernel/packets.ts'
import { parameterLimits } from '../../kernel/parameters.ts'
import type { Prng } from '../../kernel/prng.ts'
import type { RoundTrips } from '../../kernel/rtt.ts'
import { drawKey } from '../../kernel/siphash.ts'
import type { Streams } from '../../kernel/streams.ts'
import type { Timers } from '../../kernel/timers.ts'
import { findMember, type Member as ViewMember } from '../../kernel/view.ts'
import { Arrivals } from './arrivals.ts'
import { Concierge } from './concierge.ts'
import { Entering } from './entering.ts'
import { FellowPackets } from './fellow-packets.ts'
import { Fellows } from './fellows.ts'
import { Gaps } from './gaps.ts'
import { HoldUp } from './hold-up.ts'
import { Intake } from './intake.ts'
import { Leaver } from './leaver.ts'
import { Lookout } from './lookout.ts'
import { Office, REQUEST_WINDOWS } from './office.ts'
import { type MemberOptions, timesOf } from './options.ts'
import { Patrons } from './patrons.ts'
import { Receiver } from './receiver.ts'
import { Renewal } from './renewal.ts'
import { Reports } from './reports.ts'
import { Sender } from './sender.ts'
import { Silence } from './silence.ts'
import { Slowness } from './slowness.ts'
import { Standstill } from './standstill.ts'
import { Succession } from './succession.ts'

/** Blocks from this size on go by method 2 where nothing else is said. */
export const METHOD_THRESHOLD = 4 * 1024
/** Channel and lengths of one record, at most. */
const RECORD_OVERHEAD_MAX = 11

/** Which group it is, and as whom this process is in it. */
export interface Admission {
  readonly port: string
  readonly memberId: MemberId
  readonly baseline: Baseline
}

/** What the member had before it was one, and keeps. */
export interface Resources {
  readonly outbox: Outbox
  readonly timers: Timers
  readonly counters: Counters
  readonly streams: Streams
  readonly roundTrips: RoundTrips
  readonly prng: Prng
  /** Possible members to ask for the port, beside or instead of multicast. */
  peers(): readonly Address[]
}

export interface CompositionHost {
  /** Place of the own join, until that is accepted. */
  joinSeq(): Seq | undefined
  isClosed(): boolean
  /** The end of a turn. */
  flush(): void
  /** Whether sends may leave now. */
  maySend(): boolean
  onOrder(member: ViewMember, header: PacketHeader, packet: Uint8Array): void
  /** A placed block has become whole. */
  onBlock(data: DataFragment, block: Uint8Array): void
  /** A fellow member tells that this member has left, or is out. */
  onLeft(member: ViewMember, packet: Uint8Array): void
  onAccepted(accepted: Seq): void
  onOwnOrdered(entry: Entry): void
  onOwnLeave(reason: LeaveReason): void
  /** Nobody needs this member any more, which has left. */
  onLeftGroup(): void
  onDoubtResolved(): void
  onExpelled(reason: string): void
  left(): void
  leftBehind(reason: string): void
  lost(reason: string): void
  /** Nobody is left who may rebuild the group. */
  orphaned(reason: string): void
}

export class Composition {
  readonly state: OrderState
  readonly fellows: Fellows
  readonly assemblies: AssemblyStore
  readonly sender: Sender
  readonly gaps: Gaps
  readonly reports: Reports
  readonly concierge: Concierge
  readonly leaver: Leaver
  readonly receiver: Receiver
  readonly holdUp: HoldUp
  readonly intake: Intake
  readonly silence: Silence
  readonly entering: Entering
  readonly fellowPackets: FellowPackets
  readonly office: Office
  readonly succession: Succession
  readonly renewal: Renewal
  readonly lookout: Lookout
  readonly arrivals: Arrivals
  readonly patrons: Patrons
  readonly standstill: Standstill
  readonly right: Right

  constructor(entry: Admission, resources: Resources, options: MemberOptions, host: CompositionHost) {
    const { port, memberId: self, baseline } = entry
    const { outbox, timers, counters, streams, roundTrips } = resources
    const { tries } = options.detection
    const times = timesOf(options.detection)
    const challengeKey = () => options.secrets?.challengeKey ?? drawKey(resources.prng)
    const state = new OrderState(baseline)
    this.state = state
    const own = findMember(state.latestView, self)
    this.right = own?.right ?? Right.all
    this.fellows = new Fellows({ self, state, recovery: () => this.renewal.recovery })
    const { maxMessageSize } = baseline.parameters
    const largest = maxMessageSize + parameterLimits.headerBytes + BLOCK_HEADER_BYTES + RECORD_OVERHEAD_MAX
    this.assemblies = new AssemblyStore(Math.max(REQUEST_WINDOWS * options.sendWindow, largest), largest)
    const toSequencer = {
      state: () => state,
      sequencer: () => this.fellows.source,
      isSequencer: () => this.office.sequencer !== undefined,
      reported: () => this.reports.onReported(),
      asked: (member: ViewMember) => this.silence.onAsked(member),
      others: () => this.fellows.sources,
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
            const { sequencer } = this.office
            return sequencer && ((block, isSpread) => sequencer.submit(block, isSpread))
          },
          spreadCredit: (share) => this.office.sequencer?.spreadCredit(share),
          spread: (bytes, share) => this.office.sequencer?.onSpread(bytes, share),
          present: () => this.fellows.present,
          mayGoAtOnce: () => this.office.sequencer === undefined && host.maySend(),
          memberId: () => self,
          parameters: () => state.parameters,
        },
      },
      {
        packetSize: options.packetSize,
        sendWindow: options.sendWindow,
        window: options.window,
        method: options.method ?? 'auto',
        methodThreshold: options.methodThreshold ?? METHOD_THRESHOLD,
        firstRequest: (baseline.requests.get(self) ?? 0) + 1,
      },
    )
    this.gaps = new Gaps({ outbox, timers, roundTrips, host: toSequencer }, options)
    this.reports = new Reports({ outbox, timers, host: toSequencer }, { quietAck: times.quietAck })
    this.concierge = new Concierge({
      port,
      state,
      outbox,
      counters,
      streams,
      sequencer: () => this.office.sequencer,
      isAskedSingly: options.transport === 'unicast',
      silence: 3 * times.heartbeatIdle,
      standsStill: () =>
        this.renewal.recovery.isBound || (this.renewal.failure ?? this.standstill.reason) !== undefined,
    })
    this.leaver = new Leaver(
      {
        outbox,
        timers,
        roundTrips,
        host: {
          others: () => this.fellows.others,
          successor: () => this.fellows.sequencer,
          needsSuccessor: () => this.office.sequencer !== undefined && state.view.members.length > 0,
          areOthersGone: () => {
            const { progress } = this.office.sequencer ?? {}
            return this.fellows.others.every(({ id }) => progress?.isGone(id) === true)
          },
          lastHeard: () => this.silence.lastHeard,
          left: () => host.onLeftGroup(),
        },
      },
      { tries, patience: tries * times.maxRto },
    )
    this.receiver = new Receiver({
      state,
      self,
      delivered: baseline.seq,
      accepted: baseline.accepted,
      outbox,
      counters,
      assemblies: this.assemblies,
      host: {
        ownOrdered: (entry) => host.onOwnOrdered(entry),
        ownBlock: (request) => this.sender.ownBlock(request),
        ownLeave: (reason) => host.onOwnLeave(reason),
        accepted: (accepted) => host.onAccepted(accepted),
        mayDeliver: () => !this.silence.isDoubting,
      },
    })
    const { sender, receiver, gaps, reports, leaver, assemblies, fellows } = this
    this.holdUp = new HoldUp({ state, outbox, timers, sender, receiver })
    this.intake = new Intake({
      outbox,
      counters,
      state,
      receiver,
      assemblies,
      host: {
        self: () => self,
        sequencer: () => this.office.sequencer,
        present: () => fellows.present,
        othersSpread: () => sender.othersSpread(),
        onBlock: (data, block) => host.onBlock(data, block),
        repaired: (bytes) => gaps.check(bytes),
      },
    })
    this.silence = new Silence(
      {
        outbox,
        timers,
        counters,
        roundTrips,
        host: {
          view: () => state.view,
          others: () => fellows.others,
          sequencer: () => fellows.sequencer,
          isSequencer: () => this.office.sequencer !== undefined,
          isBound: () => host.isClosed() || this.renewal.recovery.isBound,
          isAutomatic: () => state.parameters.recovery === 'auto' && host.joinSeq() === undefined,
          sequencerFailed: (id) => this.renewal.onSequencerFailed(id),
          memberFailed: () => this.renewal.onMemberFailed(),
          testified: (from, testimony) => this.standstill.onTestimony(from, testimony),
          suspected: () => this.renewal.onSuspected(),
          sequencerBack: () => this.renewal.onSequencerBack(),
          doubtResolved: () => host.onDoubtResolved(),
        },
      },
      { tries, tryInterval: times.tryInterval, heartbeatIdle: times.heartbeatIdle },
    )
    const { silence, intake } = this
    this.entering = new Entering({
      outbox,
      timers,
      roundTrips,
      silence,
      host: {
        sequencer: () => fellows.sequencer,
        isAutomatic: () => state.parameters.recovery === 'auto',
        lost: (reason) => host.lost(reason),
      },
    })
    this.fellowPackets = new FellowPackets(
      {
        outbox,
        counters,
        state,
        sender,
        intake,
        silence,
        slowness: new Slowness({ state, outbox }),
        host: {
          sequencer: () => this.office.sequencer,
          learnSuccession: () => this.succession.learn(),
          onOrder: (member, header, packet) => host.onOrder(member, header, packet),
          onStreamData: (from, header, packet) => this.renewal.onStreamData(from, header, packet),
          onLeft: (member, packet) => host.onLeft(member, packet),
        },
      },
      { packetSize: options.packetSize },
    )
    this.office = new Office(
      {
        ...resources,
        self,
        state,
        receiver,
        host: {
          isSuspect: (id) => silence.suspicion.isSuspect(id),
          asked: (member) => silence.onAsked(member),
          present: () => fellows.present,
          flush: () => host.flush(),
          taken: () => this.lookout.begin(),
          challengeKey,
        },
      },
      options,
    )
    const { office, fellowPackets } = this
    this.patrons = new Patrons(
      {
        outbox,
        timers,
        host: {
          isAutomatic: () => state.parameters.recovery === 'auto',
          patience: () => silence.patience,
          isLeaving: () => sender.isLeaving,
          present: () => fellows.present,
          check: (member) => silence.check(member),
          leftBehind: (reason) => host.leftBehind(reason),
          orphaned: (reason) => host.orphaned(reason),
        },
      },
      this.right,
    )
    const { patrons } = this
    this.succession = new Succession({
      patrons,
      self,
      state,
      outbox,
      office,
      receiver,
      reports,
      sender,
      silence,
    })
    this.renewal = new Renewal(
      {
        ...resources,
        self,
        state,
        assemblies,
        sender,
        receiver,
        gaps,
        intake,
        leaver,
        silence,
        fellowPackets,
        patrons,
        right: this.right,
        host: {
          joinSeq: () => host.joinSeq(),
          endIfForsaken: () => this.entering.endIfForsaken(),
          stopNumbering: () => office.giveUp(),
          newSequencer: () => this.succession.onNewSequencer(),
          onOrder: (member, header, packet) => host.onOrder(member, header, packet),
          left: () => host.left(),
          leftBehind: (reason) => host.leftBehind(reason),
          expelled: (reason) => host.onExpelled(reason),
          challengeKey,
        },
      },
      { tries, tryInterval: times.tryInterval },
    )
    this.standstill = new Standstill({
      self,
      right: this.right,
      state,
      outbox,
      timers,
      office,
      sender,
      silence,
      host: {
        joinSeq: () => host.joinSeq(),
        isBound: () => this.renewal.recovery.isBound,
        leftBehind: (reason) => host.leftBehind(reason),
        lost: (reason) => host.lost(reason),
      },
    })
    this.lookout = new Lookout(
      {
        outbox,
        timers,
        counters,
        host: {
          isSequencer: () => office.sequencer?.hasHandedOver === false,
          peers: () => resources.peers(),
          present: () => fellows.present,
          asks: (peer) => this.renewal.outsiders.expectWordFrom(peer),
          onFellow: (from, header, bytes) =>
            this.renewal.outsiders.onForeign(from, header, office.sequencer !== undefined, bytes),
        },
      },
      { port, address: options.address, useMulticast: options.transport === 'multicast' },
    )
    this.arrivals = new Arrivals({
      outbox,
      timers,
      counters,
      streams,
      port,
      self,
      state,
      concierge: this.concierge,
      fellows,
      fellowPackets,
      gaps,
      leaver,
      lookout: this.lookout,
      office,
      renewal: this.renewal,
      silence,
      patrons,
      host: {
        hasJoined: () => host.joinSeq() === undefined,
        onOrder: (member, header, packet) => host.onOrder(member, header, packet),
        onLeftGroup: () => host.onLeftGroup(),
      },
    })
  }
}
