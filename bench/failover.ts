/**
 * From the death of the sequencer to the next ordered delivery at the slowest survivor, all survivors sending; where
 * its host tells that the process is gone, and where it is silent.
 */
import { PACKET_BYTES_LOOPBACK } from '../kernel/node/udp.ts'
import { FailoverGroup, type FailoverSettings } from './failover-group.ts'
import type { MetricName, Metrics } from './metrics.ts'
import { type Bench, type BenchOptions, plainCluster } from './plan.ts'
import type { Figure, Table } from './report/parts.ts'
import { list, say } from './report/series.ts'
import { find, type Result, summarize } from './results.ts'
import { SilentHost } from './silent-host.ts'
import { figure, range } from './table.ts'

/** Fewer cannot lose one and still be a majority. */
const MEMBERS_LEAST = 3
const RESILIENCE = 1
/** About what a kill takes, with the time before it and a new member after it. */
const KILL_SECONDS = 0.9
const DETECTIONS = ['default', 'fast'] as const
const METRICS: readonly MetricName[] = [
  'failover',
  'detection',
  'inquiry',
  'phase1',
  'phase2',
  'first',
  'attempts',
  'expelled',
]
const PERCENTS = [10, 20, 30, 50, 70, 90, 100]

type Situation = Pick<FailoverSettings, 'prefix' | 'signal'> & { readonly situation: string }

export const failoverBench: Bench = {
  name: 'failover',
  describe:
    'milliseconds from the death of the sequencer to the next ordered delivery at the slowest survivor',
  lasts(options) {
    const situations = countsOf(options).length * 2 * DETECTIONS.length * (options.sizes?.length ?? 1)
    return situations * options.kills * KILL_SECONDS
  },
  async measure(options, progress, signal, keep) {
    const { sizes = [100], kills, execArgv } = options
    const counts = countsOf(options)
    const host = await SilentHost.create()
    try {
      const silent: Situation =
        host === undefined
          ? { situation: 'process stopped', prefix: [], signal: 'SIGSTOP' }
          : { situation: 'host silent', prefix: host.prefix, signal: 'SIGKILL' }
      const gone: Situation = { situation: 'process gone', prefix: [], signal: 'SIGKILL' }
      const settings = counts.flatMap((count) =>
        [gone, silent].flatMap((how) =>
          DETECTIONS.flatMap((detection) =>
            sizes.map((size) => ({
              ...how,
              members: count,
              detection,
              size,
              resilience: RESILIENCE,
              execArgv,
            })),
          ),
        ),
      )
      let done = 0
      for (const each of settings) {
        const what = `${each.members} members, ${each.situation}, ${each.detection}`
        const runs = await killAll(each, kills, signal, (kill) =>
          progress(done + kill, settings.length * kills, what),
        )
        done += kills
        keep(resultsOf(each, runs))
      }
    } finally {
      await host?.remove()
    }
  },
  report(results) {
    const counts = [...new Set(results.map(({ members }) => members))]
    return { tables: [tableOf(results)], figures: counts.map((count) => figureOf(results, count)) }
  },
}

/** Those that can lose one. */
function countsOf({ members = [] }: BenchOptions): readonly number[] {
  const able = members.filter((count) => count >= MEMBERS_LEAST)
  return able.length === 0 ? [MEMBERS_LEAST] : able
}

async function killAll(
  settings: FailoverSettings,
  kills: number,
  signal: AbortSignal,
  progress: (done: number) => void,
): Promise<Metrics[]> {
  const group = new FailoverGroup(settings)
  const end = (): void => group.end()
  signal.addEventListener('abort', end)
  const runs: Metrics[] = []
  try {
    for (let kill = 0; kill < kills; kill++) {
      signal.throwIfAborted()
      progress(kill)
      runs.push(await group.kill())
    }
    progress(kills)
    await group.close()
    return runs
  } catch (error) {
    group.end()
    signal.throwIfAborted()
    throw error
  } finally {
    signal.removeEventListener('abort', end)
  }
}

function resultsOf(settings: FailoverSettings & Situation, runs: readonly Metrics[]): Result[] {
  const { members, resilience, size, situation, detection } = settings
  const cluster = plainCluster(members, PACKET_BYTES_LOOPBACK, { resilience })
  const workload = { pattern: 'steady', senders: 'all', size } as const
  return summarize({ bench: 'failover', settings: cluster, workload }, runs, METRICS).map((result) => {
    const samples = runs.flatMap((run) => run[result.metric] ?? []).sort((a, b) => a - b)
    const common = { ...result, situation, detection, p90: percentile(samples, 90) }
    return result.metric === 'failover' || result.metric === 'expelled' ? { ...common, samples } : common
  })
}

/** The least that so many per cent of the sorted samples do not exceed. */
function percentile(samples: readonly number[], percent: number): number {
  return samples[Math.max(0, Math.ceil((percent / 100) * samples.length) - 1)]!
}

function tableOf(results: readonly Result[]): Table {
  const rows = results
    .filter(({ metric }) => metric === 'failover')
    .map((whole) => {
      const part = (metric: MetricName): string => figure(find(results, whole, metric)?.value)
      const expelled = find(results, whole, 'expelled')?.samples?.reduce((sum, count) => sum + count, 0) ?? 0
      return [
        String(whole.members),
        whole.situation ?? '',
        whole.detection ?? '',
        String(whole.runs),
        range(whole),
        figure(whole.p90),
        part('detection'),
        part('inquiry'),
        part('phase1'),
        part('phase2'),
        part('first'),
        String(expelled),
      ]
    })
  const headings = [
    'members',
    'the sequencer',
    'detection',
    'kills',
    'to next delivery ms',
    'p90',
    'to suspicion',
    'asking others',
    'phase 1',
    'phase 2',
    'first delivery',
    'expelled alive',
  ]
  const isStopped = results.some(({ situation }) => situation === 'process stopped')
  const note = `Milliseconds. Process gone: the host answers that the port is closed. Host silent: nobody is told. The parts are medians of their own and need not add up.${
    isStopped
      ? ' Process stopped: by SIGSTOP, in place of a silent host; that takes a network namespace, so Linux, root and `ip`.'
      : ''
  }`
  return { headings, rows, note }
}

function figureOf(results: readonly Result[], members: number): Figure {
  const wholes = results.filter(({ metric, members: count }) => metric === 'failover' && count === members)
  const series = wholes.map(({ situation, detection, samples = [] }) => ({
    name: `${situation}, ${detection}`,
    role: 'own' as const,
    points: PERCENTS.map((x) => {
      const y = percentile(samples, x)
      return { x, y, low: y, high: y }
    }),
  }))
  const medians = wholes.map(
    ({ situation, detection, value, p90 = value }) =>
      `${figure(value)} ms (${situation}, detection ${detection}; nine of ten within ${figure(p90)} ms)`,
  )
  return {
    name: `failover-${members}`,
    plot: {
      title: `From the death of the sequencer to the next delivery, ${members} members`,
      x: { label: 'share of the kills that took no longer (%)', scale: 'linear', ticks: PERCENTS },
      y: { label: 'time at the slowest survivor (ms)', scale: 'log' },
      series,
    },
    says: say(
      medians.length > 0 &&
        `After the sequencer is killed, the slowest survivor has the next ordered message in the median after ${list(medians)}.`,
    ),
  }
}
