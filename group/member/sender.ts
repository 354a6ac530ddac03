/**
 * SendToGroup, the member's side of method 1 (paper, section 4.1): messages wait here, are put into blocks,
 * go to the sequencer as requests, and are done when the own broadcast has come back and is accepted.
 *
 *   waiting --block--> outstanding --ordered--> ordered --accepted--> sent
 *
 * Many blocks may be outstanding; they are repeated until they come back, and the sequencer numbers them in
 * the order of their request numbers, each once.
 */
import { assert } from '../../kernel/assert.ts'
import { BLOCK_COUNT_MAX, BLOCK_HEADER_BYTES, BlockKind, writeBlockHeader } from '../../kernel/block.ts'
import { NO_BYTES } from '../../kernel/bytes.ts'
import type { Counters } from '../../kernel/counters.ts'
import { Deque } from '../../kernel/deque.ts'
import { ErrorCode, type Outcome } from '../../kernel/errors.ts'
import type { Entry } from '../../kernel/history.ts'
import type { MemberId, Micros, RequestNumber, Seq } from '../../kernel/identity.ts'
import { decodeLeave, encodeLeave, LeaveReason } from '../../kernel/membership.ts'
import type { Outbox } from '../../kernel/outbox.ts'
import { HEADER_BYTES } from '../../kernel/packet.ts'
import { type DataAck, ENTRY_OVERHEAD, ORDER_HEAD_BYTES } from '../../kernel/packets.ts'
import type { GroupParameters } from '../../kernel/parameters.ts'
import type { Token } from '../../kernel/port.ts'
import type { RoundTrips } from '../../kernel/rtt.ts'
import type { Timers } from '../../kernel/timers.ts'
import type { Member as ViewMember } from '../../kernel/view.ts'
import { dataOf, Outstanding, ROOM_BEFORE, requestOf } from './sends.ts'
import { Spreader } from './spreader.ts'
import { Waiting, WaitingLine } from './waiting-line.ts'

/** With so many blocks on their way, what does not fill a packet waits for more company. */
const COMPANY_WANTED = 4
/** Blocks repeated at once when the sequencer tells that it misses some. */
const REPEATED_AT_ONCE = 4

export interface SenderHost {
  /** Hands a block to the sequencer part of this very member; false if there is no room. Undefined elsewhere. */
  submit(): ((block: Uint8Array, isSpread: boolean) => boolean) | undefined
  /** Bytes that may be spread now, of `share` at once, where this member is the sequencer; undefined where it is not. */
  spreadCredit(share: number): number | undefined
  spread(bytes: number, share: number): void
  /** All that broadcasts are for. */
  present(): readonly ViewMember[]
  /** Whom to send requests to. */
  sequencer(): ViewMember | undefined
  memberId(): MemberId
  parameters(): GroupParameters
  /** A packet with the piggybacked numbers has gone to the sequencer. */
  reported(): void
  /** Whether a request may go out before the end of its turn: nothing stops this member, and somebody else numbers. */
  mayGoAtOnce(): boolean
  /** One more try to reach this member. */
  asked(of: ViewMember): void
}

export interface SenderOptions {
  /** Bytes of the largest packet. */
  readonly packetSize: number
  /** Bytes of own requests that may be on their way. */
  readonly sendWindow: number
  /** Bytes that the own socket can buffer. */
  readonly window: number
  readonly method: 'auto' | 'pb' | 'bb'
  /** Bytes of a block from which on `auto` takes method 2. */
  readonly methodThreshold: number
}

export class Sender {
  /** Whether the own leave has been asked for. */
  isLeaving = false
  private nextRequest: RequestNumber
  private readonly waiting = new WaitingLine()
  private heldAskedAt: Micros = 0
  /** BOUNDED by the send window in bytes (one block may always be on its way). */
  private readonly outstanding = new Deque<Outstanding>()
  private outstandingBytes = 0
  private outstandingMessages = 0
  /** Ordered but not accepted. BOUNDED by the history. */
  private readonly ordered = new Deque<Outstanding>()
  private orderedMessages = 0
  /** When a round trip was measured last. */
  private learntAt: Micros = 0
  /** Cancelled on their way, and answered so. BOUNDED by what is outstanding or ordered. */
  private readonly givenUp = new Set<Token>()
  /**
   * When a turn ended last with anything to send, that was one message, and no other was on its way. Such a program's next
   * message goes at once; one that sends several in a turn would have a packet more by that in each.
   */
  private wasAlone = true

  private readonly outbox: Outbox
  private readonly timers: Timers
  private readonly counters: Counters
  private readonly roundTrips: RoundTrips
  private readonly spreader: Spreader
  private readonly options: SenderOptions
  private readonly host: SenderHost

