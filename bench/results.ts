/** The figures of a bench: medians with their ranges, on one kind of machine; as JSON for programs. */
import { execFileSync } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { availableParallelism, cpus, release, totalmem } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { MetricName, Metrics, Senders } from './harness.ts'
import { metricUnits } from './harness.ts'
import type { ClusterSettings, Method, Subject, TransportName } from './messages.ts'

/** One figure. The fields up to `runs` are held on to by readers outside; what follows says more of the setting. */
export interface Result {
  readonly bench: string
  readonly subject: Subject
  readonly members: number
  /** Bytes of a message. */
  readonly size: number
  readonly resilience: number
  readonly method: Method
  readonly metric: MetricName
  /** Median of the runs. */
  readonly value: number
  readonly unit: string
  readonly min: number
  readonly max: number
  readonly runs: number
  readonly senders: Senders
  readonly transport: TransportName
  /** Bytes of the largest packet. */
  readonly packetSize: number
  /** Of every run: members received all messages, in one order. The floor keeps none. */
  readonly orderChecked: boolean
  /** Of failovers: how the sequencer went, and the preset by which members detect it. */
  readonly situation?: string
  readonly detection?: string
  readonly p90?: number
  /** Every kill's figure, from least to most. */
  readonly samples?: readonly number[]
}

export interface Case {
  readonly bench: string
  readonly settings: ClusterSettings
  readonly size: number
  readonly senders: Senders
}

/** One result for each of `metrics` that the runs have. */
export function summarize(
  { bench, settings, size, senders }: Case,
  runs: readonly Metrics[],
  metrics: readonly MetricName[],
): Result[] {
  const { subject, members, resilience, method, transport, packetSize } = settings
  return metrics.flatMap((metric) => {
    const values = runs.flatMap((run) => run[metric] ?? []).sort((a, b) => a - b)
    if (values.length === 0) return []
    return {
      bench,
      subject,
      members,
      size,
      resilience,
      method,
      metric,
      value: median(values),
      unit: metricUnits[metric],
      min: values[0]!,
      max: values.at(-1)!,
      runs: values.length,
      senders,
      transport,
      packetSize,
      orderChecked: subject !== 'floor',
    }
  })
}

/** Of sorted values, at least one. */
export function median(sorted: readonly number[]): number {
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2
}

export interface Machine {
  readonly cpu: string
  readonly cores: number
  readonly memoryGiB: number
  readonly system: string
  readonly node: string
  readonly commit: string
  readonly date: string
}

export function describeMachine(): Machine {
  return {
    cpu: cpus()[0]?.model.trim() || 'unknown',
    cores: availableParallelism(),
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    system: `${process.platform} ${release()}`,
    node: process.version,
    commit: commit(),
    date: new Date().toISOString(),
  }
}

function commit(): string {
  const cwd = fileURLToPath(new URL('.', import.meta.url))
  const git = (...args: string[]): string =>
    execFileSync('git', args, { cwd, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim()
  try {
    const changed = git('status', '--porcelain', '--untracked-files=no') !== ''
    return git('rev-parse', '--short=12', 'HEAD') + (changed ? ' with changes' : '')
  } catch {
    return 'unknown'
  }
}

/** Writes `results.json` and `machine.json` into `directory`, which is made if it is not there. */
export function writeResults(directory: string, results: readonly Result[], machine: Machine): void {
  mkdirSync(directory, { recursive: true })
  const write = (name: string, value: unknown): void =>
    writeFileSync(join(directory, name), `${JSON.stringify(value, undefined, 2)}\n`)
  write('results.json', results)
  write('machine.json', machine)
}
