/**
 * The member: one pure machine for one process's part in one group, from the first question for the port to
 * the accepted leave. It composes what the other files hold and decides, phase by phase, which packet goes
 * where.
 *
 *   idle -> opening -> member -> lingering (an old sequencer) -> closed
 *
 * The sequencer is a member like all others with a Sequencer beside it (paper, section 4: "the same code, a
 * flag tells it to process messages differently"). Reading order: onPacket, onMemberPacket, onTimer, onCall.
 */

import type { JoinAnswer } from '../../kernel/answers.ts'
import { assert } from '../../kernel/assert.ts'
import { BlockKind } from '../../kernel/block.ts'
import { Counters } from '../../kernel/counters.ts'
import { ErrorCode } from '../../kernel/errors.ts'
import type { Address, MemberId, Micros, Seq } from '../../kernel/identity.ts'
import { Role } from '../../kernel/identity.ts'
import type { Input, Machine, Sink } from '../../kernel/machine.ts'
import { type Baseline, OrderState } from '../../kernel/order-state.ts'
import { Outbox } from '../../kernel/outbox.ts'
import { type PacketHeader, PacketKind, type RejectReason, readHeader } from '../../kernel/packet.ts'
import {
  decodeJoinRequest,
  decodeLeft,
  decodeLocate,
  encodeLeft,
  ORDER_FLAG_REPORT,
  readGap,
  readOrderHead,
  readRequestAck,
  readRequestBlocks,
  readStreamAck,
  readStreamFragment,
} from '../../kernel/packets.ts'
import type { Call, MemberInfo, Token } from '../../kernel/port.ts'
import { Prng } from '../../kernel/prng.ts'
import { RoundTrips } from '../../kernel/rtt.ts'
import { Streams } from '../../kernel/streams.ts'
import { type TimerName, Timers } from '../../kernel/timers.ts'
import { findMember, type View, type Member as ViewMember } from '../../kernel/view.ts'
import { repair } from '../../sequencer/repair.ts'
import { Sequencer } from '../../sequencer/sequencer.ts'
import { Concierge } from './concierge.ts'
import { admit } from './door.ts'
import { Gaps } from './gaps.ts'
import { type OpenCall, Opening } from './opening.ts'
import { type MemberOptions, timesOf } from './options.ts'
import { Receiver } from './receiver.ts'
import { Reports } from './reports.ts'
import { Sender } from './sender.ts'

/** Requests kept for one member at the sequencer, as a multiple of what a sender may have on its way. */
const REQUEST_WINDOWS = 4

export class Member implements Machine {
  readonly options: MemberOptions
  readonly counters = new Counters()
  private phase: 'idle' | 'opening' | 'member' | 'lingering' | 'closed' = 'idle'
  private readonly timers = new Timers()
  private readonly outbox: Outbox
  private readonly prng: Prng
  private readonly roundTrips: RoundTrips
  private readonly streams: Streams
  private readonly sender: Sender
  private readonly gaps: Gaps
  private readonly reports: Reports
  private peers: readonly Address[]

  private port = ''
  private opening: Opening | undefined
  private concierge: Concierge | undefined
  private state: OrderState | undefined
  private receiver: Receiver | undefined
  private sequencer: Sequencer | undefined
  /** The view that the own join begins, until that is accepted. */
  private joining: View | undefined
  private leaving: { token: Token } | undefined
  private lingerTries = 0
  private leaveTries = 0
  private sequencerHeardAt: Micros = 0