  constructor(
    parts: { outbox: Outbox; timers: Timers; counters: Counters; roundTrips: RoundTrips; host: SenderHost },
    options: SenderOptions & { readonly firstRequest: RequestNumber },
  ) {
    this.outbox = parts.outbox
    this.timers = parts.timers
    this.counters = parts.counters
    this.roundTrips = parts.roundTrips
    this.host = parts.host
    this.options = options
    this.nextRequest = options.firstRequest
    const { host, outbox, roundTrips } = parts
    this.spreader = new Spreader(
      {
        outbox,
        roundTrips,
        host: {
          memberId: () => host.memberId(),
          sequencer: () => host.sequencer(),
          present: () => host.present(),
          ownCredit: (share) => host.spreadCredit(share),
          ownSpread: (bytes, share) => host.spread(bytes, share),
          ownDone: (spread) => this.onSpread(spread.firstRequest),
          reported: () => host.reported(),
          repeated: () => {
            this.counters.retransmissions.data++
          },
          goOnLater: () => this.timers.setEarlier('flush', outbox.now + 1),
        },
      },
      options,
    )
  }

  get waitingSends(): number {
    return this.waiting.count
  }

  get outstandingSends(): number {
    return this.outstandingMessages + this.orderedMessages
  }

  // ---- calls ------------------------------------------------------------------------------------------

  /** Messages under the tokens from `token` on; those that are too large are refused, the others go. */
  send(token: Token, channel: number, header: Uint8Array, bodies: readonly Uint8Array[]): void {
    const limit = this.host.parameters().maxMessageSize
    const isAlone = this.wasAlone && bodies.length === 1 && !this.isWaiting && this.host.mayGoAtOnce()
    let from = 0
    for (let i = 0; i < bodies.length; i++) {
      const size = header.length + bodies[i]!.length
      if (size <= limit) continue
      this.wait(new Waiting(token + from, channel, header, bodies, from, i))
      from = i + 1
      const message = `the message has ${size} bytes and this group takes ${limit}; send less, or create the group with a larger maxMessageSize`
      this.fail(token + i, ErrorCode.tooLarge, message, 'refused')
    }
    this.wait(new Waiting(token + from, channel, header, bodies, from), isAlone)
  }

  private wait(messages: Waiting, goesAtOnce = false): void {
    if (messages.count === 0) return
    this.waiting.push(messages)
    if (goesAtOnce) this.go()
    else this.timers.setEarlier('flush', this.outbox.now)
  }

  leave(header: Uint8Array): void {
    this.isLeaving = true
    this.wait(new Waiting(NO_TOKEN, 0, header, [NO_BYTES], 0, 1, true))
  }

  /** Gives up a send: refused while it still waits, unknown once it is on its way; false if it is not here. */
  cancel(token: Token): boolean {
    if (this.waiting.remove(token)) {
      this.fail(
        token,
        ErrorCode.aborted,
        'the send was cancelled before it left; it will not be ordered',
        'refused',
      )
      return true
    }
    for (const queue of [this.outstanding, this.ordered]) {
      for (const item of queue) {
        if (!item.covers(token) || this.givenUp.has(token)) continue
        this.givenUp.add(token)
        this.fail(
          token,
          ErrorCode.aborted,
          'the send was cancelled on its way; it may still be ordered',
          'unknown',
        )
        return true
      }
    }
    return false
  }

  get isWaiting(): boolean {
    return !this.waiting.isEmpty || this.outstanding.length > 0
  }

  /** Gives up all sends that have no place yet: what still waits is refused, of the rest nobody knows. */
  refuse(code: ErrorCode, message: string): void {
    for (const outstanding of this.outstanding) this.giveUpOn(outstanding, code, message)
    for (const leave of this.refuseWaiting(code, message)) this.wait(leave)
  }

  /** Gives the leave that was among them, if there was one. */
  private refuseWaiting(code: ErrorCode, message: string): Waiting[] {
    const all = this.waiting.takeAll()
    for (const { token, count, isLeave } of all) {
      for (let i = 0; i < count && !isLeave; i++) this.fail(token + i, code, message, 'refused')
    }
    return all.filter(({ isLeave }) => isLeave)
  }

  /** Those, too, that have a place which nobody makes official any more. */
  refuseAll(code: ErrorCode, message: string): void {
    for (const ordered of this.ordered) this.giveUpOn(ordered, code, message)
    this.refuse(code, message)
  }

