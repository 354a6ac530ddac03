/**
 * N members on an exact network in virtual time: every packet arrives, after one delay, in order, unless the
 * test says otherwise. For tests that count packets or follow single ones; what chance does to the protocol is
 * the simulator's business.
 *
 * A seat is one member with the simplest program there is: it takes what it is handed at once, until the test
 * tells it to hold.
 */

import { Member } from '../../group/member/member.ts'
import { detectionPresets, type MemberOptions } from '../../group/member/options.ts'
import { type MessageRecord, RecordReader } from '../../kernel/block.ts'
import type { ErrorCode, Outcome } from '../../kernel/errors.ts'
import type { Address, MemberId, Micros, Seq } from '../../kernel/identity.ts'
import type { Input, Sink } from '../../kernel/machine.ts'
import { type PacketHeader, type PacketKindName, packetKindNames, readHeader } from '../../kernel/packet.ts'
import { completeParameters, type GroupParameters } from '../../kernel/parameters.ts'
import type { Call, MemberEvent, OrderedEvent, Output, Token } from '../../kernel/port.ts'
import type { View } from '../../kernel/view.ts'
import { EventQueue } from '../simulator/event-queue.ts'

/** One copy of a packet, about to leave. */
export interface Passing {
  readonly from: Seat
  readonly to: Seat
  readonly kind: PacketKindName
  readonly header: PacketHeader
  readonly bytes: Uint8Array
}

export interface GroupOfOptions {
  /** One way, for every packet. Default 0.1. */
  readonly delayMs?: number
  readonly parameters?: Partial<GroupParameters>
  readonly member?: Partial<MemberOptions>
}

export type Question = Extract<Output, { output: 'authorize' }>

export interface Sent {
  readonly token: Token
  readonly calledAt: Micros
  seq?: Seq
  failed?: { readonly code: ErrorCode; readonly outcome: Outcome | undefined; readonly message: string }
  answeredAt?: Micros
}

export interface Delivered {
  readonly seq: Seq
  readonly kind: OrderedEvent['kind']
  readonly sender: MemberId
  /** Undefined for changes of view. */
  readonly record: MessageRecord | undefined
  readonly at: Micros
  /** Of a change of view. */
  readonly event?: Exclude<OrderedEvent, { kind: 'messages' }>
}

/** One call of ResetGroup. */
export interface ResetAnswer {
  readonly token: Token
  size?: number
  failed?: ErrorCode
  /** Why it has failed. */
  message?: string
}

export type PacketCounts = Partial<Record<PacketKindName, number>>

const PORT = 'group-of'
const LIMIT_MS = 60_000
/** A machine that wants so many ticks without time going on never stops. */
const EVENTS_AT_ONCE_MAX = 50_000
/** Kinds that carry messages and their acks, as opposed to finding, joining and leaving. */
const messageKinds: readonly PacketKindName[] = [
  'request',
  'order',
  'repair',
  'data',
  'state',
  'gap',
  'requestAck',
  'dataGap',
  'dataAck',
]

export class GroupOf {
  readonly queue = new EventQueue()
  /** Those that have opened, in that order; they stay here when their life is over. */
  readonly seats: Seat[] = []
  /** Says of each copy whether it is lost. */
  isLost: (packet: Passing) => boolean = () => false
  /** Hosts outlive their processes: asked, the operating system says that a port is closed. */
  isRefusing = false
  private eventsAtOnce = 0
  readonly options: GroupOfOptions
  /** One way; a test may change it, or draw it for each packet. */
  delay: Micros
  delayOf: (() => Micros) | undefined

  constructor(options: GroupOfOptions = {}) {
    this.options = options
    this.delay = Math.round((options.delayMs ?? 0.1) * 1000)
  }

  /** A group of `size`, all joined and quiet; the first is the sequencer. */
  static open(size: number, options: GroupOfOptions = {}): GroupOf {
    const group = new GroupOf(options)
    group.add()
    for (let i = 1; i < size; i++) group.add()
    group.settle()
    return group
  }

  get first(): Seat {
    return this.seats[0]!
  }

  get living(): Seat[] {
    return this.seats.filter(({ isOver }) => !isOver)
  }