  constructor(options: MemberOptions) {
    this.options = options
    this.peers = options.peers
    this.prng = new Prng(options.seed)
    this.outbox = new Outbox(options, this.counters, () => this.state)
    const { initialRtt, minRto, maxRto } = timesOf(options.detection)
    this.roundTrips = new RoundTrips(initialRtt, minRto, maxRto)
    const { outbox, timers, counters, roundTrips } = this
    this.streams = new Streams(
      outbox,
      timers,
      options.packetSize,
      timesOf(options.detection),
      () => this.counters.retransmissions.stream++,
    )
    const toSequencer = {
      state: () => this.state,
      sequencer: () => this.sequencerMember(),
      isSequencer: () => this.sequencer !== undefined,
      reported: () => this.reports.onReported(),
      unanswered: (tries: number) => this.onUnanswered(tries),
    }
    this.sender = new Sender(
      {
        outbox,
        timers,
        counters,
        roundTrips,
        host: {
          ...toSequencer,
          submit: () => (this.sequencer === undefined ? undefined : (block) => this.sequencer!.submit(block)),
          memberId: () => this.outbox.identity.memberId,
          parameters: () => this.ordering.parameters,
        },
      },
      { packetSize: options.packetSize, sendWindow: options.sendWindow, firstRequest: this.firstRequest },
    )
    this.gaps = new Gaps(
      { outbox, timers, roundTrips, host: { ...toSequencer, others: () => this.others() } },
      { window: options.window },
    )
    this.reports = new Reports(
      { outbox, timers, host: toSequencer },
      { quietAck: timesOf(this.options.detection).quietAck },
    )
  }

  private get firstRequest(): number {
    return this.options.start?.request ?? 1
  }

  // ---- the machine ------------------------------------------------------------------------------------

  step(now: Micros, input: Input, sink: Sink): void {
    this.outbox.begin(now, sink)
    try {
      if (this.phase === 'closed' && input.kind !== 'call') return
      if (input.kind === 'packet') this.onPacket(input.from, input.bytes)
      else if (input.kind === 'call') this.onCall(input.call)
      else this.onTick()
    } finally {
      this.outbox.end()
    }
  }

  nextDeadline(): Micros | undefined {
    return this.phase === 'closed' ? undefined : this.timers.next()
  }

  private onTick(): void {
    const { now } = this.outbox
    for (let name = this.timers.takeExpired(now); name !== undefined; name = this.timers.takeExpired(now)) {
      this.onTimer(name)
    }
  }

  private onTimer(name: TimerName): void {
    switch (name) {
      case 'flush':
        this.flush()
        return
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
        this.onHeartbeat()
        return
      case 'acks':
        this.sequencer?.onAckTimer()
        return
      case 'locate':
      case 'join':
        this.opening?.onTimer(name)
        return
      case 'stream':
        this.streams.onTimer()
        return
      case 'leave':
        this.onLeaveTimer()
        return
    }
  }

  private flush(): void {
    if (this.phase !== 'member' && this.phase !== 'lingering') return
    if (this.joining === undefined) this.sender.flush()
    this.sequencer?.flush()
  }

  // ---- calls ------------------------------------------------------------------------------------------

  private onCall(call: Call): void {
    switch (call.call) {
      case 'open':
        this.open(call)
        return
      case 'peers':
        this.peers = call.addresses
        return
      case 'send':
        if (this.refusesSend(call.token, 1)) return
        this.sender.send(call.token, call.channel, call.header, call.body)
        return
      case 'sendMany':
        if (this.refusesSend(call.token, call.bodies.length)) return
        call.bodies.forEach((body, i) => {
          this.sender.send(call.token + i, call.channel, NO_BYTES, body)
        })
        return
      case 'cancel':
        if (this.opening?.call.token === call.token) this.cancelOpen(this.opening)
        else this.sender.cancel(call.token)
        return
      case 'taken':
        this.onTaken(call.seq)
        return
      case 'leave':
        this.leave(call.token, call.header)
        return
      case 'inspect':
        assert(false, 'an Inspector machine asks about groups, not a member')
        return
      case 'reset':
        this.fail(
          call.token,
          ErrorCode.resetFailed,
          'this member cannot rebuild its group: recovery is not part of it',
        )
        return
    }
  }

  private fail(token: Token, code: ErrorCode, message: string, outcome?: 'refused' | 'unknown'): void {
    this.outbox.output({
      output: 'failed',
      token,
      code,
      message,
      ...(outcome === undefined ? {} : { outcome }),
    })
  }

  private refusesSend(token: Token, count: number): boolean {
    if ((this.phase === 'member' || this.phase === 'lingering') && this.leaving === undefined) return false
    for (let i = 0; i < count; i++) {
      this.fail(
        token + i,
        ErrorCode.closed,
        'this member has left its group, or has not joined one yet; send from a member',
        'refused',
      )
    }
    return true
  }

