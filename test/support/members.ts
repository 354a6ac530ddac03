/** Members of views that are made by hand. */
import type { MemberId } from '../../kernel/identity.ts'
import { ownVersions } from '../../kernel/packets.ts'
import type { Member } from '../../kernel/view.ts'

/** A full member with every right and its own nonce, name and address, but for what is given. */
export function memberOf(id: MemberId, given: Partial<Member> = {}): Member {
  return {
    id,
    nonce: BigInt(id),
    name: `m${id}`,
    address: `127.0.0.1:${4000 + id}`,
    role: 0,
    right: 0,
    versions: ownVersions,
    ...given,
  }
}
