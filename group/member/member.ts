/**
 * The member: one pure machine for one process's part in one group. It opens (locates, creates or joins),
 * lives as a member, and closes; what happens in each phase is in opening.ts and membership.ts.
 *
 *   idle --open--> opening --found or answered--> member --leave accepted--> closed
 */
import type { JoinAnswer } from '../../kernel/answers.ts'
import { assert } from '../../kernel/assert.ts'
import { NO_BYTES } from '../../kernel/bytes.ts'
import { Counters } from '../../kernel/counters.ts'
import { ErrorCode, type OpenFailure, type Outcome } from '../../kernel/errors.ts'
import { type Address, type Micros, Right, rightNames, type Seq } from '../../kernel/identity.ts'
import type { Input, Machine, Sink } from '../../kernel/machine.ts'
import { decodeIncompatible, decodeLocate, type Versions } from '../../kernel/meeting-packets.ts'
import type { Baseline, OrderState } from '../../kernel/order-state.ts'
import { Outbox } from '../../kernel/outbox.ts'
import { PacketKind, type RejectReason, readHeader, readRoute } from '../../kernel/packet.ts'
import type { Call, MemberInfo, Token } from '../../kernel/port.ts'
import { Prng } from '../../kernel/prng.ts'
import { RoundTrips } from '../../kernel/rtt.ts'
import { Streams } from '../../kernel/streams.ts'
import { type TimerName, Timers } from '../../kernel/timers.ts'
import { findMember } from '../../kernel/view.ts'
import { foundingBaseline } from './founding.ts'
import { Membership } from './membership.ts'
import { type OpenCall, Opening } from './opening.ts'
import { type MemberOptions, rightOf, timesOf } from './options.ts'

/** Why a member needs a group key. */
export interface KeyInUse {
  readonly port: string
  readonly keyId: number
  readonly use: 'group' | 'changing' | 'announced'
  /** Names of members that have not heard of the change, as far as is known here. */
  readonly waitsFor: readonly string[]
}

/** No stall that is shorter casts doubt, whatever the times learnt. */
const STALL_MIN: Micros = 1000

export class Member implements Machine {
  readonly options: MemberOptions
  readonly counters = new Counters()
  private phase: 'idle' | 'opening' | 'member' | 'closed' = 'idle'
  private readonly timers = new Timers()
  private readonly outbox: Outbox
  private readonly prng: Prng
  private readonly streams: Streams
  /** What this member has learnt of distances, from its first question for the port on. */
  private readonly roundTrips: RoundTrips
  private peers: readonly Address[]
  private port = ''
  private opening: Opening | undefined
  private membership: Membership | undefined
  private stallNotedAt: Micros = 0
  /** The token is missing where nobody waits for the answer: an open that was given up. */
  private leaving: { token: Token | undefined } | undefined

  constructor(options: MemberOptions) {
    this.options = options
    this.peers = options.peers
    this.prng = new Prng(options.seed)
    this.outbox = new Outbox(options, this.counters, () => this.membership?.state)
    const { outbox, timers } = this
    const { initialRtt, minRto, maxRto } = timesOf(options.detection)
    this.roundTrips = new RoundTrips(initialRtt, minRto, maxRto)
    const { counters } = this
    this.streams = new Streams(
      outbox,
      timers,
      options.packetSize,
      this.roundTrips,
      () => counters.retransmissions.stream++,
      (limit) => counters.overflow(limit),
    )
  }

  // ---- the machine ------------------------------------------------------------------------------------

  step(now: Micros, input: Input, sink: Sink): void {
    this.outbox.begin(now, sink)
    try {
      this.noteStall(now)
      if (input.kind === 'call') this.onCall(input.call)
      else if (this.phase === 'closed') return
      else if (input.kind === 'packet') this.onPacket(input.from, input.bytes)
      else if (input.kind === 'refused') this.membership?.onRefused(input.address)
      else this.onTick()
    } finally {
      this.outbox.end()
    }
  }

