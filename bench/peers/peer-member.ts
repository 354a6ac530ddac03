/**
 * A client of a peer, measured like a member: it sends, receives all that anybody sends, and keeps the same digest.
 * As much may be on its way as at a member, and what has not come back yet counts: readers must not fall behind for
 * ever, since peers do not wait for them.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { guaranteeOf } from '../check-run.ts'
import { Latencies } from '../latencies.ts'
import type { BenchMember, PeerName, RunOrder, RunReport } from '../messages.ts'
import { RunDigest, writeCount } from '../run-digest.ts'
import { BYTES_UNDER_WAY } from '../senders.ts'
import { cpuSeconds, MeasuringWindow } from '../window.ts'
import type { PeerLink } from './link.ts'

const UNDER_WAY_LEAST = 16
/** As many bytes of small messages as a member has on its way make no peer faster (README.md). */
const UNDER_WAY_MOST = 2048
const PATIENCE_MS = 60_000
/** Where there is no common order, the end is when nothing has come for so long. */
const QUIET_MS = 200
const SENDER_AT = 4

interface Run {
  readonly order: RunOrder
  readonly digest: RunDigest
  readonly window: MeasuringWindow
  readonly latencies: Latencies
  readonly cpu: number
  sent: number
  back: number
  /** Messages that had arrived when the last own one did. */
  lastPlace: number
  isOver: boolean
  failure: Error | undefined
}

export class PeerMember implements BenchMember {
  readonly address: string
  private readonly link: PeerLink
  private readonly index: number
  private readonly hasOrder: boolean
  private runs = 0
  private current: Run | undefined
  private wake: (() => void) | undefined

  constructor(link: PeerLink, index: number, peer: PeerName) {
    this.link = link
    this.index = index
    this.address = `client ${index}`
    this.hasOrder = guaranteeOf(peer) === 'order'
  }

  async prepare(order: RunOrder): Promise<void> {
    const digest = new RunDigest(order.readsBodies ?? false, order.size)
    const run: Run = {
      order,
      digest,
      window: new MeasuringWindow(() => digest.total),
      latencies: new Latencies(),
      cpu: cpuSeconds(),
      sent: 0,
      back: 0,
      lastPlace: 0,
      isOver: false,
      failure: undefined,
    }
    this.current = run
    await this.link.begin(this.runs++, (body) => this.arrive(run, body))
  }

  async run(): Promise<number> {
    const run = this.current!
    const { isSender, pattern, rampMs, measureMs } = run.order
    const passed = run.window.pass(rampMs, measureMs).then(() => {
      run.isOver = true
    })
    if (isSender) await (pattern === 'lone' ? this.sendOneByOne(run) : this.sendStream(run))
    await passed
    return run.lastPlace
  }

  async finish(lastPlace: number): Promise<RunReport> {
    const run = this.current!
    const { digest, window } = run
    await this.until(run, () => digest.total >= lastPlace)
    for (let before = -1; !this.hasOrder && before !== digest.total; ) {
      before = digest.total
      await sleep(QUIET_MS)
    }
    await this.link.end()
    this.current = undefined
    return {
      messages: window.messages,
      seconds: window.seconds,
      sent: run.sent,
      total: digest.total,
      bySender: digest.bySender,
      digest: this.hasOrder ? digest.value : '',
      outOfOrder: digest.outOfOrder,
      latency: run.latencies.percentiles,
      cpuSeconds: cpuSeconds() - run.cpu,
      packetsOut: 0,
      bytesOut: 0,
      packetsIn: 0,
      repeated: 0,
    }
  }

  close(): Promise<void> {
    return this.link.close()
  }

  private async sendOneByOne(run: Run): Promise<void> {
    while (!run.isOver) {
      const body = this.next(run)
      const { isOpen } = run.window
      const calledAt = performance.now()
      await this.link.send(body)
      if (this.link.isAcknowledged) {
        if (isOpen) run.latencies.add(performance.now() - calledAt)
        await this.until(run, () => run.back === run.sent)
      } else {
        await this.until(run, () => run.back === run.sent)
        if (isOpen) run.latencies.add(performance.now() - calledAt)
      }
      await new Promise(setImmediate)
    }
  }

  private async sendStream(run: Run): Promise<void> {
    const fitting = Math.floor(BYTES_UNDER_WAY / run.order.size)
    const most = Math.min(UNDER_WAY_MOST, Math.max(UNDER_WAY_LEAST, fitting))
    while (!run.isOver) {
      await this.until(run, () => run.sent - run.back <= most / 2)
      while (run.sent - run.back < most) {
        this.link.send(this.next(run)).catch((error: Error) => {
          run.failure ??= error
          this.wake?.()
        })
      }
      await new Promise(setImmediate)
    }
    await this.until(run, () => run.back === run.sent)
  }

  /** A new one each time: the client may hold it for a while. */
  private next(run: Run): Uint8Array {
    const body = new Uint8Array(run.order.size)
    writeCount(body, run.sent++)
    body[SENDER_AT] = this.index
    return body
  }

  private arrive(run: Run, body: Uint8Array): void {
    const sender = body[SENDER_AT]!
    const { digest } = run
    digest.add(digest.total + 1, sender, body)
    if (sender === this.index) {
      run.back++
      run.lastPlace = digest.total
    }
    this.wake?.()
  }

  private async until(run: Run, isSo: () => boolean): Promise<void> {
    const last = performance.now() + PATIENCE_MS + run.order.measureMs
    let timer: NodeJS.Timeout | undefined
    try {
      while (!isSo()) {
        if (run.failure !== undefined) throw run.failure
        if (performance.now() > last)
          throw new Error(
            `${run.back} of ${run.sent} own messages have come back, ${run.digest.total} in all`,
          )
        await new Promise<void>((resolve) => {
          this.wake = resolve
          timer ??= setInterval(() => this.wake?.(), 1000)
        })
      }
    } finally {
      clearInterval(timer)
      this.wake = undefined
    }
  }
}
