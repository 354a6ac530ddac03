/**
 * Decoders and members again, guided by the code that is reached: a case that gets where none before has been becomes a sample,
 * which later cases are made from.
 */
import { KIND_AT, type PacketKind } from '../../kernel/packet.ts'
import { Prng } from '../../kernel/prng.ts'
import type { Corpus } from './corpus.ts'
import { Coverage } from './coverage.ts'
import { type Case, drawCase, payloadsOf, runCase } from './decoding.ts'
import { type Attacker, type Guide, Siege, type SiegeCounts } from './siege.ts'

export interface GuidedCounts {
  cases: number
  accepted: number
  /** Cases that reached something new, and were kept. */
  kept: number
  /** Characters of code reached in kernel/ and recovery/, of which the first look at the corpus alone. */
  atFirst: number
  reached: number
}

/** Cases between two looks at what was reached; one look takes about as long as so many cases. */
const BATCH = 64
const KEPT_OF_A_KIND = 200

/** `isBlind`: looks in the same way, and keeps nothing. */
export function fuzzGuided(corpus: Corpus, seed: number, cases: number, isBlind = false): GuidedCounts {
  const prng = new Prng(seed)
  const packets = [...corpus.values()].flat()
  const payloads = payloadsOf(corpus)
  const coverage = new Coverage((url) => /\/(kernel|recovery)\/[^/]+\.[jt]s$/.test(url))
  const counts: GuidedCounts = { cases: 0, accepted: 0, kept: 0, atFirst: 0, reached: 0 }
  try {
    for (const bytes of packets) runCase({ bytes, isPayload: false }, 'the corpus')
    for (const bytes of payloads) runCase({ bytes, isPayload: true }, 'the corpus')
    coverage.merge(coverage.take())
    counts.atFirst = coverage.reached
    while (counts.cases < cases) {
      const batch: Case[] = []
      for (let i = 0; i < BATCH && counts.cases < cases; i++) {
        const one = drawCase(prng, packets, payloads)
        batch.push(one)
        if (runCase(one, `seed ${seed}, case ${counts.cases}`)) counts.accepted++
        counts.cases++
      }
      const reached = coverage.take()
      if (coverage.newIn(reached) === 0) continue
      for (const one of isBlind ? [] : batch) {
        runCase(one, 'once more')
        const alone = coverage.take()
        if (coverage.newIn(alone) === 0) continue
        coverage.merge(alone)
        counts.kept++
        if (one.isPayload) payloads.push(one.bytes)
        else packets.push(one.bytes)
      }
      coverage.merge(reached)
    }
    counts.reached = coverage.reached
    return counts
  } finally {
    coverage.close()
  }
}

/** Volleys of which one got somewhere new. BOUNDED by KEPT_OF_A_KIND packets of each kind, the oldest go first. */
class SiegeGuide implements Guide {
  readonly coverage = new Coverage((url) =>
    /\/(kernel|recovery|sequencer|group\/member)\/[^/]+\.[jt]s$/.test(url),
  )
  kept = 0
  private readonly samples = new Map<PacketKind, Uint8Array[]>()
  private readonly isBlind: boolean

  constructor(isBlind: boolean) {
    this.isBlind = isBlind
  }

  onVolley(packets: readonly Uint8Array[]): void {
    const reached = this.coverage.take()
    if (this.coverage.newIn(reached) === 0) return
    this.coverage.merge(reached)
    if (this.isBlind) return
    this.kept += packets.length
    for (const packet of packets) {
      const kind = packet[KIND_AT] as PacketKind
      const samples = this.samples.get(kind) ?? []
      samples.push(packet)
      if (samples.length > KEPT_OF_A_KIND) samples.shift()
      this.samples.set(kind, samples)
    }
  }

  samplesOf(kind: PacketKind): readonly Uint8Array[] {
    return this.samples.get(kind) ?? []
  }
}

/** A siege by packets that come from volleys which got somewhere new. */
export function besiegeGuided(
  attacker: Attacker,
  corpus: Corpus,
  seed: number,
  packets: number,
  isBlind = false,
): SiegeCounts & { kept: number; reached: number } {
  const guide = new SiegeGuide(isBlind)
  try {
    const counts = new Siege(attacker, corpus, seed, undefined, guide).run(packets)
    return { ...counts, kept: guide.kept, reached: guide.coverage.reached }
  } finally {
    guide.coverage.close()
  }
}
