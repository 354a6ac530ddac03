/** How a member sends in a run: one at a time, as much as goes, in single calls, or so many a second. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Group } from '../group/index.ts'
import type { Run } from './group-run.ts'
import { writeCount } from './run-digest.ts'

/** What a sender hands over in one sendMany. */
const BATCH_BYTES = 64 * 1024
/** Enough to keep the windows of its groups full; as much as a client of a peer may have on its way, too. */
export const BYTES_UNDER_WAY = 1024 * 1024
/** So that one batch can be written while another is on its way, however large the messages are. */
const BATCHES_LEAST = 2
/** Single calls on their way, each with a promise of its own. */
const CALLS_UNDER_WAY_MAX = 1024
/** Of a steady sender: it looks so often what is due, and what is longer overdue is not sent any more. */
const STEADY_EVERY_MS = 2
const OVERDUE_MS = 100
const STEADY_BATCH_MAX = 1024
/** What msgpack adds to the text of an object with a count. */
const OBJECT_OVERHEAD = 20

/** What single calls send: about as many bytes as a message is to have, once it is encoded. */
export interface CountedText {
  readonly count: number
  readonly text: string
}

/** The loops that send in this run; they end when it is over. */
export function startSenders(group: Group<unknown>, run: Run): Promise<void>[] {
  const { order, calls, groups } = run
  if (!order.isSender) return []
  if (order.pattern === 'lone') return [sendOneByOne(group, run)]
  if (order.pattern === 'steady') return [sendSteadily(group, run)]
  const [loops, send] =
    calls === 'each'
      ? [Math.min(CALLS_UNDER_WAY_MAX, Math.ceil(BYTES_UNDER_WAY / order.size)), sendSingly]
      : [
          Math.max(BATCHES_LEAST, Math.ceil(BYTES_UNDER_WAY / groups / batchOf(order.size).bytes)),
          sendBatches,
        ]
  return Array.from({ length: loops }, () => send(group, run))
}

async function sendOneByOne(group: Group<unknown>, run: Run): Promise<void> {
  const body = new Uint8Array(run.order.size)
  while (!run.isOver) {
    writeCount(body, run.sent++)
    const { isOpen } = run.window
    const calledAt = performance.now()
    const seq = await group.sendToGroup(body)
    if (isOpen) run.latencies.add(performance.now() - calledAt)
    run.lastOwnSeq = Math.max(run.lastOwnSeq, seq)
    // The group is idle again before the next: what came back with the answer has been received.
    await new Promise(setImmediate)
  }
}

async function sendBatches(group: Group<unknown>, run: Run): Promise<void> {
  const { count } = batchOf(run.order.size)
  const bodies = bodiesOf(count, run.order.size)
  while (!run.isOver) {
    for (const body of bodies) writeCount(body, run.sent++)
    const seqs = await group.sendMany(bodies)
    run.lastOwnSeq = Math.max(run.lastOwnSeq, seqs[count - 1]!)
  }
}

async function sendSingly(group: Group<unknown>, run: Run): Promise<void> {
  const text = textOf(run.order.size)
  while (!run.isOver) {
    const message: CountedText = { count: run.sent++, text }
    const seq = await group.sendToGroup(message)
    run.lastOwnSeq = Math.max(run.lastOwnSeq, seq)
  }
}

/** Notes how long each call takes: what is due goes out in one. */
async function sendSteadily(group: Group<unknown>, run: Run): Promise<void> {
  const { size, perSecond = 0 } = run.order
  const bodies = bodiesOf(STEADY_BATCH_MAX, size)
  let paidUntil = performance.now()
  while (!run.isOver) {
    const now = performance.now()
    paidUntil = Math.max(paidUntil, now - OVERDUE_MS)
    const due = Math.min(STEADY_BATCH_MAX, Math.floor(((now - paidUntil) * perSecond) / 1000))
    if (due === 0) {
      await sleep(STEADY_EVERY_MS)
      continue
    }
    paidUntil += (due * 1000) / perSecond
    const batch = bodies.slice(0, due)
    for (const body of batch) writeCount(body, run.sent++)
    const seqs = await group.sendMany(batch)
    if (run.window.isOpen) run.latencies.add(performance.now() - now)
    run.lastOwnSeq = Math.max(run.lastOwnSeq, seqs[due - 1]!)
  }
}

export function textOf(size: number): string {
  return 'm'.repeat(Math.max(0, size - OBJECT_OVERHEAD))
}

function bodiesOf(count: number, size: number): Uint8Array[] {
  const bytes = new Uint8Array(count * size)
  return Array.from({ length: count }, (_, i) => bytes.subarray(i * size, (i + 1) * size))
}

function batchOf(size: number): { readonly count: number; readonly bytes: number } {
  const count = Math.max(1, Math.floor(BATCH_BYTES / size))
  return { count, bytes: count * size }
}
