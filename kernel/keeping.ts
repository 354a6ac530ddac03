/**
 * What is kept of a packet that came in. A view of some of its bytes keeps all of its buffer alive: a block of 40 bytes, new
 * among 60 KiB that are here already, would count as 40 and hold 64 KiB. So new blocks are copied where the rest would be
 * the larger part. A packet of new blocks only is kept as it is.
 */

/** What a header and the heads of a packet's blocks come to is not worth a copy. */
const WASTE_MAX = 512

/** Whether `kept` bytes are better copied out of this packet. */
export function isWorthCopying(packet: Uint8Array, kept: number): boolean {
  const waste = packet.buffer.byteLength - kept
  return waste > WASTE_MAX && waste > kept
}

/** `length` bytes of the packet from `at` on: a view, or a copy. */
export function keep(packet: Uint8Array, at: number, length: number, asCopy: boolean): Uint8Array {
  const bytes = packet.subarray(at, at + length)
  // (not by `slice`: what a socket hands over is a Buffer, whose `slice` is a view)
  return asCopy ? new Uint8Array(bytes) : bytes
}
