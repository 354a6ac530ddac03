/**
 * One member process of the demo. Its supervisor tells it when to send and when to stop; if the supervisor
 * is gone, so is the member. Ctrl-C reaches the whole terminal's processes, but only the supervisor heeds it.
 */
import { createHistogram } from 'node:perf_hooks'
import type { Delivery, Group } from '../group/index.ts'
import { startKernel } from '../group/index.ts'
import { type FromMember, type MemberOrder, type ToMember, wallClock } from './demo-messages.ts'
import { OrderDigest } from './digest.ts'
import { describeError } from './errors.ts'
import { aborted } from './stop.ts'
import { type Returned, Trail } from './trail.ts'

const COUNT_BYTES = 8
const NO_BYTES = new Uint8Array(0)
/** Of the own sends, digests are only asked for as of now. */
const OWN_KEPT = 512
/** A process that is about to be killed says so often how many of its sends have returned. */
const COUNT_EVERY_MS = 1

class DemoMember {
  private readonly order: MemberOrder
  private readonly group: Group<Uint8Array>
  private readonly memberId: number
  private readonly digest = new OrderDigest()
  private readonly latency = createHistogram({ lowest: 1, highest: 3_600_000_000, figures: 3 })
  private readonly stopping = new AbortController()
  /** Places of the own sends that have returned. */
  private readonly returned = new Trail(OWN_KEPT)
  /** Places of what was delivered, by sender; as many as members. */
  private readonly trails = new Map<number, Trail>()
  private sentBefore = 0
  private countedAt = 0
  private failed = 0
  private nextCount = 0
  private nextOwn = 0
  private ownOutOfOrder = 0
  private seq = 0
  private lastOwnSeq = 0
  private awaited: { seq: number; resolve: () => void } | undefined

  constructor(order: MemberOrder, group: Group<Uint8Array>) {
    this.order = order
    this.group = group
    const { memberId, view } = group
    this.memberId = memberId
    this.seq = view.seq
    const address = view.members.find(({ id }) => id === memberId)?.address ?? ''
    say({ say: 'ready', memberId, sequencer: view.sequencer, address })
  }

  /** Sends until it is told to stop, and resolves when every send has ended. */
  async sendUntilStopped(): Promise<void> {
    this.countedAt = performance.now()
    await Promise.all(Array.from({ length: this.order.outstanding }, () => this.sendOneByOne()))
    this.digest.hold()
    const lastSeq = Math.max(this.lastOwnSeq, this.digest.lastSeq)
    say({ say: 'stopped', lastSeq, returned: this.returnedSoFar })
  }

  reportStats(): void {
    const { latency, seq } = this
    const sent = this.returned.count
    const now = performance.now()
    const rate = Math.round(((sent - this.sentBefore) * 1000) / Math.max(1, now - this.countedAt))
    const isEmpty = latency.count === 0
    say({
      say: 'stats',
      seq,
      rate,
      p50Us: isEmpty ? null : latency.percentile(50),
      p99Us: isEmpty ? null : latency.percentile(99),
    })
    latency.reset()
    this.sentBefore = sent
    this.countedAt = now
  }

  stop(): void {
    this.stopping.abort()
  }

  /** Until the process is killed. */
  countReturned(): void {
    const tell = (): void => say({ say: 'returned', returned: this.returnedSoFar })
    tell()
    setInterval(tell, COUNT_EVERY_MS).unref()
  }

  private get returnedSoFar(): Returned {
    const { returned } = this
    return { count: returned.count, digest: returned.digest()! }
  }

  async finish({ lastSeq, returned }: Extract<ToMember, { say: 'finish' }>): Promise<void> {
    if (this.seq < lastSeq) {
      await new Promise<void>((resolve) => {
        this.awaited = { seq: lastSeq, resolve }
      })
    }
    const { memberId, failed, ownOutOfOrder } = this
    const sent = this.returned.count
    const trails = Object.fromEntries(
      Object.entries(returned).map(([sender, count]) => {
        const trail = this.trails.get(Number(sender)) ?? new Trail(1)
        return [sender, trail.digest(count) ?? null]
      }),
    )
    const order = this.digest.finish(lastSeq)
    say({ say: 'report', report: { memberId, sent, failed, ownOutOfOrder, trails, ...order } })
  }

