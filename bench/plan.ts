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
  /** Where runs must be shorter, because there are many, or longer: what a run takes of `seconds`; default 1. */
  readonly runShare?: number
  /** About what a run takes beside its own time; default 0.15. */
  readonly runMoreSeconds?: number
  measure?(options: BenchOptions, progress: Progress, signal: AbortSignal, keep: Keep): Promise<void>
  /** Of a bench that measures by itself: about so many seconds. */
  lasts?(options: BenchOptions): number
  /** Tables and plots of what was measured, which may be a part only. */
  report(results: readonly Result[]): BenchReport
}

/** Takes results as they come, so that what was measured is there if something later fails. */
export type Keep = (results: readonly Result[]) => void

/** Told before and after every run, warm-ups too; `done` need not be whole. */
export type Progress = (done: number, of: number, what: string) => void

const LONGEST_RAMP_MS = 300
/** About what starting a process and letting it join takes, and a run beside its own time. */
const START_SECONDS = 0.25
const RUN_MORE_SECONDS = 0.15
const WARM_UPS = 1

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
  return { ...settings, subject, resilience: 0, transport: 'multicast', calls: 'batch' }
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

/** Of a run that takes `share` of the wanted seconds. */
export function timingOf({ seconds }: BenchOptions, share = 1): Timing {
  return { rampMs: Math.min(LONGEST_RAMP_MS, share * seconds * 250), measureMs: share * seconds * 1000 }
}

/** About so many seconds, on a machine that has nothing else to do. */
export function secondsOf(bench: Bench, options: BenchOptions): number {
  if (bench.lasts !== undefined) return bench.lasts(options)
  const rounds = bench.plan?.(options) ?? []
  const starts = rounds.reduce((sum, { clusters }) => sum + startsOf(clusters), 0)
  const timing = timingOf(options, bench.runShare)
  return starts + secondsOfRuns(runsOf(rounds, options), timing, bench.runMoreSeconds)
}

export function startsOf(clusters: readonly ClusterSettings[]): number {
  return clusters.reduce((sum, { members, processes = members }) => sum + processes, 0) * START_SECONDS
}

export function secondsOfRuns(
  count: number,
  { rampMs, measureMs }: Timing,
  moreSeconds = RUN_MORE_SECONDS,
): number {
  return count * ((rampMs + measureMs) / 1000 + moreSeconds)
}

/** All runs of these rounds, those for warming up as well. */
function runsOf(rounds: readonly Round[], { runs }: BenchOptions): number {
  const settings = rounds.flatMap(({ clusters, workloads }) =>
    workloads.flatMap((workload) => clusters.filter((each) => isFor(each, workload))),
  )
  return settings.length * (WARM_UPS + runs)
}

/** Told before a run and after it, and before a cluster starts. */
export type Turn = (what: string, isDone: boolean) => void

/** Counts the runs that are done of `of`. */
export function turnsOf(progress: Progress, of: number): Turn {
  let done = 0
  return (what, isDone) => {
    if (isDone) done++
    progress(done, of, what)
  }
}

/**
 * Runs every workload on every cluster of its round, run by run in turn, so that what else happens on the machine
 * meets all of them alike. The first run of each is for warming up, and not counted: in it every byte is checked.
 */
export async function carryOut(
  bench: Bench,
  options: BenchOptions,
  progress: Progress,
  signal: AbortSignal,
  keep: Keep,
): Promise<void> {
  if (bench.measure !== undefined) return bench.measure(options, progress, signal, keep)
  const rounds = bench.plan?.(options) ?? []
  const turn = turnsOf(progress, runsOf(rounds, options))
  for (const round of rounds) await carryOutRound(bench, round, options, turn, signal, keep)
}

async function carryOutRound(
  bench: Bench,
  { clusters: wanted, workloads, metrics }: Round,
  options: BenchOptions,
  turn: Turn,
  signal: AbortSignal,
  keep: Keep,
): Promise<void> {
  const timing = timingOf(options, bench.runShare)
  await withClusters(wanted, options.execArgv, signal, turn, async (clusters) => {
    for (const workload of workloads) {
      const able = clusters.filter(({ settings }) => isFor(settings, workload))
      const measured = new Map<Cluster, Metrics[]>(able.map((cluster) => [cluster, []]))
      for (let run = -WARM_UPS; run < options.runs; run++) {
        for (const cluster of able) {
          signal.throwIfAborted()
          const what = nameOfRun(cluster.settings, workload)
          turn(what, false)
          const isCounted = run >= 0
          const metricsOfRun = await cluster.run({ ...workload, readsBodies: !isCounted }, timing)
          if (isCounted) measured.get(cluster)!.push(metricsOfRun)
          turn(what, true)
        }
      }
      for (const [{ settings }, runs] of measured)
        keep(summarize({ bench: bench.name, settings, workload }, runs, metrics))
    }
  })
}

function nameOfRun({ subject, members, key }: ClusterSettings, { size, asleep }: Workload): string {
  const sealed = key === undefined ? '' : ', sealed'
  const sleepers = asleep === undefined ? '' : `, ${asleep.members} asleep ${100 * asleep.share} %`
  return `${subject}${sealed}, ${members} members, ${size} B${sleepers}`
}

/** Starts clusters, one after the other so that none is late, and ends them whatever comes. */
export async function withClusters(
  wanted: readonly ClusterSettings[],
  execArgv: readonly string[],
  signal: AbortSignal,
  turn: Turn,
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
