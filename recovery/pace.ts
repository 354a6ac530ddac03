/**
 * How fast tries follow each other before a member is taken for dead. They start at what is learnt from round trips,
 * and double, as repetitions of packets do; but no wait is longer than `longest`, unless a round trip is.
 *
 * Repetitions slow down without such a bound because a network that loses packets is to be spared. Suspicion must
 * not slow down with them: on a busy machine round trips look long, and doubled six times they would add up to
 * seconds. That is why suspicion has tries of its own (watch.ts) and does not wait for the next repetition.
 */
import type { Micros } from '../kernel/identity.ts'
import type { RoundTrips } from '../kernel/rtt.ts'

export class Pace {
  /** Unanswered tries before a member is suspected. */
  readonly tries: number
  private readonly times: RoundTrips
  private readonly longest: Micros

  constructor(times: RoundTrips, options: { tries: number; tryInterval: Micros }) {
    this.times = times
    this.tries = options.tries
    this.longest = options.tryInterval
  }

  /** How long to wait for an answer after so many tries without one. */
  wait(tries: number): Micros {
    const { times, longest } = this
    return Math.max(times.timeout(0), Math.min(longest, times.timeout(tries)))
  }

  /** The same for one that is suspect already: nobody waits for the answer, and nobody is to be pestered. */
  laterWait(tries: number): Micros {
    return this.times.timeout(tries)
  }

  /** The time in which all tries, each with its wait, go unanswered. */
  get patience(): Micros {
    let sum = 0
    for (let i = 0; i <= this.tries; i++) sum += this.wait(i)
    return sum
  }
}