  /** One more member; opened when this returns, unless the group is blocked: then use `begin`. */
  add(options: Partial<MemberOptions> = {}): Seat {
    const seat = this.begin(options)
    this.until(() => seat.memberId !== 0, `${seat.name} is a member`)
    return seat
  }

  begin(options: Partial<MemberOptions> = {}, how?: 'create' | 'join'): Seat {
    const number = this.seats.length
    const seat = new Seat(this, number, options)
    this.seats.push(seat)
    seat.open(how ?? (number === 0 ? 'create' : 'join'), completeParameters(this.options.parameters))
    return seat
  }

  // ---- time ---------------------------------------------------------------------------------------------

  advance(ms: number): void {
    const end = this.queue.now + Math.round(ms * 1000)
    this.queue.at(end, () => {})
    while (this.queue.now < end) this.runNext()
  }

  private runNext(): boolean {
    const { now } = this.queue
    const isMore = this.queue.runNext()
    this.eventsAtOnce = this.queue.now === now ? this.eventsAtOnce + 1 : 0
    if (this.eventsAtOnce > EVENTS_AT_ONCE_MAX) throw new Error(`time stands still at ${now} µs`)
    return isMore
  }

  /** Runs until `isSo`; throws when that has taken `limitMs` of virtual time. Gives the milliseconds taken. */
  until(isSo: () => boolean, what: string, limitMs = LIMIT_MS): number {
    const begin = this.queue.now
    while (!isSo()) {
      if (this.queue.now - begin > limitMs * 1000 || !this.runNext())
        throw new Error(`after ${(this.queue.now - begin) / 1000} ms it is still not so that ${what}`)
    }
    return (this.queue.now - begin) / 1000
  }

  /** Until there is nothing but heartbeats, and the next is some time away. */
  settle(quietMs?: number): void {
    const { heartbeatIdleMs, quietAckMs } = this.options.member?.detection ?? detectionPresets.default
    this.advance(8 * heartbeatIdleMs + 4 * quietAckMs + 8 * (this.delay / 1000))
    const quiet = (quietMs ?? heartbeatIdleMs / 4) * 1000
    const beats = () => (this.queue.nextAt() ?? Number.POSITIVE_INFINITY) - this.queue.now >= quiet
    this.until(beats, 'the group is quiet')
  }

  // ---- packets ------------------------------------------------------------------------------------------

  unicast(from: Seat, to: Address, bytes: Uint8Array): void {
    const seat = this.seats.find(({ address, isOver }) => address === to && !isOver)
    if (seat !== undefined) this.carry(from, seat, bytes)
  }

  multicast(from: Seat, bytes: Uint8Array): void {
    for (const seat of this.seats) if (seat !== from && !seat.isOver) this.carry(from, seat, bytes)
  }

  /** The operating system is asked whether anybody listens there. */
  check(by: Seat, address: Address): void {
    const isOpen = this.seats.some((seat) => seat.address === address && !seat.isOver)
    if (!this.isRefusing || isOpen) return
    this.queue.after(2 * this.delay, () => by.input({ kind: 'refused', address }))
  }

  private carry(from: Seat, to: Seat, bytes: Uint8Array): void {
    // of whatever build: tests of upgrades have several
    const header = readHeader(bytes, 1, 255)
    if (typeof header === 'string') throw new Error(`${from.name} sent a packet that is ${header}`)
    const kind = packetKindNames[header.kind]!
    if (this.isLost({ from, to, kind, header, bytes })) return
    const delay = this.delayOf?.() ?? this.delay
    this.queue.after(delay, () => to.input({ kind: 'packet', from: from.address, bytes }))
  }

  /** What all machines together have sent so far, by their own counters. */
  counts(): PacketCounts {
    const counts: PacketCounts = {}
    for (const { machine } of this.seats) {
      for (const [kind, count] of machine.counters.packetsByName('out'))
        counts[kind] = (counts[kind] ?? 0) + count
    }
    return counts
  }

  /** What has been sent since, without kinds of which nothing was. */
  countsSince(before: PacketCounts): PacketCounts {
    const since: PacketCounts = {}
    for (const [kind, count] of Object.entries(this.counts()) as [PacketKindName, number][]) {
      if (count > (before[kind] ?? 0)) since[kind] = count - (before[kind] ?? 0)
    }
    return since
  }

