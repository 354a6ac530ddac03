/** Times of single sends within one run, and their percentiles. */
import { createHistogram } from 'node:perf_hooks'

export class Latencies {
  /** Nanoseconds, to three figures. */
  private readonly histogram = createHistogram({ lowest: 1, highest: 3_600_000_000_000, figures: 3 })

  add(milliseconds: number): void {
    this.histogram.record(Math.max(1, Math.round(milliseconds * 1e6)))
  }

  /** As `percentiles`, and begins anew. */
  take(): { p50: number; p99: number; p999: number } | null {
    const { percentiles } = this
    this.histogram.reset()
    return percentiles
  }

  /** In microseconds; null if nothing was measured. */
  get percentiles(): { p50: number; p99: number; p999: number } | null {
    const { histogram } = this
    if (histogram.count === 0) return null
    const at = (percent: number): number => histogram.percentile(percent) / 1000
    return { p50: at(50), p99: at(99), p999: at(99.9) }
  }
}
