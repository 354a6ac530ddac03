/**
 * A stand-in for the member machine that needs no protocol: all of a run's machines share one order in
 * memory and look at it every millisecond. It proves that the simulator runs a right group to its end, and
 * made wrong in one way at a time, that each way is found.
 */
import type { MemberOptions } from '../../group/member/options.ts'
import { Counters } from '../../kernel/counters.ts'
import { ErrorCode } from '../../kernel/errors.ts'
import type { MemberId, Micros, Seq } from '../../kernel/identity.ts'
import type { Input, Sink } from '../../kernel/machine.ts'
import { HEADER_BYTES } from '../../kernel/packet.ts'
import type { GroupParameters } from '../../kernel/parameters.ts'
import type { Call, MemberInfo, OrderedEvent, Token } from '../../kernel/port.ts'
import { type View, withJoined, withoutMember } from '../../kernel/view.ts'
import { messageBlock } from '../support/blocks.ts'
import { infoOf, memberOf } from '../support/members.ts'
import type { SimulatedMachine } from './node.ts'

const LOOK_EVERY: Micros = 1000
const NO_BYTES = new Uint8Array(0)

/** What a wrong machine does. */
export type Fault =
  | 'swaps two messages'
  | 'skips a message'
  | 'delivers twice'
  | 'delivers what nobody sent'
  | 'orders a message twice'
  | 'orders a later message first'
  | 'answers a wrong place'
  | 'never answers'
  | 'never delivers'
  | 'says refused and orders'
  | 'fails a send for nothing'
  | 'gives the joiner its own join'
  | 'shows another view'
  | 'numbers joiners downwards'
  | 'keeps too much'
  | 'takes for stable what is not'
  | 'returns before others hold it'
  | 'throws'
  | 'writes into a sent packet'
  | 'goes on after the end'
  | 'creates another group'

/** What the machines of one run share. */
export class Oracle {
  readonly fault: Fault | undefined
  parameters: GroupParameters | undefined
  view: View | undefined
  readonly events: OrderedEvent[] = []
  seq: Seq = 0
  nextMemberId = 1
  /** Highest seq that anybody has delivered. */
  seen: Seq = 0
  readonly machines: OracleMachine[] = []

  constructor(fault?: Fault) {
    this.fault = fault
  }

  make(options: MemberOptions): OracleMachine {
    const machine = new OracleMachine(options, this)
    this.machines.push(machine)
    return machine
  }

  append(event: OrderedEvent): void {
    this.events.push(event)
    this.seq = event.kind === 'messages' ? event.seq + event.count - 1 : event.seq
    if (event.kind !== 'messages') this.view = event.view
  }
}

export class OracleMachine implements SimulatedMachine {
  readonly counters = new Counters()
  readonly options: MemberOptions
  private readonly oracle: Oracle
  private id: MemberId = 0
  private nextLook: Micros | undefined
  private position = 0
  private delivered: Seq = 0
  private taken: Seq = 0
  private request = 1
  private leaveToken: Token | undefined
  private view: View | undefined
  private isOver = false
  private hasErred = false
  private held: (() => void) | undefined
  private lastPacket: Uint8Array | undefined

  constructor(options: MemberOptions, oracle: Oracle) {
    this.options = options
    this.oracle = oracle
  }

  nextDeadline(): Micros | undefined {
    return this.nextLook
  }

  step(now: Micros, input: Input, sink: Sink): void {
    if (input.kind === 'call') this.onCall(now, input.call, sink)
    if (input.kind !== 'tick' || this.isOver) return
    this.nextLook = now + LOOK_EVERY
    if (this.errs('throws')) throw new Error('as planned')
    if (this.errs('writes into a sent packet') && this.lastPacket !== undefined) this.lastPacket[20] = 1
    this.lastPacket = new Uint8Array(HEADER_BYTES)
    sink.multicast(this.lastPacket)
    this.look(sink)
  }

  /** Whether this machine commits `fault` now; each does so once. */
  private errs(fault: Fault): boolean {
    if (
      this.oracle.fault !== fault ||
      this.hasErred ||
      this.delivered === 0 ||
      this.oracle.events.length < 12
    )
      return false
    this.hasErred = true
    return true
  }

  private onCall(now: Micros, call: Call, sink: Sink): void {
    switch (call.call) {
      case 'open':
        this.nextLook = now
        return this.open(call, sink)
      case 'send':
        return this.send(call.token, call.header, call.body, sink)
      case 'sendMany':
        call.bodies.forEach((body, i) => {
          this.send(call.token + i, NO_BYTES, body, sink)
        })
        return
      case 'taken':
        this.taken = call.seq
        return
      case 'leave':
        this.leaveToken = call.token
        return
      default:
        return
    }
  }