  retransmissions(): { request: number; repair: number; data: number; stream: number } {
    const all = { request: 0, repair: 0, data: 0, stream: 0 }
    for (const { machine } of this.seats) {
      for (const kind of ['request', 'repair', 'data', 'stream'] as const)
        all[kind] += machine.counters.retransmissions[kind]
    }
    return all
  }
}

export function total(counts: PacketCounts): number {
  return messageKinds.reduce((sum, kind) => sum + (counts[kind] ?? 0), 0)
}

export class Seat {
  readonly name: string
  readonly address: Address
  readonly machine: Member
  readonly sent: Sent[] = []
  readonly delivered: Delivered[] = []
  readonly events: MemberEvent[] = []
  /** Every delivery counts as taken at once, or only when the test says so. */
  holds = false
  isOver = false
  hasLeft = false
  readonly resets: ResetAnswer[] = []
  /** Called for each turning point that the machine tells of, before what it does is carried out. */
  onMark: ((mark: string) => void) | undefined
  memberId: MemberId = 0
  openFailed: string | undefined
  /** Called for each message delivered, before it is taken. */
  onDelivered: ((delivered: Delivered) => void) | undefined
  /** Called for each answer of a send. */
  onAnswered: ((sent: Sent) => void) | undefined
  /** Joiners that this member's program has been asked about. */
  readonly applicants: Question[] = []
  onAuthorize: ((question: Question) => void) | undefined
  private readonly group: GroupOf
  private readonly waiting: Input[] = []
  private isStepping = false
  private armedFor: Micros | undefined
  private arming = 0
  private lastToken: Token = 1
  /** By token; sends without an answer. */
  private readonly pending = new Map<Token, Sent>()

  constructor(group: GroupOf, number: number, options: Partial<MemberOptions>) {
    this.group = group
    this.name = `m${number}`
    this.address = `${this.name}:1`
    const packetSize = options.packetSize ?? group.options.member?.packetSize ?? 8192
    const window = 4 * 1024 * 1024
    this.machine = new Member({
      nonce: BigInt(number + 1),
      seed: number + 1,
      address: this.address,
      name: this.name,
      role: 'full',
      transport: 'multicast',
      peers: group.seats.map(({ address }) => address),
      packetSize,
      window,
      sendWindow: Math.max(4 * packetSize, window / 4),
      detection: detectionPresets.default,
      ...group.options.member,
      ...options,
    })
  }

  // ---- the program --------------------------------------------------------------------------------------

  open(how: 'create' | 'join' | 'joinOrCreate', parameters: GroupParameters): void {
    this.call({ call: 'open', token: 1, how, port: PORT, parameters, header: NO_BYTES })
  }

  /** Sends so many bytes of `fill`, or the bytes given. */
  send(body: Uint8Array | number, fill = this.sent.length): Sent {
    const sent: Sent = { token: ++this.lastToken, calledAt: this.group.queue.now }
    this.sent.push(sent)
    this.pending.set(sent.token, sent)
    const bytes = typeof body === 'number' ? new Uint8Array(body).fill(fill & 0xff) : body
    this.call({ call: 'send', token: sent.token, channel: 0, header: NO_BYTES, body: bytes })
    return sent
  }

  cancel({ token }: Sent): void {
    this.call({ call: 'cancel', token })
  }

  /** Nothing comes out of this machine any more, and nothing goes in. */
  crash(): void {
    this.isOver = true
    this.pending.clear()
  }

  /** ResetGroup; the answer is in `resets`. */
  reset(minMembers = 0): ResetAnswer {
    const answer: ResetAnswer = { token: ++this.lastToken }
    this.resets.push(answer)
    this.call({ call: 'reset', token: answer.token, minMembers, header: NO_BYTES })
    return answer
  }

  get view(): View {
    return this.machine.info().view!
  }

  /** Answers the question about a joiner. */
  authorize({ joiner }: Question, isAllowed: boolean): void {
    this.call({ call: 'authorized', nonce: joiner.nonce, isAllowed })
  }

  leave(): void {
    this.call({ call: 'leave', token: ++this.lastToken, header: NO_BYTES })
  }

  /** Takes everything that is delivered, or up to `seq`. */
  take(seq = this.delivered.at(-1)?.seq): void {
    if (seq !== undefined) this.call({ call: 'taken', seq })
  }

  /** Takes what has piled up, and everything from now on at once. */
  resume(): void {
    this.holds = false
    this.take()
  }