  private giveUpOn({ token, count, isLeave }: Outstanding, code: ErrorCode, message: string): void {
    for (let i = 0; i < count && !isLeave; i++) {
      if (this.givenUp.has(token + i)) continue
      this.givenUp.add(token + i)
      this.fail(token + i, code, message, 'unknown')
    }
  }

  /** The member's life is over: every send ends here. */
  close(code: ErrorCode, message: string): void {
    for (const queue of [this.ordered, this.outstanding]) {
      for (const item of queue) this.giveUpOn(item, code, message)
      queue.clear()
    }
    this.refuseWaiting(code, message)
    this.givenUp.clear()
    this.outstandingBytes = this.outstandingMessages = this.orderedMessages = 0
    this.timers.stop('request')
  }

  private fail(token: Token, code: ErrorCode, message: string, outcome: Outcome): void {
    this.outbox.output({ output: 'failed', token, code, message, outcome })
  }

  // ---- out --------------------------------------------------------------------------------------------

  /** The end of a turn: whatever waits and may go, goes. */
  flush(): void {
    if (!this.waiting.isEmpty) this.wasAlone = this.waiting.count === 1 && this.outstanding.length === 0
    this.spreader.onTurn()
    this.go()
  }

  private go(): void {
    while (!this.waiting.isEmpty && this.mayGo()) {
      const outstanding = this.waiting.first!.isLeave ? this.takeLeave() : this.takeBlock()
      this.outstanding.push(outstanding)
      this.outstandingBytes += outstanding.block.length
      this.outstandingMessages += outstanding.count
      this.transmit(outstanding)
    }
    this.spreader.pump()
    this.arm()
  }

  private mayGo(): boolean {
    if (this.outstanding.length === 0) return true
    if (this.outstandingBytes + Math.min(this.waiting.bytes, this.payload) > this.options.sendWindow)
      return false
    return this.outstanding.length < COMPANY_WANTED || this.waiting.bytes >= this.payload
  }

  /** Bytes of records that share a packet, in the request and in the broadcast. */
  private get payload(): number {
    return this.options.packetSize - HEADER_BYTES - ORDER_HEAD_BYTES - ENTRY_OVERHEAD - BLOCK_HEADER_BYTES
  }

  private takeBlock(): Outstanding {
    const { historySize, historyBytes } = this.host.parameters()
    const countLimit = Math.min(BLOCK_COUNT_MAX, Math.max(1, Math.floor(historySize / 4)))
    const bytesLimit = Math.min(this.payload, Math.floor(historyBytes / 4))
    const cut = this.waiting.cut(countLimit, bytesLimit)
    const { token, count } = cut
    const frame = new Uint8Array(ROOM_BEFORE + BLOCK_HEADER_BYTES + cut.bytes)
    const block = frame.subarray(ROOM_BEFORE)
    const firstRequest = this.takeRequests(count)
    const member = this.host.memberId()
    const { length } = block
    writeBlockHeader(block, 0, { kind: BlockKind.messages, count, length, member, firstRequest })
    this.waiting.write(cut, block)
    return this.outstandingOf(block, firstRequest, count, token, frame)
  }

  private takeLeave(): Outstanding {
    const { header } = this.waiting.takeLeave()
    const request = this.takeRequests(1)
    const block = encodeLeave({
      member: this.host.memberId(),
      request,
      header,
      successor: 0,
      reason: LeaveReason.wish,
    })
    return this.outstandingOf(block, request, 1, NO_TOKEN)
  }

  private takeRequests(count: number): RequestNumber {
    const first = this.nextRequest
    this.nextRequest += count
    assert(Number.isSafeInteger(this.nextRequest), 'the request numbers are used up', this.nextRequest)
    return first
  }

  private outstandingOf(
    block: Uint8Array,
    firstRequest: RequestNumber,
    count: number,
    token: Token,
    frame?: Uint8Array,
  ): Outstanding {
    const isLarge = block.length > this.payload + BLOCK_HEADER_BYTES
    // (a leave goes by itself, and is written without a frame)
    const isLeave = frame === undefined
    const { now } = this.outbox
    return new Outstanding({ block, frame, firstRequest, count, token, isLeave, isLarge, now })
  }

  private transmit(outstanding: Outstanding): void {
    const { block, firstRequest, isLarge, isLeave, tries } = outstanding
    outstanding.lastSentAt = this.outbox.now
    if (isLarge) {
      if (this.spreader.isSpreading(firstRequest)) this.spreader.probe(firstRequest)
      else this.spread(outstanding)
      return
    }
    const submit = this.host.submit()
    if (submit !== undefined) {
      outstanding.held = submit(block, false)
      return
    }
    const sequencer = this.host.sequencer()
    if (sequencer === undefined) return
    if (tries === 0 && !isLeave && this.isForAll(block.length)) {
      this.sendToAll(outstanding)
      return
    }
    const packet = requestOf(outstanding, sequencer.nonce, this.outbox)
    this.outbox.unicast(sequencer.address, packet)
    this.host.reported()
  }

