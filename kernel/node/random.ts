/**
 * Dice for identities, and for what strangers must not be able to guess. Everything else rolls the seeded generator of
 * kernel/prng.ts, of which one number gives away the others.
 */
import { randomFillSync, randomInt } from 'node:crypto'
import type { Nonce } from '../identity.ts'
import type { SipKey } from '../siphash.ts'

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

/** 128 random bits, under which a machine makes its challenges. */
export function randomChallengeKey(): SipKey {
  const [a, b, c, d] = randomFillSync(new Uint32Array(4))
  return { words: [a!, b!, c!, d!] }
}
