/** The last two minutes of a membership, one sample a second, in rings that never grow. */
import type { Series } from './snapshot.ts'

/** Samples kept: two minutes. */
export const SAMPLES = 120

/** What a machine has counted up to now; the samples are the differences. */
export interface Totals {
  /** Messages delivered. */
  readonly messages: number
  readonly sequencerBusySeconds: number
}

export class SampleRings {
  private readonly rate: number[] = []
  private readonly sendP50: (number | null)[] = []
  private readonly sendP99: (number | null)[] = []
  private readonly load: number[] = []
  private readonly latencies = new LatencyWindow()
  private before: Totals

  constructor(before: Totals) {
    this.before = before
  }

  sendAnswered(seconds: number): void {
    this.latencies.add(seconds)
  }

  /** Adds the sample of the time that has passed, in seconds. */
  sample(now: Totals, seconds: number): void {
    const { before, latencies } = this
    this.before = now
    const busy = (now.sequencerBusySeconds - before.sequencerBusySeconds) / seconds
    push(this.rate, Math.max(0, Math.round((now.messages - before.messages) / seconds)))
    push(this.load, Math.min(1, Math.max(0, Math.round(busy * 1000) / 1000)))
    push(this.sendP50, latencies.quantile(0.5))
    push(this.sendP99, latencies.quantile(0.99))
    latencies.clear()
  }

  get series(): Series {
    const { rate, sendP50, sendP99, load } = this
    return { rate, sendP50, sendP99, load }
  }
}

function push<T>(ring: T[], value: T): void {
  ring.push(value)
  if (ring.length > SAMPLES) ring.shift()
}

/** Buckets from 1 µs on, each a twelfth of a doubling wide: at most 6 % off, up to 70 seconds. */
const PER_DOUBLING = 12
const BUCKETS = 26 * PER_DOUBLING

/** Send times of one second, as a histogram: what a send costs here is one logarithm. */
export class LatencyWindow {
  private readonly counts = new Uint32Array(BUCKETS)
  private total = 0

  add(seconds: number): void {
    const bucket = Math.floor(Math.log2(Math.max(1, seconds * 1e6)) * PER_DOUBLING)
    this.counts[Math.min(BUCKETS - 1, bucket)]!++
    this.total++
  }

  /** Microseconds; null if there were no sends. */
  quantile(q: number): number | null {
    if (this.total === 0) return null
    let left = Math.ceil(q * this.total)
    for (let i = 0; i < BUCKETS; i++) {
      left -= this.counts[i]!
      if (left <= 0) return Math.round(2 ** ((i + 0.5) / PER_DOUBLING))
    }
    return null
  }

  clear(): void {
    if (this.total === 0) return
    this.counts.fill(0)
    this.total = 0
  }
}
