/**
 * What a program does at both ends of the floor, and no protocol can take from it: messages are copied into packets
 * one by one, each arrives as a view at a callback, and goes into the same digest as at a real member.
 */
import { RunDigest, writeCount } from './run-digest.ts'

export class FloorProgram {
  private readonly size: number
  private readonly message: Uint8Array
  private readonly digest: RunDigest
  private sent = 0
  /** What has arrived of messages larger than a packet, by sender; bounded by the members. */
  private readonly parts = new Map<number, { readonly bytes: Uint8Array; filled: number }>()

  constructor(size: number) {
    this.size = size
    this.message = new Uint8Array(size)
    // Messages lie side by side here.
    this.digest = new RunDigest(size, 0)
  }

  /** A packet of its own like `built`, with messages copied in behind `from`: the socket may still hold the last. */
  write(built: Buffer, from: number): Buffer {
    const { size, message } = this
    const packet = Buffer.allocUnsafeSlow(built.length)
    built.copy(packet, 0, 0, from)
    const part = built.length - from
    const offset = built.readUInt32LE(from - 4)
    if (offset > 0 || part < size) {
      if (offset === 0) writeCount(message, this.sent++)
      packet.set(message.subarray(offset % size, (offset % size) + part), from)
      return packet
    }
    for (let at = from; at + size <= packet.length; at += size) {
      writeCount(message, this.sent++)
      packet.set(message, at)
    }
    return packet
  }

  read(sender: number, payload: Uint8Array, offset: number): void {
    const { size } = this
    if (offset > 0 || payload.length < size) {
      this.join(sender, payload, offset)
      return
    }
    for (let at = 0; at + size <= payload.length; at += size)
      this.deliver(sender, payload.subarray(at, at + size))
  }

  private join(sender: number, payload: Uint8Array, offset: number): void {
    if (offset === 0) this.parts.set(sender, { bytes: new Uint8Array(this.size), filled: 0 })
    const message = this.parts.get(sender)
    // Something before it was lost.
    if (message === undefined || message.filled !== offset) return
    message.bytes.set(payload, offset)
    message.filled += payload.length
    if (message.filled < this.size) return
    this.parts.delete(sender)
    this.deliver(sender, message.bytes)
  }

  /** Counts as the place: nobody numbers here. */
  private deliver(sender: number, message: Uint8Array): void {
    this.digest.add(this.digest.total + 1, sender, message)
  }
}
