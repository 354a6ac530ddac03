/** A member brought into each phase of a reset by packets, on an exact network with time stopped; and packets to hand to it. */
import { expect } from 'vitest'
import { type Ballot, isSameBallot } from '../../kernel/ballot.ts'
import type { OrderState } from '../../kernel/order-state.ts'
import { HEADER_BYTES, PacketKind, type PacketKindName, writeHeader } from '../../kernel/packet.ts'
import {
  gapBytes,
  ORDER_HEAD_BYTES,
  readStreamFragment,
  STATE_FLAG_RESULT,
  STREAM_ACK_BYTES,
  STREAM_HEAD_BYTES,
  StreamPurpose,
  writeGap,
  writeOrderHead,
  writeStreamFragment,
} from '../../kernel/packets.ts'
import {
  encodeInvite,
  encodeRefusal,
  INVITE_FLAG_OWING,
  RefusalReason,
} from '../../kernel/recovery-packets.ts'
import { encodeResult } from '../../kernel/result.ts'
import type { Phase, Signal } from '../../recovery/phases.ts'
import type { Recovery } from '../../recovery/recovery.ts'
import { encodeVote, voteOf } from '../../recovery/vote.ts'
import { GroupOf, type Passing, type Seat } from './group-of.ts'

/** The machine has no window on its recovery. */
interface Inside {
  readonly state: OrderState
  readonly parts: { readonly renewal: { readonly recovery: Recovery } }
}

export function inside(seat: Seat): { state: OrderState; recovery: Recovery } {
  const { membership } = seat.machine as unknown as { membership: Inside }
  return { state: membership.state, recovery: membership.parts.renewal.recovery }
}

export const NO_BYTES = new Uint8Array(0)

/** What distinguishes situations of one phase. */
export interface Circumstances {
  /** The subject misses the newest event; all others hold it. */
  readonly lacks?: boolean
  /** In phase `normal`: the subject has made the view, and numbers. */
  readonly leads?: boolean
}

/**
 * Members 1 to 4, of which 3 has made the present view, so that there is an older one. Two events are held that
 * nobody has taken. The subject is member 2; where another one makes a new view, it is member 4. In a view that
 * the subject makes, member 4 is taken for gone and has no vote.
 */
export class Scene {
  readonly group = GroupOf.open(4, { parameters: { resilience: 1 } })
  readonly subject = this.group.seats[1]!
  /** What the subject has sent since time was stopped. */
  sent: Passing[] = []
  readonly phase: Phase
  /** What it sent before that. */
  private readonly sentBefore: Passing[] = []
  private readonly newestOrder: Uint8Array
  private streams = 1000

  constructor(phase: Phase, { lacks = false, leads = false }: Circumstances = {}) {
    this.phase = phase
    const { group, subject } = this
    const founding = group.seats[2]!.reset()
    group.until(() => founding.size !== undefined, 'there is a second view')
    group.settle()
    for (const seat of group.seats) seat.holds = true
    const accepted = () => group.seats.filter((seat) => seat !== subject || !lacks)
    const first = this.member(3).send(1, 1)
    group.until(() => group.seats.every(({ messages }) => messages.length === 1), 'the first is delivered')
    let order: Uint8Array | undefined
    group.isLost = ({ from, to, kind, bytes }) => {
      if (from === this.member(3) && kind === 'order' && order === undefined) order = bytes
      return to === subject && lacks
    }
    const second = this.member(3).send(1, 2)
    const isAll = () => accepted().every(({ messages }) => messages.length === 2)
    group.until(() => second.seq !== undefined && isAll(), 'the second is delivered')
    expect(second.seq).toBe(first.seq! + 1)
    this.newestOrder = order!
    if (lacks) this.tellOfNewest()
    this.bring({ lacks, leads })
    this.stop()
    expect(this.recovery.phase).toBe(phase)
    expect(this.state.history.received - (this.hasResult ? 1 : 0)).toBe(second.seq! - (lacks ? 1 : 0))
  }

  private get hasResult(): boolean {
    return this.state.pending.length > 0 || this.state.view.seq > this.newest
  }

  get recovery(): Recovery {
    return inside(this.subject).recovery
  }

  get state(): OrderState {
    return inside(this.subject).state
  }

  member(id: number): Seat {
    return this.group.seats[id - 1]!
  }

  /** Place of the newest message. */
  get newest(): number {
    return this.member(3).messages[1]!.seq
  }

  /** It knows that there is one more: only its phase keeps it from taking that, or not. */
  private tellOfNewest(): void {
    const packet = new Uint8Array(HEADER_BYTES + ORDER_HEAD_BYTES)
    const { stable, received } = this.state.history
    const head = { highest: this.newest, accepted: received, stable, firstSeq: 0, entries: 0, ackers: 0 }
    writeOrderHead(packet, head)
    this.hand(3, 'order', packet.subarray(HEADER_BYTES))
    expect(this.state.highest).toBe(this.newest)
  }

