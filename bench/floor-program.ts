/**
 * What a program does at both ends of the floor, and no protocol can take from it: messages are copied into packets one
 * by one, and each that arrives goes where it lies into the same digest as at a real member. As a careful program
 * does it: packets are used again, and no object is made for a message.
 */
import {
  blockBytesOf,
  dataAtOf,
  type FloorBlock,
  type FloorPacket,
  messagesOf,
  offsetOf,
} from './floor-packets.ts'
import { RunDigest, writeCount } from './run-digest.ts'

export class FloorProgram {
  readonly digest: RunDigest
  private readonly size: number
  private readonly message: Uint8Array
  private readonly block: FloorBlock
  private sent = 0
  /** What has arrived of blocks larger than a packet, by sender; bounded by the members. */
  private readonly parts = new Map<number, { readonly bytes: Uint8Array; filled: number }>()
  /** That nobody holds any more, by length; bounded by what was on its way at once. */
  private readonly free = new Map<number, Buffer[]>()

  constructor(size: number, block: FloorBlock, readsBodies: boolean) {
    this.size = size
    this.block = block
    this.message = new Uint8Array(size)
    this.digest = new RunDigest(readsBodies, size)
  }

  /** A packet like `built`, with messages copied in; it is the caller's until it is released. */
  write(built: Buffer, { offset, part, dataAt }: FloorPacket): Buffer {
    const { message, block } = this
    const packet = this.free.get(built.length)?.pop() ?? Buffer.allocUnsafeSlow(built.length)
    packet.set(built.subarray(0, dataAt + Math.max(0, block.bodyAt - offset)))
    if (part < block.bytes) {
      if (offset === 0) writeCount(message, this.sent++)
      const from = Math.max(0, offset - block.bodyAt)
      packet.set(message.subarray(from, offset + part - block.bodyAt), dataAt + block.bodyAt + from - offset)
      return packet
    }
    let at = dataAt + block.bodyAt
    for (let i = 0; i < block.messages; i++) {
      writeCount(message, this.sent++)
      packet.set(message, at)
      at += block.stride
    }
    return packet
  }

  release(packet: Buffer): void {
    const free = this.free.get(packet.length)
    if (free === undefined) this.free.set(packet.length, [packet])
    else free.push(packet)
  }

  /** Counts as the place: nobody numbers here. */
  read(sender: number, packet: Buffer): void {
    const { size, digest, block } = this
    const dataAt = dataAtOf(packet)
    if (packet.length - dataAt < blockBytesOf(packet)) {
      this.join(sender, packet, dataAt)
      return
    }
    const messages = messagesOf(packet)
    let at = dataAt + block.bodyAt
    for (let i = 0; i < messages; i++) {
      digest.addFrom(digest.total + 1, sender, packet, at, at + size)
      at += block.stride
    }
  }

  private join(sender: number, packet: Buffer, dataAt: number): void {
    const offset = offsetOf(packet)
    const part = packet.length - dataAt
    let whole = this.parts.get(sender)
    if (whole === undefined) {
      whole = { bytes: new Uint8Array(blockBytesOf(packet)), filled: 0 }
      this.parts.set(sender, whole)
    }
    if (offset === 0) whole.filled = 0
    // Something before it was lost.
    if (whole.filled !== offset) return
    whole.bytes.set(packet.subarray(dataAt), offset)
    whole.filled += part
    const { digest, size, block } = this
    if (whole.filled < whole.bytes.length) return
    digest.addFrom(digest.total + 1, sender, whole.bytes, block.bodyAt, block.bodyAt + size)
  }
}
