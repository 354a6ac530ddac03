/**
 * Bounded reading and writing of the less frequent packet bodies. A reader that has run past its end is
 * `bad` and gives zeros from there on; callers look once, when they are done.
 */
import { NO_BYTES, readU32, readU53, readU64, writeU32, writeU53, writeU64 } from './bytes.ts'

export class Reader {
  bad = false
  private readonly bytes: Uint8Array
  private at: number

  constructor(bytes: Uint8Array, at = 0) {
    this.bytes = bytes
    this.at = at
  }

  private advance(count: number): number {
    if (this.bad || this.at + count > this.bytes.length) {
      this.bad = true
      return -1
    }
    const at = this.at
    this.at += count
    return at
  }

  u8(): number {
    const at = this.advance(1)
    return at < 0 ? 0 : this.bytes[at]!
  }

  u16(): number {
    const at = this.advance(2)
    return at < 0 ? 0 : (this.bytes[at]! << 8) | this.bytes[at + 1]!
  }

  u32(): number {
    const at = this.advance(4)
    return at < 0 ? 0 : readU32(this.bytes, at)
  }

  u53(): number {
    const at = this.advance(8)
    if (at < 0) return 0
    const value = readU53(this.bytes, at)
    if (value >= 0) return value
    this.bad = true
    return 0
  }

  u64(): bigint {
    const at = this.advance(8)
    return at < 0 ? 0n : readU64(this.bytes, at)
  }

  take(count: number): Uint8Array {
    const at = this.advance(count)
    return at < 0 ? NO_BYTES : this.bytes.subarray(at, at + count)
  }

  /** Bytes behind a 16-bit length. */
  blob(): Uint8Array {
    return this.take(this.u16())
  }

  text(): string {
    return decodeText(this.blob())
  }

  rest(): Uint8Array {
    return this.take(this.bytes.length - this.at)
  }

  /** Whether everything was there, and nothing but zeros is left: what makes a question as large as its answer. */
  get isPadded(): boolean {
    if (this.bad) return false
    for (let at = this.at; at < this.bytes.length; at++) if (this.bytes[at] !== 0) return false
    return true
  }

  /** Whether everything was there, and nothing is left. */
  get done(): boolean {
    return !this.bad && this.at === this.bytes.length
  }
}

/** Writes into a buffer that grows; `finish` gives the bytes written. */
export class Writer {
  private bytes: Uint8Array
  private at = 0

  constructor(capacity = 128) {
    this.bytes = new Uint8Array(capacity)
  }

  private room(count: number): number {
    const at = this.at
    if (at + count > this.bytes.length) {
      const larger = new Uint8Array(Math.max(this.bytes.length * 2, at + count))
      larger.set(this.bytes)
      this.bytes = larger
    }
    this.at += count
    return at
  }

  u8(value: number): this {
    const at = this.room(1)
    this.bytes[at] = value
    return this
  }

  u16(value: number): this {
    const at = this.room(2)
    this.bytes[at] = value >>> 8
    this.bytes[at + 1] = value & 0xff
    return this
  }

  u32(value: number): this {
    const at = this.room(4)
    writeU32(this.bytes, at, value)
    return this
  }

  u53(value: number): this {
    const at = this.room(8)
    writeU53(this.bytes, at, value)
    return this
  }

  u64(value: bigint): this {
    const at = this.room(8)
    writeU64(this.bytes, at, value)
    return this
  }

  raw(bytes: Uint8Array): this {
    const at = this.room(bytes.length)
    this.bytes.set(bytes, at)
    return this
  }

  zeros(count: number): this {
    this.bytes.fill(0, this.room(count), this.at)
    return this
  }

  blob(bytes: Uint8Array): this {
    return this.u16(bytes.length).raw(bytes)
  }

  text(text: string): this {
    return this.blob(encodeText(text))
  }

  finish(): Uint8Array {
    return this.bytes.subarray(0, this.at)
  }
}

/** UTF-8 without the platform's encoder, which the pure folders do not have; unpaired surrogates become U+FFFD. */
function encodeText(text: string): Uint8Array {
  const bytes: number[] = []
  for (const character of text) {
    let code = character.codePointAt(0)!
    if (code >= 0xd800 && code <= 0xdfff) code = 0xfffd
    if (code < 0x80) bytes.push(code)
    else if (code < 0x800) bytes.push(0xc0 | (code >> 6), 0x80 | (code & 0x3f))
    else if (code < 0x10000)
      bytes.push(0xe0 | (code >> 12), 0x80 | ((code >> 6) & 0x3f), 0x80 | (code & 0x3f))
    else {
      bytes.push(
        0xf0 | (code >> 18),
        0x80 | ((code >> 12) & 0x3f),
        0x80 | ((code >> 6) & 0x3f),
        0x80 | (code & 0x3f),
      )
    }
  }
  return Uint8Array.from(bytes)
}

/** Malformed UTF-8 becomes U+FFFD, byte by byte. */
export function decodeText(bytes: Uint8Array): string {
  let text = ''
  for (let i = 0; i < bytes.length; ) {
    const first = bytes[i]!
    const length = first < 0x80 ? 1 : first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : first >= 0xc0 ? 2 : 0
    let code = length === 1 ? first : length === 0 ? -1 : first & (0xff >> (length + 1))
    for (let k = 1; k < length && code >= 0; k++) {
      const next = bytes[i + k]
      code = next === undefined || (next & 0xc0) !== 0x80 ? -1 : (code << 6) | (next & 0x3f)
    }
    if (code < 0 || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff)) {
      text += '\ufffd'
      i++
    } else {
      text += String.fromCodePoint(code)
      i += length
    }
  }
  return text
}