  private bring({ lacks, leads }: { lacks: boolean; leads: boolean }): void {
    const { group, subject, phase } = this
    const isOwn = leads || phase === 'inviting' || phase === 'collecting' || phase === 'proposing'
    const fourth = this.member(4)
    group.isLost = (packet) => {
      const { from, to, kind } = packet
      if (to === subject && lacks && (kind === 'repair' || kind === 'order')) return true
      if (from === subject) this.sentBefore.push(packet)
      if (isOwn && !leads && (from === fourth || to === fourth)) return true
      if (phase === 'inviting') return from === subject || to === subject
      // what is on its way when the phase is reached, or answers to that
      return (from === subject || to === subject) && phase !== 'normal' && this.recovery.phase === phase
    }
    if (phase === 'normal' && !leads) return
    ;(isOwn ? subject : fourth).reset()
    if (isOwn && !leads && phase !== 'inviting') this.hand(4, 'gone', NO_BYTES)
    if (leads) {
      group.until(() => subject.resets[0]?.size === 4, 'the subject has made a view')
      return
    }
    group.until(() => this.recovery.phase === phase, `the phase is ${phase}`)
  }

  /** From here on nothing arrives but what the test hands over. */
  private stop(): void {
    const { group, subject } = this
    group.isLost = (packet) => {
      if (packet.from === subject) this.sent.push(packet)
      return true
    }
    group.advance(2 * (group.delay / 1000))
    this.sentBefore.push(...this.sent)
    this.sent = []
  }

  // ---- packets ------------------------------------------------------------------------------------------

  /** A packet of member `id` under the subject's own ballot. */
  packet(id: number, kind: PacketKindName, body: Uint8Array, flags = 0): Uint8Array {
    const sender = this.member(id)
    const { groupId } = this.state.view
    const { incarnation, coordinator } = this.recovery.promise
    const { received } = inside(sender).state.history
    const bytes = new Uint8Array(HEADER_BYTES + body.length)
    writeHeader(bytes, {
      kind: PacketKind[kind],
      flags,
      groupId,
      incarnation,
      coordinator,
      sender: id,
      senderNonce: sender.machine.options.nonce,
      destination: this.subject.machine.options.nonce,
      received,
      taken: 0,
      window: 1024 * 1024,
    })
    bytes.set(body, HEADER_BYTES)
    return bytes
  }

  give(id: number, bytes: Uint8Array): void {
    this.subject.input({ kind: 'packet', from: this.member(id).address, bytes })
  }

  hand(id: number, kind: PacketKindName, body: Uint8Array, flags = 0): void {
    this.give(id, this.packet(id, kind, body, flags))
  }

  private stream(purpose: StreamPurpose, payload: Uint8Array): Uint8Array {
    const packet = new Uint8Array(HEADER_BYTES + STREAM_HEAD_BYTES + payload.length)
    const stream = this.streams++
    writeStreamFragment(packet, { stream, purpose, total: payload.length, offset: 0, bytes: payload })
    return packet.subarray(HEADER_BYTES)
  }

  /** A ballot of member 1: the subject's promise, with what is different. */
  ballot(changes: Partial<Ballot> = {}): Ballot {
    return { ...this.recovery.promise, coordinator: 1, ...changes }
  }

  get higher(): Ballot {
    return this.ballot({ incarnation: this.recovery.promise.incarnation + 1 })
  }

  /** An invitation of one who knows the view that the subject knows. */
  invitation(ballot: Ballot): Uint8Array {
    const { view, results, accepted } = this.state
    return encodeInvite({ ballot, viewSeq: view.seq, results: results.filter(({ seq }) => seq <= accepted) })
  }

  vote(id: number, ballot = this.recovery.promise): Uint8Array {
    return encodeVote(voteOf(this.peerState(id), ballot, 0))
  }

  /** A result upon the log with both messages, under the ballot given. */
  result(ballot = this.recovery.promise): Uint8Array {
    const { groupId, members } = this.state.view
    const { incarnation, coordinator } = ballot
    const own = this.state.results.filter(({ ballot: one }) => !isSameBallot(one, ballot))
    return encodeResult({
      ballot,
      view: { groupId, incarnation, coordinator, seq: this.newest + 1, sequencer: coordinator, members },
      witnesses: [],
      results: own,
      stable: this.state.history.stable,
      requests: new Map(members.map(({ id }) => [id, this.state.requests.get(id) ?? 0])),
      nextMemberId: this.state.nextMemberId,
      removed: [],
      lossPossible: false,
      header: NO_BYTES,
    })
  }

  /** Member 3's log is the one of the old view, with both messages: nobody has told it of anything since. */
  private peerState(id: number): OrderState {
    return inside(this.member(id)).state
  }

  private order(): Uint8Array {
    // behind a result its acceptance is the news; before it, the newest message
    if (this.phase !== 'following') return this.newestOrder.subarray(HEADER_BYTES)
    const seq = this.newest + 1
    const packet = new Uint8Array(HEADER_BYTES + ORDER_HEAD_BYTES)
    const { stable } = this.state.history
    writeOrderHead(packet, { highest: seq, accepted: seq, stable, firstSeq: 0, entries: 0, ackers: 0 })
    return packet.subarray(HEADER_BYTES)
  }

