/**
 * Starts the member processes of what is measured, takes them through runs, and checks every run: all members
 * received the same messages in the same order, none is missing, each sender's in its own order. A run that
 * fails the check is a failed run, however fast. Every wait has an end.
 */
import { type ChildProcess, fork } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { cpus } from 'node:os'
import { fileURLToPath } from 'node:url'
import type { ClusterSettings, FromMember, MemberOrder, RunOrder, RunReport, ToMember } from './messages.ts'

const script = fileURLToPath(new URL('./member-process.js', import.meta.url))

const READY_WITHIN_MS = 30_000
/** Beyond the run's own time: what is under way must come to its end. */
const ANSWER_WITHIN_MS = 30_000
const KEPT_ERROR_CHARACTERS = 2_000

export class BenchError extends Error {}

class MemberProcess {
  address = ''
  readonly gone: Promise<void>
  private readonly child: ChildProcess
  private readonly name: string
  private waiting:
    | { say: string; resolve: (told: FromMember) => void; reject: (e: Error) => void }
    | undefined
  private problem: string | undefined
  private errorText = ''
  private isClosing = false

  constructor(order: MemberOrder, execArgv: readonly string[]) {
    const { subject, index, members, method, transport, packetSize } = order
    this.name = `${subject} member ${index} of ${members} (${method}, ${transport}, packets of ${packetSize} bytes)`
    this.child = fork(script, [JSON.stringify(order)], {
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
      execArgv: [...execArgv],
    })
    this.child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.errorText = (this.errorText + text).slice(-KEPT_ERROR_CHARACTERS)
    })
    this.child.on('message', (message) => this.hear(message as FromMember))
    this.gone = new Promise((resolve) => {
      const end = (why: string) => (): void => {
        if (!this.isClosing) this.fail(why)
        resolve()
      }
      this.child.on('error', end('could not be started'))
      this.child.on('exit', end('ended'))
    })
  }

  async ask<S extends FromMember['say']>(
    say: S,
    told: ToMember | undefined,
    withinMs: number,
  ): Promise<Extract<FromMember, { say: S }>> {
    if (this.problem !== undefined) throw this.error()
    const answer = new Promise<FromMember>((resolve, reject) => {
      this.waiting = { say, resolve, reject }
    })
    const timer = setTimeout(() => this.fail(`did not say ${say} within ${withinMs} ms`), withinMs)
    if (told !== undefined) this.child.send(told)
    try {
      return (await answer) as Extract<FromMember, { say: S }>
    } finally {
      clearTimeout(timer)
    }
  }

  close(): void {
    this.isClosing = true
    if (this.child.connected) this.child.send({ say: 'close' } satisfies ToMember)
  }

  kill(): void {
    this.isClosing = true
    this.child.kill('SIGKILL')
  }

  private hear(told: FromMember): void {
    if (told.say === 'failed') this.fail(`failed: ${told.message}`)
    else if (told.say === this.waiting?.say) {
      this.waiting.resolve(told)
      this.waiting = undefined
    }
  }

  private fail(why: string): void {
    this.problem ??= why
    this.waiting?.reject(this.error())
    this.waiting = undefined
  }

  private error(): BenchError {
    const heard = this.errorText === '' ? '' : `; its standard error: ${this.errorText.trim()}`
    return new BenchError(`${this.name} ${this.problem}${heard}`)
  }
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
        const member = new MemberProcess({ ...settings, port, index, peers }, execArgv)
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
    for (const member of this.members) member.close()
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
