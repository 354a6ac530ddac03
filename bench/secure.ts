/** What sealing costs: the same group with a key and without one, in turns; the rate, and a lone send. */
import { drawKey } from '../kernel/node/secure/group-key.ts'
import { PACKET_BYTES_LOOPBACK } from '../kernel/node/udp.ts'
import type { Cluster, Workload } from './harness.ts'
import type { ClusterSettings } from './messages.ts'
import type { Metrics } from './metrics.ts'
import {
  type Bench,
  type BenchOptions,
  plainCluster,
  secondsOfRuns,
  startsOf,
  timingOf,
  withClusters,
} from './plan.ts'
import { say } from './report/series.ts'
import { type Result, summarize } from './results.ts'
import { bytes, range } from './table.ts'

const METRICS = ['rate', 'p50', 'p99', 'cpu', 'others'] as const
/** What may be lost at 1 KiB, of the rate and of a lone send's time. */
const RATE_LOSS_MAX = 0.25
const LONE_MICROS_MAX = 15

export const secureBench: Bench = {
  name: 'secure',
  describe: 'what sealing costs: rates and lone sends with a group key and without one',
  lasts(options) {
    const { rounds, workloads } = settingsOf(options)
    const runs = rounds.length * workloads.length * 2 * (options.runs + 1)
    return startsOf(rounds.flat()) + secondsOfRuns(runs, timingOf(options))
  },
  async measure(options, progress, signal, keep) {
    const { rounds, workloads } = settingsOf(options)
    const of = rounds.length * workloads.length * 2 * (options.runs + 1)
    let done = 0
    const turn = (what: string, isDone: boolean): void => {
      if (isDone) done++
      progress(done, of, what)
    }
    for (const clusters of rounds) {
      await withClusters(clusters, options.execArgv, signal, turn, async (started) => {
        for (const workload of workloads) {
          const measured = new Map<Cluster, Metrics[]>(started.map((cluster) => [cluster, []]))
          // The first run of each is for warming up.
          for (let run = 0; run <= options.runs; run++) {
            for (const cluster of started) {
              signal.throwIfAborted()
              const what = `${cluster.settings.key === undefined ? 'plain' : 'sealed'}, ${workload.pattern}`
              turn(what, false)
              const found = await cluster.run(workload, timingOf(options))
              if (run > 0) measured.get(cluster)!.push(found)
              turn(what, true)
            }
          }
          for (const [{ settings }, runs] of measured) {
            const isSealed = settings.key !== undefined
            const found = summarize({ bench: 'secure', settings, workload }, runs, METRICS)
            keep(found.map((result) => ({ ...result, isSealed })))
          }
        }
      })
    }
  },
  report(results) {
    const pairs = pairsOf(results)
    const rows = pairs.map(({ plain, sealed, metric }) => [
      String(plain.members),
      bytes(plain.size),
      String(plain.packetSize),
      plain.pattern === 'lone'
        ? `lone send, ${metric} µs`
        : metric === 'cpu'
          ? 'cpu µs/message'
          : 'messages/s',
      range(plain),
      range(sealed),
      plain.pattern === 'lone'
        ? `${signed(sealed.value - plain.value)} µs`
        : `${signed((sealed.value / plain.value - 1) * 100)} %`,
    ])
    const headings = ['members', 'message', 'packet', 'what', 'plain', 'sealed', 'difference']
    const note = `Allowed at 1 KiB: ${RATE_LOSS_MAX * 100} % of the rate, and ${LONE_MICROS_MAX} µs of a lone send's p50. Packet sizes count on the wire, the envelope's 48 bytes with them.`
    return { tables: [{ headings, rows, note: [note, verdict(pairs)].join(' ') }], figures: [] }
  },
}

function settingsOf(options: BenchOptions): {
  readonly rounds: readonly (readonly ClusterSettings[])[]
  readonly workloads: readonly Workload[]
} {
  const { members = [3], sizes = [1024], packetSizes = [PACKET_BYTES_LOOPBACK, 1400], method } = options
  const rounds = members.flatMap((count) =>
    packetSizes.map((packetSize) => {
      const plain = plainCluster(count, packetSize, { method })
      return [plain, { ...plain, key: drawKey() }]
    }),
  )
  const workloads = sizes.flatMap((size): Workload[] => [
    { pattern: 'stream', senders: 'all', size },
    { pattern: 'lone', senders: 'other', size },
  ])
  return { rounds, workloads }
}

interface Pair {
  readonly metric: Result['metric']
  readonly plain: Result
  readonly sealed: Result
}

function pairsOf(results: readonly Result[]): Pair[] {
  const keyOf = ({ members, size, packetSize, pattern, metric }: Result): string =>
    [members, size, packetSize, pattern, metric].join(' ')
  return results.flatMap((plain) => {
    const isShown = plain.pattern === 'lone' ? ['p50', 'p99'] : ['rate', 'cpu']
    if (plain.isSealed !== false || !isShown.includes(plain.metric)) return []
    const sealed = results.find((other) => other.isSealed === true && keyOf(other) === keyOf(plain))
    return sealed === undefined ? [] : [{ metric: plain.metric, plain, sealed }]
  })
}

function verdict(pairs: readonly Pair[]): string {
  const at1KiB = pairs.filter(({ plain }) => plain.size === 1024)
  const slow = at1KiB.filter(
    ({ metric, plain, sealed }) => metric === 'rate' && sealed.value < plain.value * (1 - RATE_LOSS_MAX),
  )
  const late = at1KiB.filter(
    ({ metric, plain, sealed }) => metric === 'p50' && sealed.value > plain.value + LONE_MICROS_MAX,
  )
  return say(
    slow.length > 0 && `The rate lost more than that with packets of ${sizesOf(slow)} bytes.`,
    late.length > 0 && `A lone send took longer than that with packets of ${sizesOf(late)} bytes.`,
    at1KiB.length > 0 && slow.length + late.length === 0 && 'All of it was kept.',
  )
}

function sizesOf(pairs: readonly Pair[]): string {
  return pairs.map(({ plain }) => plain.packetSize).join(' and ')
}

function signed(value: number): string {
  return `${value < 0 ? '−' : '+'}${Math.abs(value).toFixed(1)}`
}