  /** Who would send the signal, and the packet. */
  readonly signal: Readonly<Record<Signal, () => readonly [number, Uint8Array]>> = {
    invite: () => [1, this.packet(1, 'invite', this.invitation(this.higher), INVITE_FLAG_OWING)],
    'same-invite': () => {
      const { promise } = this.recovery
      return [promise.coordinator, this.packet(promise.coordinator, 'invite', this.invitation(promise))]
    },
    'low-invite': () => {
      const { incarnation } = this.recovery.promise
      const body = this.invitation(this.ballot({ incarnation: incarnation - 1 }))
      return [1, this.packet(1, 'invite', body, INVITE_FLAG_OWING)]
    },
    refusal: () => {
      const refused = this.recovery.promise
      const promise = this.ballot({ incarnation: refused.incarnation + 5 })
      return [
        1,
        this.packet(1, 'refusal', encodeRefusal({ reason: RefusalReason.promised, refused, promise })),
      ]
    },
    vote: () => [1, this.packet(1, 'streamData', this.stream(StreamPurpose.vote, this.vote(1)))],
    result: () => {
      const { coordinator } = this.recovery.promise
      const from = coordinator === this.subject.memberId ? 1 : coordinator
      return [from, this.packet(from, 'streamData', this.stream(StreamPurpose.result, this.result()))]
    },
    ack: () => [1, this.packet(1, 'state', NO_BYTES, STATE_FLAG_RESULT)],
    repair: () => [3, this.packet(3, 'repair', this.newestOrder.subarray(HEADER_BYTES))],
    gap: () => {
      const packet = new Uint8Array(HEADER_BYTES + gapBytes(1))
      const from = this.newest - 1
      writeGap(packet, { budget: 65_536, ranges: [{ from, to: from }] })
      return [1, this.packet(1, 'gap', packet.subarray(HEADER_BYTES))]
    },
    order: () => {
      const { coordinator } = this.recovery.promise
      const from = coordinator === this.subject.memberId ? 3 : coordinator
      return [from, this.packet(from, 'order', this.order())]
    },
  }

  send(signal: Signal): void {
    this.give(...this.signal[signal]())
  }

  sendVote(id: number, ballot = this.recovery.promise): void {
    this.hand(id, 'streamData', this.stream(StreamPurpose.vote, this.vote(id, ballot)))
  }

  sendResult(id: number, ballot: Ballot): void {
    this.hand(id, 'streamData', this.stream(StreamPurpose.result, this.result(ballot)))
  }

  /** The subject's last stream has arrived. */
  acknowledgeStream(): void {
    const last = [...this.sentBefore, ...this.sent].filter(({ kind }) => kind === 'streamData').at(-1)!
    const { stream, total } = readStreamFragment(last.bytes)!
    const body = new Uint8Array(STREAM_ACK_BYTES)
    const view = new DataView(body.buffer)
    view.setUint32(0, stream)
    view.setUint32(4, total)
    this.hand(last.to.memberId, 'streamAck', body)
  }

  // ---- what can be seen ---------------------------------------------------------------------------------

  /** All that is known of the subject, from inside and outside, but for what it counts and its timers. */
  snapshot(): unknown {
    const { subject, state, recovery } = this
    const { history } = state
    return structuredClone({
      phase: recovery.phase,
      promise: recovery.promise,
      info: subject.machine.info(),
      view: state.view,
      pending: state.pending.map(({ seq, view }) => ({ seq, view })),
      results: state.results,
      log: [history.stable, state.accepted, history.received, state.highest],
      history: [history.messages, history.bytes],
      requests: state.requests,
      nextMemberId: state.nextMemberId,
      delivered: subject.delivered.map(({ seq, kind }) => [seq, kind]),
      events: subject.events,
      resets: subject.resets,
      sends: subject.sent,
      isOver: subject.isOver,
    })
  }

  /** What was sent since, without acknowledgements of streams: those are sent again for whatever comes. */
  get packets(): Passing[] {
    return this.sent.filter(({ kind }) => kind !== 'streamAck')
  }

  streamsSent(purpose: StreamPurpose): { to: number; bytes: Uint8Array }[] {
    return this.packets.flatMap(({ kind, to, bytes }) => {
      if (kind !== 'streamData') return []
      const fragment = readStreamFragment(bytes)!
      return fragment.purpose === purpose ? [{ to: to.memberId, bytes: fragment.bytes }] : []
    })
  }

  expectNothingFrom(act: () => void): void {
    const before = this.snapshot()
    this.sent = []
    act()
    expect(this.packets).toEqual([])
    expect(this.snapshot()).toEqual(before)
  }
}

/** Where a signal of a phase has to be looked at more than once, or not in its plain form. */
export const circumstances: Partial<Record<Phase, readonly Circumstances[]>> = {
  normal: [{}, { lacks: true }, { leads: true }],
  inviting: [{}, { lacks: true }],
  collecting: [{ lacks: true }],
  promised: [{}, { lacks: true }],
  following: [{}, { lacks: true }],
}

export function scenesOf(phase: Phase): Scene[] {
  return (circumstances[phase] ?? [{}]).map((one) => new Scene(phase, one))
}
