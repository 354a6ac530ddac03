/**
 * Buffers for packets on their way out, used again once the system has read them. A busy member sends thousands of
 * large packets a second; made anew for each, they are memory outside the collector's young generation, and the
 * full collections that this brings on cost a quarter of the processor (measured at 10-KiB messages).
 *
 * A buffer from here is not zeroed: whoever takes one writes every byte of it.
 */

/** Smaller packets are not worth it. */
const SMALL = 1024
/** Buffers kept at once. */
const KEPT_MAX = 64

export class PacketPool {
  /** Bytes of every buffer. */
  private readonly capacity: number
  /** BOUNDED by KEPT_MAX. */
  private readonly free: ArrayBufferLike[] = []

  constructor(packetSize: number) {
    this.capacity = packetSize
  }

  take(bytes: number): Uint8Array {
    if (bytes < SMALL || bytes > this.capacity) return new Uint8Array(bytes)
    const buffer = this.free.pop() ?? new ArrayBuffer(this.capacity)
    return new Uint8Array(buffer, 0, bytes)
  }

  /** Nobody reads it any more. Buffers that are not from here are left to the collector; one given twice counts once. */
  give({ buffer, byteLength }: Uint8Array): void {
    if (byteLength < SMALL || buffer.byteLength !== this.capacity) return
    if (this.free.length < KEPT_MAX && !this.free.includes(buffer)) this.free.push(buffer)
  }
}
