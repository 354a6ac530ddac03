/**
 * CRC-32 over a whole packet with its checksum field zero. UDP's own 16 bits miss one damaged packet in
 * 65,536; this catches what gets past them. It is no protection against people.
 *
 * Packets that never leave the machine's memory (loopback) are checked by their headers only: nothing damages
 * them on the way that would not damage everything else, and five passes over a large packet at three members cost
 * more than sending it. A flag says so, and counts only where the receiver's own transport stays in memory.
 */
import { crc32 } from 'node:zlib'
import { readU32, writeU32 } from '../bytes.ts'
import { CHECKSUM_AT, FLAG_HEADER_CHECKSUM, FLAGS_AT, HEADER_BYTES } from '../packet.ts'

/**
 * Writes the checksum. A machine leaves the field zero and hands the same buffer over once for each copy of
 * a fan-out, so a field that is not zero has been sealed already, and the CRC is computed once. (Where it
 * comes out as 0 it is computed again, to the same end.) Packets are never written to after this.
 */
export function seal(packet: Uint8Array, staysInMemory = false): void {
  if (readU32(packet, CHECKSUM_AT) !== 0) return
  if (!staysInMemory) return writeU32(packet, CHECKSUM_AT, crc32(packet))
  packet[FLAGS_AT]! |= FLAG_HEADER_CHECKSUM
  writeU32(packet, CHECKSUM_AT, headerChecksum(packet))
}

/**
 * Whether the checksum matches. The field is zeroed for the moment of the computation and put back, which is
 * one native call and no copy; nobody else sees it, because nothing else runs meanwhile.
 */
export function verify(packet: Uint8Array, staysInMemory = false): boolean {
  if (packet.length < CHECKSUM_AT + 4) return false
  const headerOnly = (packet[FLAGS_AT]! & FLAG_HEADER_CHECKSUM) !== 0
  if (headerOnly && !staysInMemory) return false
  const found = readU32(packet, CHECKSUM_AT)
  if (headerOnly) return headerChecksum(packet) === found
  writeU32(packet, CHECKSUM_AT, 0)
  const computed = crc32(packet)
  writeU32(packet, CHECKSUM_AT, found)
  return computed === found
}

/** CRC-32 of each byte (polynomial 0xedb88320, bits reversed). */
const table = Uint32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte
  for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb88320 : 0)
  return crc
})

/** Of the header, with the checksum's own bytes as zeros. A view of it and a native call cost more than its few bytes do here. */
function headerChecksum(packet: Uint8Array): number {
  const end = Math.min(HEADER_BYTES, packet.length)
  let crc = -1
  for (let at = 0; at < CHECKSUM_AT; at++) crc = (crc >>> 8) ^ table[(crc ^ packet[at]!) & 0xff]!
  for (let at = CHECKSUM_AT; at < CHECKSUM_AT + 4; at++) crc = (crc >>> 8) ^ table[crc & 0xff]!
  for (let at = CHECKSUM_AT + 4; at < end; at++) crc = (crc >>> 8) ^ table[(crc ^ packet[at]!) & 0xff]!
  return ~crc >>> 0
}