  private onTaken(seq: Seq): void {
    const { state, receiver } = this
    if (state === undefined || receiver === undefined) return
    assert(seq <= receiver.delivered, 'only what was delivered can be taken', seq, receiver.delivered)
    if (seq <= this.outbox.taken) return
    this.outbox.taken = seq
    if (this.sequencer !== undefined) this.sequencer.advance()
    else this.reports.onProgress()
  }

  // ---- opening ----------------------------------------------------------------------------------------

  private open(call: OpenCall): void {
    assert(this.phase === 'idle', 'a member machine is opened once', this.phase)
    this.phase = 'opening'
    this.port = call.port
    const { outbox, timers, counters, streams } = this
    this.opening = new Opening(call, { outbox, timers, counters, streams }, this.options, this.firstRequest, {
      peers: () => this.peers,
      create: () => this.create(call),
      enter: (answer) => this.enterByJoin(answer),
      failed: (code, message) => this.failOpen(call.token, code, message),
    })
    this.opening.locate()
  }

  private failOpen(token: Token, code: ErrorCode | undefined, message: string): void {
    if (code !== undefined && this.opening?.isAbandoned === false) this.fail(token, code, message)
    this.close(code, message)
  }

  private cancelOpen(opening: Opening): void {
    if (opening.isAbandoned) return
    this.fail(opening.call.token, ErrorCode.aborted, 'opening the group was cancelled')
    opening.abandon()
  }

  private create(call: OpenCall): void {
    const { options } = this
    const { start } = options
    const self: ViewMember = {
      id: start?.memberId ?? 1,
      nonce: options.nonce,
      name: options.name,
      address: options.address,
      role: Role[options.role],
    }
    const seq = start?.seq ?? 0
    const view = {
      groupId: this.prng.u64(),
      incarnation: start?.incarnation ?? 1,
      coordinator: self.id,
      seq,
      sequencer: self.id,
      members: [self],
    }
    this.outbox.trace('created', { groupId: view.groupId.toString(16) })
    this.enter(self.id, {
      parameters: call.parameters,
      view,
      seq,
      stable: seq,
      accepted: seq,
      requests: new Map([[self.id, this.firstRequest - 1]]),
      nextMemberId: self.id + 1,
    })
    this.becomeSequencer()
    this.joined(view)
  }

  private enterByJoin({ memberId, baseline }: JoinAnswer): void {
    this.enter(memberId, baseline)
    this.joining = baseline.view
    this.outbox.trace('join-answered', { id: memberId, seq: baseline.seq, stable: baseline.stable })
    this.gaps.check()
    this.reports.onProgress()
  }

  /** From here on this is a member, though one whose join may not be accepted yet. */
  private enter(memberId: MemberId, baseline: Baseline): void {
    const { identity } = this.outbox
    identity.groupId = baseline.view.groupId
    identity.incarnation = baseline.view.incarnation
    identity.coordinator = baseline.view.coordinator
    identity.memberId = memberId
    this.phase = 'member'
    const state = new OrderState(baseline)
    this.state = state
    this.outbox.taken = baseline.seq
    this.sequencerHeardAt = this.outbox.now
    this.concierge = new Concierge({
      port: this.port,
      state,
      outbox: this.outbox,
      streams: this.streams,
      sequencer: () => this.sequencer,
      isAskedSingly: this.options.transport === 'unicast',
      silence: 3 * timesOf(this.options.detection).heartbeatIdle,
    })
    this.receiver = new Receiver({
      state,
      self: memberId,
      delivered: baseline.seq,
      accepted: baseline.accepted,
      outbox: this.outbox,
      counters: this.counters,
      host: {
        ownOrdered: (entry) => {
          this.sender.onOrdered(entry)
          if (entry.kind === BlockKind.leave) this.armLeaveTimer()
        },
        ownLeave: () => this.onOwnLeave(),
        accepted: (accepted) => {
          const { joining } = this
          if (joining !== undefined && accepted >= joining.seq) this.joined(joining)
        },
      },
    })
  }

