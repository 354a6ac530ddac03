/** Minutes of steady load: memory, event-loop delay and latency over time, and the order of all of it at the end. */
import { PACKET_BYTES_LOOPBACK } from '../kernel/node/udp.ts'
import type { Workload } from './harness.ts'
import type { ClusterSettings, Health } from './messages.ts'
import type { MetricName } from './metrics.ts'
import { metricUnits } from './metrics.ts'
import { type Bench, type BenchOptions, plainCluster, startsOf, timingOf, withClusters } from './plan.ts'
import type { Figure, Series } from './report/parts.ts'
import { say } from './report/series.ts'
import { find, median, type Result, summarize } from './results.ts'
import { bytes, figure } from './table.ts'

const MEMBERS = 3
const SIZE = 100
/** Of all members together. */
const PER_SECOND = 50_000
const SAMPLES = 60
const SAMPLE_LEAST_MS = 250
const RUN_LEAST_MS = 1000

export const soakBench: Bench = {
  name: 'soak',
  describe: 'memory, event-loop delay and latency over minutes of steady load (--minutes)',
  lasts(options) {
    return options.minutes * 60 + startsOf([settingsOf(options)])
  },
  async measure(options, progress, signal, keep) {
    const settings = settingsOf(options)
    const size = options.sizes?.[0] ?? SIZE
    const workload: Workload = {
      pattern: 'steady',
      senders: 'all',
      size,
      perSecond: PER_SECOND,
      // the load is light beside what a member could take
      readsBodies: true,
    }
    const measureMs = Math.max(RUN_LEAST_MS, options.minutes * 60_000)
    const timing = { ...timingOf(options), measureMs }
    const everyMs = Math.max(SAMPLE_LEAST_MS, measureMs / SAMPLES)
    const starting = (what: string): void => progress(0, 1, what)
    await withClusters([settings], options.execArgv, signal, starting, async ([cluster]) => {
      const samples: { at: number; healths: readonly Health[] }[] = []
      const began = performance.now()
      const run = await cluster!.watch(workload, timing, everyMs, (healths) => {
        const at = (performance.now() - began) / 1000
        samples.push({ at, healths })
        progress(Math.min(at, measureMs / 1000), measureMs / 1000, `${PER_SECOND} messages/s`)
      })
      const common = { bench: 'soak', settings, workload }
      const results = summarize(common, [run], ['rate', 'cpu', 'repeated'])
      keep(results)
      for (const [metric, of] of Object.entries(readings))
        keep(overTime(results[0]!, metric as MetricName, samples, of))
    })
  },
  report(results) {
    const rows = Object.keys(readings).flatMap((metric) => {
      const found = results.find((each) => each.metric === metric)
      if (found === undefined) return []
      const { from, to } = ends(found)
      return [
        [
          names[metric as keyof typeof readings],
          found.unit,
          figure(found.value),
          figure(found.min),
          figure(found.max),
          figure(from),
          figure(to),
        ],
      ]
    })
    const rate = results.find(({ metric }) => metric === 'rate')
    const minutes = (rate && find(results, rate, 'rss')?.times?.at(-1)) ?? 0
    return {
      tables: [
        {
          title: `${rate?.members ?? 0} members, ${figure(minutes / 60)} minutes, ${figure(rate?.value ?? 0)} messages/s of ${bytes(rate?.size ?? 0)} delivered at each`,
          headings: ['measure', 'unit', 'median', 'least', 'most', 'first quarter', 'last quarter'],
          rows,
          note: `Each figure is that of the worst member. Latency: from the call of sendMany with what is due (every 2 ms) to its return, under the load. First and last quarter: medians of the samples, the first tenth left out as warm-up.`,
        },
      ],
      figures: figuresOf(results),
    }
  },
}

function settingsOf({ members, packetSizes, method }: BenchOptions): ClusterSettings {
  return plainCluster(members?.[0] ?? MEMBERS, packetSizes?.[0] ?? PACKET_BYTES_LOOPBACK, { method })
}

const names = {
  rss: 'memory of a process',
  heap: 'JavaScript heap',
  loopDelay: 'event-loop delay, p99',
  p50: 'latency, p50',
  p99: 'latency, p99',
} as const

/** Undefined where a member has measured nothing since the last sample. */
const readings: Record<keyof typeof names, (health: Health) => number | undefined> = {
  rss: ({ rssMiB }) => rssMiB,
  heap: ({ heapMiB }) => heapMiB,
  loopDelay: ({ loopDelayP99 }) => loopDelayP99,
  p50: ({ latency }) => latency?.p50,
  p99: ({ latency }) => latency?.p99,
}

function overTime(
  like: Result,
  metric: MetricName,
  samples: readonly { readonly at: number; readonly healths: readonly Health[] }[],
  of: (health: Health) => number | undefined,
): Result[] {
  const taken = samples.flatMap(({ at, healths }) => {
    const values = healths.flatMap((health) => of(health) ?? [])
    return values.length === 0 ? [] : [{ at, value: Math.max(...values) }]
  })
  if (taken.length === 0) return []
  const values = taken.map(({ value }) => value)
  const sorted = [...values].sort((a, b) => a - b)
  return [
    {
      ...like,
      metric,
      unit: metricUnits[metric],
      value: median(sorted),
      min: sorted[0]!,
      max: sorted.at(-1)!,
      samples: values,
      times: taken.map(({ at }) => at),
    },
  ]
}

/** Medians of the first and the last quarter, without the warm-up. */
function ends({ samples = [] }: Result): { from: number; to: number } {
  const warm = samples.slice(Math.floor(samples.length / 10))
  const quarter = Math.max(1, Math.floor(warm.length / 4))
  const middle = (values: readonly number[]): number => median([...values].sort((a, b) => a - b))
  return { from: middle(warm.slice(0, quarter)), to: middle(warm.slice(-quarter)) }
}

function figuresOf(results: readonly Result[]): Figure[] {
  const line = (metric: keyof typeof readings): Series[] => {
    const found = results.find((each) => each.metric === metric)
    if (found === undefined) return []
    const points = found.samples!.map((y, i) => ({ x: found.times![i]! / 60, y, low: y, high: y }))
    return [{ name: names[metric], role: 'own', points }]
  }
  const x = { label: 'time (minutes)', scale: 'linear' as const }
  const change = (metric: keyof typeof readings): string => {
    const found = results.find((each) => each.metric === metric)
    if (found === undefined) return ''
    const { from, to } = ends(found)
    return `${names[metric]}: ${figure(from)} ${found.unit} in the first quarter, ${figure(to)} in the last.`
  }
  const figures = [
    {
      name: 'soak-memory',
      plot: {
        title: 'Memory under steady load',
        x,
        y: { label: 'MiB of the largest member process', scale: 'linear' as const },
        series: [...line('rss'), ...line('heap')],
      },
      says: say(change('rss'), change('heap')),
    },
    {
      name: 'soak-latency',
      plot: {
        title: 'Latency under steady load',
        x,
        y: { label: 'time of a send (µs)', scale: 'log' as const },
        series: [...line('p50'), ...line('p99')],
      },
      says: say(change('p50'), change('p99')),
    },
    {
      name: 'soak-loop',
      plot: {
        title: 'Event-loop delay under steady load',
        x,
        y: { label: 'delay, p99 (ms)', scale: 'linear' as const },
        series: line('loopDelay'),
      },
      says: say(change('loopDelay')),
    },
  ]
  return figures.filter(({ plot }) => plot.series.length > 0)
}
