/** Buffers that sealed packets are written to, used again once the transport below has read them all. */

/** Sizes that are kept, in bytes: a network's packets, those of small sockets with their envelopes, and any. */
const SIZES = [2048, 16_448, 65_536] as const
/** BOUNDED: buffers lent and kept of each size; 10 MiB together at the most. */
const KEPT = 128

export class SealBuffers {
  private readonly isIdle: () => boolean
  private readonly lent: Uint8Array[][] = SIZES.map(() => [])
  private readonly free: Uint8Array[][] = SIZES.map(() => [])

  /** `isIdle` says whether everything lent has been read. */
  constructor(isIdle: () => boolean) {
    this.isIdle = isIdle
  }

  /** One of at least `bytes` bytes, which is the caller's until `isIdle` is true. */
  take(bytes: number): Uint8Array {
    const size = SIZES.findIndex((one) => one >= bytes)
    if (size < 0) return new Uint8Array(bytes)
    const free = this.free[size]!
    if (free.length === 0 && this.isIdle()) this.takeBack()
    const buffer = free.pop() ?? new Uint8Array(SIZES[size]!)
    const lent = this.lent[size]!
    // What does not fit is left to the collector.
    if (lent.length < KEPT) lent.push(buffer)
    return buffer
  }

  private takeBack(): void {
    for (let size = 0; size < SIZES.length; size++) {
      const free = this.free[size]!
      for (const buffer of this.lent[size]!) if (free.length < KEPT) free.push(buffer)
      this.lent[size]!.length = 0
    }
  }
}
