/** How many packets were not opened, and why, as a counter: a flood of forgeries shows in a graph. */
import { Counter, type Registry } from 'prom-client'
import { sealFaults } from './opener.ts'
import type { SealCounters } from './sealed-transport.ts'

/** By registry, since kernels may share one and a name is registered once. BOUNDED by the kernels. */
const sources = new WeakMap<Registry, Set<SealCounters>>()

/** Shows these too, until the function that this gives is called. */
export function countSealFaults(registry: Registry, faults: SealCounters): () => void {
  const all = sources.get(registry) ?? define(registry)
  all.add(faults)
  return () => all.delete(faults)
}

function define(registry: Registry): Set<SealCounters> {
  const all = new Set<SealCounters>()
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
        for (const faults of all) count += faults[reason]
        this.inc({ reason }, count)
      }
    },
  })
  return all
}