  get unanswered(): number {
    return this.pending.size
  }

  get messages(): Delivered[] {
    return this.delivered.filter(({ kind }) => kind === 'messages')
  }

  get messageCount(): number {
    return this.machine.counters.deliveries.message
  }

  /** What was delivered, in a form that can be compared between members. */
  get order(): string[] {
    return this.delivered.map(
      ({ seq, kind, sender, record }) =>
        `${seq} ${kind} ${sender} ${record?.body.length ?? ''} ${record?.body[0] ?? ''}`,
    )
  }

  call(call: Call): void {
    if (this.machine.note(call)) return
    this.input({ kind: 'call', call })
  }

  private onOutput(output: Output): void {
    switch (output.output) {
      case 'joined':
        this.memberId = output.memberId
        return
      case 'sent':
        for (let i = 0; i < output.count; i++) this.answer(output.token + i, { seq: output.seq + i })
        return
      case 'failed': {
        const { code, outcome, message } = output
        const reset = this.resets.find(({ token }) => token === output.token)
        if (reset !== undefined) Object.assign(reset, { failed: code, message })
        else if (this.pending.has(output.token))
          this.answer(output.token, { failed: { code, outcome, message } })
        else this.openFailed = `${code}: ${message}`
        return
      }
      case 'deliveries':
        for (const event of output.deliveries) this.deliver(event)
        if (!this.holds) this.take()
        return
      case 'reset': {
        const reset = this.resets.find(({ token }) => token === output.token)
        if (reset !== undefined) reset.size = output.size
        return
      }
      case 'authorize':
        this.applicants.push(output)
        this.onAuthorize?.(output)
        return
      case 'left':
        this.hasLeft = true
        return
      case 'event':
        this.events.push(output.event)
        if (output.event.event === 'closed') this.isOver = true
        return
      default:
        throw new Error(`${this.name} did not ask for ${output.output}`)
    }
  }

  private answer(token: Token, answer: Pick<Sent, 'seq' | 'failed'>): void {
    const sent = this.pending.get(token)
    if (sent === undefined) throw new Error(`${this.name} has answered ${token} before`)
    this.pending.delete(token)
    Object.assign(sent, answer, { answeredAt: this.group.queue.now })
    this.onAnswered?.(sent)
  }

  private deliver(event: OrderedEvent): void {
    const at = this.group.queue.now
    const { seq, kind, sender } = event
    if (event.kind !== 'messages') {
      this.delivered.push({ seq, kind, sender, record: undefined, at, event })
      return
    }
    const reader = new RecordReader(event.block)
    for (let i = 0; i < event.count; i++) {
      const delivered = { seq: seq + i, kind, sender, record: reader.next(), at }
      this.delivered.push(delivered)
      this.onDelivered?.(delivered)
    }
  }

  // ---- the driver: step, then the effects, then one timer -----------------------------------------------

  input(input: Input): void {
    this.waiting.push(input)
    if (this.isStepping) return
    this.isStepping = true
    for (let next = this.waiting.shift(); next !== undefined; next = this.waiting.shift())
      if (!this.isOver) this.step(next)
    this.isStepping = false
    this.arm()
  }

  private step(input: Input): void {
    const effects: (() => void)[] = []
    const sink: Sink = {
      unicast: (to, packet) => effects.push(() => this.group.unicast(this, to, packet)),
      multicast: (packet) => effects.push(() => this.group.multicast(this, packet)),
      output: (output) => effects.push(() => this.onOutput(output)),
      check: (address) => effects.push(() => this.group.check(this, address)),
      trace: ({ mark }) => this.onMark?.(mark),
    }
    this.machine.step(this.group.queue.now, input, sink)
    for (const effect of effects) if (!this.isOver) effect()
  }

  private arm(): void {
    const { queue } = this.group
    const deadline = this.isOver ? undefined : this.machine.nextDeadline()
    const at = deadline === undefined ? undefined : Math.max(deadline, queue.now)
    if (at === this.armedFor) return
    this.armedFor = at
    const arming = ++this.arming
    if (at === undefined) return
    queue.at(at, () => {
      if (arming !== this.arming || this.isOver) return
      this.armedFor = undefined
      this.input({ kind: 'tick' })
    })
  }
}

const NO_BYTES = new Uint8Array(0)
