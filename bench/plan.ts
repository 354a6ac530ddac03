/** What a bench is: clusters of processes and workloads; and how they are run side by side. */
import { Cluster, type MetricName, type Metrics, type Timing, type Workload } from './harness.ts'
import type { ClusterSettings, Method } from './messages.ts'
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
  /** The tables, and files beside results.json (name and content). */
  report(results: readonly Result[]): {
    readonly text: string
    readonly files?: Readonly<Record<string, string>>
  }
}

/** Told after every run, warm-ups too. */
/** The product and the bare packet pattern, with each packet size, over multicast. */
export function besideFloor(
  members: number,
  packetSizes: readonly number[],
  method: Method,
): ClusterSettings[] {
  return packetSizes.flatMap((packetSize) =>
    (['amoebacast', 'floor'] as const).map(
      (subject): ClusterSettings => ({
        subject,
        members,
        resilience: 0,
        method: subject === 'floor' ? 'pb' : method,
        transport: 'multicast',
        packetSize,
      }),
    ),
  )
}

export type Progress = (done: number, of: number, what: string) => void

const LONGEST_RAMP_MS = 300

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
  const timing: Timing = {
    rampMs: Math.min(LONGEST_RAMP_MS, options.seconds * 250),
    measureMs: options.seconds * 1000,
  }
  const turns = (round: Round): number => round.clusters.length * round.workloads.length * (options.runs + 1)
  const of = rounds.reduce((sum, round) => sum + turns(round), 0)
  let done = 0
  const results: Result[] = []
  for (const { clusters: wanted, workloads, metrics } of rounds) {
    const clusters: Cluster[] = []
    const kill = (): void => {
      for (const cluster of clusters) cluster.kill()
    }
    signal.addEventListener('abort', kill)
    try {
      const starting = wanted.map(async (settings) => {
        clusters.push(await Cluster.start(settings, options.execArgv))
      })
      const started = await Promise.allSettled(starting)
      for (const each of started) if (each.status === 'rejected') throw each.reason
      clusters.sort((a, b) => wanted.indexOf(a.settings) - wanted.indexOf(b.settings))
      for (const workload of workloads) {
        const measured = new Map<Cluster, Metrics[]>(clusters.map((cluster) => [cluster, []]))
        for (let run = 0; run <= options.runs; run++) {
          for (const cluster of clusters) {
            signal.throwIfAborted()
            const what = `${cluster.settings.subject} ${cluster.settings.members} × ${workload.size} B`
            progress(done, of, what)
            const metricsOfRun = await cluster.run(workload, timing)
            if (run > 0) measured.get(cluster)!.push(metricsOfRun)
            done++
            progress(done, of, what)
          }
        }
        const { size, senders } = workload
        for (const [{ settings }, runs] of measured)
          results.push(...summarize({ bench: bench.name, settings, size, senders }, runs, metrics))
      }
      await Promise.all(clusters.map((cluster) => cluster.close()))
    } catch (error) {
      kill()
      signal.throwIfAborted()
      throw error
    } finally {
      signal.removeEventListener('abort', kill)
    }
  }
  return results
}
