/**
 * Blocks and pieces of blocks that arrive apart from their order: from their sender (method 2), passed on by
 * the sequencer (method 1, large), or from somebody's history. What is whole goes to its place, if that is
 * known, or to the sequencer's queue; what is not waits in the assemblies.
 */
import { type Assembly, type AssemblyStore, isBlockOf } from '../../kernel/assembly.ts'
import { BLOCK_HEADER_BYTES } from '../../kernel/block.ts'
import type { Counters } from '../../kernel/counters.ts'
import { type MemberId, Right } from '../../kernel/identity.ts'
import type { OrderState } from '../../kernel/order-state.ts'
import type { Outbox } from '../../kernel/outbox.ts'
import { type PacketHeader, PacketKind, type RejectReason } from '../../kernel/packet.ts'
import {
  DATA_FLAG_ACK,
  DATA_HEAD_BYTES,
  DATA_RANGES_MAX,
  type DataFragment,
  encodeDataAck,
  readData,
  writeData,
} from '../../kernel/packets.ts'
import { parameterLimits } from '../../kernel/parameters.ts'
import { findMember, type Member as ViewMember } from '../../kernel/view.ts'
import type { Sequencer } from '../../sequencer/sequencer.ts'
import type { Receiver } from './receiver.ts'

/** The block of a leave with the largest header. */
const LEAVE_BYTES_MAX = BLOCK_HEADER_BYTES + parameterLimits.headerBytes + 16

export interface IntakeHost {
  self(): MemberId
  sequencer(): Sequencer | undefined
  /** All that broadcasts are for. */
  present(): readonly ViewMember[]
  /** A block is whole here, and this member is not the sequencer. */
  onBlock(data: DataFragment, block: Uint8Array): void
  /** A piece has come of a block that another member is spreading. */
  othersSpread(): void
  /** Bytes have come of a block whose place is known. */
  repaired(bytes: number): void
}

export class Intake {
  private readonly outbox: Outbox
  private readonly counters: Counters
  private readonly state: OrderState
  private readonly receiver: Receiver
  private readonly assemblies: AssemblyStore
  private readonly host: IntakeHost

  constructor(parts: {
    outbox: Outbox
    counters: Counters
    state: OrderState
    receiver: Receiver
    assemblies: AssemblyStore
    host: IntakeHost
  }) {
    this.outbox = parts.outbox
    this.counters = parts.counters
    this.state = parts.state
    this.receiver = parts.receiver
    this.assemblies = parts.assemblies
    this.host = parts.host
  }

  private reject(reason: RejectReason): void {
    this.counters.rejected[reason]++
  }

  onData(from: ViewMember, header: PacketHeader, packet: Uint8Array): void {
    const data = readData(packet)
    if (data === undefined) return this.reject('malformed')
    const { member, request } = data
    const isPlaced = this.receiver.placeOf(member, request) !== undefined
    const owner = findMember(this.state.latestView, member)
    if (!isPlaced && owner === undefined) return this.reject('stranger')
    // who may only receive has nothing to spread but a leave
    if (!isPlaced && owner?.right === Right.receive && data.total > LEAVE_BYTES_MAX)
      return this.reject('right')
    const sequencer = this.host.sequencer()
    if (sequencer !== undefined && member !== from.id) return this.reject('phase')
    const isOld = !isPlaced && request <= (this.state.requests.get(member) ?? 0)
    const isNext = request === sequencer?.admission.expected(member)
    const assembly = isOld ? undefined : this.assemblies.open(member, request, data.total, isPlaced, isNext)
    if (assembly === undefined && !isOld) return this.counters.overflow('blocks')
    if (assembly?.isOnePieceTooMany(data.offset, data.bytes) === true) this.counters.overflow('blocks')
    const isNews = assembly?.add(data.offset, data.bytes) === true
    if (isNews && sequencer !== undefined && header.destination !== 0n) this.passOn(sequencer, from, data)
    if (isNews && header.destination === 0n && member !== this.host.self()) this.host.othersSpread()
    const wantsAck = (header.flags & DATA_FLAG_ACK) !== 0
    if (isNews || wantsAck) this.take(from, data, assembly)
    if (sequencer !== undefined && wantsAck) this.acknowledge(from, data, assembly)
    if (sequencer === undefined && isNews && isPlaced) this.host.repaired(packet.length)
  }

  /** If the block is whole, it goes where it belongs. */
  private take(from: ViewMember, data: DataFragment, assembly: Assembly | undefined): void {
    const block = assembly?.block
    if (block === undefined) return
    const sequencer = this.host.sequencer()
    if (!isBlockOf(block, data.member, data.request)) {
      this.assemblies.release(data.member, data.request)
      this.reject('malformed')
    } else if (sequencer !== undefined) {
      sequencer.onSpreadBlock(from, block)
    } else {
      this.host.onBlock(data, block)
    }
  }

  /** Method 1 for a large message: the sequencer spreads what it is sent, before it has the whole. */
  private passOn(sequencer: Sequencer, from: ViewMember, data: DataFragment): void {
    const packet = this.outbox.packet(PacketKind.data, 0, 0n, DATA_HEAD_BYTES + data.bytes.length)
    writeData(packet, data)
    this.outbox.broadcast(
      packet,
      this.host.present().filter(({ id }) => id !== from.id),
    )
    sequencer.onSpread(packet.length, Number.POSITIVE_INFINITY)
  }

  /**
   * How far the sequencer is with the block, and what it misses of it. It goes where the member receives, wherever a packet in
   * its name has come from: the ranges may be more than the question had.
   */
  private acknowledge(to: ViewMember, data: DataFragment, assembly: Assembly | undefined): void {
    const contiguous = assembly?.contiguous ?? data.total
    const missing = assembly?.missing(DATA_RANGES_MAX) ?? []
    const ack = encodeDataAck({ request: data.request, contiguous, missing })
    this.outbox.unicast(to.address, this.outbox.packetOf(PacketKind.dataAck, 0, to.nonce, ack))
  }
}
