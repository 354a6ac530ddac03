/** Virtual time: nothing happens but what has been scheduled, at its own moment, in order of scheduling. */
import { assert } from '../../kernel/assert.ts'
import type { Micros } from '../../kernel/identity.ts'
import type { Wakeups } from '../../kernel/node/clock.ts'

interface Scheduled {
  readonly at: Micros
  readonly order: number
  callback: (() => void) | undefined
}

export class VirtualTime implements Wakeups {
  readonly spinMicros = 0
  private micros: Micros = 1_000_000
  private orders = 0
  /** A heap by (at, order). BOUNDED by packets on their way and one or two wake-ups a kernel. */
  private readonly heap: Scheduled[] = []

  readonly clock = (): Micros => this.micros

  soon(callback: () => void): () => void {
    return this.after(0, callback)
  }

  after(micros: Micros, callback: () => void): () => void {
    const scheduled: Scheduled = { at: this.micros + Math.max(0, micros), order: this.orders++, callback }
    this.heap.push(scheduled)
    this.rise(this.heap.length - 1)
    return () => {
      scheduled.callback = undefined
    }
  }

  /** When the next thing happens; undefined if nothing is scheduled. */
  next(): Micros | undefined {
    while (this.heap.length > 0 && this.heap[0]!.callback === undefined) this.pop()
    return this.heap[0]?.at
  }

  /** Goes to the next moment and lets everything happen that is scheduled for it by now. */
  runNext(): void {
    const at = this.next()
    if (at === undefined) return
    this.goTo(at)
    const before = this.orders
    while (this.next() === at && this.heap[0]!.order < before) this.pop().callback?.()
  }

  goTo(at: Micros): void {
    assert(at >= this.micros, 'time does not go backwards', at, this.micros)
    this.micros = at
  }

  private pop(): Scheduled {
    const top = this.heap[0]!
    const last = this.heap.pop()!
    if (this.heap.length > 0) {
      this.heap[0] = last
      this.sink()
    }
    return top
  }

  private rise(i: number): void {
    const { heap } = this
    while (i > 0) {
      const parent = (i - 1) >>> 1
      if (!isBefore(heap[i]!, heap[parent]!)) return
      this.swap(i, parent)
      i = parent
    }
  }

  private sink(): void {
    const { heap } = this
    for (let i = 0; ; ) {
      const left = 2 * i + 1
      if (left >= heap.length) return
      const right = left + 1
      const least = right < heap.length && isBefore(heap[right]!, heap[left]!) ? right : left
      if (!isBefore(heap[least]!, heap[i]!)) return
      this.swap(i, least)
      i = least
    }
  }

  private swap(i: number, j: number): void {
    const item = this.heap[i]!
    this.heap[i] = this.heap[j]!
    this.heap[j] = item
  }
}

function isBefore(a: Scheduled, b: Scheduled): boolean {
  return a.at < b.at || (a.at === b.at && a.order < b.order)
}
