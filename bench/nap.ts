/**
 * A process that stands still now and then, as in the paper on experiences with reliable multicast (its figure 2):
 * for each period it is drawn anew whether the process sleeps through it. Nothing runs in it meanwhile, neither
 * the program nor the protocol.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { Prng } from '../kernel/prng.ts'

const PERIOD_MS = 100
const SEED = 11

/** Until `isOver`. Each sleeper of a run has naps of its own, and in every run the same. */
export async function nap(share: number, sleeper: number, isOver: () => boolean): Promise<void> {
  const dice = new Prng(SEED + sleeper)
  const bed = new Int32Array(new SharedArrayBuffer(4))
  while (!isOver()) {
    if (dice.below(1000) < share * 1000) {
      Atomics.wait(bed, 0, 0, PERIOD_MS)
      // What has come meanwhile is looked at, and no more.
      await new Promise(setImmediate)
    } else {
      await sleep(PERIOD_MS)
    }
  }
}
