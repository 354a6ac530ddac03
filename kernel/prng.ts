/**
 * Seeded random numbers: every die in the project is one of these, handed in. The generator is sfc32
 * (a small counter-based chaotic generator), seeded by splitting the seed with a 32-bit mixer.
 */
export class Prng {
  private a: number
  private b: number
  private c: number
  private counter = 1

  constructor(seed: number) {
    this.a = mix(seed >>> 0)
    this.b = mix(Math.floor(seed / 0x100000000) ^ 0x9e3779b9)
    this.c = mix(this.a ^ this.b)
    for (let i = 0; i < 12; i++) this.u32()
  }

  /** 0 to 2^32 − 1. */
  u32(): number {
    const t = (this.a + this.b + this.counter) | 0
    this.counter = (this.counter + 1) | 0
    this.a = this.b ^ (this.b >>> 9)
    this.b = (this.c + (this.c << 3)) | 0
    this.c = ((this.c << 21) | (this.c >>> 11)) + t
    this.c |= 0
    return t >>> 0
  }

  /** 0 to below − 1. */
  below(below: number): number {
    return below <= 0x100000000
      ? Math.floor((this.u32() / 0x100000000) * below)
      : Math.floor(this.unit() * below)
  }

  /** min to max, both included. */
  between(min: number, max: number): number {
    return min + this.below(max - min + 1)
  }

  /** True `numerator` times out of `denominator`. */
  chance(numerator: number, denominator: number): boolean {
    return this.below(denominator) < numerator
  }

  /** 0 to just below 1, 53 bits. */
  unit(): number {
    return (this.u32() * 0x200000 + (this.u32() >>> 11)) / 0x20000000000000
  }

  /** 64 bits, never 0 (which stands for "none" in identities). */
  u64(): bigint {
    const value = (BigInt(this.u32()) << 32n) | BigInt(this.u32())
    return value === 0n ? 1n : value
  }

  pick<T>(items: readonly T[]): T {
    return items[this.below(items.length)]!
  }

  /** An independent generator, for a part that must not shift the dice of others. */
  fork(): Prng {
    return new Prng(this.u32() * 0x100000 + (this.u32() >>> 12))
  }
}

function mix(value: number): number {
  let z = (value + 0x9e3779b9) | 0
  z = Math.imul(z ^ (z >>> 16), 0x85ebca6b)
  z = Math.imul(z ^ (z >>> 13), 0xc2b2ae35)
  return (z ^ (z >>> 16)) | 0
}
