/**
 * Large messages and method 2 (paper, section 4.1; design 4.2): a block travels apart from its order, cut into
 * packets. Under method 2 its sender broadcasts them; under method 1 they go to the sequencer, which passes
 * them on. Only when the sequencer holds the whole block is it numbered, so that a large message does not hold
 * up other members' small ones.
 *
 * One block at a time, in windows: the sequencer tells how far it is and what it misses, and exactly that is
 * repeated. The sequencer's own blocks have nobody to tell so; they are paced by everybody's reports instead.
 */
import type { ByteRange } from '../../kernel/assembly.ts'
import { Deque } from '../../kernel/deque.ts'
import type { MemberId, Micros, RequestNumber } from '../../kernel/identity.ts'
import type { Outbox } from '../../kernel/outbox.ts'
import { HEADER_BYTES, PacketKind } from '../../kernel/packet.ts'
import { DATA_FLAG_ACK, DATA_HEAD_BYTES, type DataAck, writeData } from '../../kernel/packets.ts'
import type { RoundTrips } from '../../kernel/rtt.ts'
import type { Member as ViewMember } from '../../kernel/view.ts'

/** How many times in a window the sequencer is asked how far it is. */
const ACKS_PER_WINDOW = 4

export interface Spread {
  readonly block: Uint8Array
  readonly firstRequest: RequestNumber
  /** To all by its sender (method 2), or by way of the sequencer (method 1). */
  readonly toAll: boolean
  /** A packet of it has left. */
  transmitted(): void
  /** Something has come of it: the patience of its sender begins anew. */
  progressed(): void
}

export interface SpreaderHost {
  memberId(): MemberId
  sequencer(): ViewMember | undefined
  present(): readonly ViewMember[]
  /** Bytes that may be spread now where this member is the sequencer; undefined where it is not. */
  ownCredit(): number | undefined
  ownSpread(bytes: number): void
  /** All of an own block is out, and this member is the sequencer. */
  ownDone(spread: Spread): void
  reported(): void
  repeated(): void
}

export class Spreader {
  /** BOUNDED by the sender's window. */
  private readonly queue = new Deque<Spread>()
  private sent = 0
  private acked = 0
  private sinceAck = 0
  private repairedAt: Micros = 0
  private readonly fragmentBytes: number
  private readonly socketBytes: number
  private readonly outbox: Outbox
  private readonly roundTrips: RoundTrips
  private readonly host: SpreaderHost

  constructor(
    parts: { outbox: Outbox; roundTrips: RoundTrips; host: SpreaderHost },
    options: { packetSize: number; window: number },
  ) {
    this.outbox = parts.outbox
    this.roundTrips = parts.roundTrips
    this.host = parts.host
    this.fragmentBytes = options.packetSize - HEADER_BYTES - DATA_HEAD_BYTES
    this.socketBytes = options.window
  }

  /** Everybody may be spreading at once, and all of it must fit into half of the smallest socket. */
  private get window(): number {
    const share = Math.floor(this.socketBytes / (2 * Math.max(2, this.host.present().length)))
    return Math.max(2 * this.fragmentBytes, share)
  }

  begin(spread: Spread): void {
    this.queue.push(spread)
    if (this.queue.length === 1) this.startHead()
  }

  private startHead(): void {
    this.sent = this.acked = this.sinceAck = 0
    this.pump()
  }

  /** Sends what may go. Called when there is news from the sequencer, and at the end of turns. */
  pump(): void {
    const spread = this.queue.first()
    if (spread === undefined) return
    const total = spread.block.length
    for (;;) {
      const credit = this.host.ownCredit()
      if (this.sent >= total) {
        if (credit !== undefined) this.finish(spread)
        return
      }
      if (credit === undefined ? this.sent - this.acked >= this.window : credit <= 0) return
      const to = Math.min(total, this.sent + this.fragmentBytes)
      const isLast = to === total || to - this.acked >= this.window
      this.transmit(spread, this.sent, to, isLast || this.sinceAck >= this.window / ACKS_PER_WINDOW)
      this.sent = to
    }
  }

