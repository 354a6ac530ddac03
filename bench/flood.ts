/**
 * What a flood of garbage costs a group: a process of its own sends packets that are none to the socket of every member,
 * up to 100,000 a second together, while all members send as fast as they can. In turns with runs that are not flooded.
 */
import { fileURLToPath } from 'node:url'
import { detectionPresets } from '../group/member/options.ts'
import { drawKey } from '../kernel/node/secure/group-key.ts'
import { PACKET_BYTES_LOOPBACK } from '../kernel/node/udp.ts'
import { Child } from './child.ts'
import { type FromFlooder, PER_SECOND_MAX, type ToFlooder } from './flood-messages.ts'
import type { Cluster, Timing, Workload } from './harness.ts'
import type { ClusterSettings } from './messages.ts'
import type { Metrics } from './metrics.ts'
import {
  type Bench,
  type BenchOptions,
  plainCluster,
  secondsOfRuns,
  startsOf,
  timingOf,
  turnsOf,
  withClusters,
} from './plan.ts'
import type { Figure, Table } from './report/parts.ts'
import { amount, list, say, seriesOf } from './report/series.ts'
import { find, type Result, summarize } from './results.ts'
import { bytes, figure, range, ratio } from './table.ts'

const script = fileURLToPath(new URL('./flooder.js', import.meta.url))

const MEMBERS = 3
const SIZE = 1024
/** Packets of garbage a second, to all members together. */
const FLOODS = [0, 10_000, 30_000, PER_SECOND_MAX]
const METRICS = ['rate', 'garbage', 'rejected', 'suspicions', 'others'] as const
/** A machine that is short of processors lets the flooder wait, too. */
const ANSWER_WITHIN_MS = 60_000

export const floodBench: Bench = {
  name: 'flood',
  describe:
    'what garbage at the sockets of all members costs: the rate with and without, and who is suspected',
  lasts(options) {
    const settings = settingsOf(options)
    return startsOf(settings) + secondsOfRuns(runsOf(settings, options), timingOf(options))
  },
  async measure(options, progress, signal, keep) {
    const settings = settingsOf(options)
    const timing = timingOf(options)
    const workload: Workload = { pattern: 'stream', senders: 'all', size: options.sizes?.[0] ?? SIZE }
    const turn = turnsOf(progress, runsOf(settings, options))
    const flooder = new Child<FromFlooder, ToFlooder>({
      name: 'the flooder',
      script,
      order: {},
      execArgv: [],
    })
    try {
      await flooder.ask('ready', undefined, ANSWER_WITHIN_MS)
      await withClusters(settings, options.execArgv, signal, turn, async (clusters) => {
        const measured = new Map(clusters.map((cluster) => [cluster, FLOODS.map((): Metrics[] => [])]))
        // The first run of each is for warming up.
        for (let run = 0; run <= options.runs; run++) {
          for (const cluster of clusters) {
            for (const [i, perSecond] of FLOODS.entries()) {
              signal.throwIfAborted()
              const what = `${sealedName(cluster.settings)}, ${perSecond} packets of garbage a second`
              turn(what, false)
              const isCounted = run > 0
              const order = { ...workload, readsBodies: !isCounted }
              const metrics = await runFlooded(cluster, order, timing, flooder, perSecond)
              if (isCounted) measured.get(cluster)![i]!.push(metrics)
              turn(what, true)
            }
          }
        }
        for (const [{ settings }, all] of measured) {
          for (const [i, runs] of all.entries()) {
            const found = summarize({ bench: 'flood', settings, workload }, runs, METRICS)
            keep(found.map((result) => ({ ...result, flood: FLOODS[i]! })))
          }
        }
      })
    } finally {
      flooder.kill()
    }
  },
  report(results) {
    const rates = results.filter(({ metric }) => metric === 'rate')
    if (rates.length === 0) return { tables: [], figures: [] }
    return { tables: [tableOf(results, rates)], figures: [figureOf(results, rates)] }
  },
}

function settingsOf({ members, packetSizes, method }: BenchOptions): ClusterSettings[] {
  const { tries } = detectionPresets.default
  const packetSize = packetSizes?.[0] ?? PACKET_BYTES_LOOPBACK
  const plain = plainCluster(members?.[0] ?? MEMBERS, packetSize, { method, tries })
  return [plain, { ...plain, key: drawKey() }]
}

