/**
 * What only somebody who receives at its address can repeat: a joiner or asker must, before any state is made for it, or
 * anything larger than its question is sent. A challenge is a hash, under a key of this process's own, of the time, the address and the
 * nonce that it was given to: heard or bought by others, it is worth nothing at another address. (One for all, as it once was,
 * let one asker have answers sent to addresses of its choice.) What is old for long is worth nothing.
 */
import type { Address, Micros, Nonce } from '../kernel/identity.ts'
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

  /** Periods begin at `begin`. One key may be used again, for another begin. */
  constructor(key: SipKey, begin: Micros) {
    this.key = key
    this.begin = begin
  }

  current(now: Micros, asker: Asker): bigint {
    return this.of(asker, this.periodAt(now))
  }

  isValid(repeated: bigint, now: Micros, asker: Asker): boolean {
    return this.valid(now, asker).includes(repeated)
  }

  /** All that count at this time. */
  valid(now: Micros, asker: Asker): readonly bigint[] {
    const period = this.periodAt(now)
    return [this.of(asker, period), this.of(asker, period - PERIOD)]
  }

  /** When the period began. */
  private periodAt(now: Micros): Micros {
    return now - ((now - this.begin) % PERIOD)
  }

  /** Never 0, which stands for "none". */
  private of({ address, nonce }: Asker, period: Micros): bigint {
    // (one period before the clock's beginning is one, too)
    const time = period + PERIOD
    const hash = siphash(this.key, new Writer(64).u53(time).u64(nonce).text(address).finish())
    return hash === 0n ? 1n : hash
  }
}
