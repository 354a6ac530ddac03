/**
 * Reliable, flow-controlled unicast between members: byte strings too large for one packet, or that must
 * not get lost: what a joiner or an asker is told, votes and results; state transfer and replies later (design 8).
 *
 * Go-back-n with a small window: the receiver takes fragments in order and acknowledges how far it is, the
 * sender repeats from there. Identified by (nonce of the sender, stream number), so that a repeated fragment
 * of a finished stream is acknowledged and nothing else.
 */
import { NO_BYTES } from './bytes.ts'
import type { Address, Micros, Nonce } from './identity.ts'
import type { Outbox } from './outbox.ts'
import { HEADER_BYTES, PacketKind } from './packet.ts'
import {
  STREAM_ACK_BYTES,
  STREAM_HEAD_BYTES,
  type StreamFragment,
  StreamPurpose,
  writeStreamAck,
  writeStreamFragment,
} from './packets.ts'
import type { RoundTrips } from './rtt.ts'
import type { Timers } from './timers.ts'

const WINDOW_FRAGMENTS = 8
/** Unanswered tries after which a stream that nobody depends on is given up. */
const TRIES_MAX = 10
/** Bytes of one incoming stream; larger ones are not begun. */
const INCOMING_BYTES_MAX = 1024 * 1024
/** Incoming streams under way, or finished a short while ago. BOUNDED: all votes of the largest group may come at once. */
const INCOMING_KEPT = 1100
/** Bytes of all of them together; beyond that no new one is begun. */
const INCOMING_TOTAL_MAX = 64 * 1024 * 1024
/** Streams of one sender; a new one takes the place of its oldest. Nobody honest has more than two under way. */
const INCOMING_PER_SENDER = 4

/**
 * A question that comes again so soon is a copy of the first, as members with several group keys send them (seeds 5005287 and
 * 6001302: every vote counted as sent twice, no distance was ever measured by one, and a member with a wrong idea of it
 * fetched what it lacked too late, in each of a hundred attempts).
 */
const COPY_WITHIN: Micros = 1_000

interface Outgoing {
  readonly stream: number
  readonly purpose: StreamPurpose
  readonly to: Address
  readonly destination: Nonce
  readonly bytes: Uint8Array
  readonly openedAt: Micros
  acked: number
  sent: number
  tries: number
  /** The first fragment has gone out more than once: nobody knows which an answer is to (Karn). */
  wasSentAgain: boolean
  repeatAt: Micros
}

interface Incoming {
  readonly from: Nonce
  readonly stream: number
  readonly total: number
  /** Handed on, and kept here no more, when it is whole. */
  bytes: Uint8Array
  received: number
}

export class Streams {
  /**
   * BOUNDED by the openers: one for the join under way, a stated number of inspections, and in a reset one for each
   * member and witness.
   */
  private readonly outgoing = new Map<number, Outgoing>()
  private incoming: Incoming[] = []
  private incomingBytes = 0
  private nextStream = 1
  private readonly outbox: Outbox
  private readonly timers: Timers
  private readonly fragmentBytes: number
  private readonly roundTrips: RoundTrips
  private readonly onRepeat: () => void
  private readonly onOverflow: (limit: 'streams' | 'allStreams') => void

  constructor(
    outbox: Outbox,
    timers: Timers,
    packetSize: number,
    roundTrips: RoundTrips,
    onRepeat: () => void,
    onOverflow: (limit: 'streams' | 'allStreams') => void = () => {},
  ) {
    this.outbox = outbox
    this.timers = timers
    this.fragmentBytes = packetSize - HEADER_BYTES - STREAM_HEAD_BYTES
    this.roundTrips = roundTrips
    this.onRepeat = onRepeat
    this.onOverflow = onOverflow
  }

  /** Begins to send `bytes`; they belong to the stream from here on. */
  open(to: Address, destination: Nonce, purpose: StreamPurpose, bytes: Uint8Array): void {
    const stream = this.nextStream++
    const openedAt = this.outbox.now
    const outgoing = {
      stream,
      purpose,
      to,
      destination,
      bytes,
      openedAt,
      acked: 0,
      sent: 0,
      tries: 0,
      wasSentAgain: false,
      repeatAt: 0,
    }
    this.outgoing.set(stream, outgoing)
    this.pump(outgoing)
  }

  /** Whether anything to this receiver is not acknowledged yet. */
  isSendingTo(destination: Nonce): boolean {
    for (const outgoing of this.outgoing.values()) if (outgoing.destination === destination) return true
    return false
  }

  get count(): number {
    return this.outgoing.size
  }

  /** Whether anything of this purpose is not acknowledged yet. */
  isSending(purpose: StreamPurpose): boolean {
    for (const outgoing of this.outgoing.values()) if (outgoing.purpose === purpose) return true
    return false
  }

  /** Gives up what goes to one that is not there any more. */
  close(destination: Nonce): void {
    for (const outgoing of this.outgoing.values()) {
      if (outgoing.destination === destination) this.outgoing.delete(outgoing.stream)
    }
    this.arm()
  }

  private pump(outgoing: Outgoing): void {
    const limit = Math.min(outgoing.bytes.length, outgoing.acked + WINDOW_FRAGMENTS * this.fragmentBytes)
    do outgoing.sent += this.sendFragment(outgoing, outgoing.sent)
    while (outgoing.sent < limit)
    outgoing.repeatAt = this.outbox.now + this.roundTrips.timeout(outgoing.tries)
    this.arm()
  }