  async receive(): Promise<void> {
    for await (const delivery of this.group) this.take(delivery)
  }

  private async sendOneByOne(): Promise<void> {
    while (!this.stopping.signal.aborted) {
      const calledAt = performance.now()
      try {
        const seq = await this.group.sendToGroup(this.nextBody())
        this.lastOwnSeq = Math.max(this.lastOwnSeq, seq)
        this.returned.add(seq)
        this.latency.record(Math.max(1, Math.round((performance.now() - calledAt) * 1000)))
      } catch (error) {
        this.failed++
        say({ say: 'failed', message: describeError(error) })
        return
      }
    }
  }

  /** A message says which of its sender's messages it is; the rest is padding. */
  private nextBody(): Uint8Array {
    const body = Buffer.alloc(this.order.messageBytes, this.order.name)
    body.writeBigUInt64BE(BigInt(this.nextCount++), 0)
    return body
  }

  private take(delivery: Delivery<Uint8Array>): void {
    const { seq, kind, sender } = delivery
    if (kind === 'message') {
      const body = delivery.body ?? NO_BYTES
      this.digest.add(seq, sender, body)
      this.trailOf(sender).add(seq)
      if (sender === this.memberId) this.checkOwn(body)
    } else {
      const { sequencer } = delivery.view
      const members = delivery.view.members.map(({ id }) => id)
      if (delivery.kind === 'reset') {
        const { removed, lossPossible } = delivery
        say({ say: 'reset', at: wallClock(), sequencer, members, removed, lossPossible })
      }
      say({ say: 'view', kind, sequencer, members })
    }
    this.seq = seq
    if (this.awaited !== undefined && seq >= this.awaited.seq) {
      this.awaited.resolve()
      this.awaited = undefined
    }
  }

  private trailOf(sender: number): Trail {
    let trail = this.trails.get(sender)
    if (trail === undefined) {
      trail = new Trail()
      this.trails.set(sender, trail)
    }
    return trail
  }

  private checkOwn(body: Uint8Array): void {
    const bytes = Buffer.from(body.buffer, body.byteOffset, body.length)
    const count = bytes.length < COUNT_BYTES ? -1 : Number(bytes.readBigUInt64BE(0))
    if (count !== this.nextOwn) this.ownOutOfOrder++
    this.nextOwn = count + 1
  }
}

function say(message: FromMember): void {
  if (process.connected) process.send?.(message)
}

async function main(order: MemberOrder): Promise<number> {
  const orphaned = new AbortController()
  process.on('disconnect', () => orphaned.abort())
  process.on('SIGINT', () => {})
  process.on('SIGTERM', () => orphaned.abort())
  const kernel = await startKernel(order.kernel)
  try {
    const options = {
      ...order.group,
      memberName: order.name,
      codec: 'binary' as const,
      signal: orphaned.signal,
    }
    const group = await (order.how === 'create'
      ? kernel.createGroup<Uint8Array>(order.port, options)
      : kernel.joinGroup<Uint8Array>(order.port, options))
    const member = new DemoMember(order, group)
    const receiving = member.receive()
    const finished = new Promise<void>((resolve, reject) => {
      process.on('message', (message) => {
        const told = message as ToMember
        if (told.say === 'start') member.sendUntilStopped().catch(reject)
        else if (told.say === 'ask') member.reportStats()
        else if (told.say === 'stop') member.stop()
        else if (told.say === 'count') member.countReturned()
        else member.finish(told).then(resolve, reject)
      })
    })
    const endedEarly = receiving.then(() => Promise.reject(new Error('the group ended before the demo did')))
    endedEarly.catch(() => {})
    await Promise.race([finished, endedEarly, aborted(orphaned.signal)])
    member.stop()
    await group.leaveGroup()
    await receiving
    return 0
  } catch (error) {
    say({ say: 'failed', message: describeError(error) })
    process.stderr.write(`amoebacast: ${describeError(error)}\n`)
    return 1
  } finally {
    await kernel.close()
    if (process.connected) process.disconnect()
  }
}

process.exitCode = await main(JSON.parse(process.argv[2] ?? '{}') as MemberOrder)
