/** Histograms that machines fill themselves, for the price of an addition; here they are only written out. */
import { Histogram, type Registry } from 'prom-client'
import type { Entry } from './metric-set.ts'

/** What a machine has counted for one histogram. */
export interface Counted {
  /** How many fell up to each bound, from the one before; the last above all bounds. */
  readonly buckets: readonly number[]
  readonly sum: number
}

/** A registry takes nothing but prom-client's own classes, hence the inheritance. */
export class CountedHistogram extends Histogram {
  private readonly title: { readonly name: string; readonly help: string }
  private readonly bounds: readonly number[]
  private readonly members: ReadonlySet<Entry>
  private readonly read: (entry: Entry) => Counted

  constructor(
    registers: Registry[],
    title: { readonly name: string; readonly help: string },
    bounds: readonly number[],
    members: ReadonlySet<Entry>,
    read: (entry: Entry) => Counted,
  ) {
    super({ ...title, labelNames: ['group', 'member'], buckets: [...bounds], registers })
    this.title = title
    this.bounds = bounds
    this.members = members
    this.read = read
  }

  /** What the registry asks for, and what `get` of the class above is made from. */
  async getForPromString() {
    const { name } = this.title
    const values = [...this.members].flatMap((entry) => {
      const { labels } = entry
      const { buckets, sum } = this.read(entry)
      let count = 0
      const lines = buckets.map((more, i) => {
        count += more
        return {
          metricName: `${name}_bucket`,
          labels: { ...labels, le: this.bounds[i] ?? '+Inf' },
          value: count,
        }
      })
      return [
        ...lines,
        { metricName: `${name}_sum`, labels: { ...labels }, value: sum },
        { metricName: `${name}_count`, labels: { ...labels }, value: count },
      ]
    })
    return { ...this.title, type: 'histogram', values, aggregator: 'sum' }
  }
}
