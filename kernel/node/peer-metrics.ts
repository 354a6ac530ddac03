/** How often names among the peers did not resolve, as a counter: a name that is misspelt shows in a graph. */
import { Counter, type Registry } from 'prom-client'

/** Failures by name. */
type Failures = ReadonlyMap<string, number>

/** By registry, since kernels may share one and a name is registered once. BOUNDED by the kernels. */
const sources = new WeakMap<Registry, Set<Failures>>()

/** Shows these failures too, until the function that this gives is called. */
export function countPeerFailures(registry: Registry, failures: Failures): () => void {
  const all = sources.get(registry) ?? define(registry)
  all.add(failures)
  return () => all.delete(failures)
}

function define(registry: Registry): Set<Failures> {
  const all = new Set<Failures>()
  sources.set(registry, all)
  new Counter({
    name: 'amoebacast_peer_lookup_failures_total',
    help: 'Questions for a DNS name among the peers that had no answer of use',
    labelNames: ['name'],
    registers: [registry],
    collect() {
      this.reset()
      for (const failures of all) for (const [name, count] of failures) this.inc({ name }, count)
    },
  })
  return all
}
