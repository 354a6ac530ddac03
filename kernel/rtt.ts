/**
 * Retransmission times learnt from round trips, with a floor and a cap: the smoothed mean and deviation of
 * RFC 6298. Only packets sent once are measured (Karn): of a repeated one nobody knows which was answered.
 */
import type { Micros } from './identity.ts'

export class RoundTrips {
  private smoothed: Micros
  private deviation: Micros
  private measured = false
  private readonly floor: Micros
  private readonly cap: Micros

  constructor(initial: Micros, floor: Micros, cap: Micros) {
    this.smoothed = initial
    this.deviation = initial / 2
    this.floor = floor
    this.cap = cap
  }

  sample(roundTrip: Micros): void {
    if (!this.measured) {
      this.measured = true
      this.smoothed = roundTrip
      this.deviation = roundTrip / 2
      return
    }
    this.deviation += (Math.abs(roundTrip - this.smoothed) - this.deviation) / 4
    this.smoothed += (roundTrip - this.smoothed) / 8
  }

  /**
   * An answer to a packet that was sent more than once has come. Which of them it answers nobody knows (Karn),
   * but if even the last was sent longer ago than an answer is believed to take, the belief is wrong: the
   * distance has grown, every packet would be repeated from here on, and none would ever be measured.
   */
  answeredRepeated(sinceFirst: Micros, sinceLast: Micros): void {
    if (!this.measured || sinceLast > this.timeout(0)) {
      this.measured = false
      this.sample(sinceFirst)
    }
  }

  get mean(): Micros {
    return Math.round(this.smoothed)
  }

  /** How long to wait for an answer, after so many tries without one. */
  timeout(tries: number): Micros {
    // on a link that never varies the deviation goes to nothing, and every answer would come just too late
    const once = Math.max(this.floor, this.smoothed + Math.max(this.smoothed / 4, 4 * this.deviation))
    return Math.round(Math.min(this.cap, once * (1 << Math.min(tries, 20))))
  }
}
