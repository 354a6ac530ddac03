/**
 * Answers to gap requests, from the history of whoever is asked: the paper's retransmissions (section 4.1).
 * Paced by the asker's budget: what does not fit is asked for again when this has arrived.
 */

import type { Entry } from '../kernel/history.ts'
import type { Address, Nonce } from '../kernel/identity.ts'
import type { OrderState } from '../kernel/order-state.ts'
import type { Outbox } from '../kernel/outbox.ts'
import { HEADER_BYTES, PacketKind } from '../kernel/packet.ts'
import {
  ENTRY_INLINE,
  ENTRY_OVERHEAD,
  type GapRequest,
  ORDER_HEAD_BYTES,
  writeOrderHead,
} from '../kernel/packets.ts'

const OVERHEAD = HEADER_BYTES + ORDER_HEAD_BYTES

/** Sends what is asked for and held, in packets of at most `packetSize`; gives how many packets. */
export function repair(
  state: OrderState,
  outbox: Outbox,
  packetSize: number,
  to: { address: Address; nonce: Nonce },
  gap: GapRequest,
): number {
  let left = gap.budget
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
      const size = ENTRY_OVERHEAD + entry.block.length
      if (packets + run.length > 0 && size > left) {
        send()
        return packets
      }
      const last = run.at(-1)
      if (last !== undefined && (bytes + size > packetSize || last.seq + last.count !== entry.seq)) send()
      run.push(entry)
      bytes += size
      left -= size
    }
  }
  send()
  return packets
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
  for (const entry of entries) bodyBytes += ENTRY_OVERHEAD + entry.block.length
  const packet = outbox.packet(kind, flags, destination, bodyBytes)
  let at = OVERHEAD
  for (const entry of entries) {
    packet[at] = ENTRY_INLINE
    packet.set(entry.block, at + ENTRY_OVERHEAD)
    at += ENTRY_OVERHEAD + entry.block.length
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
