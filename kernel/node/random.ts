/** Dice for identities. Everything else rolls the seeded generator of kernel/prng.ts. */
import { randomFillSync, randomInt } from 'node:crypto'
import type { Nonce } from '../identity.ts'

/** 64 random bits, never 0 (which stands for "everybody"). */
export function randomNonce(): Nonce {
  const words = new BigUint64Array(1)
  do randomFillSync(words)
  while (words[0] === 0n)
  return words[0]!
}

/** A seed for one machine's generator: 0 to 2^48 − 2, which is as far as node:crypto's integers go. */
export function randomSeed(): number {
  return randomInt(2 ** 48 - 1)
}