  /** Method 1 or 2 for a block of so many bytes (paper, section 4.1). */
  private isForAll(bytes: number): boolean {
    const { method, methodThreshold } = this.options
    return method === 'bb' || (method === 'auto' && bytes >= methodThreshold)
  }

  /** Method 2 in one packet. If the block is not numbered soon, it is repeated by method 1. */
  private sendToAll(outstanding: Outstanding): void {
    const packet = dataOf(outstanding, this.host.memberId(), this.outbox)
    this.outbox.broadcast(packet, this.host.present())
    this.host.reported()
  }

  private spread(outstanding: Outstanding): void {
    const { block, firstRequest } = outstanding
    this.spreader.begin({
      block,
      firstRequest,
      toAll: this.isForAll(block.length),
      transmitted: () => {
        outstanding.lastSentAt = this.outbox.now
      },
      progressed: () => {
        outstanding.tries = 0
      },
    })
  }

  private repeat(outstanding: Outstanding): void {
    outstanding.tries++
    this.counters.retransmissions.request++
    this.transmit(outstanding)
  }

  // ---- answers ----------------------------------------------------------------------------------------

  /** An own block that is on its way; its order by reference needs the bytes that are here already. */
  ownBlock(request: RequestNumber): Uint8Array | undefined {
    for (const { firstRequest, block } of this.outstanding) if (firstRequest === request) return block
    return undefined
  }

  /** An own block has its place in the order. */
  onOrdered(entry: Entry): void {
    const first = this.outstanding.first()
    if (first === undefined || first.firstRequest !== entry.firstRequest) return
    if (first.isLeave !== (entry.kind === BlockKind.leave)) return
    this.outstanding.shift()
    this.outstandingBytes -= first.block.length
    this.outstandingMessages -= first.count
    if (first.isLarge) this.spreader.done(first.firstRequest)
    if (!first.held) this.learn(first)
    first.seq = entry.seq
    this.ordered.push(first)
    this.orderedMessages += first.count
    if (!this.waiting.isEmpty) this.timers.setEarlier('flush', this.outbox.now)
    this.arm()
  }

  /** Everything up to `accepted` is official: sends return. */
  onAccepted(accepted: Seq): void {
    for (let first = this.ordered.first(); first !== undefined; first = this.ordered.first()) {
      const { token, count, seq, isLeave } = first
      if (seq + count - 1 > accepted) return
      this.ordered.shift()
      this.orderedMessages -= count
      if (!isLeave) this.answer(token, count, seq)
    }
  }

  /** One answer for the whole block, but for sends that were given up on their way. */
  private answer(token: Token, count: number, seq: Seq): void {
    let from = 0
    for (let i = this.givenUp.size === 0 ? count : 0; i <= count; i++) {
      if (i < count && !this.givenUp.delete(token + i)) continue
      if (i > from)
        this.outbox.output({ output: 'sent', token: token + from, count: i - from, seq: seq + from })
      from = i + 1
    }
  }

  /** A piece of a block that another member spreads. */
  othersSpread(): void {
    this.spreader.othersHeard()
  }

  /** The sequencer tells how far it is with a large block. */
  onDataAck(ack: DataAck): void {
    this.spreader.onAck(ack)
    this.arm()
  }

  /** All of an own large block is out, and the sequencer is this very member. */
  private onSpread(firstRequest: RequestNumber): void {
    for (const outstanding of this.outstanding) {
      if (outstanding.firstRequest !== firstRequest) continue
      outstanding.held = this.host.submit()?.(outstanding.block, true) ?? false
    }
  }

  /**
   * The sequencer holds all requests below `expected`. With `isGap` it has later ones, and misses the one there. Else
   * what follows may only be on its way still: a busy sequencer that was sent all of it again would answer each copy
   * with one more ack, and have ever more to read (seen at 10 KiB: five packets for every message).
   */
  onRequestAck(expected: RequestNumber, isGap: boolean): void {
    let repeated = isGap ? 0 : REPEATED_AT_ONCE
    const patience = this.roundTrips.mean / 2
    for (const outstanding of this.outstanding) {
      if (outstanding.firstRequest < expected) this.markHeld(outstanding)
      // what comes behind a large block waits for it at the sequencer, and is not missing
      else if (outstanding.isLarge) break
      else if (repeated < REPEATED_AT_ONCE && this.outbox.now - outstanding.lastSentAt >= patience) {
        repeated++
        this.repeat(outstanding)
      }
    }
    this.arm()
  }

