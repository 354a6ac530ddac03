/** A first-in first-out queue with constant-time ends; bounded by whoever fills it. */
export class Deque<T> {
  private items: (T | undefined)[] = []
  private head = 0

  get length(): number {
    return this.items.length - this.head
  }

  push(item: T): void {
    this.items.push(item)
  }

  first(): T | undefined {
    return this.items[this.head]
  }

  last(): T | undefined {
    return this.length === 0 ? undefined : this.items[this.items.length - 1]
  }

  /** The item at `index`, counted from the first. */
  at(index: number): T | undefined {
    return index < 0 ? undefined : this.items[this.head + index]
  }

  shift(): T | undefined {
    if (this.head === this.items.length) return undefined
    const item = this.items[this.head]
    this.items[this.head++] = undefined
    if (this.head === this.items.length) {
      this.items = []
      this.head = 0
    } else if (this.head > 64 && this.head * 2 > this.items.length) {
      this.items = this.items.slice(this.head)
      this.head = 0
    }
    return item
  }

  pop(): T | undefined {
    return this.length === 0 ? undefined : this.items.pop()
  }

  /** Removes the first item for which `wanted` holds. */
  remove(wanted: (item: T) => boolean): T | undefined {
    for (let i = this.head; i < this.items.length; i++) {
      const item = this.items[i]!
      if (wanted(item)) {
        this.items.splice(i, 1)
        return item
      }
    }
    return undefined
  }

  clear(): void {
    this.items = []
    this.head = 0
  }

  *[Symbol.iterator](): Iterator<T> {
    for (let i = this.head; i < this.items.length; i++) yield this.items[i]!
  }
}