  /** What the program has taken is told with the next packet, unless somebody waits for it. */
  note(call: Call): boolean {
    if (call.call !== 'taken' || this.phase !== 'member' || this.leaving !== undefined) return false
    return this.membership?.noteTaken(call.seq) === true
  }

  nextDeadline(): Micros | undefined {
    return this.phase === 'closed' ? undefined : this.timers.next()
  }

  release(packet: Uint8Array): boolean {
    return this.outbox.release(packet)
  }

  /**
   * A deadline that is long past says that this process has stood still. It stays past until the tick that waits behind whatever
   * else has come, so each stretch of time counts once. (Every packet that was stepped before the tick began a new doubt, each
   * with a probe for everybody. Where four members lived in one process the probes were such packets themselves: after a pause of
   * 300 ms they sent each other hundreds of thousands, and nothing else.)
   */
  private noteStall(now: Micros): void {
    const { membership } = this
    if (membership === undefined || this.phase !== 'member') return
    const due = this.timers.next()
    if (due === undefined || now - due < STALL_MIN) return
    const stalled = now - Math.max(due, this.stallNotedAt)
    if (stalled <= membership.stallLimit) return
    this.stallNotedAt = now
    membership.onStall(stalled)
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
        this.membership?.flush()
        return
      case 'stream':
        this.streams.onTimer()
        return
      case 'locate':
      case 'join':
        this.opening?.onTimer(name)
        return
      default:
        this.membership?.onTimer(name)
    }
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
      case 'keys':
        this.outbox.setKeys(call.keys)
        this.membership?.onKeys()
        return
      case 'send':
        this.senderFor(call.token, 1)?.send(call.token, call.channel, call.header, [call.body])
        return
      case 'sendMany': {
        const { token, channel, bodies } = call
        this.senderFor(token, bodies.length)?.send(token, channel, NO_BYTES, bodies)
        return
      }
      case 'cancel':
        if (this.opening?.call.token === call.token) this.cancelOpen(this.opening)
        else this.membership?.sender.cancel(call.token)
        return
      case 'taken':
        if (this.phase === 'member' && this.leaving === undefined) this.membership?.onTaken(call.seq)
        return
      case 'leave':
        this.leave(call.token, call.header)
        return
      case 'inspect':
        assert(false, 'an Inspector machine asks about groups, not a member')
        return
      case 'authorized':
        this.membership?.sequencer?.changes.onAuthorized(call.nonce, call.isAllowed)
        return
      case 'reset':
        this.reset(call.token, call.minMembers, call.header)
        return
    }
  }

  private fail(token: Token, code: ErrorCode, message: string, outcome?: Outcome): void {
    this.outbox.output({
      output: 'failed',
      token,
      code,
      message,
      ...(outcome === undefined ? {} : { outcome }),
    })
  }

  /** The sender, if this member may send; else the sends under these tokens are refused. */
  private senderFor(token: Token, count: number): Membership['sender'] | undefined {
    const { membership } = this
    const isOpen = membership !== undefined && this.phase === 'member' && this.leaving === undefined
    const isReceiver = isOpen && membership.right === Right.receive
    if (isOpen && !isReceiver && membership.failure === undefined) return membership.sender
    const refuse = (code: ErrorCode, message: string) => {
      for (let i = 0; i < count; i++) this.fail(token + i, code, message, 'refused')
    }
    if (isReceiver) refuse(ErrorCode.notAuthorized, MAY_NOT_SEND)
    else if (isOpen) refuse(ErrorCode.memberFailed, membership.failure!)
    else refuse(ErrorCode.closed, 'this member has left its group; join again to send')
    return undefined
  }

  private reset(token: Token, minMembers: number, header: Uint8Array): void {
    if (this.phase === 'member' && this.membership !== undefined && this.opening === undefined) {
      if (this.membership.right === Right.all) this.membership.reset(token, minMembers, header)
      else this.fail(token, ErrorCode.notAuthorized, MAY_NOT_RESET)
    } else {
      this.fail(token, ErrorCode.closed, 'this member has left its group; join again')
    }
  }

  // ---- opening ----------------------------------------------------------------------------------------

  private open(call: OpenCall): void {
    assert(this.phase === 'idle', 'a member machine is opened once', this.phase)
    this.phase = 'opening'
    this.port = call.port
    const { outbox, timers, counters, streams, roundTrips } = this
    this.opening = new Opening(call, { outbox, timers, counters, streams, roundTrips }, this.options, {
      peers: () => this.peers,
      create: () => this.create(call),
      enter: (answer) => this.enterByJoin(answer),
      failed: (...why) => this.failOpen(call.token, ...why),
    })
    this.opening.begin()
  }

  private failOpen(
    token: Token,
    code: ErrorCode | undefined,
    message: string,
    openFailure?: OpenFailure,
  ): void {
    const why = openFailure === undefined ? {} : { openFailure }
    if (code !== undefined && this.opening?.isAbandoned === false)
      this.outbox.output({ output: 'failed', token, code, message, ...why })
    this.close(code, message, why)
  }

  private cancelOpen(opening: Opening): void {
    if (opening.isAbandoned) return
    this.fail(opening.call.token, ErrorCode.aborted, 'opening the group was cancelled')
    opening.abandon()
  }

  private create(call: OpenCall): void {
    const groupId = this.options.secrets?.groupId ?? this.prng.u64()
    const baseline = foundingBaseline(this.options, call.parameters, groupId)
    this.outbox.trace('created', { groupId: baseline.view.groupId.toString(16) })
    this.become(baseline.view.sequencer, baseline).found()
  }

  private enterByJoin({ memberId, baseline }: JoinAnswer): void {
    this.outbox.trace('join-answered', { id: memberId, seq: baseline.seq, stable: baseline.stable })
    this.become(memberId, baseline).enter()
  }

  private become(memberId: number, baseline: Baseline): Membership {
    const { groupId, incarnation, coordinator } = baseline.view
    Object.assign(this.outbox.identity, { groupId, incarnation, coordinator, memberId })
    this.outbox.taken = baseline.seq
    const { outbox, timers, counters, streams, roundTrips, prng, port } = this
    const host = {
      joined: () => this.joined(baseline),
      left: () => this.left(),
      leftBehind: (reason: string) => this.leaveBehind(reason),
      expelled: (reason: string) => this.expelled(reason),
      lost: (reason: string) => this.lost(reason),
      orphaned: (reason: string) => this.orphaned(reason),
    }
    const peers = () => this.peers
    const parts = { outbox, timers, counters, streams, roundTrips, prng, peers, host }
    this.membership = new Membership({ port, memberId, baseline }, parts, this.options)
    this.phase = 'member'
    return this.membership
  }

  private joined({ parameters, view }: Baseline): void {
    const { opening, port } = this
    assert(opening !== undefined, 'there is an open under way')
    this.opening = undefined
    const { token } = opening.call
    if (opening.isAbandoned) {
      this.leaving = { token: undefined }
      this.membership?.leave(NO_BYTES)
      return
    }
    const { memberId } = this.outbox.identity
    const { nonce } = this.options
    this.outbox.output({ output: 'joined', token, memberId, nonce, port, parameters, view })
  }

  // ---- packets ----------------------------------------------------------------------------------------

  private onPacket(from: Address, packet: Uint8Array): void {
    const versions = decodeIncompatible(packet)
    if (versions !== undefined) return this.onIncompatible(packet, versions)
    const { lowest, highest } = this.outbox.versions
    const header = readHeader(packet, lowest, highest)
    if (typeof header === 'string') return this.reject(header)
    this.counters.packet('in', header.kind, packet.length)
    const { nonce } = this.options
    if (header.destination !== 0n && header.destination !== nonce) return this.reject('destination')
    if (header.senderNonce === nonce) return this.reject('stranger')
    this.outbox.heard(header.senderNonce, header.version, packet)
    if (header.kind === PacketKind.locate) {
      const locate = decodeLocate(packet)
      if (locate === undefined) return this.reject('malformed')
      this.opening?.onLocate(from, header, locate, packet.length)
      this.membership?.onLocate(from, header, locate, packet.length)
    } else if (header.kind === PacketKind.gone) {
      // whoever was there lives no more: nothing that goes to it will ever be acknowledged
      this.streams.close(header.senderNonce)
      if (this.membership !== undefined) this.membership.onGone(from, header)
      else this.opening?.onGone(header.senderNonce)
      this.timers.setEarlier('flush', this.outbox.now)
    } else if (this.membership !== undefined) {
      this.membership.onPacket(from, header, packet)
    } else if (this.opening !== undefined) {
      this.opening.onPacket(from, header, packet)
    } else {
      this.reject('phase')
    }
  }

  /** Somebody who has this port, and cannot read this process's version: its packet's header is not to be read either. */
  private onIncompatible(packet: Uint8Array, versions: Versions): void {
    this.counters.packet('in', PacketKind.incompatible, packet.length)
    if (readRoute(packet).destination !== this.options.nonce) return this.reject('destination')
    if (this.opening === undefined) return this.reject('phase')
    this.opening.onIncompatible(versions)
  }

  private reject(reason: RejectReason): void {
    this.counters.rejected[reason]++
  }

  // ---- leaving ----------------------------------------------------------------------------------------

  private leave(token: Token, header: Uint8Array): void {
    const { membership } = this
    if (this.phase !== 'member' || membership === undefined || this.leaving || this.opening) {
      this.fail(token, ErrorCode.closed, 'this member has left already, or has not joined yet')
      return
    }
    this.leaving = { token }
    // nobody is there to order the leave of a member whose group has failed
    if (membership.failure !== undefined) this.leaveBehind(membership.failure)
    else membership.leave(header)
  }

  private left(): void {
    this.answerLeave(true)
    this.close(undefined, 'left')
  }

  /** Out of a group that has stopped one goes at once; the others, if any, will find out. */
  private leaveBehind(reason: string): void {
    this.answerLeave(false)
    this.membership?.close(ErrorCode.memberFailed, `${reason}, and this member has left`)
    this.close(undefined, `left: ${reason}`)
  }

  private answerLeave(isOrdered: boolean): void {
    const token = this.leaving?.token
    if (token !== undefined) this.outbox.output({ output: 'left', token, isOrdered })
  }

  /**
   * The sequencer died while this process was about to join, or a reset has dropped its join: it is no member
   * of anything that lives. Who joins again does so as another life, with a nonce of its own: the group may
   * still know this one.
   */
  private lost(reason: string): void {
    const { opening } = this
    if (opening === undefined) return
    this.outbox.trace('join-lost', { reason })
    this.failOpen(opening.call.token, ErrorCode.memberFailed, reason)
  }

  private expelled(reason: string): void {
    this.outbox.output({ output: 'event', event: { event: 'expelled', reason } })
    this.answerLeave(true)
    this.membership?.close(ErrorCode.expelled, `${reason}; join again to come back as a new member`)
    this.close(ErrorCode.expelled, reason)
  }

  /** Nobody is left who may rebuild the group, and this member may not. */
  private orphaned(reason: string): void {
    if (this.opening !== undefined) return this.lost(reason)
    const advice = 'join again when a process with the group key has created the group anew'
    this.membership?.close(ErrorCode.resetFailed, `${reason}; ${advice}`)
    this.close(ErrorCode.resetFailed, reason)
  }

  private close(
    code: ErrorCode | undefined,
    reason: string,
    why: { readonly openFailure?: OpenFailure } = {},
  ): void {
    this.phase = 'closed'
    this.leaving = undefined
    this.opening = undefined
    this.timers.clear()
    this.membership?.close(ErrorCode.closed, 'this member has left its group')
    this.outbox.output({ output: 'event', event: { event: 'closed', code, reason, ...why } })
    this.outbox.close()
  }

  // ---- for people -------------------------------------------------------------------------------------

  private get phaseName(): string {
    if (this.phase === 'opening') return this.opening?.phase ?? 'opening'
    if (this.phase !== 'member') return this.phase
    if (this.membership?.failure !== undefined) return 'failed'
    if (this.membership?.isBound) return 'recovering'
    if (this.membership?.leaver.isLingering) return 'lingering'
    return this.leaving !== undefined ? 'leaving' : 'member'
  }

  info(): MemberInfo {
    const { membership, outbox } = this
    const state = membership?.state
    const received = state?.history.received ?? 0
    return {
      phase: this.phaseName,
      port: this.port,
      memberId: outbox.identity.memberId,
      role: this.options.role,
      right: rightNames[membership?.right ?? rightOf(this.options)],
      view: state?.view,
      isSequencer: membership?.sequencer?.hasHandedOver === false,
      seq: state?.highest ?? 0,
      received,
      accepted: state?.accepted ?? 0,
      taken: Math.min(outbox.taken, received),
      stable: state?.history.stable ?? 0,
      historyMessages: state?.history.messages ?? 0,
      historyBytes: state?.history.bytes ?? 0,
      waitingSends: membership?.sender.waitingSends ?? 0,
      outstandingSends: membership?.sender.outstandingSends ?? 0,
      queuedRequests: membership?.sequencer?.admission.length ?? 0,
      lags: membership?.sequencer?.lags() ?? [],
      settings: outbox.settings,
    }
  }

  /**
   * Which group keys this member cannot do without, and why: `group` is what the group seals with; `changing` what it sealed
   * with until a change that some member may not have heard of yet (`waitsFor`, where this member knows: at the sequencer);
   * `announced` what the group may take at any moment, because this member has said that it holds it, and may be believed.
   */
  keysInUse(): KeyInUse[] {
    const { outbox, membership } = this
    if (this.phase === 'closed' || outbox.keys.length === 0) return []
    const state = membership?.state
    const { port } = this
    const uses: KeyInUse[] = []
    const note = (keyId: number, use: KeyInUse['use'], waitsFor: readonly string[] = []) => {
      if (keyId !== 0 && !uses.some((one) => one.keyId === keyId)) uses.push({ port, keyId, use, waitsFor })
    }
    note(outbox.settings.keyId, 'group')
    if (state === undefined) return uses
    const { settingsLog } = state
    const lags = membership?.sequencer?.lags() ?? []
    const late = lags.filter(({ messages }) => state.history.received - messages < state.settings.seq)
    const names = late.map(({ id }) => findMember(state.view, id)?.name ?? `member ${id}`)
    for (const { keyId } of settingsLog) note(keyId, 'changing', names)
    for (const keyId of outbox.keys) {
      const at = outbox.announcedAt(keyId)
      if (at !== undefined && at >= this.wordsCountFrom(state)) note(keyId, 'announced')
    }
    return uses
  }

  /**
   * What this member has said of its newest key while it was short of this place counts no more with anybody. Not what it
   * said before it held the last change; nor before what all have taken: the sequencer has heard a later word by then, and
   * goes by no earlier one (sequencer/settings-keeper.ts). But it may have ordered a change before it heard that, so all that
   * it has numbered must be here; and while a reset is under way nobody knows what the log will have been.
   */
  private wordsCountFrom({ settingsLog, history, highest }: OrderState): Seq {
    const isWhole = this.membership?.isBound === false && history.received === highest
    return Math.max(settingsLog[0]!.seq, isWhole ? history.stable : 0)
  }
}

const MAY_NOT_SEND =
  'this member may only receive; for sending, join with the group key or a token with the right to send'
const MAY_NOT_RESET =
  'this member may not reset its group; only members that have joined with the group key may'
