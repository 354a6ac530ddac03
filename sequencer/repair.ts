/**
 * Answers to gap requests, from the history of whoever is asked: the paper's retransmissions (section 4.1).
 * Paced by the asker's budget: what does not fit is asked for again when this has arrived.
 */
import { BLOCK_HEADER_BYTES } from '../kernel/block.ts'
import type { Entry } from '../kernel/history.ts'
import type { Address, Nonce } from '../kernel/identity.ts'
import type { OrderState } from '../kernel/order-state.ts'
import type { Outbox } from '../kernel/outbox.ts'
import { HEADER_BYTES, PacketKind } from '../kernel/packet.ts'
import {
  DATA_HEAD_BYTES,
  type DataGap,
  ENTRY_INLINE,
  ENTRY_OVERHEAD,
  ENTRY_REFERENCE,
  type GapRequest,
  ORDER_HEAD_BYTES,
  writeData,
  writeOrderHead,
} from '../kernel/packets.ts'

const OVERHEAD = HEADER_BYTES + ORDER_HEAD_BYTES
/** Bytes of repair for one question, whatever it asks for. */
export const BUDGET_MAX = 256 * 1024
const DATA_OVERHEAD = HEADER_BYTES + DATA_HEAD_BYTES

/** What has gone out for one question. */
export interface Repaired {
  readonly packets: number
  /** Of entries and blocks. */
  readonly bytes: number
  /** More is held that the asker has room for, and it was not given. */
  readonly isCut: boolean
}

/** Sends what is asked for and held, in packets of at most `packetSize`, and of about `most` bytes together. */
export function repair(
  state: OrderState,
  outbox: Outbox,
  packetSize: number,
  to: { address: Address; nonce: Nonce },
  gap: GapRequest,
  most: number,
): Repaired {
  const allowed = Math.min(gap.budget, most)
  let left = allowed
  let packets = 0
  let run: Entry[] = []
  let bytes = OVERHEAD
  const send = () => {
    if (run.length === 0) return
    outbox.unicast(to.address, orderPacket(state, outbox, PacketKind.repair, 0, to.nonce, run, 0))
    packets++
    run = []
    bytes = OVERHEAD
  }
  for (const range of gap.ranges) {
    for (const entry of state.history.entriesFrom(Math.max(range.from, state.history.stable + 1))) {
      if (entry.seq > range.to) break
      const asReference = OVERHEAD + ENTRY_OVERHEAD + entry.block.length > packetSize
      const size = ENTRY_OVERHEAD + (asReference ? BLOCK_HEADER_BYTES : entry.block.length)
      if (packets + run.length > 0 && size > left) {
        send()
        return { packets, bytes: allowed - left, isCut: gap.budget > most }
      }
      const last = run.at(-1)
      if (last !== undefined && (bytes + size > packetSize || last.seq + last.count !== entry.seq)) send()
      // a large block is named here, and fetched packet by packet: what the asker has of it is not sent again
      run.push(asReference === (entry.isSpread === true) ? entry : { ...entry, isSpread: asReference })
      bytes += size
      left -= size
    }
  }
  send()
  return { packets, bytes: allowed - left, isCut: false }
}

/** Bytes of a block in a broadcast: all of it, or its header where it is spread apart. */
export function wireBytesOf({ block, isSpread }: { block: Uint8Array; isSpread?: boolean }): number {
  return isSpread ? BLOCK_HEADER_BYTES : block.length
}

/** Sends the bytes of a block that are asked for, in packets of at most `packetSize`, and of about `most` bytes together. */
export function repairData(
  entry: Entry,
  outbox: Outbox,
  packetSize: number,
  to: { address: Address; nonce: Nonce },
  gap: DataGap,
  most: number,
): Repaired {
  const allowed = Math.min(gap.budget, most)
  let left = allowed
  let packets = 0
  for (const range of gap.ranges) {
    const end = Math.min(range.to, entry.block.length)
    for (let at = range.from; at < end; at += packetSize - DATA_OVERHEAD) {
      if (left <= 0) return { packets, bytes: allowed - left, isCut: gap.budget > most }
      const bytes = entry.block.subarray(at, Math.min(end, at + packetSize - DATA_OVERHEAD))
      const packet = outbox.packet(PacketKind.data, 0, to.nonce, DATA_HEAD_BYTES + bytes.length)
      const { member, firstRequest: request } = entry
      writeData(packet, { member, request, total: entry.block.length, offset: at, bytes })
      outbox.unicast(to.address, packet)
      packets++
      left -= packet.length
    }
  }
  return { packets, bytes: allowed - left, isCut: false }
}

/** An order or repair packet around neighbouring entries. */
export function orderPacket(
  state: OrderState,
  outbox: Outbox,
  kind: PacketKind,
  flags: number,
  destination: Nonce,
  entries: readonly Entry[],
  ackers: number,
): Uint8Array {
  let bodyBytes = ORDER_HEAD_BYTES
  for (const entry of entries) bodyBytes += ENTRY_OVERHEAD + wireBytesOf(entry)
  const packet = outbox.packet(kind, flags, destination, bodyBytes)
  let at = OVERHEAD
  for (const entry of entries) {
    const bytes = wireBytesOf(entry)
    packet[at] = entry.isSpread ? ENTRY_REFERENCE : ENTRY_INLINE
    packet.set(entry.isSpread ? entry.block.subarray(0, bytes) : entry.block, at + ENTRY_OVERHEAD)
    at += ENTRY_OVERHEAD + bytes
  }
  writeOrderHead(packet, {
    highest: state.highest,
    accepted: state.accepted,
    stable: state.history.stable,
    firstSeq: entries[0]?.seq ?? 0,
    entries: entries.length,
    ackers,
  })
  return packet
}
