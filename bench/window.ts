/** The measured part of a run: it opens after the ramp, and closes when its time is over. */
import { setTimeout as sleep } from 'node:timers/promises'

export class MeasuringWindow {
  messages = 0
  seconds = 0
  isOpen = false
  private readonly count: () => number

  /** `count` tells how many messages have arrived so far. */
  constructor(count: () => number) {
    this.count = count
  }

  async pass(rampMs: number, measureMs: number): Promise<void> {
    await sleep(rampMs)
    const before = this.count()
    const began = performance.now()
    this.isOpen = true
    await sleep(measureMs)
    this.isOpen = false
    this.messages = this.count() - before
    this.seconds = (performance.now() - began) / 1000
  }
}

export function cpuSeconds(): number {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1e6
}
