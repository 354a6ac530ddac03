/** The figures of a bench: medians with their ranges, and how they are found again. */
import { guaranteeOf } from './check-run.ts'
import type { Senders, Workload } from './harness.ts'
import {
  type Calls,
  type ClusterSettings,
  isPeer,
  type Method,
  type Pattern,
  type Subject,
  type TransportName,
} from './messages.ts'
import { type MetricName, type Metrics, metricUnits } from './metrics.ts'

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
  /** Of every run: members received all messages, in one order. The floor keeps none, core NATS each sender's. */
  readonly orderChecked: boolean
  readonly pattern: Pattern
  readonly calls: Calls
  /** Groups in the same processes, and how many processes there are. */
  readonly groups: number
  readonly processes: number
  /** Of the bench slow: the load in messages a second (0: as much as goes), and who stands still how much. */
  readonly perSecond?: number
  readonly asleep?: { readonly members: number; readonly share: number }
  /** As the group's parameter; 0 is block. */
  readonly expelAfterMs?: number
  /** As the group's parameter; absent where it is the default. */
  readonly historySize?: number
  /** Whether packets were sealed with a group key. */
  readonly isSealed: boolean
  /** Of the bench flood: packets of garbage a second that were to be sent; 0 is none. */
  readonly flood?: number
  /** Of failovers: how the sequencer went, and the preset by which members detect it. */
  readonly situation?: string
  readonly detection?: string
  readonly p90?: number
  /** Every kill's figure, from least to most; in the bench soak, one after the other. */
  readonly samples?: readonly number[]
  /** When the samples were taken, seconds from the start. */
  readonly times?: readonly number[]
}

export interface Case {
  readonly bench: string
  readonly settings: ClusterSettings
  readonly workload: Workload
}

/** One result for each of `metrics` that the runs have. */
export function summarize(
  { bench, settings, workload }: Case,
  runs: readonly Metrics[],
  metrics: readonly MetricName[],
): Result[] {
  const { subject, members, resilience, method, transport, packetSize, calls = 'batch' } = settings
  const { groups = 1, processes = members, expelAfterMs, historySize, key } = settings
  const { size, senders, asleep, pattern, perSecond = 0 } = workload
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
      orderChecked: guaranteeOf(subject) === 'order',
      pattern,
      calls,
      groups,
      processes,
      isSealed: key !== undefined,
      ...(expelAfterMs === undefined ? {} : { perSecond, asleep, expelAfterMs, historySize }),
    }
  })
}

/**
 * The figure of another metric, and perhaps another subject, under the same setting; `{ ...like, resilience: 0 }` asks for
 * one that differs in that alone. What a floor or a peer does not have (a method, r, ways to call) does not count.
 */
export function find(
  results: readonly Result[],
  like: Result,
  metric: MetricName,
  subject: Subject = like.subject,
): Result | undefined {
  return results.find(
    (result) =>
      result.subject === subject &&
      result.metric === metric &&
      result.bench === like.bench &&
      result.members === like.members &&
      result.size === like.size &&
      result.senders === like.senders &&
      result.pattern === like.pattern &&
      result.groups === like.groups &&
      result.processes === like.processes &&
      result.perSecond === like.perSecond &&
      result.asleep?.members === like.asleep?.members &&
      result.asleep?.share === like.asleep?.share &&
      result.expelAfterMs === like.expelAfterMs &&
      result.historySize === like.historySize &&
      result.isSealed === like.isSealed &&
      result.flood === like.flood &&
      result.situation === like.situation &&
      result.detection === like.detection &&
      (isPeer(subject) || result.packetSize === like.packetSize) &&
      (subject !== 'amoebacast' ||
        (result.method === like.method &&
          result.transport === like.transport &&
          result.calls === like.calls &&
          result.resilience === like.resilience)),
  )
}

/** Of sorted values, at least one. */
export function median(sorted: readonly number[]): number {
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2
}
