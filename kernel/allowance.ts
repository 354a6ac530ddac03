/**
 * So many at once, and one more each so often: what others can ask for without end is given no faster than that. Who is
 * refused asks again.
 */
import type { Micros } from './identity.ts'

export class Allowance {
  private left: number
  /** What had been earned by then has been counted. */
  private countedAt: Micros = 0
  private readonly most: number
  private readonly every: Micros

  /** `most` at once; one more each `every` microseconds, up to `most`. */
  constructor(most: number, every: Micros) {
    this.left = most
    this.most = most
    this.every = every
  }

  /** Uses one up; false if none is left. */
  take(now: Micros): boolean {
    const earned = Math.floor((now - this.countedAt) / this.every)
    if (earned > 0) {
      this.left = Math.min(this.most, this.left + earned)
      this.countedAt = now
    }
    if (this.left === 0) return false
    this.left--
    return true
  }
}
