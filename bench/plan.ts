/** What a bench is: clusters of processes and workloads; and how they are run side by side. */
import { Cluster, type Timing, type Workload } from './harness.ts'
import { type ClusterSettings, isPeer, type Method, type PeerName } from './messages.ts'
import type { MetricName, Metrics } from './metrics.ts'
import type { BenchReport } from './report/parts.ts'
import { type Result, summarize } from './results.ts'

export interface BenchOptions {
  /** Member counts, message sizes (bytes) and packet sizes (bytes) to measure; each bench has its own defaults. */
  readonly members: readonly number[] | undefined
  readonly sizes: readonly number[] | undefined
  readonly packetSizes: readonly number[] | undefined
  /** Where a bench does not compare methods itself. */
  readonly method: Method
  readonly seconds: number
  readonly runs: number
  /** Of a sequencer, where a bench kills. */
  readonly kills: number
  /** Of a bench that goes on for long. */
  readonly minutes: number
  /** That are installed, to be measured beside. */
  readonly against: readonly PeerName[]
  /** For the member processes, such as --cpu-prof. */
  readonly execArgv: readonly string[]
}

/** Clusters that live at the same time and take turns, and what each of them does. */
export interface Round {
  readonly clusters: readonly ClusterSettings[]
  readonly workloads: readonly Workload[]
  readonly metrics: readonly MetricName[]
}

export interface Bench {
  readonly name: string
  readonly describe: string
  /** What is run in turns; or the bench measures by itself. */
  plan?(options: BenchOptions): readonly Round[]
  measure?(options: BenchOptions, progress: Progress, signal: AbortSignal): Promise<Result[]>
  /** Tables and plots of what was measured. */
  report(results: readonly Result[]): BenchReport
}

/** Told before and after every run, warm-ups too; `done` need not be whole. */
export type Progress = (done: number, of: number, what: string) => void

const LONGEST_RAMP_MS = 300

/** A group with the defaults, in processes of its own, over multicast. */
export function plainCluster(
  members: number,
  packetSize: number,
  more: Partial<ClusterSettings> = {},
): ClusterSettings {
  return {
    subject: 'amoebacast',
    members,
    resilience: 0,
    method: 'auto',
    transport: 'multicast',
    packetSize,
    ...more,
  }
}

/** The bare packet pattern under the same setting. */
export function floorOf(
  settings: ClusterSettings,
  subject: 'floor' | 'floor-delivered' = 'floor',
): ClusterSettings {
  return { ...settings, subject, resilience: 0, method: 'pb', transport: 'multicast', calls: 'batch' }
}

/** Peers with as many clients; they cut packets as they like. */
export function peersOf(peers: readonly PeerName[], members: number): ClusterSettings[] {
  return peers.map((subject) => plainCluster(members, 0, { subject }))
}

/** What a subject has no part in: a peer has no sequencer that sends, and etcd is measured by single writes. */
function isFor({ subject, calls }: ClusterSettings, { senders, pattern }: Workload): boolean {
  if (subject === 'etcd' && pattern !== 'lone') return false
  if (calls === 'each' && pattern !== 'stream') return false
  return !(isPeer(subject) && senders === 'sequencer')
}

export function timingOf({ seconds }: BenchOptions): Timing {
  return { rampMs: Math.min(LONGEST_RAMP_MS, seconds * 250), measureMs: seconds * 1000 }
}

/**
 * Runs every workload on every cluster of its round, run by run in turn, so that what else happens on the machine
 * meets all of them alike. The first run of each is for warming up, and not counted.
 */
export async function carryOut(
  bench: Bench,
  options: BenchOptions,
  progress: Progress,
  signal: AbortSignal,
): Promise<Result[]> {
  if (bench.measure !== undefined) return bench.measure(options, progress, signal)
  const rounds = bench.plan?.(options) ?? []
  const pairs = ({ clusters, workloads }: Round): number =>
    workloads.reduce((sum, workload) => sum + clusters.filter((each) => isFor(each, workload)).length, 0)
  const of = rounds.reduce((sum, round) => sum + pairs(round) * (options.runs + 1), 0)
  const results: Result[] = []
  let done = 0
  for (const round of rounds) {
    const turn = (what: string, isDone: boolean): void => {
      if (isDone) done++
      progress(done, of, what)
    }
    results.push(...(await carryOutRound(bench.name, round, options, turn, signal)))
  }
  return results
}

async function carryOutRound(
  bench: string,
  { clusters: wanted, workloads, metrics }: Round,
  options: BenchOptions,
  turn: (what: string, isDone: boolean) => void,
  signal: AbortSignal,
): Promise<Result[]> {
  const timing = timingOf(options)
  const results: Result[] = []
  await withClusters(wanted, options.execArgv, signal, turn, async (clusters) => {
    for (const workload of workloads) {
      const able = clusters.filter(({ settings }) => isFor(settings, workload))
      const measured = new Map<Cluster, Metrics[]>(able.map((cluster) => [cluster, []]))
      for (let run = 0; run <= options.runs; run++) {
        for (const cluster of able) {
          signal.throwIfAborted()
          const what = `${cluster.settings.subject}, ${cluster.settings.members} members, ${workload.size} B`
          turn(what, false)
          const metricsOfRun = await cluster.run(workload, timing)
          if (run > 0) measured.get(cluster)!.push(metricsOfRun)
          turn(what, true)
        }
      }
      for (const [{ settings }, runs] of measured)
        results.push(...summarize({ bench, settings, workload }, runs, metrics))
    }
  })
  return results
}

/** Starts clusters, one after the other so that none is late, and ends them whatever comes. */
export async function withClusters(
  wanted: readonly ClusterSettings[],
  execArgv: readonly string[],
  signal: AbortSignal,
  turn: (what: string, isDone: boolean) => void,
  use: (clusters: readonly Cluster[]) => Promise<void>,
): Promise<void> {
  const clusters: Cluster[] = []
  const kill = (): void => {
    for (const cluster of clusters) cluster.kill()
  }
  signal.addEventListener('abort', kill)
  try {
    for (const settings of wanted) {
      signal.throwIfAborted()
      turn(`${settings.subject} with ${settings.members} members starts`, false)
      clusters.push(await Cluster.start(settings, execArgv))
    }
    await use(clusters)
    await Promise.all(clusters.map((cluster) => cluster.close()))
  } catch (error) {
    kill()
    signal.throwIfAborted()
    throw error
  } finally {
    signal.removeEventListener('abort', kill)
  }
}
