/** How many packets were not opened, and why, and senders forgotten, as counters: a flood of forgeries shows in a graph. */
import { Counter, type Registry } from 'prom-client'
import { sealFaults } from './opener.ts'
import type { SealCounters } from './sealed-transport.ts'

/** By registry, since kernels may share one and a name is registered once. BOUNDED by the kernels. */
const sources = new WeakMap<Registry, Set<SealSource>>()

/** What a sealed transport counts. Only rises. */
export interface SealSource {
  readonly faults: SealCounters
  /** Senders forgotten because too many others were heard later. */
  readonly evictions: number
}

/** Shows these too, until the function that this gives is called. */
export function countSeals(registry: Registry, source: SealSource): () => void {
  const all = sources.get(registry) ?? define(registry)
  all.add(source)
  return () => all.delete(source)
}

function define(registry: Registry): Set<SealSource> {
  const all = new Set<SealSource>()
  sources.set(registry, all)
  new Counter({
    name: 'amoebacast_seal_rejected_total',
    help: 'Packets that were not opened: not sealed, sealed with another key, forged, or replayed',
    labelNames: ['reason'],
    registers: [registry],
    collect() {
      this.reset()
      for (const reason of sealFaults) {
        let count = 0
        for (const { faults } of all) count += faults[reason]
        this.inc({ reason }, count)
      }
    },
  })
  new Counter({
    name: 'amoebacast_seal_evictions_total',
    help: 'Senders of sealed packets that were forgotten for others; their old packets are no longer told from new ones',
    registers: [registry],
    collect() {
      this.reset()
      for (const { evictions } of all) this.inc(evictions)
    },
  })
  return all
}
