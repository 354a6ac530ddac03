/**
 * How bodies become bytes and back. The machine sees bytes only (design 2).
 *
 * A body that goes out is read when its block is packed, which may be after the call has returned; a binary
 * body must therefore not be changed, nor transferred to another thread, before its send has settled. A body that comes in is
 * a view into its block, which nobody overwrites, and the program must not either: other members of the process read the
 * same memory, and repairs for other processes are made of it. Such a view keeps the whole block alive. So `copy: true`
 * is for programs that keep many small bodies, and for those that write to bodies or transfer them.
 */
import { Packr } from 'msgpackr'
import { meant } from '../kernel/checks.ts'
import { ErrorCode, GroupError, invalidArgument } from '../kernel/errors.ts'
import type { Seq } from '../kernel/identity.ts'

/**
 * A codec of the program's own. What `encode` gives is read until the send has settled: not a view of a buffer that the next call
 * uses again. `decode` must not write to the bytes, nor transfer them.
 */
export interface Codec<T> {
  encode(value: T): Uint8Array
  decode(bytes: Uint8Array): T
}

/** A codec that reads a body where it lies, without an object for where that is. */
interface CodecInPlace<T> extends Codec<T> {
  decodeAt(bytes: Uint8Array, from: number, to: number): T
}

/** `'msgpack'`: any value msgpackr takes. `'binary'`: Uint8Array in, Uint8Array out. Or an own codec. */
export type CodecOption<T> = 'msgpack' | 'binary' | Codec<T>

/**
 * Dates, Sets, typed arrays, bigints, RegExps and Errors keep their type; a Map arrives as an object, as in
 * plain MessagePack. No record structures are shared between messages: every body stands alone.
 */
function msgpack(copy: boolean): CodecInPlace<unknown> {
  const packr = new Packr({ useRecords: false, moreTypes: true, copyBuffers: copy })
  // read before anything else is decoded: one object serves all
  const place = { start: 0, end: 0 }
  return {
    encode: (value) => packr.pack(value),
    decode: (bytes) => packr.unpack(bytes),
    decodeAt(bytes, from, to) {
      place.start = from
      place.end = to
      return packr.unpack(bytes, place)
    },
  }
}

const binary: Codec<unknown> = {
  encode(value) {
    if (!(value instanceof Uint8Array))
      throw invalidArgument('body', value, "a Uint8Array with codec 'binary'")
    return value
  },
  decode: (bytes) => bytes,
}

const binaryCopying: Codec<unknown> = { ...binary, decode: (bytes) => bytes.slice() }

export function codecFor<T>(option: CodecOption<T> | undefined, copy: boolean): Codec<T> {
  if (option === undefined || option === 'msgpack') return msgpack(copy) as Codec<unknown> as Codec<T>
  if (option === 'binary') return (copy ? binaryCopying : binary) as Codec<T>
  if (typeof option === 'object' && option !== null) {
    const { encode, decode } = option
    if (typeof encode === 'function' && typeof decode === 'function') return ownCodec(option, copy)
  }
  const near = meant(option, ['msgpack', 'binary'])
  throw invalidArgument('codec', option, "'msgpack', 'binary' or { encode, decode }", near)
}

function ownCodec<T>(codec: Codec<T>, copy: boolean): Codec<T> {
  return {
    encode(value) {
      const bytes = codec.encode(value)
      if (!(bytes instanceof Uint8Array))
        throw invalidArgument("the codec's encoded body", bytes, 'a Uint8Array')
      return bytes
    },
    decode: (bytes) => codec.decode(copy ? bytes.slice() : bytes),
  }
}

/**
 * Decodes the body that lies in `bytes` from `from` to `to`. For msgpack that is a third cheaper than a view of each
 * body: the codec makes a DataView for every array that it is given, and keeps it there, so `bytes` must be an array that
 * nobody else uses.
 */
export function decoderFor<T>(codec: Codec<T>): (bytes: Uint8Array, from: number, to: number) => T {
  if (isInPlace(codec)) return (bytes, from, to) => codec.decodeAt(bytes, from, to)
  return (bytes, from, to) => codec.decode(bytes.subarray(from, to))
}

/** A program's own codec, which may have anything beside what a codec needs, comes wrapped (ownCodec). */
function isInPlace<T>(codec: Codec<T>): codec is CodecInPlace<T> {
  return 'decodeAt' in codec
}

/** Encodes a body that is about to be sent; what the codec throws becomes a refused send. */
export function encodeBody<T>(codec: Codec<T>, value: T): Uint8Array {
  try {
    return codec.encode(value)
  } catch (cause) {
    const message = cause instanceof Error ? cause.message : String(cause)
    throw new GroupError(ErrorCode.invalid, `the body cannot be encoded: ${message}`, {
      outcome: 'refused',
      cause,
    })
  }
}

/** What a codec is called in complaints. */
export function codecName<T>(codec: Codec<T>): string {
  if (isInPlace(codec)) return "codec 'msgpack'"
  return ([binary, binaryCopying] as unknown[]).includes(codec) ? "codec 'binary'" : "the program's own codec"
}

/**
 * What a delivery carries in place of a body that could not be decoded. Not every difference of codecs is found by this:
 * 'binary' takes whatever comes, and a JSON text of one digit is a number in MessagePack, too.
 */
export function undecodable(seq: Seq, sender: string, codec: string, cause: unknown): GroupError {
  const message = cause instanceof Error ? cause.message : String(cause)
  return new GroupError(
    ErrorCode.invalid,
    `the body at seq ${seq} from ${sender} cannot be decoded with ${codec}, which this member was opened with: ` +
      `${message}; all members of a group must use the same codec`,
    { cause },
  )
}
