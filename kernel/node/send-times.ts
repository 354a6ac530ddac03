/** How long the sends of one member took, by method and resilience degree: one addition for each answer. */
import type { Counted } from './counted-histogram.ts'

export type MethodSetting = 'auto' | 'pb' | 'bb'

/** Upper bounds of the buckets, in seconds. */
export const sendBuckets = [
  0.00005, 0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5,
] as const

interface Series extends Counted {
  readonly method: MethodSetting
  readonly resilience: number
  readonly buckets: number[]
  sum: number
}

export class SendTimes {
  /** BOUNDED by the degrees that a group can have; nearly always one. */
  private readonly all: Series[] = []
  private last: Series | undefined

  observe(method: MethodSetting, resilience: number, seconds: number): void {
    let series = this.last
    if (series === undefined || series.resilience !== resilience || series.method !== method) {
      series = this.find(method, resilience)
      this.last = series
    }
    let i = 0
    while (i < sendBuckets.length && seconds > sendBuckets[i]!) i++
    series.buckets[i]!++
    series.sum += seconds
  }

  get series(): readonly Counted[] {
    return this.all
  }

  private find(method: MethodSetting, resilience: number): Series {
    const known = this.all.find((one) => one.method === method && one.resilience === resilience)
    if (known !== undefined) return known
    const labels = { method, resilience: String(resilience) }
    const buckets = new Array<number>(sendBuckets.length + 1).fill(0)
    const series: Series = { method, resilience, labels, buckets, sum: 0 }
    this.all.push(series)
    return series
  }
}
