/**
 * Virtual time: a binary heap of what is to happen, ordered by (time, order of scheduling). Nothing else
 * decides what comes next, so a run is a pure function of its seed.
 */
import { assert } from '../../kernel/assert.ts'
import type { Micros } from '../../kernel/identity.ts'

interface Scheduled {
  readonly at: Micros
  readonly order: number
  readonly run: () => void
}

export class EventQueue {
  now: Micros = 0
  /** How many events have run. */
  count = 0
  /** BOUNDED by what is under way in one run. */
  private readonly heap: Scheduled[] = []
  private scheduled = 0

  /** At the same time, what is scheduled first runs first. */
  at(time: Micros, run: () => void): void {
    assert(time >= this.now && Number.isSafeInteger(time), 'nothing happens in the past', time, this.now)
    this.push({ at: time, order: this.scheduled++, run })
  }

  after(delay: Micros, run: () => void): void {
    this.at(this.now + delay, run)
  }

  get length(): number {
    return this.heap.length
  }

  /** When the next event is due; undefined if there is none. */
  nextAt(): Micros | undefined {
    return this.heap[0]?.at
  }

  /** Runs the next event; false if there is none. */
  runNext(): boolean {
    const next = this.pop()
    if (next === undefined) return false
    this.now = next.at
    this.count++
    next.run()
    return true
  }

  private push(item: Scheduled): void {
    const { heap } = this
    let index = heap.length
    while (index > 0) {
      const parent = (index - 1) >>> 1
      if (!isBefore(item, heap[parent]!)) break
      heap[index] = heap[parent]!
      index = parent
    }
    heap[index] = item
  }

  private pop(): Scheduled | undefined {
    const { heap } = this
    const top = heap[0]
    const last = heap.pop()
    if (top === undefined || last === undefined || heap.length === 0) return top
    let index = 0
    for (;;) {
      let child = 2 * index + 1
      if (child >= heap.length) break
      if (child + 1 < heap.length && isBefore(heap[child + 1]!, heap[child]!)) child++
      if (!isBefore(heap[child]!, last)) break
      heap[index] = heap[child]!
      index = child
    }
    heap[index] = last
    return top
  }
}

function isBefore(a: Scheduled, b: Scheduled): boolean {
  return a.at < b.at || (a.at === b.at && a.order < b.order)
}
