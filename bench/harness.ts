/**
 * Starts the member processes of what is measured, takes them through runs, and checks every run: all members
 * received the same messages in the same order, none is missing, each sender's in its own order. A run that
 * fails the check is a failed run, however fast. Every wait has an end.
 */
import { randomBytes } from 'node:crypto'
import { cpus } from 'node:os'
import { fileURLToPath } from 'node:url'
import { BenchError, Child } from './child.ts'
import type { ClusterSettings, FromMember, MemberOrder, RunOrder, RunReport, ToMember } from './messages.ts'

const script = fileURLToPath(new URL('./member-process.js', import.meta.url))

const READY_WITHIN_MS = 30_000
/** Beyond the run's own time: what is under way must come to its end. */
const ANSWER_WITHIN_MS = 30_000
type MemberProcess = Child<FromMember, ToMember> & { address: string }

function startMember(order: MemberOrder, execArgv: readonly string[]): MemberProcess {
  const { subject, index, members, method, transport, packetSize } = order
  const name = `${subject} member ${index} of ${members} (${method}, ${transport}, packets of ${packetSize} bytes)`
  return Object.assign(new Child<FromMember, ToMember>({ name, script, order, execArgv }), { address: '' })
}

/** Which members send: the sequencer, one that is not, all that are not, or all. */
export type Senders = 'sequencer' | 'other' | 'others' | 'all'

/** The member with index 0 created the group, and is its sequencer. */
function isAmong(senders: Senders, index: number, members: number): boolean {
  if (senders === 'all') return true
  if (senders === 'sequencer') return index === 0
  return senders === 'others' ? index > 0 : index === members - 1
}

export interface Workload {
  readonly pattern: RunOrder['pattern']
  readonly senders: Senders
  readonly size: number
}

export interface Timing {
  readonly rampMs: number
  readonly measureMs: number
}

/** What one run came to; a metric that the run does not have is absent. */
export type Metrics = Partial<Record<MetricName, number>>

export const metricUnits = {
  rate: 'messages/s',
  p50: 'µs',
  p99: 'µs',
  p999: 'µs',
  wire: 'bytes/message',
  packets: 'packets/message',
  cpu: 'µs/message',
  repeated: 'packets',
  /** Of the machine's processor time, what programs used that are no part of the run. */
  others: '%',
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
} as const
export type MetricName = keyof typeof metricUnits

export class Cluster {
  readonly settings: ClusterSettings
  private readonly members: readonly MemberProcess[]

  static async start(settings: ClusterSettings, execArgv: readonly string[] = []): Promise<Cluster> {
    const members: MemberProcess[] = []
    const port = `bench-${randomBytes(8).toString('hex')}`
    try {
      for (let index = 0; index < settings.members; index++) {
        const peers = index === 0 ? [] : [members[0]!.address]
        const member = startMember({ ...settings, port, index, peers }, execArgv)
        members.push(member)
        member.address = (await member.ask('ready', undefined, READY_WITHIN_MS)).address
      }
      return new Cluster(settings, members)
    } catch (error) {
      for (const member of members) member.kill()
      throw error
    }
  }

  private constructor(settings: ClusterSettings, members: readonly MemberProcess[]) {
    this.settings = settings
    this.members = members
  }

  async run({ pattern, senders, size }: Workload, { rampMs, measureMs }: Timing): Promise<Metrics> {
    const before = processorTime()
    const addresses = this.members.map(({ address }) => address)
    const common = { pattern, size, rampMs, measureMs, addresses }
    await this.askAll('prepared', 0, (index) => {
      const isSender = isAmong(senders, index, this.members.length)
      return { say: 'prepare', order: { ...common, isSender } }
    })
    const stopped = await this.askAll('stopped', rampMs + measureMs, () => ({ say: 'run' }))
    const lastSeq = Math.max(...stopped.map((each) => each.lastSeq))
    const answers = await this.askAll('report', 0, () => ({ say: 'finish', lastSeq }))
    const reports = answers.map(({ report }) => report)
    if (this.settings.subject !== 'floor') checkRun(reports)
    return { ...metricsOf(reports), others: usedByOthers(before, reports) }
  }

  /** Leaves in order; what has not left then is ended. */
  async close(): Promise<void> {
    for (const member of this.members) member.close({ say: 'close' })
    const timer = setTimeout(() => this.kill(), ANSWER_WITHIN_MS)
    await Promise.all(this.members.map(({ gone }) => gone))
    clearTimeout(timer)
  }

  kill(): void {
    for (const member of this.members) member.kill()
  }

  private askAll<S extends FromMember['say']>(
    say: S,
    extraMs: number,
    told: (index: number) => ToMember,
  ): Promise<Extract<FromMember, { say: S }>[]> {
    return Promise.all(this.members.map((member, i) => member.ask(say, told(i), ANSWER_WITHIN_MS + extraMs)))
  }
}

/** Throws a BenchError if members received different things, or not all that was sent. */
export function checkRun(reports: readonly RunReport[]): void {
  const sent = reports.reduce((sum, report) => sum + report.sent, 0)
  const [first] = reports
  for (const [i, report] of reports.entries()) {
    if (report.total !== sent)
      throw new BenchError(`of ${sent} messages member ${i} received ${report.total}; this run is wrong`)
    if (report.outOfOrder > 0)
      throw new BenchError(`member ${i} received ${report.outOfOrder} messages out of their sender's order`)
    if (
      report.digest !== first!.digest ||
      JSON.stringify(report.bySender) !== JSON.stringify(first!.bySender)
    )
      throw new BenchError(`members 0 and ${i} received the messages in different orders; this run is wrong`)
  }
}

interface ProcessorTime {
  readonly busy: number
  readonly all: number
}

/** Seconds, of all cores together. */
function processorTime(): ProcessorTime {
  let busy = 0
  let idle = 0
  for (const { times } of cpus()) {
    busy += times.user + times.nice + times.sys
    idle += times.idle
  }
  return { busy: busy / 1000, all: (busy + idle) / 1000 }
}

function usedByOthers(before: ProcessorTime, reports: readonly RunReport[]): number {
  const after = processorTime()
  const own = reports.reduce((sum, report) => sum + report.cpuSeconds, 0)
  const share = (after.busy - before.busy - own) / Math.max(1e-3, after.all - before.all)
  return Math.min(100, Math.max(0, 100 * share))
}

export function metricsOf(reports: readonly RunReport[]): Metrics {
  const sum = (of: (report: RunReport) => number): number => reports.reduce((all, each) => all + of(each), 0)
  const sent = Math.max(
    1,
    sum((report) => report.sent),
  )
  const latency = reports.find((report) => report.latency !== null)?.latency
  return {
    // What the slowest receiver got: nobody is faster than the group for long.
    rate: Math.min(...reports.map(({ messages, seconds }) => messages / seconds)),
    ...(latency ?? {}),
    wire: sum((report) => report.bytesOut) / sent,
    packets: sum((report) => report.packetsOut) / sent,
    cpu: (sum((report) => report.cpuSeconds) * 1e6) / sent,
    repeated: sum((report) => report.repeated),
  }
}
