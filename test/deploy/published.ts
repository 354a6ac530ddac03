/** Every series that a node publishes, with its labels, read from the page of a member with all its parts. */
import { Counters } from '../../kernel/counters.ts'
import { Metrics } from '../../kernel/node/metrics.ts'
import { countPeerFailures } from '../../kernel/node/peer-metrics.ts'
import { sealFaults } from '../../kernel/node/secure/opener.ts'
import { countSeals } from '../../kernel/node/secure/seal-metrics.ts'
import type { SealCounters } from '../../kernel/node/secure/sealed-transport.ts'
import { countTransport } from '../../kernel/node/transport-metrics.ts'
import { labelsOf, parsePage } from '../node/metrics-page.ts'
import { info } from '../node/support.ts'

/** Histograms are here by their own name and by those of their series. */
export async function publishedSeries(): Promise<Map<string, Set<string>>> {
  const metrics = new Metrics()
  const source = {
    group: 'orders',
    counters: new Counters(),
    info: () => info(),
    historyCapacity: () => ({ messages: 1024, bytes: 65_536 }),
    sequencerBusySeconds: () => 1,
  }
  metrics.addMember({ ...source, name: 'first' }).observeSend('auto', 1, 0.001)
  metrics.addMember({ ...source, name: 'second' })
  metrics.addRim({ counters: new Counters() })
  countPeerFailures(metrics.registry, new Map([['work.svc', 1]]))
  const faults = Object.fromEntries(sealFaults.map((fault) => [fault, 1])) as SealCounters
  countSeals(metrics.registry, { faults, evictions: 1 })
  countTransport(metrics.registry, { lostSends: new Map([['ENOBUFS', 1]]), tooLarge: 1, echoes: 1 })
  const page = parsePage(await metrics.page())
  const published = new Map<string, Set<string>>()
  for (const [name, labels] of labelsOf(page)) {
    published.set(name, labels)
    if (page.types.get(name) !== 'histogram') continue
    published.set(`${name}_bucket`, new Set([...labels, 'le']))
    published.set(`${name}_sum`, labels)
    published.set(`${name}_count`, labels)
  }
  return published
}
