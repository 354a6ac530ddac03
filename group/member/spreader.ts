/**
 * Large messages and method 2 (paper, section 4.1; design 4.2): a block travels apart from its order, cut into
 * packets. Under method 2 its sender broadcasts them; under method 1 they go to the sequencer, which passes
 * them on. Only when the sequencer holds the whole block is it numbered, so that a large message does not hold
 * up other members' small ones.
 *
 * One block after the other, in windows: the sequencer tells how far it is with each and what it misses, and exactly that is
 * repeated. A sender that hears nobody else spread begins its next block when all of the one before it has left, not when
 * all of it has come, so that the group does not rest for a round trip a block. Beside others it waits: blocks close
 * behind each other from several senders overflow the sockets of receivers, whom no answer paces. The sequencer's own
 * blocks have nobody to tell how far they are; they are paced by everybody's reports instead.
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
/** A sender is alone after so many blocks of its own without a piece of anybody else's. */
const BLOCKS_ALONE = 8
/**
 * Packets that leave beside others' before the sockets are read again: a multicast comes back to the kernel that sent it,
 * which reads a few dozen packets in a turn of its loop. (A sequencer that sent half a window at once, turn after turn, had
 * its socket full of its own packets, and lost those of others: with all sending 10 KiB in packets of 1,400 bytes, they had
 * a hundredth of the order.)
 */
const PACKETS_A_TURN = 16

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
  /** Bytes that may be spread now, of `share` at once, where this member is the sequencer; undefined where it is not. */
  ownCredit(share: number): number | undefined
  ownSpread(bytes: number, share: number): void
  /** All of an own block is out, and this member is the sequencer. */
  ownDone(spread: Spread): void
  reported(): void
  repeated(): void
  /** Something is left to be sent, when what has come by now has been read. */
  goOnLater(): void
}

/** A block on its way, and how far it is. */
class Passage {
  readonly spread: Spread
  sent = 0
  acked = 0
  repairedAt: Micros = 0

  constructor(spread: Spread) {
    this.spread = spread
  }

  get isOut(): boolean {
    return this.sent >= this.spread.block.length
  }
}

