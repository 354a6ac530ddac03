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
