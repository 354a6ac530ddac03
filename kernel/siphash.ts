/**
 * SipHash-2-4 (Aumasson and Bernstein, 2012): a short hash under a key, for what only this process must be able to make, such
 * as a challenge. Numbers of 64 bits are pairs of 32-bit halves, low half first; a bigint for each step would cost ten times
 * as much, and whoever asks can ask often.
 */

import type { Prng } from './prng.ts'

export interface SipKey {
  /** Four times 32 bits: k0 low, k0 high, k1 low, k1 high. */
  readonly words: readonly [number, number, number, number]
}

/** A key from seeded dice, which are no secret to who knows their seed. */
export function drawKey(prng: Prng): SipKey {
  return { words: [prng.u32(), prng.u32(), prng.u32(), prng.u32()] }
}

/** v0 to v3, each low and high half. */
const v = new Int32Array(8)

export function siphash({ words }: SipKey, bytes: Uint8Array): bigint {
  const [k0l, k0h, k1l, k1h] = words
  v[0] = k0l ^ 0x70736575
  v[1] = k0h ^ 0x736f6d65
  v[2] = k1l ^ 0x6e646f6d
  v[3] = k1h ^ 0x646f7261
  v[4] = k0l ^ 0x6e657261
  v[5] = k0h ^ 0x6c796765
  v[6] = k1l ^ 0x79746573
  v[7] = k1h ^ 0x74656462
  const whole = bytes.length - (bytes.length % 8)
  for (let at = 0; at < whole; at += 8) compress(word(bytes, at), word(bytes, at + 4))
  let low = 0
  let high = (bytes.length & 0xff) << 24
  for (let i = whole; i < bytes.length; i++) {
    const shift = 8 * (i - whole)
    if (shift < 32) low |= bytes[i]! << shift
    else high |= bytes[i]! << (shift - 32)
  }
  compress(low, high)
  v[4]! ^= 0xff
  for (let i = 0; i < 4; i++) round()
  const resultLow = (v[0]! ^ v[2]! ^ v[4]! ^ v[6]!) >>> 0
  const resultHigh = (v[1]! ^ v[3]! ^ v[5]! ^ v[7]!) >>> 0
  return (BigInt(resultHigh) << 32n) | BigInt(resultLow)
}

function word(bytes: Uint8Array, at: number): number {
  return bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)
}

function compress(low: number, high: number): void {
  v[6]! ^= low
  v[7]! ^= high
  round()
  round()
  v[0]! ^= low
  v[1]! ^= high
}

function round(): void {
  add(0, 2)
  rotate(2, 13)
  mix(2, 0)
  swap(0)
  add(4, 6)
  rotate(6, 16)
  mix(6, 4)
  add(0, 6)
  rotate(6, 21)
  mix(6, 0)
  add(4, 2)
  rotate(2, 17)
  mix(2, 4)
  swap(4)
}

function add(to: number, from: number): void {
  const low = (v[to]! >>> 0) + (v[from]! >>> 0)
  v[to] = low
  v[to + 1] = v[to + 1]! + v[from + 1]! + (low > 0xffffffff ? 1 : 0)
}

/** By fewer than 32 bits, to the left. */
function rotate(at: number, by: number): void {
  const low = v[at]!
  const high = v[at + 1]!
  v[at] = (low << by) | (high >>> (32 - by))
  v[at + 1] = (high << by) | (low >>> (32 - by))
}

function mix(to: number, from: number): void {
  v[to]! ^= v[from]!
  v[to + 1]! ^= v[from + 1]!
}

/** By 32 bits. */
function swap(at: number): void {
  const low = v[at]!
  v[at] = v[at + 1]!
  v[at + 1] = low
}
