/** Histograms that are filled elsewhere, for the price of an addition; here they are only written out. */
import { Histogram, type Registry } from 'prom-client'
import type { Entry, Labels } from './metric-set.ts'

/** What has been counted for one series of one histogram. */
export interface Counted {
  /** Beside those of the member. */
  readonly labels?: Labels
  /** How many fell up to each bound, from the one before; the last above all bounds. */
  readonly buckets: readonly number[]
  readonly sum: number
}

export interface HistogramTitle {
  readonly name: string
  readonly help: string
  /** Beside those of the member. */
  readonly labelNames?: readonly string[]
}

/** A registry takes nothing but prom-client's own classes, hence the inheritance. */
export class CountedHistogram extends Histogram {
  private readonly title: HistogramTitle
  private readonly bounds: readonly number[]
  private readonly members: ReadonlySet<Entry>
  private readonly read: (entry: Entry) => Iterable<Counted>

  constructor(
    registers: Registry[],
    title: HistogramTitle,
    bounds: readonly number[],
    members: ReadonlySet<Entry>,
    read: (entry: Entry) => Iterable<Counted>,
  ) {
    const { name, help, labelNames = [] } = title
    super({ name, help, labelNames: ['group', 'member', ...labelNames], buckets: [...bounds], registers })
    this.title = title
    this.bounds = bounds
    this.members = members
    this.read = read
  }

  /** What the registry asks for, and what `get` of the class above is made from. */
  async getForPromString() {
    const { name, help } = this.title
    const values = [...this.members].flatMap((entry) =>
      [...this.read(entry)].flatMap((counted) => this.linesOf(entry.labels, counted)),
    )
    return { name, help, type: 'histogram', values, aggregator: 'sum' }
  }

  private linesOf(member: Labels, { labels: own = {}, buckets, sum }: Counted) {
    const { name } = this.title
    const labels = { ...member, ...own }
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
  }
}
