/** Packets that are made by hand. */
import type { Nonce } from '../../kernel/identity.ts'
import { HEADER_BYTES, type PacketKind, type WrittenHeader, writeHeader } from '../../kernel/packet.ts'
import type { View } from '../../kernel/view.ts'

/** What is not said of the header is 0; without a checksum, which is the business of the rim. */
export function packetOf(
  kind: PacketKind,
  given: Partial<WrittenHeader> = {},
  body: Uint8Array = new Uint8Array(0),
): Uint8Array {
  const packet = new Uint8Array(HEADER_BYTES + body.length)
  writeHeader(packet, {
    kind,
    flags: 0,
    groupId: 0n,
    incarnation: 0,
    coordinator: 0,
    sender: 0,
    senderNonce: 0n,
    destination: 0n,
    received: 0,
    taken: 0,
    window: 0,
    ...given,
  })
  packet.set(body, HEADER_BYTES)
  return packet
}

/** The names of the group that `target` is in, and its own as the one that the packet is for. */
export function namesFor(target: {
  readonly view: View
  readonly machine: { readonly options: { readonly nonce: Nonce } }
}): Pick<WrittenHeader, 'groupId' | 'incarnation' | 'coordinator' | 'destination'> {
  const { groupId, incarnation, coordinator } = target.view
  return { groupId, incarnation, coordinator, destination: target.machine.options.nonce }
}