  private joined(view: View): void {
    const { opening } = this
    assert(opening !== undefined, 'there is an open under way')
    this.joining = undefined
    this.opening = undefined
    const { token, port } = opening.call
    if (opening.isAbandoned) {
      this.leave(token, NO_BYTES)
      return
    }
    const { parameters } = this.ordering
    const { memberId } = this.outbox.identity
    this.outbox.output({
      output: 'joined',
      token,
      memberId,
      nonce: this.options.nonce,
      port,
      parameters,
      view,
    })
    this.timers.setEarlier('flush', this.outbox.now)
  }

  // ---- packets ----------------------------------------------------------------------------------------

  private onPacket(from: Address, packet: Uint8Array): void {
    const header = readHeader(packet)
    if (typeof header === 'string') return this.reject(header)
    this.counters.packet('in', header.kind, packet.length)
    if (header.destination !== 0n && header.destination !== this.options.nonce)
      return this.reject('destination')
    if (header.senderNonce === this.options.nonce) return this.reject('stranger')
    if (header.kind === PacketKind.gone) {
      // whoever was there lives no more: nothing that goes to it will ever be acknowledged
      this.streams.close(header.senderNonce)
      this.timers.setEarlier('flush', this.outbox.now)
      return
    }
    if (header.kind === PacketKind.locate) {
      const locate = decodeLocate(packet)
      if (locate === undefined) return this.reject('malformed')
      this.opening?.onLocate(from, header, locate)
      if (this.phase === 'member') this.concierge?.onLocate(from, header, locate, this.sequencerHeardAt)
      return
    }
    if (this.state !== undefined) this.onGroupPacket(this.state, from, header, packet)
    else if (this.opening !== undefined) this.opening.onPacket(from, header, packet)
    else this.reject('phase')
  }

  private reject(reason: RejectReason): void {
    this.counters.rejected[reason]++
  }

