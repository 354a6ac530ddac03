/**
 * One member process of the failover bench: sends at a bounded rate, notes when the machine passes its turning points
 * and when the first message is delivered in a view without the one that was killed. If its parent is gone, so is it.
 */
import { subscribe } from 'node:diagnostics_channel'
import { type Group, type Kernel, startKernel, type View } from '../group/index.ts'
import { TRACE_CHANNEL, type TraceMessage } from '../kernel/node/diagnostics.ts'
import type { FailoverOrder, FromFailover, Mark, ToFailover } from './failover-messages.ts'
import { RunDigest, writeCount } from './run-digest.ts'
import { sharedClock } from './shared-clock.ts'

const SEND_EVERY_MS = 1
const OUTSTANDING_MAX = 16
/** The flow is under way. */
const RETURNED_FIRST = 20
/** After so many more have returned, the parent hears of it: what it was told must not be lost. */
const TELL_EVERY = 4
const RECEIVE_MAX = 1024

function say(message: FromFailover): void {
  if (process.connected) process.send?.(message)
}

function failed(error: unknown): void {
  say({ say: 'failed', message: error instanceof Error ? error.message : String(error) })
}

interface Round {
  readonly digest: RunDigest
  readonly marks: Mark[]
  /** Who is to be killed, once that is known. */
  victim: number | undefined
  sent: number
  returned: number
  lastOwnSeq: number
  isNextTold: boolean
  isStopping: boolean
}

class FailoverMember {
  private readonly kernel: Kernel
  private readonly group: Group<Uint8Array>
  private readonly size: number
  private round: Round | undefined
  private timer: NodeJS.Timeout | undefined
  private deliveredSeq = 0
  private isExpelled = false
  private awaited: { seq: number; resolve: () => void } | undefined

  static async open(order: FailoverOrder): Promise<FailoverMember> {
    const { port, isCreator, resilience, detection, size } = order
    const kernel = await startKernel({ detection, logLevel: 'silent' })
    const group = await (isCreator
      ? kernel.createGroup<Uint8Array>(port, { codec: 'binary', resilience })
      : kernel.joinGroup<Uint8Array>(port, { codec: 'binary' }))
    return new FailoverMember(kernel, group, size)
  }

  private constructor(kernel: Kernel, group: Group<Uint8Array>, size: number) {
    this.kernel = kernel
    this.group = group
    this.size = size
    subscribe(TRACE_CHANNEL, (message) => {
      const { mark, detail } = message as TraceMessage
      const member = typeof detail.member === 'number' ? detail.member : undefined
      this.round?.marks.push({ mark, at: sharedClock(), member })
    })
    group.on('expelled', () => this.expelled())
    this.receive().catch((error) => this.failed(error))
  }

  get memberId(): number {
    return this.group.memberId
  }

  obey(told: ToFailover): void {
    switch (told.say) {
      case 'begin':
        this.begin()
        return say({ say: 'begun' })
      case 'send':
        return this.send(this.round!)
      case 'aim': {
        const { sequencer } = this.group.view
        return say({ say: 'aimed', sequencer, isExpelled: this.isExpelled })
      }
      case 'watch':
        this.round!.victim = told.victim
        say({ say: 'watching' })
        if (this.isExpelled) this.tellNext(this.round!)
        return
      case 'stop':
        clearInterval(this.timer)
        this.round!.isStopping = true
        return this.tellStopped(this.round!)
      case 'finish':
        this.finish(told.lastSeq).catch(failed)
        return
      case 'close':
        this.kernel
          .close()
          .catch(failed)
          .finally(() => process.disconnect())
        return
    }
  }

  private begin(): void {
    this.round = {
      digest: new RunDigest(true, this.size),
      marks: [],
      victim: undefined,
      sent: 0,
      returned: 0,
      lastOwnSeq: 0,
      isNextTold: false,
      isStopping: false,
    }
  }

  private send(round: Round): void {
    this.timer = setInterval(() => {
      if (round.sent - round.returned >= OUTSTANDING_MAX) return
      const body = new Uint8Array(this.size)
      writeCount(body, round.sent++)
      this.group.sendToGroup(body).then(
        (seq) => this.returned(round, seq),
        (error) => this.failed(error),
      )
    }, SEND_EVERY_MS)
  }

  private returned(round: Round, seq: number): void {
    round.lastOwnSeq = Math.max(round.lastOwnSeq, seq)
    round.returned++
    if (round.returned === RETURNED_FIRST) say({ say: 'sending' })
    if (round.returned % TELL_EVERY === 0) say({ say: 'returned', count: round.returned })
    this.tellStopped(round)
  }

  private tellStopped({ isStopping, sent, returned, lastOwnSeq }: Round): void {
    const { isExpelled } = this
    if (isStopping && (isExpelled || sent === returned))
      say({ say: 'stopped', lastSeq: lastOwnSeq, isExpelled })
  }

  private tellNext(round: Round): void {
    if (round.isNextTold) return
    round.isNextTold = true
    say({ say: 'next', at: sharedClock(), marks: round.marks, isExpelled: this.isExpelled })
  }

  /** Taken for dead, without reason: that is a figure of the bench, not its failure. */
  private expelled(): void {
    this.isExpelled = true
    clearInterval(this.timer)
    if (this.round === undefined) return
    if (this.round.returned < RETURNED_FIRST) say({ say: 'sending' })
    if (this.round.victim !== undefined) this.tellNext(this.round)
    this.tellStopped(this.round)
  }

  private failed(error: unknown): void {
    if (!this.isExpelled) failed(error)
  }

  private async finish(lastSeq: number): Promise<void> {
    const { sent, digest } = this.round!
    if (this.deliveredSeq < lastSeq) {
      await new Promise<void>((resolve) => {
        this.awaited = { seq: lastSeq, resolve }
      })
    }
    const { bySender, value, outOfOrder } = digest
    say({ say: 'report', report: { sent, bySender, digest: value, outOfOrder } })
  }

  private async receive(): Promise<void> {
    for (;;) {
      const batch = await this.group.receiveBatch({ max: RECEIVE_MAX })
      if (batch === undefined) return
      const { round } = this
      for (const { kind, seq, sender, body, view } of batch) {
        this.deliveredSeq = seq
        if (kind !== 'message' || round === undefined) continue
        if (isWithout(view, round.victim)) this.tellNext(round)
        round.digest.add(seq, sender, body!)
      }
      if (this.awaited !== undefined && this.deliveredSeq >= this.awaited.seq) {
        this.awaited.resolve()
        this.awaited = undefined
      }
    }
  }
}

function isWithout({ members }: View, victim: number | undefined): boolean {
  return victim !== undefined && !members.some(({ id }) => id === victim)
}

async function main(order: FailoverOrder): Promise<void> {
  process.on('SIGINT', () => {})
  process.on('disconnect', () => process.exit())
  try {
    const member = await FailoverMember.open(order)
    process.on('message', (told) => member.obey(told as ToFailover))
    say({ say: 'ready', memberId: member.memberId })
  } catch (error) {
    failed(error)
    process.disconnect()
  }
}

await main(JSON.parse(process.argv[2] ?? '{}') as FailoverOrder)