export class Spreader {
  /** BOUNDED by the sender's window. */
  private readonly queue = new Deque<Passage>()
  private sinceAck = 0
  /** Blocks that have come since a piece of another member's was heard. */
  private blocksAlone = 0
  private leftThisTurn = PACKETS_A_TURN
  private turnAt: Micros = 0
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
    this.queue.push(new Passage(spread))
    this.pump()
  }

  /** The end of a turn: what has come has been read. (An own block that is done is numbered at the end of the same turn.) */
  onTurn(): void {
    const { now } = this.outbox
    if (now === this.turnAt) return
    this.turnAt = now
    this.leftThisTurn = PACKETS_A_TURN
  }

  /** Sends what may go. Called when there is news from the sequencer, and at the end of turns. */
  pump(): void {
    let passage = this.queue.first()
    while (passage !== undefined) {
      const credit = this.host.ownCredit(this.ownShare)
      if (passage.isOut) {
        if (credit === undefined) passage = this.nextToLeave
        else passage = this.finish(passage)
        continue
      }
      const { inFlight, window } = this
      if (passage.sent === 0 && passage !== this.queue.first() && !this.mayFollow(passage)) return
      if (credit === undefined ? inFlight >= window : credit <= 0) return
      if (this.leftThisTurn <= 0 && !this.isAlone) return this.host.goOnLater()
      this.leftThisTurn--
      const { spread, sent } = passage
      const to = Math.min(spread.block.length, sent + this.fragmentBytes)
      passage.sent = to
      const isLast = passage.isOut || inFlight + to - sent >= window
      this.transmit(spread, sent, to, isLast || this.sinceAck >= window / ACKS_PER_WINDOW)
    }
  }

  /** Whether a block may leave behind those that have not come yet: nobody else spreads, and all fit into the window. */
  private mayFollow(passage: Passage): boolean {
    let bytes = passage.spread.block.length
    for (const before of this.queue) {
      if (before === passage) break
      bytes += before.spread.block.length
    }
    return this.isAlone && bytes <= this.window
  }

  /** Nobody else has spread anything for a while. */
  private get isAlone(): boolean {
    return this.blocksAlone >= BLOCKS_ALONE
  }

  /**
   * How much of its own the sequencer spreads before it hears from everybody: beside others no more than each of them may
   * have under way. (Less, as much as others have in a round trip, made all shares equal, and the rate of all a third
   * smaller: three processes that take turns with single blocks wake up for each of them.)
   */
  private get ownShare(): number {
    return this.isAlone ? Number.POSITIVE_INFINITY : this.window
  }

  private get nextToLeave(): Passage | undefined {
    for (const passage of this.queue) if (!passage.isOut) return passage
    return undefined
  }

  /** Bytes that have left, and of which the sequencer has not said that it has them. */
  private get inFlight(): number {
    let bytes = 0
    for (const { sent, acked } of this.queue) {
      if (sent === 0) break
      bytes += sent - acked
    }
    return bytes
  }

  private find(firstRequest: RequestNumber): Passage | undefined {
    for (const passage of this.queue) if (passage.spread.firstRequest === firstRequest) return passage
    return undefined
  }

  /** Gives the next. */
  private finish({ spread }: Passage): Passage | undefined {
    this.host.ownDone(spread)
    this.blocksAlone++
    this.remove(spread.firstRequest)
    return this.queue.first()
  }

  private transmit(spread: Spread, from: number, to: number, wantsAck: boolean): void {
    const { block: whole, firstRequest: request, toAll } = spread
    const share = this.ownShare
    const isOwn = this.host.ownCredit(share) !== undefined
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
    if (isOwn) this.host.ownSpread(packet.length, share)
    else this.host.reported()
    spread.transmitted()
  }

  /** Another member spreads a block at this time. */
  othersHeard(): void {
    this.blocksAlone = 0
  }

  /** How far the sequencer is with a block. */
  onAck(ack: DataAck): void {
    const passage = this.find(ack.request)
    if (passage === undefined) return
    const { spread } = passage
    if (ack.contiguous > passage.acked) spread.progressed()
    passage.acked = Math.max(passage.acked, Math.min(ack.contiguous, spread.block.length))
    passage.sent = Math.max(passage.sent, passage.acked)
    if (passage.acked === spread.block.length) {
      this.done(spread.firstRequest)
      return
    }
    this.repair(passage, ack.missing)
    this.pump()
  }

  /** Repeats what is missing, once per round trip: several acks of one window tell of the same loss. */
  private repair(passage: Passage, missing: readonly ByteRange[]): void {
    const { now } = this.outbox
    const { spread, sent } = passage
    if (missing.length === 0 || now - passage.repairedAt < this.roundTrips.timeout(0)) return
    passage.repairedAt = now
    const pieces: ByteRange[] = []
    let left = this.window
    for (const range of missing) {
      for (let from = range.from; from < Math.min(range.to, sent) && left > 0; from += this.fragmentBytes) {
        const to = Math.min(range.to, sent, from + this.fragmentBytes)
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
    const passage = this.find(firstRequest)
    // one behind others that has not begun waits for these, and not for an answer
    if (passage === undefined || (passage.sent === 0 && passage !== this.queue.first())) return
    const { spread } = passage
    const to = Math.max(passage.sent, Math.min(spread.block.length, this.fragmentBytes))
    const from = Math.floor((to - 1) / this.fragmentBytes) * this.fragmentBytes
    this.transmit(spread, from, to, true)
    passage.sent = to
  }

  /** The sequencer holds all of it, or has numbered it already: on to the next. */
  done(firstRequest: RequestNumber): void {
    if (this.remove(firstRequest)) this.blocksAlone++
    this.pump()
  }

  private remove(firstRequest: RequestNumber): boolean {
    return this.queue.remove(({ spread }) => spread.firstRequest === firstRequest) !== undefined
  }

  isSpreading(firstRequest: RequestNumber): boolean {
    return this.find(firstRequest) !== undefined
  }

  /** Another sequencer: what it has got already it will tell. */
  clear(): void {
    this.queue.clear()
  }
}
