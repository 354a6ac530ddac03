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

  get mean(): Micros {
    return Math.round(this.smoothed)
  }

  /** How long to wait for an answer, after so many tries without one. */
  timeout(tries: number): Micros {
    const once = Math.max(this.floor, this.smoothed + 4 * this.deviation)
    return Math.round(Math.min(this.cap, once * 2 ** Math.min(tries, 20)))
  }
}