/** The first of each is for warming up. */
function runsOf(settings: readonly ClusterSettings[], { runs }: BenchOptions): number {
  return settings.length * FLOODS.length * (1 + runs)
}

function runFlooded(
  cluster: Cluster,
  workload: Workload,
  timing: Timing,
  flooder: Child<FromFlooder, ToFlooder>,
  perSecond: number,
): Promise<Metrics> {
  return cluster.run(workload, timing, async () => {
    const forMs = timing.rampMs + timing.measureMs
    const order = { addresses: cluster.receivers, perSecond, forMs }
    const { sent, seconds } =
      perSecond === 0
        ? { sent: 0, seconds: forMs / 1000 }
        : await flooder.ask('flooded', { say: 'flood', order }, forMs + ANSWER_WITHIN_MS)
    return (groups) => {
      const rejected = groups.flat().reduce((sum, report) => sum + (report.rejected ?? 0), 0)
      return { garbage: sent / seconds, rejected: sent === 0 ? 0 : (100 * rejected) / sent }
    }
  })
}

function sealedName({ key }: ClusterSettings): string {
  return key === undefined ? 'plain' : 'sealed'
}

function tableOf(results: readonly Result[], rates: readonly Result[]): Table {
  const rows = rates.map((rate) => {
    const quiet = find(results, { ...rate, flood: 0 }, 'rate')
    return [
      rate.isSealed ? 'with a group key' : 'without',
      String(rate.members),
      bytes(rate.size),
      figure(rate.flood ?? 0),
      range(find(results, rate, 'garbage')),
      range(rate),
      ratio(rate.value, quiet?.value),
      lost(rate, quiet),
      range(find(results, rate, 'rejected')),
      range(find(results, rate, 'suspicions')),
      figure(find(results, rate, 'others')?.value),
    ]
  })
  const headings = [
    'sealed',
    'members',
    'message',
    'garbage/s wanted',
    'garbage/s sent',
    'messages/s at the slowest',
    'to none',
    'lost %',
    'rejected % of sent',
    'suspicions a run',
    'others %',
  ]
  const note =
    'Garbage: packets of 20 to 1,280 bytes to the sockets of all members in turn, half of them with the first byte of a plain or a sealed packet. The flooder is a process of the same machine and takes processor time of its own, which is in the column others: with few cores that costs more than the garbage does. What is not rejected was dropped by full socket buffers before anybody saw it. Members are suspected after the default number of tries; every run is checked like all others.'
  return { headings, rows, note }
}

function lost(rate: Result, quiet: Result | undefined): string {
  return quiet === undefined || quiet.value === 0
    ? ''
    : figure(Math.max(0, 100 * (1 - rate.value / quiet.value)))
}

function figureOf(results: readonly Result[], rates: readonly Result[]): Figure {
  const sent = (rate: Result): number => find(results, rate, 'garbage')?.value ?? rate.flood ?? 0
  const plain = rates.filter(({ isSealed }) => !isSealed)
  const sealed = rates.filter(({ isSealed }) => isSealed)
  const most = plain.at(-1)
  const quiet = plain.find(({ flood }) => flood === 0)
  const suspicions = results.filter(({ metric, max }) => metric === 'suspicions' && max > 0)
  const losses = [plain, sealed].flatMap((each) => {
    const [none, worst] = [each.find(({ flood }) => flood === 0), each.at(-1)]
    return none === undefined || worst === undefined || worst === none
      ? []
      : [`${lost(worst, none)} % ${worst.isSealed ? 'with a group key' : 'without a key'}`]
  })
  return {
    name: 'flood',
    plot: {
      title: `A flood of garbage, ${rates[0]!.members} members, messages of ${bytes(rates[0]!.size)}`,
      x: { label: 'packets of garbage a second, to all members together', scale: 'linear' },
      y: { label: 'messages a second at the slowest receiver', scale: 'linear' },
      series: [
        seriesOf('without a key', 'own', plain, sent),
        seriesOf('with a group key', 'own', sealed, sent),
      ].filter(({ points }) => points.length > 0),
    },
    says: say(
      quiet !== undefined && `Without garbage each member receives ${amount(quiet)}.`,
      most !== undefined &&
        losses.length > 0 &&
        `${figure(sent(most))} packets of garbage a second, the most that the flooder managed, cost ${list(losses)} of the rate, the flooder's own processor time included.`,
      suspicions.length === 0
        ? 'Nobody was suspected in any run.'
        : `Members were suspected in ${suspicions.length} of the settings.`,
    ),
  }
}
