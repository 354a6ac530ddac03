/**
 * A process that stands still now and then, as in the paper on experiences with reliable multicast (its figure 2):
 * for each period it is drawn anew whether the process sleeps through it; several in a row are one long sleep. Nothing
 * runs in it meanwhile, neither the program nor the protocol.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { Prng } from '../kernel/prng.ts'

const PERIOD_MS = 100
const SEED = 11
const RUNS_APART = 1000

/** For `forMs` in all. Each sleeper has naps of its own in each of its runs, the same again whenever a bench is run. */
export async function nap(share: number, sleeper: number, run: number, forMs: number): Promise<void> {
  const dice = new Prng(SEED + RUNS_APART * run + sleeper)
  const bed = new Int32Array(new SharedArrayBuffer(4))
  const sleeps = (): boolean => dice.below(1000) < share * 1000
  const end = performance.now() + forMs
  const left = (): number => Math.max(0, end - performance.now())
  while (left() > 0) {
    let periods = 0
    while (periods * PERIOD_MS < left() && sleeps()) periods++
    if (periods > 0) Atomics.wait(bed, 0, 0, Math.min(periods * PERIOD_MS, left()))
    // Awake through the period that was drawn so.
    await sleep(Math.min(PERIOD_MS, left()))
  }
}
