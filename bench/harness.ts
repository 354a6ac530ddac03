/**
 * Starts the processes of what is measured, takes them through runs, and checks every run: all members received
 * the same messages in the same order, none is missing, each sender's in its own order. A run that fails the
 * check is a failed run, however fast. Every wait has an end.
 */
import { randomBytes } from 'node:crypto'
import { fileURLToPath } from 'node:url'
import { checkRun, guaranteeOf } from './check-run.ts'
import { Child } from './child.ts'
import {
  type ClusterSettings,
  type FromMember,
  type Health,
  isPeer,
  type MemberOrder,
  type RunOrder,
  type RunReport,
  type ToMember,
} from './messages.ts'
import { type Metrics, metricsOf } from './metrics.ts'
import { type Servers, startServers } from './peers/servers.ts'
import { type Place, placesOf } from './places.ts'
import { processorTime, usedByOthers } from './processor-time.ts'

const script = fileURLToPath(new URL('./member-process.js', import.meta.url))

const OPEN_WITHIN_MS = 60_000
/** Beyond the run's own time: what is under way must come to its end. */
const ANSWER_WITHIN_MS = 90_000

/** Which members send: the sequencer, one that is not, all that are not, or all. */
export type Senders = 'sequencer' | 'other' | 'others' | 'all'

/** The member with index 0 created the group, and is its sequencer. */
function isAmong(senders: Senders, index: number): boolean {
  if (senders === 'all') return true
  if (senders === 'sequencer') return index === 0
  return senders === 'others' ? index > 0 : index === 1
}

export interface Workload {
  readonly pattern: RunOrder['pattern']
  readonly senders: Senders
  readonly size: number
  /** Messages a second of all senders together, in a steady run. */
  readonly perSecond?: number
  /** So many members, counted from the last, stand still for so much of the time (0 to 0.9). */
  readonly asleep?: { readonly members: number; readonly share: number }
  /** Every byte that arrives is read for the check, which costs time: of runs that do not count. */
  readonly readsBodies?: boolean
  /** Only the first group sends, where there are several. */
  readonly isFirstGroupOnly?: boolean
}

export interface Timing {
  readonly rampMs: number
  readonly measureMs: number
}

type MemberProcess = Child<FromMember, ToMember>

export class Cluster {
  readonly settings: ClusterSettings
  private readonly processes: readonly MemberProcess[]
  private readonly places: readonly Place[]
  private readonly addresses: readonly string[]
  private readonly servers: Servers | undefined

  static async start(settings: ClusterSettings, execArgv: readonly string[] = []): Promise<Cluster> {
    const { subject, members, method, transport, packetSize, groups } = settings
    const places = placesOf(members, groups, settings.processes)
    const servers = isPeer(subject) ? await startServers(subject) : undefined
    const count = Math.max(...places.map(({ process }) => process)) + 1
    const processes = Array.from({ length: count }, (_, i): MemberProcess => {
      const what = `${method}, ${transport}, packets of ${packetSize} bytes`
      const name = `${subject} process ${i} of ${count} (${members} members, ${what})`
      return new Child<FromMember, ToMember>({ name, script, order: {}, execArgv })
    })
    try {
      const ports = Array.from({ length: groups ?? 1 }, () => `bench-${randomBytes(8).toString('hex')}`)
      const addresses: string[] = []
      const orderFor = ({ group, index }: Place): MemberOrder => {
        const first = places.findIndex((place) => place.group === group)
        const peers = servers?.addresses ?? (index === 0 ? [] : [addresses[first]!])
        return { ...settings, port: ports[group]!, index, peers }
      }
      for (let index = 0; index < members; index++) {
        const next = places.filter((place) => place.index === index)
        const opened = await Promise.all(
          processes.map(async (process, i) => {
            const orders = next.filter((place) => place.process === i).map(orderFor)
            if (orders.length === 0) return []
            return (await process.ask('opened', { say: 'open', orders }, OPEN_WITHIN_MS)).addresses
          }),
        )
        const taken = opened.map(() => 0)
        for (const { process } of next) addresses.push(opened[process]![taken[process]!++]!)
      }
      return new Cluster(settings, processes, places, addresses, servers)
    } catch (error) {
      for (const process of processes) process.kill()
      servers?.end()
      throw error
    }
  }

  private constructor(
    settings: ClusterSettings,
    processes: readonly MemberProcess[],
    places: readonly Place[],
    addresses: readonly string[],
    servers: Servers | undefined,
  ) {
    this.settings = settings
    this.processes = processes
    this.places = places
    this.addresses = addresses
    this.servers = servers
  }

  /** Where the members of all groups receive. */
  get receivers(): readonly string[] {
    return this.addresses
  }

