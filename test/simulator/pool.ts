/**
 * Spreads seeds over worker threads: each asks for the next few when it is done with the last. A run is a
 * pure function of its seed, so it does not matter who runs it.
 */
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads'
import type { Overrides } from './options.ts'
import { add, addOutcome, noTotals, type Totals } from './report.ts'
import { type Outcome, runSeed } from './run.ts'

/** Seeds handed out at once: enough that messages cost nothing, few enough that the end is not ragged. */
const CHUNK = 8

interface Work {
  readonly from: number
  readonly count: number
}

interface Done {
  readonly totals: Totals
  readonly failures: readonly Outcome[]
}

export interface PoolOptions {
  readonly from: number
  /** How many seeds; Infinity to go on until `until`. */
  readonly seeds: number
  /** performance.now() at which nothing new is begun. */
  readonly until: number
  readonly workers: number
  readonly overrides: Overrides
  /** Failures after which nothing new is begun. */
  readonly maxFailures: number
  onProgress(totals: Totals): void
  onFailure(outcome: Outcome): void
}

export async function runPool(options: PoolOptions): Promise<Totals> {
  const totals = noTotals()
  let next = options.from
  const end = options.from + options.seeds
  const takeWork = (): Work | undefined => {
    if (next >= end || performance.now() >= options.until || totals.failed >= options.maxFailures)
      return undefined
    const work = { from: next, count: Math.min(CHUNK, end - next) }
    next += work.count
    return work
  }
  const runWorker = () =>
    new Promise<void>((resolve, reject) => {
      const worker = new Worker(new URL(import.meta.url), { workerData: options.overrides })
      const proceed = () => {
        const work = takeWork()
        if (work === undefined) void worker.terminate()
        else worker.postMessage(work)
      }
      worker.on('message', ({ totals: more, failures }: Done) => {
        add(totals, more)
        for (const failure of failures) options.onFailure(failure)
        options.onProgress(totals)
        proceed()
      })
      worker.on('error', reject)
      worker.on('exit', () => resolve())
      proceed()
    })
  await Promise.all(Array.from({ length: options.workers }, runWorker))
  return totals
}

if (!isMainThread && parentPort !== null) {
  const port = parentPort
  const overrides = workerData as Overrides
  port.on('message', ({ from, count }: Work) => {
    const totals = noTotals()
    const failures: Outcome[] = []
    for (let seed = from; seed < from + count; seed++) {
      const outcome = runSeed(seed, { overrides })
      addOutcome(totals, outcome)
      if (outcome.status !== 'ok') failures.push(outcome)
    }
    port.postMessage({ totals, failures } satisfies Done)
  })
}
