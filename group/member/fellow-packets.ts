/**
 * What each kind of packet from a fellow member means, in a view that goes on. (What it means while a reset is
 * under way is in renewal.ts; who is a fellow member, in door.ts.)
 */
import type { Counters } from '../../kernel/counters.ts'
import type { Address, Nonce, Seq } from '../../kernel/identity.ts'
import type { OrderState } from '../../kernel/order-state.ts'
import type { Outbox } from '../../kernel/outbox.ts'
import { type PacketHeader, PacketKind, type RejectReason } from '../../kernel/packet.ts'
import {
  decodeDataAck,
  decodeDataGap,
  REQUEST_ACK_FLAG_GAP,
  readGap,
  readRequestAck,
  readRequestBlocks,
  STATE_FLAG_LEAVING,
  STATE_FLAG_RESULT,
} from '../../kernel/packets.ts'
import type { Member as ViewMember } from '../../kernel/view.ts'
import { Allotments } from '../../sequencer/allotments.ts'
import { BUDGET_MAX, type Repaired, repair, repairData } from '../../sequencer/repair.ts'
import type { Sequencer } from '../../sequencer/sequencer.ts'
import type { Intake } from './intake.ts'
import type { Sender } from './sender.ts'
import type { Silence } from './silence.ts'
import type { Slowness } from './slowness.ts'

const NOTHING: Repaired = { packets: 0, bytes: 0, isCut: true }

export interface FellowPacketsHost {
  sequencer(): Sequencer | undefined
  /** Who sends this to a successor knows that the handover is accepted. */
  learnSuccession(): void
  onOrder(member: ViewMember, header: PacketHeader, packet: Uint8Array): void
  onStreamData(from: Address, header: PacketHeader, packet: Uint8Array): void
  onLeft(member: ViewMember, packet: Uint8Array): void
}

export class FellowPackets {
  private readonly state: OrderState
  private readonly outbox: Outbox
  private readonly counters: Counters
  private readonly sender: Sender
  private readonly intake: Intake
  private readonly silence: Silence
  private readonly slowness: Slowness
  private readonly host: FellowPacketsHost
  private readonly packetSize: number
  private readonly allotments = new Allotments()

  constructor(
    parts: {
      state: OrderState
      outbox: Outbox
      counters: Counters
      sender: Sender
      intake: Intake
      silence: Silence
      slowness: Slowness
      host: FellowPacketsHost
    },
    options: { packetSize: number },
  ) {
    this.state = parts.state
    this.outbox = parts.outbox
    this.counters = parts.counters
    this.sender = parts.sender
    this.intake = parts.intake
    this.silence = parts.silence
    this.slowness = parts.slowness
    this.host = parts.host
    this.packetSize = options.packetSize
  }

  private reject(reason: RejectReason): void {
    this.counters.rejected[reason]++
  }

  on(member: ViewMember, from: Address, header: PacketHeader, packet: Uint8Array): void {
    const { host } = this
    switch (header.kind) {
      case PacketKind.order:
      case PacketKind.repair:
        host.onOrder(member, header, packet)
        return
      case PacketKind.request: {
        const blocks = readRequestBlocks(packet)
        if (blocks === undefined) return this.reject('malformed')
        host.learnSuccession()
        const sequencer = host.sequencer()
        if (sequencer === undefined) return this.reject('phase')
        sequencer.onRequest(member, header, packet, blocks)
        return
      }
      case PacketKind.state:
        if ((header.flags & STATE_FLAG_LEAVING) === 0) host.learnSuccession()
        host.sequencer()?.onState(member.id, header)
        // it has not heard yet that the result is accepted
        if ((header.flags & STATE_FLAG_RESULT) !== 0) host.sequencer()?.tell(member)
        return
      case PacketKind.inquiry:
      case PacketKind.testimony:
      case PacketKind.probe:
      case PacketKind.probeAnswer:
        host.sequencer()?.onReport(member.id, header)
        if (!this.silence.onPacket(member, header, packet)) this.reject('malformed')
        return
      case PacketKind.gap:
        host.sequencer()?.onReport(member.id, header)
        this.repairFor(member.address, header, packet)
        return
      case PacketKind.data:
        host.sequencer()?.onReport(member.id, header)
        this.intake.onData(member, header, packet)
        return
      case PacketKind.dataGap:
        host.sequencer()?.onReport(member.id, header)
        this.repairDataFor(member.address, header, packet)
        return
      case PacketKind.dataAck: {
        const ack = decodeDataAck(packet)
        if (ack === undefined) return this.reject('malformed')
        this.sender.onDataAck(ack)
        return
      }
      case PacketKind.requestAck: {
        const expected = readRequestAck(packet)
        if (expected === undefined) return this.reject('malformed')
        this.sender.onRequestAck(expected, (header.flags & REQUEST_ACK_FLAG_GAP) !== 0)
        return
      }
      case PacketKind.slow:
        if (member.id !== this.state.view.sequencer) return this.reject('phase')
        if (!this.slowness.onPacket(packet)) this.reject('malformed')
        return
      case PacketKind.streamData:
        // a join's answer or a result that is here already: acknowledged again, because the ack was lost
        host.onStreamData(from, header, packet)
        return
      case PacketKind.left:
        host.onLeft(member, packet)
        return
      default:
        this.reject('phase')
    }
  }

  // ---- answers from the own history, in a view that goes on and while bound ---------------------------
  // They go to the asker's address in the view, never to where a question came from.

  /** From the own history, as far as `last` where that is given. */
  repairFor(address: Address, header: PacketHeader, packet: Uint8Array, last?: Seq): void {
    const asked = readGap(packet)
    if (asked === undefined) return this.reject('malformed')
    const end = last ?? Number.POSITIVE_INFINITY
    const ranges = asked.ranges
      .filter(({ from }) => from <= end)
      .map(({ from, to }) => ({ from, to: Math.min(to, end) }))
    const to = { address, nonce: header.senderNonce }
    const gap = { budget: asked.budget, ranges }
    const { state, outbox, packetSize } = this
    const packets = this.allotted(to.nonce, (most) => repair(state, outbox, packetSize, to, gap, most))
    this.counters.retransmissions.repair += packets
  }

  repairDataFor(address: Address, header: PacketHeader, packet: Uint8Array, last?: Seq): void {
    const gap = decodeDataGap(packet)
    if (gap === undefined) return this.reject('malformed')
    if (last !== undefined && gap.seq > last) return
    const entry = this.state.history.entryAt(gap.seq)
    if (entry === undefined) return
    const to = { address, nonce: header.senderNonce }
    const { outbox, packetSize } = this
    const packets = this.allotted(to.nonce, (most) => repairData(entry, outbox, packetSize, to, gap, most))
    this.counters.retransmissions.data += packets
  }

  /** No more than one answer may have, nor than this member may have by now; gives how many packets it was. */
  private allotted(nonce: Nonce, give: (most: number) => Repaired): number {
    const { allotments, counters } = this
    const { now } = this.outbox
    const most = Math.min(BUDGET_MAX, allotments.leftFor(nonce, now))
    // what is given is whole packets
    const isSpent = most < this.packetSize
    const { packets, bytes, isCut } = isSpent ? NOTHING : give(most)
    if (isCut) counters.limited.repair++
    allotments.use(nonce, now, bytes)
    return packets
  }
}
