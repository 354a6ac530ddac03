/**
 * A queue with constant-time ends, in a ring that only grows: a queue that fills and empties thousands of times a
 * second makes no garbage. Bounded by whoever fills it.
 */
const CAPACITY_MIN = 16

export class Deque<T> {
  /** A power of two of places, of which `length` from `head` on, round the end, are taken. */
  private items: (T | undefined)[] = new Array<T | undefined>(CAPACITY_MIN).fill(undefined)
  private head = 0
  private count = 0

  get length(): number {
    return this.count
  }

  push(item: T): void {
    if (this.count === this.items.length) this.grow()
    this.items[(this.head + this.count++) & (this.items.length - 1)] = item
  }

  private grow(): void {
    const all = [...this]
    this.items = [...all, ...new Array<T | undefined>(all.length).fill(undefined)]
    this.head = 0
  }

  first(): T | undefined {
    return this.items[this.head]
  }

  last(): T | undefined {
    return this.at(this.count - 1)
  }

  /** The item at `index`, counted from the first. */
  at(index: number): T | undefined {
    if (index < 0 || index >= this.count) return undefined
    return this.items[(this.head + index) & (this.items.length - 1)]
  }

  shift(): T | undefined {
    if (this.count === 0) return undefined
    const item = this.items[this.head]
    this.items[this.head] = undefined
    this.head = (this.head + 1) & (this.items.length - 1)
    this.count--
    return item
  }

  pop(): T | undefined {
    if (this.count === 0) return undefined
    const at = (this.head + --this.count) & (this.items.length - 1)
    const item = this.items[at]
    this.items[at] = undefined
    return item
  }

  /** Keeps the items for which `wanted` holds, in their order. */
  keepOnly(wanted: (item: T) => boolean): void {
    const kept = [...this].filter(wanted)
    this.clear()
    for (const item of kept) this.push(item)
  }

  /** Removes the first item for which `wanted` holds. */
  remove(wanted: (item: T) => boolean): T | undefined {
    for (let i = 0; i < this.count; i++) {
      const item = this.at(i)!
      if (!wanted(item)) continue
      this.replace(i)
      return item
    }
    return undefined
  }

  /** Puts `items`, which may be none, in the place of the item at `index`, counted from the first. */
  replace(index: number, ...items: readonly T[]): void {
    const all = [...this]
    all.splice(index, 1, ...items)
    this.clear()
    for (const item of all) this.push(item)
  }

  clear(): void {
    this.items = new Array<T | undefined>(CAPACITY_MIN).fill(undefined)
    this.head = 0
    this.count = 0
  }

  *[Symbol.iterator](): Iterator<T> {
    for (let i = 0; i < this.count; i++) yield this.at(i)!
  }
}
