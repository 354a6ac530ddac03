/** Messages per broadcast, as a histogram that is filled elsewhere. */
import { Histogram, type Registry } from 'prom-client'
import { batchBuckets } from '../counters.ts'
import type { Entry } from './metric-set.ts'

const NAME = 'amoebacast_sequencer_batch_messages'
const HELP = 'Messages in one broadcast'

/**
 * The machine puts its broadcasts into buckets itself, for the price of an addition; here they are only
 * written out. A registry takes nothing but prom-client's own classes, hence the inheritance.
 */
export class BatchHistogram extends Histogram {
  private readonly members: ReadonlySet<Entry>

  constructor(registers: Registry[], members: ReadonlySet<Entry>) {
    super({ name: NAME, help: HELP, labelNames: ['group', 'member'], buckets: [...batchBuckets], registers })
    this.members = members
  }

  /** What the registry asks for, and what `get` of the class above is made from. */
  async getForPromString() {
    const values = [...this.members].flatMap(({ source, labels }) => {
      const { batches, ordered } = source.counters
      let count = 0
      const buckets = batches.map((broadcasts, i) => {
        count += broadcasts
        return {
          metricName: `${NAME}_bucket`,
          labels: { ...labels, le: batchBuckets[i] ?? '+Inf' },
          value: count,
        }
      })
      return [
        ...buckets,
        // Every message that is numbered goes out in one broadcast first, so their sum is known.
        { metricName: `${NAME}_sum`, labels: { ...labels }, value: ordered },
        { metricName: `${NAME}_count`, labels: { ...labels }, value: count },
      ]
    })
    return { name: NAME, help: HELP, type: 'histogram', values, aggregator: 'sum' }
  }
}
