/** A member of a real group under measurement, over the public API; by default in batches of binary bodies. */
import { type IntervalHistogram, monitorEventLoopDelay } from 'node:perf_hooks'
import { type Group, type Kernel, parameterDefaults, type Visitor } from '../group/index.ts'
import type { Run } from './group-run.ts'
import type { Kernels } from './kernels.ts'
import { Latencies } from './latencies.ts'
import type { BenchMember, Calls, Health, MemberOrder, RunOrder, RunReport } from './messages.ts'
import { nap } from './nap.ts'
import { RunDigest } from './run-digest.ts'
import { type CountedText, startSenders } from './senders.ts'
import { trafficOf, trafficSince } from './traffic.ts'
import { MeasuringWindow } from './window.ts'

const RECEIVE_MAX = 4096
/** Beyond a run's own time, for what is under way. */
const PATIENCE_MS = 60_000
const LOOP_DELAY_RESOLUTION_MS = 1
/**
 * Before a member is suspected; the other times are the defaults. A process that has to wait for a processor, or
 * stands still on purpose, is not to end a bench; how long a real death takes to be seen is failover's to measure.
 */
const TRIES = 20

export class GroupMember implements BenchMember {
  readonly address: string
  private readonly kernel: Kernel
  private readonly group: Group<unknown>
  private readonly calls: Calls
  private readonly index: number
  private readonly groups: number
  private readonly receiving: Promise<void>
  private current: Run | undefined
  private awaited: { seq: number; resolve: () => void } | undefined
  private isAway = false
  private runs = 0
  private wakeBack: (() => void) | undefined
  private loopDelay: IntervalHistogram | undefined

  static async open(order: MemberOrder, kernels: Kernels): Promise<GroupMember> {
    const { method, transport, packetSize, peers, port, index, resilience, members, calls = 'batch' } = order
    const kernel = await kernels.for(port, {
      method,
      transport,
      packetSize,
      peers,
      logLevel: 'error',
      detection: { tries: order.tries ?? TRIES },
      key: order.key,
    })
    const codec = calls === 'each' ? ('msgpack' as const) : ('binary' as const)
    const own = { codec, rejoin: order.expelAfterMs !== undefined }
    const expelAfterMs = order.expelAfterMs ?? 0
    const group = await (index === 0
      ? kernel.createGroup<unknown>(port, {
          ...own,
          resilience,
          maxMembers: Math.max(parameterDefaults.maxMembers, 2 * members),
          slowMember: expelAfterMs === 0 ? 'block' : { expelAfterMs },
          historySize: order.historySize,
        })
      : kernel.joinGroup<unknown>(port, own))
    return new GroupMember(kernel, group, order)
  }

  private constructor(
    kernel: Kernel,
    group: Group<unknown>,
    { calls = 'batch', index, groups = 1 }: MemberOrder,
  ) {
    this.kernel = kernel
    this.group = group
    this.calls = calls
    this.index = index
    this.groups = groups
    this.address = kernel.address
    group.on('expelled', () => {
      this.isAway = true
      if (this.current !== undefined) this.current.expelled++
    })
    group.on('rejoined', () => {
      this.isAway = false
      this.wakeBack?.()
    })
    this.receiving = calls === 'each' ? this.receiveEach() : this.receiveBatches()
    this.receiving.catch(() => {})
  }

  async prepare(order: RunOrder): Promise<void> {
    this.runs++
    const digest = new RunDigest(order.readsBodies ?? false, order.size)
    this.current = {
      order,
      calls: this.calls,
      groups: this.groups,
      digest,
      latencies: new Latencies(),
      window: new MeasuringWindow(() => digest.total),
      before: await trafficOf(this.kernel, this.group.port),
      sent: 0,
      lastOwnSeq: 0,
      expelled: 0,
      resets: 0,
      isOver: false,
    }
  }

  async run(): Promise<number> {
    const run = this.current!
    const { rampMs, measureMs, asleep = 0 } = run.order
    const passed = run.window.pass(rampMs, measureMs).then(() => {
      run.isOver = true
    })
    const naps = asleep > 0 ? [nap(asleep, this.index, this.runs, rampMs + measureMs)] : []
    await this.within(rampMs + measureMs, 'its sends did not return', [
      passed,
      ...naps,
      ...startSenders(this.group, run),
    ])
    return run.lastOwnSeq
  }