  private learn({ isLarge, tries, firstSentAt, lastSentAt }: Outstanding): void {
    const { now } = this.outbox
    if (isLarge) return
    // One sample a round trip (RFC 6298): what is answered at one moment has met the same delay, and counted seven times
    // over, one late packet on a busy machine had a member wait twice as long for everything.
    if (tries === 0 && firstSentAt < this.learntAt) return
    this.learntAt = now
    if (tries === 0) this.roundTrips.sample(now - firstSentAt)
    else this.roundTrips.answeredRepeated(now - firstSentAt, now - lastSentAt)
  }

  private markHeld(outstanding: Outstanding): void {
    if (outstanding.held) return
    outstanding.held = true
    // the sequencer's word that it has the request is an answer like the broadcast
    this.learn(outstanding)
    if (outstanding.isLarge) this.spreader.done(outstanding.firstRequest)
  }

  /** The block whose answer is overdue first: the oldest that the sequencer is not known to hold, else a held one. */
  private get next(): Outstanding | undefined {
    let next: Outstanding | undefined
    // (by index: this is asked for each own block)
    for (let i = 0; i < this.outstanding.length; i++) {
      const outstanding = this.outstanding.at(i)!
      if (!outstanding.held) return outstanding
      if (next === undefined || outstanding.lastSentAt < next.lastSentAt) next = outstanding
    }
    return next
  }

  /** The `request` timer has run out. */
  onTimer(): void {
    const { next } = this
    if (next !== undefined) {
      if (next.held) this.heldAskedAt = this.outbox.now
      this.repeat(next)
      const sequencer = this.host.sequencer()
      // the sequencer's own block may wait for room for long: nobody is silent then
      if (sequencer !== undefined && this.host.submit() === undefined) this.host.asked(sequencer)
    }
    this.arm()
  }

  /** This member is bound by a reset: nothing goes out until a view is accepted. */
  pause(): void {
    this.spreader.clear()
    this.timers.stop('request')
  }

  /** Places above `seq` are no more: what stood there is on its way again. */
  dropAbove(seq: Seq): void {
    const again: Outstanding[] = []
    for (let last = this.ordered.last(); last !== undefined && last.seq > seq; last = this.ordered.last()) {
      this.ordered.pop()
      this.orderedMessages -= last.count
      last.seq = 0
      again.unshift(last)
    }
    if (again.length === 0) return
    const others = [...this.outstanding]
    this.outstanding.clear()
    for (const outstanding of [...again, ...others]) this.outstanding.push(outstanding)
    for (const { block, count } of again) {
      this.outstandingBytes += block.length
      this.outstandingMessages += count
    }
  }

  /**
   * After a reset without resubmission (`recovery: 'manual'`): what has no place in the new view's order never
   * will have one, and its request numbers are free again. A leave is asked for anew.
   */
  abandon(code: ErrorCode, message: string, lastOrdered: RequestNumber): void {
    this.refuse(code, message)
    const leaves = [...this.outstanding].filter(({ isLeave }) => isLeave)
    for (const { token, count, isLeave } of this.outstanding) {
      for (let i = 0; i < count && !isLeave; i++) this.givenUp.delete(token + i)
    }
    this.outstanding.clear()
    this.outstandingBytes = this.outstandingMessages = 0
    this.nextRequest = lastOrdered + 1
    for (const { block } of leaves) this.leave(decodeLeave(block)!.header)
    this.arm()
  }

  /** Another member is the sequencer now: it knows nothing of what its predecessor had not numbered. */
  onNewSequencer(): void {
    this.spreader.clear()
    for (const outstanding of this.outstanding) {
      outstanding.held = false
      outstanding.tries = 0
      outstanding.firstSentAt = this.outbox.now
      this.repeat(outstanding)
    }
    this.arm()
  }

  private arm(): void {
    const { next } = this
    // what this very member's sequencer holds needs no repetition
    if (next === undefined || (next.held && this.host.submit() !== undefined)) {
      this.timers.stop('request')
      return
    }
    // what the sequencer holds waits for room there: one question now and then, for all of it together
    const askedAt = next.held ? Math.max(next.lastSentAt, this.heldAskedAt) : next.lastSentAt
    this.timers.set('request', askedAt + this.roundTrips.timeout(next.held ? 20 : next.tries))
  }
}

/** A leave is answered by its acceptance, not by a token. */
const NO_TOKEN: Token = -1