  /** `beside` goes on while the members do; what it comes to is a part of the run's metrics. */
  async run(
    workload: Workload,
    timing: Timing,
    beside?: () => Promise<(groups: readonly (readonly RunReport[])[]) => Metrics>,
  ): Promise<Metrics> {
    const before = processorTime()
    const serverBefore = this.servers?.cpuSeconds() ?? 0
    await this.prepare(workload, timing)
    const [stopped, more] = await Promise.all([
      this.ask('stopped', timing.rampMs + timing.measureMs, () => ({ say: 'run' })),
      beside?.(),
    ])
    const groups = await this.finish(stopped.map(({ lastSeqs }) => lastSeqs))
    const serverSeconds = (this.servers?.cpuSeconds() ?? 0) - serverBefore
    const own = groups.flat().reduce((sum, { cpuSeconds }) => sum + cpuSeconds, serverSeconds)
    const metrics = metricsOf(groups, workload.asleep?.members, serverSeconds)
    return { ...metrics, others: usedByOthers(before, own), ...more?.(groups) }
  }

  /** A run that is looked at while it goes on: every `everyMs`, the first member of each process. */
  async watch(
    workload: Workload,
    timing: Timing,
    everyMs: number,
    onHealth: (healths: readonly Health[]) => void,
  ): Promise<Metrics> {
    await this.prepare(workload, timing)
    const lasting = timing.rampMs + timing.measureMs
    // A process answers one question at a time, so the end of the run is heard beside them.
    const stopped = this.ask('stopped', lasting, () => ({ say: 'run' }))
    let isOver = false
    const over = stopped.finally(() => {
      isOver = true
    })
    over.catch(() => {})
    while (!isOver) {
      let timer: NodeJS.Timeout | undefined
      const pause = new Promise<void>((resolve) => {
        timer = setTimeout(resolve, everyMs)
      })
      await Promise.race([pause, over])
      clearTimeout(timer)
      if (isOver) break
      const healths = await this.ask('health', 0, () => ({ say: 'examine' }))
      onHealth(healths.map(({ health }) => health))
    }
    const ends = await stopped
    return metricsOf(await this.finish(ends.map(({ lastSeqs }) => lastSeqs)))
  }

  /** Leaves in order; what has not left then is ended. */
  async close(): Promise<void> {
    for (const process of this.processes) process.close({ say: 'close' })
    const timer = setTimeout(() => this.kill(), ANSWER_WITHIN_MS)
    await Promise.all(this.processes.map(({ gone }) => gone))
    clearTimeout(timer)
    this.servers?.end()
  }

  kill(): void {
    for (const process of this.processes) process.kill()
    this.servers?.end()
  }

  private async prepare(workload: Workload, { rampMs, measureMs }: Timing): Promise<void> {
    const { pattern, senders, size, perSecond, asleep, readsBodies, isFirstGroupOnly = false } = workload
    const { members } = this.settings
    const sending = ({ group, index }: Place): boolean =>
      isAmong(senders, index) && (group === 0 || !isFirstGroupOnly)
    const many = this.places.filter(sending).length
    await this.ask('prepared', 0, (process) => ({
      say: 'prepare',
      orders: this.in(process).map((place): RunOrder => {
        const isAsleep = asleep !== undefined && place.index >= members - asleep.members
        return {
          pattern,
          size,
          rampMs,
          measureMs,
          isSender: sending(place),
          addresses: this.addresses.filter((_, i) => this.places[i]!.group === place.group),
          ...(perSecond === undefined ? {} : { perSecond: perSecond / many }),
          ...(isAsleep ? { asleep: asleep.share } : {}),
          ...(readsBodies ? { readsBodies } : {}),
        }
      }),
    }))
  }

  /** The reports of each group's members, the sequencer's first; checked. */
  private async finish(lastSeqs: readonly (readonly number[])[]): Promise<RunReport[][]> {
    const groups = Array.from({ length: this.settings.groups ?? 1 }, (_, group) => group)
    const last = groups.map((group) =>
      Math.max(...lastSeqs.flatMap((seqs, p) => seqs.filter((_, i) => this.in(p)[i]!.group === group))),
    )
    const answers = await this.ask('report', 0, (process) => ({
      say: 'finish',
      lastSeqs: this.in(process).map(({ group }) => last[group]!),
    }))
    const reports = groups.map((group) =>
      this.places
        .filter((place) => place.group === group)
        .map((place) => answers[place.process]!.reports[this.in(place.process).indexOf(place)]!),
    )
    for (const each of reports) checkRun(each, guaranteeOf(this.settings.subject))
    return reports
  }

  /** The members of a process, in its own order. */
  private in(process: number): readonly Place[] {
    return this.places.filter((place) => place.process === process)
  }

  private ask<S extends FromMember['say']>(
    say: S,
    extraMs: number,
    told: (process: number) => ToMember,
  ): Promise<Extract<FromMember, { say: S }>[]> {
    return Promise.all(
      this.processes.map((process, i) => process.ask(say, told(i), ANSWER_WITHIN_MS + extraMs)),
    )
  }
}