  private finish(spread: Spread): void {
    this.host.ownDone(spread)
    this.done(spread.firstRequest)
  }

  private transmit(spread: Spread, from: number, to: number, wantsAck: boolean): void {
    const { block: whole, firstRequest: request, toAll } = spread
    const isOwn = this.host.ownCredit() !== undefined
    const sequencer = this.host.sequencer()
    if (sequencer === undefined) return
    const bytes = whole.subarray(from, to)
    const destination = toAll || isOwn ? 0n : sequencer.nonce
    const flags = wantsAck && !isOwn ? DATA_FLAG_ACK : 0
    const packet = this.outbox.packet(PacketKind.data, flags, destination, DATA_HEAD_BYTES + bytes.length)
    writeData(packet, { member: this.host.memberId(), request, total: whole.length, offset: from, bytes })
    if (destination === 0n) this.outbox.broadcast(packet, this.host.present())
    else this.outbox.unicast(sequencer.address, packet)
    this.sinceAck = wantsAck ? 0 : this.sinceAck + packet.length
    if (isOwn) this.host.ownSpread(packet.length)
    else this.host.reported()
    spread.transmitted()
  }

  /** How far the sequencer is with a block. */
  onAck(ack: DataAck): void {
    const spread = this.queue.first()
    if (spread === undefined || ack.request !== spread.firstRequest) return
    if (ack.contiguous > this.acked) spread.progressed()
    this.acked = Math.max(this.acked, Math.min(ack.contiguous, spread.block.length))
    this.sent = Math.max(this.sent, this.acked)
    if (this.acked === spread.block.length) {
      this.done(spread.firstRequest)
      return
    }
    this.repair(spread, ack.missing)
    this.pump()
  }

  /** Repeats what is missing, once per round trip: several acks of one window tell of the same loss. */
  private repair(spread: Spread, missing: readonly ByteRange[]): void {
    const { now } = this.outbox
    if (missing.length === 0 || now - this.repairedAt < this.roundTrips.timeout(0)) return
    this.repairedAt = now
    const pieces: ByteRange[] = []
    let left = this.window
    for (const range of missing) {
      for (
        let from = range.from;
        from < Math.min(range.to, this.sent) && left > 0;
        from += this.fragmentBytes
      ) {
        const to = Math.min(range.to, this.sent, from + this.fragmentBytes)
        pieces.push({ from, to })
        left -= to - from
      }
    }
    // with the window used up nothing else would ask how far the sequencer is now
    pieces.forEach(({ from, to }, i) => {
      this.host.repeated()
      this.transmit(spread, from, to, i === pieces.length - 1)
    })
  }

  /** No answer for too long: the last that was sent once more; if it is not what is missing, the answer tells. */
  probe(firstRequest: RequestNumber): void {
    const spread = this.queue.first()
    if (spread === undefined || spread.firstRequest !== firstRequest) return
    const to = Math.max(this.sent, Math.min(spread.block.length, this.fragmentBytes))
    const from = Math.floor((to - 1) / this.fragmentBytes) * this.fragmentBytes
    this.transmit(spread, from, to, true)
    this.sent = to
  }

  /** The sequencer holds all of it, or has numbered it already: on to the next. */
  done(firstRequest: RequestNumber): void {
    const wasFirst = this.queue.first()?.firstRequest === firstRequest
    this.queue.remove((spread) => spread.firstRequest === firstRequest)
    if (wasFirst && this.queue.length > 0) this.startHead()
  }

  isSpreading(firstRequest: RequestNumber): boolean {
    for (const spread of this.queue) if (spread.firstRequest === firstRequest) return true
    return false
  }

  /** Another sequencer: what it has got already it will tell. */
  clear(): void {
    this.queue.clear()
  }
}
