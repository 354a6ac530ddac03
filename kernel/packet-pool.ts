/**
 * Buffers for packets on their way out, used again once the system has read them. A busy member sends thousands of
 * large packets a second; made anew for each, they are memory outside the collector's young generation, and the
 * full collections that this brings on cost a quarter of the processor (measured at 10-KiB messages).
 *
 * A buffer from here is not zeroed: whoever takes one writes every byte of it.
 */

/** Smaller packets are not worth it. */
const SMALL = 1024
/** Bytes kept at once: all that a step of a busy sequencer sends. */
const KEPT_BYTES = 1024 * 1024

export class PacketPool {
  /** Bytes of every buffer. */
  private readonly capacity: number
  private readonly most: number
  /** BOUNDED by `most`. */
  private readonly free: ArrayBufferLike[] = []
  private readonly isFree = new Set<ArrayBufferLike>()
  /** Those that were made here: the bytes of others may be somebody's still, whatever their length. */
  private readonly own = new WeakSet<ArrayBufferLike>()

  constructor(packetSize: number) {
    this.capacity = packetSize
    this.most = Math.max(16, Math.floor(KEPT_BYTES / packetSize))
  }

  take(bytes: number): Uint8Array {
    if (bytes < SMALL || bytes > this.capacity) return new Uint8Array(bytes)
    const buffer = this.free.pop()
    if (buffer === undefined) return this.make(bytes)
    this.isFree.delete(buffer)
    return new Uint8Array(buffer, 0, bytes)
  }

  private make(bytes: number): Uint8Array {
    const buffer = new ArrayBuffer(this.capacity)
    this.own.add(buffer)
    return new Uint8Array(buffer, 0, bytes)
  }

  /**
   * Nobody reads it any more. Buffers that are not from here are left to the collector; one that is given twice, as
   * after a fan-out, counts once. Whether it will be used again.
   */
  give({ buffer, byteLength }: Uint8Array): boolean {
    if (byteLength < SMALL || !this.own.has(buffer)) return false
    if (this.free.length >= this.most || this.isFree.has(buffer)) return false
    this.free.push(buffer)
    this.isFree.add(buffer)
    return true
  }
}
