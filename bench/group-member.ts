/** A member of a real group under measurement, over the public API: sendMany and receiveBatch, binary bodies. */
import { type Group, type Kernel, startKernel } from '../group/index.ts'
import { Latencies } from './latencies.ts'
import type { BenchMember, MemberOrder, RunOrder, RunReport } from './messages.ts'
import { RunDigest, writeCount } from './run-digest.ts'
import { cpuSeconds, MeasuringWindow } from './window.ts'

/** What a sender hands over in one sendMany; and enough such calls under way to keep its window full. */
const BATCH_BYTES = 64 * 1024
const BYTES_UNDER_WAY = 1024 * 1024
/** So that one batch can be written while another is on its way, however large the messages are. */
const BATCHES_LEAST = 2
const RECEIVE_MAX = 4096
/** Beyond a run's own time, for what is under way. */
const PATIENCE_MS = 20_000

interface Run {
  readonly order: RunOrder
  readonly digest: RunDigest
  readonly latencies: Latencies
  readonly window: MeasuringWindow
  readonly before: Traffic
  sent: number
  lastOwnSeq: number
  isOver: boolean
}

interface Traffic {
  readonly cpu: number
  readonly packets: number
  readonly bytes: number
  readonly repeated: number
}

export class GroupMember implements BenchMember {
  readonly address: string
  private readonly kernel: Kernel
  private readonly group: Group<Uint8Array>
  private readonly receiving: Promise<void>
  private current: Run | undefined
  private awaited: { seq: number; resolve: () => void } | undefined

  static async open(order: MemberOrder): Promise<GroupMember> {
    const { method, transport, packetSize, peers, port, index, resilience } = order
    const kernel = await startKernel({ method, transport, packetSize, peers, logLevel: 'error' })
    const group = await (index === 0
      ? kernel.createGroup<Uint8Array>(port, { codec: 'binary', resilience })
      : kernel.joinGroup<Uint8Array>(port, { codec: 'binary' }))
    return new GroupMember(kernel, group)
  }

  private constructor(kernel: Kernel, group: Group<Uint8Array>) {
    this.kernel = kernel
    this.group = group
    this.address = kernel.address
    this.receiving = this.receive()
    this.receiving.catch(() => {})
  }

  async prepare(order: RunOrder): Promise<void> {
    const digest = new RunDigest(order.size)
    this.current = {
      order,
      digest,
      latencies: new Latencies(),
      window: new MeasuringWindow(() => digest.total),
      before: await this.traffic(),
      sent: 0,
      lastOwnSeq: 0,
      isOver: false,
    }
  }

  async run(): Promise<number> {
    const run = this.current!
    const { order } = run
    const passed = run.window.pass(order.rampMs, order.measureMs).then(() => {
      run.isOver = true
    })
    const senders = order.isSender
      ? order.pattern === 'lone'
        ? [this.sendOneByOne(run)]
        : Array.from(
            { length: Math.max(BATCHES_LEAST, Math.ceil(BYTES_UNDER_WAY / batchOf(order.size).bytes)) },
            () => this.sendBatches(run),
          )
      : []
    await this.within(order.rampMs + order.measureMs, 'its sends did not return', [passed, ...senders])
    return run.lastOwnSeq
  }

  async finish(lastSeq: number): Promise<RunReport> {
    const run = this.current!
    const { digest, window, before, sent } = run
    if (digest.lastSeq < lastSeq) {
      const arrived = new Promise<void>((resolve) => {
        this.awaited = { seq: lastSeq, resolve }
      })
      await this.within(0, `not everything up to seq ${lastSeq} arrived`, [arrived])
    }
    const after = await this.traffic()
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
      cpuSeconds: after.cpu - before.cpu,
      packetsOut: after.packets - before.packets,
      bytesOut: after.bytes - before.bytes,
      repeated: after.repeated - before.repeated,
    }
  }

  async close(): Promise<void> {
    await this.kernel.close()
    await this.receiving.catch(() => {})
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

  private async sendOneByOne(run: Run): Promise<void> {
    const body = new Uint8Array(run.order.size)
    while (!run.isOver) {
      writeCount(body, run.sent++)
      const { isOpen } = run.window
      const calledAt = performance.now()
      run.lastOwnSeq = Math.max(run.lastOwnSeq, await this.group.sendToGroup(body))
      if (isOpen) run.latencies.add(performance.now() - calledAt)
      // The group is idle again before the next: what came back with the answer has been received.
      await new Promise(setImmediate)
    }
  }

  private async sendBatches(run: Run): Promise<void> {
    const { size } = run.order
    const { count, bytes: length } = batchOf(size)
    const bytes = new Uint8Array(length)
    const bodies = Array.from({ length: count }, (_, i) => bytes.subarray(i * size, (i + 1) * size))
    while (!run.isOver) {
      for (const body of bodies) writeCount(body, run.sent++)
      const seqs = await this.group.sendMany(bodies)
      run.lastOwnSeq = Math.max(run.lastOwnSeq, seqs[count - 1]!)
    }
  }

  /** Ends with the group; rejects if it was lost. */
  private async receive(): Promise<void> {
    for (;;) {
      const batch = await this.group.receiveBatch({ max: RECEIVE_MAX }).catch((error: unknown) => {
        if (this.current !== undefined) throw error
      })
      if (batch === undefined) return
      const digest = this.current?.digest
      for (const { kind, seq, sender, body } of batch) {
        if (kind === 'message') digest?.add(seq, sender, body!)
      }
      if (this.awaited !== undefined && (digest?.lastSeq ?? 0) >= this.awaited.seq) {
        this.awaited.resolve()
        this.awaited = undefined
      }
    }
  }

  private async traffic(): Promise<Traffic> {
    return {
      cpu: cpuSeconds(),
      packets: await this.sum('amoebacast_packets_total', 'out'),
      bytes: await this.sum('amoebacast_packet_bytes_total', 'out'),
      repeated: await this.sum('amoebacast_retransmissions_total'),
    }
  }

  private async sum(name: string, direction?: string): Promise<number> {
    const metric = await this.kernel.registry.getSingleMetric(name)?.get()
    let sum = 0
    for (const { value, labels } of metric?.values ?? []) {
      if (direction === undefined || labels.direction === direction) sum += value
    }
    return sum
  }
}

function batchOf(size: number): { readonly count: number; readonly bytes: number } {
  const count = Math.max(1, Math.floor(BATCH_BYTES / size))
  return { count, bytes: count * size }
}
