/**
 * From the death of the sequencer to the next ordered delivery at the slowest survivor, all survivors sending; where
 * its host tells that the process is gone, and where it is silent.
 */
import { PACKET_BYTES_LOOPBACK } from '../kernel/node/udp.ts'
import { FailoverGroup, type FailoverSettings } from './failover-group.ts'
import type { MetricName, Metrics } from './harness.ts'
import type { Bench } from './plan.ts'
import { linePlot } from './plot.ts'
import { type Result, summarize } from './results.ts'
import { SilentHost } from './silent-host.ts'
import { figure, range, table } from './table.ts'

/** Fewer cannot lose one and still be a majority. */
const MEMBERS_LEAST = 3
const RESILIENCE = 1
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
  async measure({ members = [MEMBERS_LEAST], sizes = [100], kills, execArgv }, progress, signal) {
    const able = members.filter((count) => count >= MEMBERS_LEAST)
    const counts = able.length === 0 ? [MEMBERS_LEAST] : able
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
      const results: Result[] = []
      let done = 0
      for (const each of settings) {
        const what = `${each.members} members, ${each.situation}, ${each.detection}`
        const runs = await killAll(each, kills, signal, (kill) =>
          progress(done + kill, settings.length * kills, what),
        )
        done += kills
        results.push(...resultsOf(each, runs))
      }
      return results
    } finally {
      await host?.remove()
    }
  },
  report(results) {
    const counts = [...new Set(results.map(({ members }) => members))]
    const files = Object.fromEntries(counts.map((count) => [`failover-${count}.svg`, plotOf(results, count)]))
    return { text: tableOf(results), files }
  },
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
  const cluster = {
    subject: 'amoebacast',
    members,
    resilience,
    method: 'auto',
    transport: 'multicast',
    packetSize: PACKET_BYTES_LOOPBACK,
  } as const
  return summarize({ bench: 'failover', settings: cluster, size, senders: 'all' }, runs, METRICS).map(
    (result) => {
      const samples = runs.flatMap((run) => run[result.metric] ?? []).sort((a, b) => a - b)
      const common = { ...result, situation, detection, p90: percentile(samples, 90) }
      return result.metric === 'failover' || result.metric === 'expelled' ? { ...common, samples } : common
    },
  )
}

/** The least that so many per cent of the sorted samples do not exceed. */
function percentile(samples: readonly number[], percent: number): number {
  return samples[Math.max(0, Math.ceil((percent / 100) * samples.length) - 1)]!
}

function tableOf(results: readonly Result[]): string {
  const rows = results
    .filter(({ metric }) => metric === 'failover')
    .map((whole) => {
      const find = (metric: MetricName): Result | undefined =>
        results.find(
          (result) =>
            result.metric === metric &&
            result.members === whole.members &&
            result.size === whole.size &&
            result.situation === whole.situation &&
            result.detection === whole.detection,
        )
      const part = (metric: MetricName): string => figure(find(metric)?.value ?? Number.NaN)
      const expelled = find('expelled')?.samples?.reduce((sum, count) => sum + count, 0) ?? 0
      return [
        String(whole.members),
        whole.situation ?? '',
        whole.detection ?? '',
        String(whole.runs),
        range(whole),
        figure(whole.p90 ?? Number.NaN),
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
  const note = results.some(({ situation }) => situation === 'process stopped')
    ? '\n\nprocess stopped: by SIGSTOP, in place of a silent host; that takes a network namespace, so Linux, root and `ip`'
    : ''
  return `${table(headings, rows)}${note}`
}

function plotOf(results: readonly Result[], members: number): string {
  const series = results
    .filter(({ metric, members: count }) => metric === 'failover' && count === members)
    .map(({ situation, detection, samples = [] }) => ({
      name: `${situation?.split(' ')[1]}, ${detection}`,
      points: PERCENTS.map((x) => {
        const y = percentile(samples, x)
        return { x, y, low: y, high: y }
      }),
    }))
  return linePlot({
    title: `from the death of the sequencer to the next delivery, ${members} members`,
    xLabel: 'per cent of the kills took no longer',
    yLabel: 'milliseconds',
    series,
  })
}
