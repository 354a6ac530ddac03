/** Random bytes, mutated real packets and truncations through every decoder. */
import { HEADER_BYTES } from '../../kernel/packet.ts'
import { readEntries, readOrderHead, readStreamFragment } from '../../kernel/packets.ts'
import { Prng } from '../../kernel/prng.ts'
import type { Decoder } from '../wire/decoders.ts'
import type { Corpus } from './corpus.ts'
import { packetDecoders, payloadDecoders, thingsIn } from './decoders.ts'
import { mutate, randomBytes } from './mutate.ts'

/** A decoder that is slower than this on a packet hangs, even on a machine that is busy otherwise. */
const HANG_MS = 5_000
/** A body is decoded to one thing a byte at most, and these; a member of a view is five fields in 21 bytes. */
const THINGS_FREE = 64

export interface DecodingCounts {
  cases: number
  /** Cases in which at least one decoder took the bytes for what it reads. */
  accepted: number
}

/** What streams and blocks carry in the corpus. */
export function payloadsOf(corpus: Corpus): Uint8Array[] {
  const payloads: Uint8Array[] = []
  for (const packet of corpus.get('streamData') ?? []) {
    const fragment = readStreamFragment(packet)
    if (fragment?.offset === 0 && fragment.bytes.length === fragment.total)
      payloads.push(fragment.bytes.slice())
  }
  for (const packet of [...(corpus.get('order') ?? []), ...(corpus.get('repair') ?? [])]) {
    const head = readOrderHead(packet)
    for (const { head: block, at, isReference } of readEntries(packet, head?.entries ?? 0) ?? [])
      if (!isReference) payloads.push(packet.slice(at, at + block.length))
  }
  return payloads
}

/** Bytes for decoders: a packet, or what a stream or a block carries. */
export interface Case {
  readonly bytes: Uint8Array
  readonly isPayload: boolean
}

export function drawCase(prng: Prng, packets: readonly Uint8Array[], payloads: readonly Uint8Array[]): Case {
  const isPayload = payloads.length > 0 && prng.chance(1, 3)
  const bytes = draw(prng, isPayload ? payloads : packets, isPayload ? 0 : HEADER_BYTES)
  return { bytes, isPayload }
}

/** Whether at least one decoder took the bytes for what it reads; throws, and says where, if one misbehaves. */
export function runCase({ bytes, isPayload }: Case, where: string): boolean {
  let isAccepted = false
  for (const decode of isPayload ? payloadDecoders : packetDecoders) {
    const value = run(decode, bytes, where)
    if (value !== undefined && value !== false && typeof value !== 'string') isAccepted = true
  }
  return isAccepted
}

/** Runs `cases` cases; throws with the seed, the case and the bytes of the first that fails. */
export function fuzzDecoders(corpus: Corpus, seed: number, cases: number): DecodingCounts {
  const prng = new Prng(seed)
  const packets = [...corpus.values()].flat()
  const payloads = payloadsOf(corpus)
  const counts = { cases: 0, accepted: 0 }
  for (let i = 0; i < cases; i++) {
    if (runCase(drawCase(prng, packets, payloads), `seed ${seed}, case ${i}`)) counts.accepted++
    counts.cases++
  }
  return counts
}

function draw(prng: Prng, samples: readonly Uint8Array[], headBytes: number): Uint8Array {
  const sample = prng.pick(samples)
  switch (prng.below(8)) {
    case 0:
      return randomBytes(prng, prng.below(200))
    case 1: {
      // a real head before noise
      const bytes = randomBytes(prng, headBytes + prng.below(200))
      bytes.set(sample.subarray(0, Math.min(headBytes, bytes.length)))
      return bytes
    }
    case 2:
      return sample.slice(0, prng.below(sample.length + 1))
    case 3:
      return mutate(prng, sample)
    default:
      return mutate(prng, sample, Math.min(headBytes, sample.length))
  }
}

function run(decode: Decoder, bytes: Uint8Array, where: string): unknown {
  const { name } = decode
  const began = performance.now()
  let value: unknown
  try {
    value = decode(bytes)
  } catch (error) {
    throw new Error(`${name} threw (${where}): ${String(error)}; bytes ${Buffer.from(bytes).toString('hex')}`)
  }
  const took = performance.now() - began
  if (took > HANG_MS) throw new Error(`${name} took ${took} ms (${where})`)
  const isNested = typeof value === 'object' && value !== null
  if (isNested && thingsIn(value) > bytes.length + THINGS_FREE)
    throw new Error(`${name} made ${thingsIn(value)} things of ${bytes.length} bytes (${where})`)
  return value
}
