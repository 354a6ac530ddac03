/**
 * Random bits that only somebody who receives at its address can repeat: a joiner or asker must, before any
 * state is made for it. They change with time, and what is old for long is worth nothing.
 */
import type { Micros } from '../kernel/identity.ts'
import type { Prng } from '../kernel/prng.ts'

/** How long a challenge is valid, at least; at most twice as long. */
const PERIOD: Micros = 10_000_000

export class Challenge {
  private newest: bigint
  private previous: bigint
  private since: Micros
  private readonly prng: Prng

  constructor(prng: Prng, now: Micros) {
    this.prng = prng
    this.newest = prng.u64()
    this.previous = prng.u64()
    this.since = now
  }

  current(now: Micros): bigint {
    const age = now - this.since
    if (age > PERIOD) {
      this.previous = age > 2 * PERIOD ? this.prng.u64() : this.newest
      this.newest = this.prng.u64()
      this.since = now
    }
    return this.newest
  }

  isValid(repeated: bigint, now: Micros): boolean {
    return repeated === this.current(now) || repeated === this.previous
  }
}
