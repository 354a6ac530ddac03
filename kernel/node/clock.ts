/** The one clock of the rim: integer microseconds from an arbitrary start, never going backwards. */
import { performance } from 'node:perf_hooks'
import type { Micros } from '../identity.ts'

export type Clock = () => Micros

/**
 * performance.now() is monotonic already and costs a fraction of hrtime.bigint(), which makes an object
 * for each reading; the maximum only guards against a platform that is not as good as its word.
 */
export function monotonicClock(): Clock {
  let last = 0
  return () => {
    const now = Math.floor(performance.now() * 1000)
    if (now > last) last = now
    return last
  }
}

/** Where the driver's wake-ups come from. The system's, or virtual time in tests. */
export interface Wakeups {
  /** Deadlines nearer than this are met by turning the loop until they come. */
  readonly spinMicros: Micros
  /** Calls back at the end of this turn, when what has arrived by now is handed in. Returns how to call it off. */
  soon(callback: () => void): () => void
  /** Calls back after about so many microseconds; early is harmless. Returns how to call it off. */
  after(micros: Micros, callback: () => void): () => void
}

/** setTimeout fires at once for more than 2^31 − 1 ms; an early wake-up only arms it again. */
const TIMEOUT_MS_MAX = 2 ** 31 - 1

export const systemWakeups: Wakeups = {
  spinMicros: 300,
  soon(callback) {
    const immediate = setImmediate(callback)
    return () => clearImmediate(immediate)
  },
  after(micros, callback) {
    const timer = setTimeout(callback, Math.min(TIMEOUT_MS_MAX, Math.max(1, Math.floor(micros / 1000))))
    return () => clearTimeout(timer)
  },
}
