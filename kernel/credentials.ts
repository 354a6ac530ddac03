/**
 * What shows that a member may have the right that it wants, as the machines see it. The secrets, and the arithmetic with
 * them, are the rim's (kernel/node/secure/rights.ts): a machine is handed these functions, or none where there is no key.
 */
import type { Address, GroupId, Nonce, Right } from './identity.ts'

/**
 * What a proof is for: this life of this process, at this address, in this group, and in answer to this challenge. (Without the
 * address one who holds less could hand its own challenge on to a joiner, and come in by the answer.)
 */
export interface Asked {
  readonly groupId: GroupId
  readonly nonce: Nonce
  readonly challenge: bigint
  readonly address: Address
}

export interface Credentials {
  /** What this process may be let in as. */
  readonly right: Right
  /** By the key of that id, or the newest where it holds none of that id. */
  prove(asked: Asked, keyId: number): Uint8Array
  /**
   * Whether `proof` shows that right, by that same key and no other: a former key, which may still be here, gives no right any
   * more. False for a right above the own, which cannot be judged.
   */
  verify(right: Right, asked: Asked, proof: Uint8Array, keyId: number): boolean
}
