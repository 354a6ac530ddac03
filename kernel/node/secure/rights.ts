/**
 * Rights in the spirit of Amoeba's capabilities: from a group key, secrets are derived that stand for less than it. Who
 * holds one proves it to who holds a higher one, by a MAC over what is asked: the group, the life that asks, its address, and
 * the challenge that it was given, so that a proof is good for nobody else and not for long.
 *
 * The rights are a chain, all > send > receive, and each secret is derived from the next higher one. So a holder can make
 * and check what is lower, and learns nothing of what is higher.
 *
 * What this can and cannot do: it decides who is let in as what. It does not hold a member to it that rewrites its own
 * program, since all members share the key of the packets: SECURITY.md.
 */
import { createHmac, hkdfSync, timingSafeEqual } from 'node:crypto'
import type { Asked } from '../../credentials.ts'
import type { RightName } from '../../identity.ts'
import { PROOF_BYTES } from '../../meeting-packets.ts'

/** From the most to the least. */
export const rights = ['all', 'send', 'receive'] as const satisfies readonly RightName[]

export const SECRET_BYTES = 32
const NO_SALT = new Uint8Array(0)
const PROOF_LABEL = 'amoebacast 1 proof'

export const labelOf = (right: RightName): string => `amoebacast 1 right ${right}`

export class RightSecret {
  readonly right: RightName
  /** A private field proper: no way of printing an object shows it. */
  readonly #secret: Uint8Array

  constructor(right: RightName, secret: Uint8Array) {
    this.right = right
    this.#secret = Uint8Array.from(secret)
  }

  /** For a token. */
  toBytes(): Uint8Array {
    return Uint8Array.from(this.#secret)
  }

  /** For the same right or a lower one; undefined for a higher one, which this secret knows nothing of. */
  lower(right: RightName): RightSecret | undefined {
    const distance = rights.indexOf(right) - rights.indexOf(this.right)
    if (distance < 0) return undefined
    if (distance === 0) return this
    const next = rights[rights.indexOf(this.right) + 1]!
    const secret = new Uint8Array(hkdfSync('sha256', this.#secret, NO_SALT, labelOf(next), SECRET_BYTES))
    return new RightSecret(next, secret).lower(right)
  }

  prove({ groupId, nonce, challenge, address }: Asked): Uint8Array {
    const asked = Buffer.alloc(24)
    asked.writeBigUInt64BE(groupId, 0)
    asked.writeBigUInt64BE(nonce, 8)
    asked.writeBigUInt64BE(challenge, 16)
    return createHmac('sha256', this.#secret)
      .update(PROOF_LABEL)
      .update(asked)
      .update(address)
      .digest()
      .subarray(0, PROOF_BYTES)
  }

  /** Whether `proof` shows the right. False too for a right above this one, which cannot be judged here. */
  verify(right: RightName, asked: Asked, proof: Uint8Array): boolean {
    const secret = this.lower(right)
    return secret !== undefined && proof.length === PROOF_BYTES && timingSafeEqual(secret.prove(asked), proof)
  }
}