  private onGroupPacket(state: OrderState, from: Address, header: PacketHeader, packet: Uint8Array): void {
    if (header.kind === PacketKind.inspect && header.groupId === state.view.groupId) {
      if (this.concierge?.onInspect(from, header, packet) !== true) this.reject('malformed')
      return
    }
    const admittance = admit(state, header, this.outbox.identity.memberId)
    if (typeof admittance === 'string') return this.reject(admittance)
    switch (admittance.who) {
      case 'joiner': {
        const request = decodeJoinRequest(packet)
        if (request === undefined || request.port !== this.port) return this.reject('malformed')
        if (this.sequencer === undefined) this.concierge?.tellWhere(from, header)
        else this.sequencer.onJoinRequest(from, header.senderNonce, request)
        return
      }
      case 'former': {
        const seq = encodeLeft(admittance.leftAt)
        // two who have both left must not tell each other so for ever
        if (header.kind === PacketKind.left) return
        this.outbox.unicast(from, this.outbox.packetOf(PacketKind.left, 0, header.senderNonce, seq))
        return
      }
      case 'beyond':
        this.onOrder(undefined, header, packet)
        return
      case 'member':
        this.onMemberPacket(admittance.member, from, header, packet)
        return
    }
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
        if (this.sequencer === undefined) return this.reject('phase')
        this.sequencer.onRequest(member, header, packet, blocks)
        return
      }
      case PacketKind.state:
        this.sequencer?.onReport(member.id, header)
        return
      case PacketKind.gap:
        this.onGap(member, from, header, packet)
        return
      case PacketKind.requestAck: {
        const expected = readRequestAck(packet)
        if (expected === undefined) return this.reject('malformed')
        if (member.id === this.sequencerMember()?.id) this.sequencerHeardAt = this.outbox.now
        this.sender.onRequestAck(expected)
        return
      }
      case PacketKind.streamData: {
        // a join's answer that is here already: acknowledged again, because the ack was lost
        const fragment = readStreamFragment(packet)
        if (fragment === undefined) return this.reject('malformed')
        this.streams.onFragment(from, header.senderNonce, fragment)
        return
      }
      case PacketKind.streamAck: {
        const ack = readStreamAck(packet)
        if (ack === undefined) return this.reject('malformed')
        this.streams.onAck(header.senderNonce, ack)
        this.sequencer?.onReport(member.id, header)
        if (this.sequencer !== undefined && !this.streams.isSending)
          this.timers.setEarlier('flush', this.outbox.now)
        return
      }
      case PacketKind.left:
        if (decodeLeft(packet) === undefined) return this.reject('malformed')
        if (this.leaving !== undefined) this.finishLeave()
        return
      default:
        this.reject('phase')
    }
  }

  private onOrder(member: ViewMember | undefined, header: PacketHeader, packet: Uint8Array): void {
    const { receiver, state } = this
    const head = readOrderHead(packet)
    if (head === undefined || receiver === undefined || state === undefined) return this.reject('malformed')
    if (this.phase === 'lingering' && member !== undefined && member.id === state.view.sequencer)
      return this.finishLeave()
    if (this.sequencer !== undefined) return this.reject('phase')
    const before = state.history.received
    const sequencerBefore = state.view.sequencer
    if (!receiver.onOrder(head, packet)) this.reject('malformed')
    if (header.kind === PacketKind.order) {
      this.sequencerHeardAt = this.outbox.now
      this.reports.onAsked(head.highest, head.ackers, (header.flags & ORDER_FLAG_REPORT) !== 0)
    }
    this.afterProgress(state, sequencerBefore)
    this.gaps.check(header.kind === PacketKind.repair && state.history.received > before ? packet.length : 0)
    this.reports.onProgress()
  }

  private onGap(member: ViewMember, from: Address, header: PacketHeader, packet: Uint8Array): void {
    const gap = readGap(packet)
    if (gap === undefined) return this.reject('malformed')
    this.sequencer?.onReport(member.id, header)
    const to = { address: from, nonce: header.senderNonce }
    this.counters.retransmissions.repair += repair(
      this.ordering,
      this.outbox,
      this.options.packetSize,
      to,
      gap,
    )
  }

  // ---- the order goes on ------------------------------------------------------------------------------

  private get ordering(): OrderState {
    assert(this.state !== undefined, 'only a member has an order')
    return this.state
  }

  private sequencerMember(): ViewMember | undefined {
    const view = this.state?.view
    return view === undefined ? undefined : findMember(view, view.sequencer)
  }

  private others(): readonly ViewMember[] {
    const self = this.outbox.identity.memberId
    return this.state?.latestView.members.filter(({ id }) => id !== self) ?? []
  }

  /** After entries were received or accepted: sends return, the own join is done, or the sequencer is another. */
  private afterProgress(state: OrderState, sequencerBefore: MemberId): void {
    this.sender.onAccepted(state.accepted)
    if (this.phase !== 'member' || state.view.sequencer === sequencerBefore) return
    this.outbox.trace('new-sequencer', { sequencer: state.view.sequencer, seq: state.view.seq })
    if (state.view.sequencer === this.outbox.identity.memberId) {
      this.becomeSequencer()
      this.sequencer?.announce()
      this.sender.onNewSequencer()
    } else {
      this.sender.onNewSequencer()
      this.reports.onNewSequencer()
    }
  }

  private becomeSequencer(): void {
    const { state, receiver } = this
    const self = this.sequencerMember()
    assert(
      state !== undefined && receiver !== undefined && self !== undefined,
      'only a member becomes sequencer',
    )
    assert(
      state.history.received === state.accepted,
      'the successor holds everything and numbers behind it',
      state.history.received,
      state.accepted,
    )
    for (const timer of ['report', 'gap'] as const) this.timers.stop(timer)
    state.highest = state.history.received
    this.sequencer = new Sequencer({
      self,
      state,
      outbox: this.outbox,
      timers: this.timers,
      streams: this.streams,
      counters: this.counters,
      prng: this.prng,
      options: {
        packetSize: this.options.packetSize,
        requestBytes: REQUEST_WINDOWS * this.options.sendWindow,
        window: this.options.window,
        joinPatience: 2 * timesOf(this.options.detection).maxRto,
        ...timesOf(this.options.detection),
      },
      host: {
        numbered: (entry) => receiver.noteHeld(entry),
        accepted: () => {
          receiver.deliver()
          this.sender.onAccepted(state.accepted)
        },
      },
    })
  }

  private onHeartbeat(): void {
    if (this.phase === 'lingering' && ++this.lingerTries > this.options.detection.tries)
      return this.finishLeave()
    this.sequencer?.onHeartbeat()
  }

  /** Issue of patience: nobody has answered for a while. Suspicion proper belongs to recovery/. */
  private onUnanswered(_tries: number): void {}

  // ---- leaving ----------------------------------------------------------------------------------------

  private leave(token: Token, header: Uint8Array): void {
    if (
      this.phase === 'closed' ||
      this.leaving !== undefined ||
      this.opening !== undefined ||
      this.phase === 'idle'
    ) {
      this.fail(token, ErrorCode.closed, 'this member has left already, or has not joined')
      return
    }
    this.leaving = { token }
    // the program takes nothing any more: what it leaves unread must not hold the others up
    this.outbox.taken = Number.MAX_SAFE_INTEGER
    if (this.sequencer !== undefined) this.sequencer.advance()
    else this.reports.onProgress()
    this.sender.leave(token, header)
  }

  /** The own leave is accepted. The old sequencer stays until its successor has broadcast (design 4.4). */
  private onOwnLeave(): void {
    if (this.sequencer !== undefined && this.ordering.view.members.length > 0) {
      this.phase = 'lingering'
      this.outbox.trace('lingering')
    } else {
      this.finishLeave()
    }
  }

  private armLeaveTimer(): void {
    this.timers.set('leave', this.outbox.now + this.roundTrips.timeout(this.leaveTries))
  }

  /**
   * Whoever holds the accepted leave tells a former member so; the sequencer may have left itself meanwhile,
   * so everybody is asked in turn. When nobody answers any more there is nothing left to leave.
   */
  private onLeaveTimer(): void {
    if (this.sequencer !== undefined) return
    const others = this.others()
    const asked = others[this.leaveTries % Math.max(1, others.length)]
    if (asked === undefined || ++this.leaveTries > this.options.detection.tries * others.length)
      return this.finishLeave()
    this.outbox.unicast(asked.address, this.outbox.packet(PacketKind.state, 0, asked.nonce, 0))
    this.armLeaveTimer()
  }

  private finishLeave(): void {
    if (this.leaving !== undefined) this.outbox.output({ output: 'left', token: this.leaving.token })
    this.leaving = undefined
    this.close(undefined, 'left')
  }

  private close(code: ErrorCode | undefined, reason: string): void {
    this.phase = 'closed'
    this.timers.clear()
    this.sender.close(
      code ?? ErrorCode.closed,
      code === undefined ? 'this member has left its group' : reason,
    )
    this.outbox.output({ output: 'event', event: { event: 'closed', code, reason } })
  }

  // ---- for people -------------------------------------------------------------------------------------

  private get phaseName(): string {
    if (this.phase === 'opening') return this.opening?.phase ?? 'opening'
    return this.leaving !== undefined && this.phase === 'member' ? 'leaving' : this.phase
  }

  info(): MemberInfo {
    const { state } = this
    return {
      phase: this.phaseName,
      port: this.port,
      memberId: this.outbox.identity.memberId,
      role: this.options.role,
      view: state?.view,
      isSequencer: this.sequencer !== undefined && !this.sequencer.hasHandedOver,
      seq: state?.highest ?? 0,
      received: state?.history.received ?? 0,
      accepted: state?.accepted ?? 0,
      taken: Math.min(this.outbox.taken, state?.history.received ?? 0),
      stable: state?.history.stable ?? 0,
      historyMessages: state?.history.messages ?? 0,
      historyBytes: state?.history.bytes ?? 0,
      waitingSends: this.sender.waitingSends,
      outstandingSends: this.sender.outstandingSends,
      queuedRequests: this.sequencer?.admission.length ?? 0,
      lags: this.sequencer?.lags() ?? [],
    }
  }
}

const NO_BYTES = new Uint8Array(0)
