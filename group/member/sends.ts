/** A block of sends that go together, on its way to the sequencer, or ordered and not official yet (sender.ts). */
import type { MemberId, Micros, Nonce, RequestNumber, Seq } from '../../kernel/identity.ts'
import type { Outbox } from '../../kernel/outbox.ts'
import { HEADER_BYTES, PacketKind } from '../../kernel/packet.ts'
import { DATA_HEAD_BYTES, writeData, writeDataHead } from '../../kernel/packets.ts'
import type { Token } from '../../kernel/port.ts'

/** For the header of a block's first packet, so that no message is copied again on its way out. */
export const ROOM_BEFORE = HEADER_BYTES + DATA_HEAD_BYTES

/** A block on its way, from its first packet until its messages are official. */
export class Outstanding {
  readonly block: Uint8Array
  /** What the block stands in, with room for a header before it, until a packet has been made of it. */
  private frame: Uint8Array | undefined
  readonly firstRequest: RequestNumber
  readonly count: number
  readonly token: Token
  readonly isLeave: boolean
  /** Too large for one packet. */
  readonly isLarge: boolean
  firstSentAt: Micros
  lastSentAt: Micros
  tries = 0
  /** The sequencer has told that it holds this request. */
  held = false
  /** Its place, once it has one. */
  seq: Seq = 0

  constructor(of: {
    block: Uint8Array
    frame?: Uint8Array
    firstRequest: RequestNumber
    count: number
    token: Token
    isLeave: boolean
    isLarge: boolean
    now: Micros
  }) {
    this.block = of.block
    this.frame = of.frame
    this.firstRequest = of.firstRequest
    this.count = of.count
    this.token = of.token
    this.isLeave = of.isLeave
    this.isLarge = of.isLarge
    this.firstSentAt = this.lastSentAt = of.now
  }

  /**
   * For the first packet only: it may still wait for the system, so its header is written once. Bytes before the block, as
   * many as `room`; undefined if there are none.
   */
  takeFrame(room: number): Uint8Array | undefined {
    const { frame, block } = this
    this.frame = undefined
    return frame?.subarray(frame.length - block.length - room)
  }

  covers(token: Token): boolean {
    return token >= this.token && token < this.token + this.count
  }
}

/** Method 1: the block, for the sequencer. */
export function requestOf(outstanding: Outstanding, sequencer: Nonce, outbox: Outbox): Uint8Array {
  const frame = outstanding.takeFrame(HEADER_BYTES)
  if (frame === undefined) return outbox.packetOf(PacketKind.request, 0, sequencer, outstanding.block)
  outbox.fillHeader(frame, PacketKind.request, 0, sequencer)
  return frame
}

/** Method 2: the block, whole, for all. */
export function dataOf(outstanding: Outstanding, member: MemberId, outbox: Outbox): Uint8Array {
  const { block, firstRequest: request } = outstanding
  const head = { member, request, total: block.length, offset: 0 }
  const frame = outstanding.takeFrame(ROOM_BEFORE)
  if (frame === undefined) {
    const packet = outbox.packet(PacketKind.data, 0, 0n, DATA_HEAD_BYTES + block.length)
    writeData(packet, { ...head, bytes: block })
    return packet
  }
  outbox.fillHeader(frame, PacketKind.data, 0, 0n)
  writeDataHead(frame, head)
  return frame
}