  /** Gives how many bytes of the stream are in it. */
  private sendFragment({ stream, purpose, to, destination, bytes }: Outgoing, offset: number): number {
    const slice = bytes.subarray(offset, offset + this.fragmentBytes)
    const packet = this.outbox.packet(PacketKind.streamData, 0, destination, STREAM_HEAD_BYTES + slice.length)
    writeStreamFragment(packet, { stream, purpose, total: bytes.length, offset, bytes: slice })
    this.outbox.unicast(to, packet)
    return slice.length
  }

  /**
   * The receiver asks for what is on its way to it, hence may not have got it: the first fragment that it has not acknowledged
   * goes out once more, whatever this member thinks of the distance.
   */
  sendAgain(destination: Nonce): void {
    for (const outgoing of this.outgoing.values()) {
      if (outgoing.destination !== destination || this.outbox.now - outgoing.openedAt < COPY_WITHIN) continue
      outgoing.wasSentAgain = true
      this.sendFragment(outgoing, outgoing.acked)
    }
  }

  /** The receiver has everything up to `received`. */
  onAck(from: Nonce, ack: { stream: number; received: number }): void {
    const outgoing = this.outgoing.get(ack.stream)
    if (outgoing === undefined || outgoing.destination !== from || ack.received > outgoing.sent) return
    const isFirst = outgoing.acked === 0 && ack.received > 0
    if (isFirst && outgoing.tries === 0 && !outgoing.wasSentAgain) {
      this.roundTrips.sample(this.outbox.now - outgoing.openedAt)
    }
    if (ack.received >= outgoing.bytes.length) {
      this.outgoing.delete(ack.stream)
      this.arm()
      return
    }
    if (ack.received <= outgoing.acked) return
    outgoing.acked = ack.received
    outgoing.tries = 0
    if (outgoing.sent < outgoing.bytes.length) this.pump(outgoing)
  }

  /** The `stream` timer has run out. */
  onTimer(): void {
    for (const outgoing of this.outgoing.values()) {
      if (outgoing.repeatAt > this.outbox.now) continue
      // a joiner is repeated to until it is known to be gone; nobody waits for what others have asked for
      if (++outgoing.tries > TRIES_MAX && outgoing.purpose !== StreamPurpose.joinAnswer) {
        this.outgoing.delete(outgoing.stream)
        continue
      }
      outgoing.sent = outgoing.acked
      this.onRepeat()
      this.pump(outgoing)
    }
    this.arm()
  }

  private arm(): void {
    this.timers.stop('stream')
    for (const outgoing of this.outgoing.values()) this.timers.setEarlier('stream', outgoing.repeatAt)
  }

  /**
   * Forgets half of those that are here whole, the oldest first; if that is not enough, the oldest of the others. (Whole ones hold
   * no bytes: while there were some, a new one found no room beside unfinished ones of 64 MiB.)
   */
  private makeRoomFor(bytes: number): void {
    if (this.hasRoomFor(bytes)) return
    const whole = this.incoming.filter(isWhole)
    this.forget(new Set(whole.slice(0, Math.ceil(whole.length / 2))))
    if (!this.hasRoomFor(bytes)) this.onOverflow('allStreams')
    while (!this.hasRoomFor(bytes)) this.forget(new Set([this.incoming.find((one) => !isWhole(one))!]))
  }

  private forget(forgotten: ReadonlySet<Incoming>): void {
    this.incoming = this.incoming.filter((one) => !forgotten.has(one))
    for (const { bytes } of forgotten) this.incomingBytes -= bytes.length
  }

  /** No sender keeps the others out. */
  private forgetOldestOf(sender: Nonce): void {
    const own = this.incoming.filter(({ from }) => from === sender)
    if (own.length < INCOMING_PER_SENDER) return
    const whole = own.find(isWhole)
    if (whole === undefined) this.onOverflow('streams')
    this.forget(new Set([whole ?? own[0]!]))
  }

  /** A stream's first fragment makes room for all of it; undefined where there is none, or it is not the first. */
  private begin(from: Nonce, { stream, total, offset }: StreamFragment): Incoming | undefined {
    if (offset !== 0 || total === 0) return undefined
    if (total > INCOMING_BYTES_MAX) {
      this.onOverflow('streams')
      return undefined
    }
    this.forgetOldestOf(from)
    this.makeRoomFor(total)
    const incoming = { from, stream, total, bytes: new Uint8Array(total), received: 0 }
    this.incoming.push(incoming)
    this.incomingBytes += total
    return incoming
  }

  private hasRoomFor(bytes: number): boolean {
    return this.incoming.length < INCOMING_KEPT && this.incomingBytes + bytes <= INCOMING_TOTAL_MAX
  }

  /** Takes a fragment, acknowledges it, and gives the whole when it is complete for the first time. */
  onFragment(from: Address, sender: Nonce, fragment: StreamFragment): Uint8Array | undefined {
    const standing = this.incoming.find((one) => one.from === sender && one.stream === fragment.stream)
    const incoming = standing ?? this.begin(sender, fragment)
    if (incoming === undefined || fragment.total !== incoming.total) return undefined
    const isNext = fragment.offset === incoming.received
    if (isNext) {
      incoming.bytes.set(fragment.bytes, fragment.offset)
      incoming.received += fragment.bytes.length
    }
    const ack = this.outbox.packet(PacketKind.streamAck, 0, sender, STREAM_ACK_BYTES)
    writeStreamAck(ack, incoming.stream, incoming.received)
    this.outbox.unicast(from, ack)
    if (!isNext || incoming.received !== incoming.total) return undefined
    const { bytes } = incoming
    incoming.bytes = NO_BYTES
    this.incomingBytes -= bytes.length
    return bytes
  }
}

function isWhole({ received, total }: Incoming): boolean {
  return received === total
}
