/**
 * What only somebody who receives at its address can repeat: a joiner or asker must, before any state is made for it, or
 * anything larger than its question is sent. A challenge is a hash, under a key of this process's own, of the time, the address and the
 * nonce that it was given to: heard or bought by others, it is worth nothing at another address. (One for all, as it once was,
 * let one asker have answers sent to addresses of its choice.) What is old for long is worth nothing.
 */
import type { Address, Micros, Nonce } from '../kernel/identity.ts'
import type { Prng } from '../kernel/prng.ts'
import { type SipKey, siphash } from '../kernel/siphash.ts'
import { Writer } from '../kernel/wire.ts'

/** How long a challenge is valid, at least; at most twice as long. */
const PERIOD: Micros = 10_000_000

/** Who is asked to repeat it. */
export interface Asker {
  readonly address: Address
  readonly nonce: Nonce
}

export class Challenge {
  private readonly key: SipKey
  private readonly begin: Micros

  constructor(prng: Prng, now: Micros) {
    this.key = { words: [prng.u32(), prng.u32(), prng.u32(), prng.u32()] }
    this.begin = now
  }

  current(now: Micros, asker: Asker): bigint {
    return this.of(asker, this.periodAt(now))
  }

  isValid(repeated: bigint, now: Micros, asker: Asker): boolean {
    const period = this.periodAt(now)
    return repeated === this.of(asker, period) || repeated === this.of(asker, period - 1)
  }

  private periodAt(now: Micros): number {
    return 1 + Math.floor((now - this.begin) / PERIOD)
  }

  /** Never 0, which stands for "none". */
  private of({ address, nonce }: Asker, period: number): bigint {
    const hash = siphash(this.key, new Writer(64).u53(period).u64(nonce).text(address).finish())
    return hash === 0n ? 1n : hash
  }
}
