/** A capture file of UDP packets, as tools read it: one Ethernet-less IPv4 packet a record (link type 101, raw IP). */

const MAGIC = 0xa1b2c3d4
const LINK_RAW = 101
const SNAP = 65_535

export function pcapOf(packets: readonly Uint8Array[], port = 40_000): Buffer {
  const head = Buffer.alloc(24)
  head.writeUInt32BE(MAGIC, 0)
  head.writeUInt16BE(2, 4)
  head.writeUInt16BE(4, 6)
  head.writeUInt32BE(SNAP, 16)
  head.writeUInt32BE(LINK_RAW, 20)
  return Buffer.concat([head, ...packets.map((packet, i) => record(packet, i, port))])
}

function record(payload: Uint8Array, number: number, port: number): Buffer {
  const datagram = Buffer.alloc(28 + payload.length)
  datagram[0] = 0x45
  datagram.writeUInt16BE(datagram.length, 2)
  datagram.writeUInt16BE(number & 0xffff, 4)
  datagram[8] = 64
  datagram[9] = 17
  datagram.set([127, 0, 0, 1, 127, 0, 0, 2], 12)
  datagram.writeUInt16BE(headerSum(datagram.subarray(0, 20)), 10)
  datagram.writeUInt16BE(port, 20)
  datagram.writeUInt16BE(port + 1, 22)
  datagram.writeUInt16BE(8 + payload.length, 24)
  datagram.set(payload, 28)
  const head = Buffer.alloc(16)
  head.writeUInt32BE(number, 0)
  head.writeUInt32BE(datagram.length, 8)
  head.writeUInt32BE(datagram.length, 12)
  return Buffer.concat([head, datagram])
}

function headerSum(header: Buffer): number {
  let sum = 0
  for (let at = 0; at < header.length; at += 2) sum += header.readUInt16BE(at)
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16)
  return ~sum & 0xffff
}