  private open(call: Extract<Call, { call: 'open' }>, sink: Sink): void {
    const { oracle, options } = this
    const { token, port, parameters, header } = call
    const fail = (code: ErrorCode) => sink.output({ output: 'failed', token, code, message: code })
    const living = oracle.view !== undefined && oracle.view.members.length > 0 ? oracle.view : undefined
    const createsAnother = oracle.fault === 'creates another group' && living !== undefined
    if (living === undefined && call.how === 'join') return fail(ErrorCode.notFound)
    if (living !== undefined && call.how === 'create') return fail(ErrorCode.exists)
    this.id =
      oracle.fault === 'numbers joiners downwards' ? 1000 - oracle.nextMemberId++ : oracle.nextMemberId++
    const { nonce, name, address } = options
    const member = memberOf(this.id, { nonce, name, address })
    if (living === undefined || createsAnother) {
      oracle.parameters = parameters
      const groupId = options.nonce
      this.view = {
        groupId,
        incarnation: 1,
        coordinator: this.id,
        seq: oracle.seq,
        sequencer: this.id,
        members: [member],
      }
      if (!createsAnother) oracle.view = this.view
    } else {
      const seq = oracle.seq + 1
      const isWrong = oracle.fault === 'numbers joiners downwards'
      this.view = isWrong
        ? { ...living, seq, members: [...living.members, member] }
        : withJoined(living, member, seq)
      oracle.append({ kind: 'join', seq, sender: this.id, header, view: this.view })
    }
    const givesOwn = oracle.fault === 'gives the joiner its own join' && living !== undefined
    this.position = oracle.events.length - (givesOwn ? 1 : 0)
    this.delivered = this.taken = this.view.seq
    const shown = {
      ...this.view,
      coordinator: oracle.fault === 'shows another view' && living !== undefined ? 99 : this.view.coordinator,
    }
    sink.output({
      output: 'joined',
      token,
      memberId: this.id,
      nonce: options.nonce,
      port,
      parameters: oracle.parameters!,
      view: shown,
    })
  }

  private send(token: Token, header: Uint8Array, body: Uint8Array, sink: Sink): void {
    const { oracle } = this
    const size = header.length + body.length
    const fail = (code: ErrorCode) =>
      sink.output({ output: 'failed', token, code, message: code, outcome: 'refused' })
    if (size > oracle.parameters!.maxMessageSize) return fail(ErrorCode.tooLarge)
    if (this.errs('fails a send for nothing')) return fail(ErrorCode.memberFailed)
    if (this.errs('never answers')) return
    if (this.held === undefined && this.errs('orders a later message first')) {
      // this one comes after the next
      this.held = () => this.send(token, header, body, sink)
      return
    }
    const seq = oracle.seq + 1
    const block = this.block(header, body)
    oracle.append({ kind: 'messages', seq, count: 1, sender: this.id, block })
    if (this.errs('orders a message twice'))
      oracle.append({ kind: 'messages', seq: seq + 1, count: 1, sender: this.id, block })
    if (this.errs('delivers what nobody sent')) {
      oracle.append({
        kind: 'messages',
        seq: seq + 1,
        count: 1,
        sender: this.id,
        block: this.block(NO_BYTES, NO_BYTES),
      })
    }
    if (this.errs('says refused and orders')) return fail(ErrorCode.tooLarge)
    sink.output({ output: 'sent', token, count: 1, seq: this.errs('answers a wrong place') ? seq - 1 : seq })
    const { held } = this
    this.held = undefined
    held?.()
  }

  private block(header: Uint8Array, body: Uint8Array): Uint8Array {
    return messageBlock(this.id, this.request++, [{ header, body }])
  }

  private look(sink: Sink): void {
    const { oracle } = this
    const events = oracle.events.slice(this.position)
    this.position = oracle.events.length
    if (oracle.fault === 'never delivers') return
    const messages = events.filter((event) => event.kind === 'messages')
    // behind somebody who has delivered them in the right order
    if (messages.length >= 2 && oracle.seen >= oracle.seq && this.errs('swaps two messages'))
      swap(events, messages[0]!, messages[1]!)
    if (events.length >= 2 && this.errs('skips a message')) events.shift()
    if (events.length >= 1 && this.errs('delivers twice')) events.push(events[0]!)
    if (events.length > 0) {
      this.delivered = Math.max(this.delivered, oracle.seq)
      oracle.seen = Math.max(oracle.seen, this.delivered)
      sink.output({ output: 'deliveries', deliveries: events })
    }
    if (this.leaveToken !== undefined) this.leave(this.leaveToken, sink)
  }

  private leave(token: Token, sink: Sink): void {
    const { oracle } = this
    const successor = oracle.view!.members.find(({ id }) => id !== this.id)?.id ?? 0
    const seq = oracle.seq + 1
    const view = withoutMember(oracle.view!, this.id, seq, successor)
    oracle.append({ kind: 'leave', seq, sender: this.id, header: NO_BYTES, view })
    this.isOver = true
    this.nextLook = undefined
    sink.output({ output: 'left', token, isOrdered: true })
    sink.output({ output: 'event', event: { event: 'closed', code: undefined, reason: 'left' } })
    if (oracle.fault === 'goes on after the end') sink.output({ output: 'left', token, isOrdered: true })
  }

  info(): MemberInfo {
    const { oracle } = this
    const isHolder = oracle.fault !== 'returns before others hold it'
    const received = isHolder ? oracle.seq : this.delivered
    return infoOf({
      memberId: this.id,
      view: this.view,
      seq: oracle.seq,
      received,
      accepted: received,
      taken: this.taken,
      stable: oracle.fault === 'takes for stable what is not' ? received : 0,
      historyMessages: oracle.fault === 'keeps too much' ? 1_000_000 : 0,
    })
  }
}

/** Each takes the other's place, with the other's seq. */
function swap(events: OrderedEvent[], a: OrderedEvent, b: OrderedEvent): void {
  const [indexA, indexB] = [events.indexOf(a), events.indexOf(b)]
  events[indexA] = { ...b, seq: a.seq }
  events[indexB] = { ...a, seq: b.seq }
}
