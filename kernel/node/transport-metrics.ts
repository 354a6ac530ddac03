/** What the transport lost by itself, as counters: a full queue, a packet filter or a wrong packet size shows in a graph. */
import { Counter, type Registry } from 'prom-client'
import type { TransportStats } from './transport.ts'

/** By registry, since kernels may share one and a name is registered once. BOUNDED by the kernels. */
const sources = new WeakMap<Registry, Set<TransportStats>>()

/** Shows these too, until the function that this gives is called. */
export function countTransport(registry: Registry, stats: TransportStats): () => void {
  const all = sources.get(registry) ?? define(registry)
  all.add(stats)
  return () => all.delete(stats)
}

function define(registry: Registry): Set<TransportStats> {
  const all = new Set<TransportStats>()
  sources.set(registry, all)
  new Counter({
    name: 'amoebacast_lost_sends_total',
    help: "Packets that did not go out, by the system's error code; queue: too many waited; key: its group key is gone; EMSGSIZE: too large",
    labelNames: ['code'],
    registers: [registry],
    collect() {
      this.reset()
      for (const { lostSends, tooLarge } of all) {
        for (const [code, count] of lostSends) this.inc({ code }, count)
        this.inc({ code: 'EMSGSIZE' }, tooLarge)
      }
    },
  })
  new Counter({
    name: 'amoebacast_echoes_total',
    help: 'Own packets that came back, and were dropped',
    registers: [registry],
    collect() {
      this.reset()
      for (const { echoes } of all) this.inc(echoes)
    },
  })
  return all
}
