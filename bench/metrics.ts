/** What is measured, in which unit, and how the reports of one run come to figures. */
import type { RunReport } from './messages.ts'

/** What one run came to; a metric that the run does not have is absent. */
export type Metrics = Partial<Record<MetricName, number>>

export const metricUnits = {
  rate: 'messages/s',
  p50: 'µs',
  p99: 'µs',
  p999: 'µs',
  wire: 'bytes/message',
  packets: 'packets/message',
  /** Of all processes together, a peer's servers among them. */
  cpu: 'µs/message',
  repeated: 'packets',
  /** Of the machine's processor time, what programs used that are no part of the run. */
  others: '%',
  /** Packets that the sequencer takes and sends, and the processor time of its process. */
  handled: 'packets/message',
  sequencerCpu: 'µs/message',
  /** Of all messages in the order, those of the sender that has least and of the one that has most. */
  leastShare: '%',
  mostShare: '%',
  /** Members that were expelled; they have come back. */
  expulsions: 'a run',
  /** Of the bench flood: what the flooder sent, what of it came to be looked at and was thrown away, and who was suspected. */
  garbage: 'packets/s',
  rejected: '%',
  suspicions: 'a run',
  /** From the kill to the next ordered delivery at the slowest survivor. */
  failover: 'ms',
  /** To the first suspicion anywhere. */
  detection: 'ms',
  /** The others are asked, until somebody invites. */
  inquiry: 'ms',
  /** Invitations and votes. */
  phase1: 'ms',
  /** Collection, result and acks. */
  phase2: 'ms',
  /** From the accepted result to the first delivery of a message. */
  first: 'ms',
  /** Invitations that members made. */
  attempts: 'a kill',
  /** Members that live, and were taken for dead. */
  expelled: 'a kill',
  /** Of the member process that has most, and of its JavaScript heap. */
  rss: 'MiB',
  heap: 'MiB',
  /** Of the event loop, beyond its timer. */
  loopDelay: 'ms',
} as const
export type MetricName = keyof typeof metricUnits

/**
 * Of one run: `groups` are the reports of each group's members, the sequencer's first; `asleep` members at the end
 * of each stood still now and then, and their rate does not count. `serverSeconds`: of a peer's servers.
 */
export function metricsOf(groups: readonly (readonly RunReport[])[], asleep = 0, serverSeconds = 0): Metrics {
  const all = groups.flat()
  const sum = (reports: readonly RunReport[], of: (report: RunReport) => number): number =>
    reports.reduce((total, each) => total + of(each), 0)
  const sequencers = groups.map((reports) => reports[0]!)
  const sent = Math.max(
    1,
    sum(all, (report) => report.sent),
  )
  const latency = all.find((report) => report.latency !== null)?.latency
  return {
    // What the slowest receiver got: nobody is faster than the group for long.
    rate: groups.reduce((total, reports) => total + slowest(reports.slice(0, reports.length - asleep)), 0),
    ...(latency ?? {}),
    wire: sum(all, (report) => report.bytesOut) / sent,
    packets: sum(all, (report) => report.packetsOut) / sent,
    cpu: ((sum(all, (report) => report.cpuSeconds) + serverSeconds) * 1e6) / sent,
    repeated: sum(all, (report) => report.repeated),
    handled: sum(sequencers, ({ packetsIn, packetsOut }) => packetsIn + packetsOut) / sent,
    sequencerCpu: (sequencers[0]!.cpuSeconds * 1e6) / sent,
    expulsions: sum(all, ({ expelled = 0 }) => expelled),
    suspicions: sum(all, ({ suspicions = 0 }) => suspicions),
    ...sharesOf(all, sent),
  }
}

/** Nothing where but one sends. All that was sent is in the order: the check has said so. */
function sharesOf(reports: readonly RunReport[], all: number): Metrics {
  const shares = reports.filter(({ sent }) => sent > 0).map(({ sent }) => (100 * sent) / all)
  return shares.length < 2 ? {} : { leastShare: Math.min(...shares), mostShare: Math.max(...shares) }
}

function slowest(reports: readonly RunReport[]): number {
  return Math.min(...reports.map(({ messages, seconds }) => messages / seconds))
}
