/** Big-endian numbers in byte arrays; the only place that knows how a 53-bit number lies in 8 bytes. */

/** Where there is nothing to say: an empty header, body, proof. */
export const NO_BYTES = new Uint8Array(0)

/** Reads 8 bytes as a safe integer; -1 if the number is larger than one. */
export function readU53(bytes: Uint8Array, at: number): number {
  const high = readU32(bytes, at)
  return high > 0x1fffff ? -1 : high * 0x100000000 + readU32(bytes, at + 4)
}

export function writeU53(bytes: Uint8Array, at: number, value: number): void {
  writeU32(bytes, at, Math.floor(value / 0x100000000))
  writeU32(bytes, at + 4, value >>> 0)
}

export function readU32(bytes: Uint8Array, at: number): number {
  return bytes[at]! * 0x1000000 + ((bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!)
}

export function writeU32(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >>> 24
  bytes[at + 1] = (value >>> 16) & 0xff
  bytes[at + 2] = (value >>> 8) & 0xff
  bytes[at + 3] = value & 0xff
}

/** The last few numbers read, by their low bits. */
const remembered = 64
const highs = new Uint32Array(remembered)
const lows = new Uint32Array(remembered)
const values = new Array<bigint>(remembered).fill(0n)

/** Ids and nonces come again and again, and a bigint made anew is several objects: the last few are remembered. */
export function readU64(bytes: Uint8Array, at: number): bigint {
  const high = readU32(bytes, at)
  const low = readU32(bytes, at + 4)
  const slot = (low ^ high) & (remembered - 1)
  if (lows[slot] === low && highs[slot] === high) return values[slot]!
  const value = (BigInt(high) << 32n) | BigInt(low)
  highs[slot] = high
  lows[slot] = low
  values[slot] = value
  return value
}

export function writeU64(bytes: Uint8Array, at: number, value: bigint): void {
  writeU32(bytes, at, Number(value >> 32n) >>> 0)
  writeU32(bytes, at + 4, Number(value & 0xffffffffn))
}
