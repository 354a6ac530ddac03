/**
 * From a real packet to one that lies: single fields, lengths, ends. Every die is the seeded generator that is handed in, so
 * that a case is known by its seed.
 */
import { crc32 } from 'node:zlib'
import { writeU32 } from '../../kernel/bytes.ts'
import { CHECKSUM_AT, FLAG_HEADER_CHECKSUM, FLAGS_AT, HEADER_BYTES } from '../../kernel/packet.ts'
import type { Prng } from '../../kernel/prng.ts'

/** Numbers at which readers stumble. */
const edges32 = [0, 1, 2, 0x7f, 0x80, 0xff, 0x100, 0xffff, 0x10000, 0x7fffffff, 0x80000000, 0xffffffff]
const edges16 = [0, 1, 2, 31, 32, 33, 255, 256, 1024, 0x7fff, 0x8000, 0xffff]

/** A changed copy; the bytes before `from` stay as they are. */
export function mutate(prng: Prng, packet: Uint8Array, from = 0): Uint8Array {
  let bytes: Uint8Array = packet.slice()
  const changes = 1 + prng.below(3)
  for (let i = 0; i < changes; i++) bytes = change(prng, bytes, from)
  return bytes
}

function change(prng: Prng, bytes: Uint8Array, from: number): Uint8Array {
  const span = bytes.length - from
  const at = span > 0 ? from + prng.below(span) : from
  switch (prng.below(10)) {
    case 0:
      if (span > 0) bytes[at] = bytes[at]! ^ (1 << prng.below(8))
      return bytes
    case 1:
      if (span > 0) bytes[at] = prng.below(256)
      return bytes
    case 2:
      if (at + 2 <= bytes.length) write16(bytes, at, prng.pick(edges16))
      return bytes
    case 3:
      if (at + 4 <= bytes.length) writeU32(bytes, at, prng.pick(edges32))
      return bytes
    case 4:
      // a number a little beside the true one: what is plausible gets furthest
      if (at + 8 <= bytes.length) nudge(prng, bytes, at)
      return bytes
    case 5:
      return bytes.slice(0, at)
    case 6:
      return longer(bytes, prng.below(64), prng)
    case 7: {
      // a piece of it twice
      const length = Math.min(prng.below(48), bytes.length - at)
      const to = span > length ? from + prng.below(span - length) : from
      bytes.set(bytes.slice(at, at + length).subarray(0, bytes.length - to), to)
      return bytes
    }
    case 8:
      for (let i = at; i < Math.min(bytes.length, at + 8); i++) bytes[i] = prng.pick([0, 0xff, 0x1f])
      return bytes
    default:
      // fields lie at even distances from the header's end: a whole one is replaced
      return wholeField(prng, bytes, from)
  }
}

function wholeField(prng: Prng, bytes: Uint8Array, from: number): Uint8Array {
  const at = from + 8 * prng.below(Math.max(1, (bytes.length - from) >>> 3))
  if (at + 8 > bytes.length) return bytes
  writeU32(bytes, at, prng.pick([0, 0, 0, 1, 0x1fffff, 0x200000]))
  writeU32(bytes, at + 4, prng.chance(1, 2) ? prng.pick(edges32) : prng.below(2000))
  return bytes
}

function nudge(prng: Prng, bytes: Uint8Array, at: number): void {
  const last = at + 7
  bytes[last] = (bytes[last]! + prng.between(-3, 3)) & 0xff
}

function longer(bytes: Uint8Array, more: number, prng: Prng): Uint8Array {
  const result = new Uint8Array(bytes.length + more)
  result.set(bytes)
  if (prng.chance(1, 2)) for (let i = bytes.length; i < result.length; i++) result[i] = prng.below(256)
  return result
}

function write16(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >>> 8
  bytes[at + 1] = value & 0xff
}

export function randomBytes(prng: Prng, length: number): Uint8Array {
  const bytes = new Uint8Array(length)
  for (let i = 0; i < length; i++) bytes[i] = prng.below(256)
  return bytes
}

/** Writes a checksum that holds, so that the packet gets past the rim's check. */
export function reseal(packet: Uint8Array): Uint8Array {
  if (packet.length < HEADER_BYTES) return packet
  writeU32(packet, CHECKSUM_AT, 0)
  const isHeaderOnly = (packet[FLAGS_AT]! & FLAG_HEADER_CHECKSUM) !== 0
  writeU32(packet, CHECKSUM_AT, crc32(isHeaderOnly ? packet.subarray(0, HEADER_BYTES) : packet))
  return packet
}