  async finish(lastSeq: number): Promise<RunReport> {
    const run = this.current!
    const { digest, window, before, sent } = run
    if (this.isAway) await this.within(0, 'it did not come back after its expulsion', [this.untilBack()])
    if (run.expelled === 0 && digest.lastSeq < lastSeq) {
      const arrived = new Promise<void>((resolve) => {
        this.awaited = { seq: lastSeq, resolve }
      })
      await this.within(0, `not everything up to seq ${lastSeq} arrived`, [arrived])
    }
    const after = await trafficOf(this.kernel, this.group.port)
    this.current = undefined
    return {
      messages: window.messages,
      seconds: window.seconds,
      sent,
      total: digest.total,
      bySender: digest.bySender,
      digest: digest.value,
      outOfOrder: digest.outOfOrder,
      latency: run.latencies.percentiles,
      ...trafficSince(before, after),
      expelled: run.expelled,
      resets: run.resets,
    }
  }

  examine(): Health {
    if (this.loopDelay === undefined) {
      this.loopDelay = monitorEventLoopDelay({ resolution: LOOP_DELAY_RESOLUTION_MS })
      this.loopDelay.enable()
    }
    const { rss, heapUsed } = process.memoryUsage()
    const between = this.loopDelay.count === 0 ? 0 : this.loopDelay.percentile(99) / 1e6
    const health: Health = {
      rssMiB: rss / 2 ** 20,
      heapMiB: heapUsed / 2 ** 20,
      // The histogram holds the times between two looks, of which the resolution is no delay.
      loopDelayP99: Math.max(0, between - LOOP_DELAY_RESOLUTION_MS),
      latency: this.current?.latencies.take() ?? null,
    }
    this.loopDelay.reset()
    return health
  }

  async close(): Promise<void> {
    this.loopDelay?.disable()
    await this.kernel.close()
    await this.receiving.catch(() => {})
  }

  private untilBack(): Promise<void> {
    return new Promise((resolve) => {
      this.wakeBack = resolve
    })
  }

  /** Waits for `all`, or fails with what the group looks like here: a bench that hangs has found something. */
  private async within(ms: number, complaint: string, all: readonly Promise<void>[]): Promise<void> {
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => {
        const { view, parameters, ...info } = this.group.getInfoGroup()
        reject(
          new Error(
            `${complaint}; ${JSON.stringify(info)}, in the run ${JSON.stringify(this.current?.order)}`,
          ),
        )
      }, ms + PATIENCE_MS)
    })
    try {
      await Promise.race([Promise.all(all), this.receiving, late])
    } finally {
      clearTimeout(timer)
    }
  }

  /** Ends with the group; rejects if it was lost. */
  private async receiveBatches(): Promise<void> {
    const visitor: Visitor<unknown> = {
      message: (bytes, from, to, seq, sender) => this.current?.digest.addFrom(seq, sender, bytes, from, to),
      change: ({ kind }) => {
        if (kind === 'reset') this.noteReset()
      },
    }
    try {
      for (;;) {
        await this.group.receiveEach(visitor, { max: RECEIVE_MAX })
        this.checkAwaited()
      }
    } catch (error) {
      if (this.current !== undefined) throw error
    }
  }

  private async receiveEach(): Promise<void> {
    try {
      for await (const { kind, seq, sender, body } of this.group) {
        if (kind === 'reset') this.noteReset()
        if (kind !== 'message') continue
        const { count, text } = body as CountedText
        this.current?.digest.addCounted(seq, sender, count, text)
        this.checkAwaited()
      }
    } catch (error) {
      if (this.current !== undefined) throw error
    }
  }

  private noteReset(): void {
    if (this.current !== undefined) this.current.resets++
  }

  private checkAwaited(): void {
    if (this.awaited === undefined || (this.current?.digest.lastSeq ?? 0) < this.awaited.seq) return
    this.awaited.resolve()
    this.awaited = undefined
  }
}
