/** Credentials without a cipher, for machines in virtual time: whoever has the number of a key can make its proofs. */
import type { Asked, Credentials } from '../../kernel/credentials.ts'
import { Right, type RightName } from '../../kernel/identity.ts'
import { siphash } from '../../kernel/siphash.ts'
import { Writer } from '../../kernel/wire.ts'

export function credentialsFor(name: RightName, key = 1): Credentials {
  const own = Right[name]
  return {
    right: own,
    prove: (asked) => proofOf(own, asked, key),
    verify: (right, asked, proof) =>
      right >= own && proof.length === 16 && proofOf(right, asked, key).every((byte, i) => byte === proof[i]),
  }
}

function proofOf(right: Right, { groupId, nonce, challenge, address }: Asked, key: number): Uint8Array {
  const asked = new Writer().u8(right).u64(groupId).u64(nonce).u64(challenge).text(address).finish()
  const halves = [0, 1].map((half) => siphash({ words: [key, half, 3, 4] }, asked))
  return new Writer().u64(halves[0]!).u64(halves[1]!).finish()
}
