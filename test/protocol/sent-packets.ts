/** What the members of a group say to single addresses. */
import type { Address } from '../../kernel/identity.ts'
import { KIND_AT, packetKindNames } from '../../kernel/packet.ts'
import type { GroupOf } from './group-of.ts'

export interface Sent {
  readonly to: Address
  readonly kind: string | undefined
  readonly bytes: Uint8Array
}

/** What goes out from now on, in copies. */
export function watch(group: GroupOf): Sent[] {
  const sent: Sent[] = []
  const unicast = group.unicast.bind(group)
  group.unicast = (from, to, bytes) => {
    sent.push({ to, kind: packetKindNames[bytes[KIND_AT]!], bytes: bytes.slice() })
    unicast(from, to, bytes)
  }
  return sent
}
