/**
 * Which states have been seen: a set of 64-bit hashes, open addressing, two words to a slot. To have missed one
 * of 10^8 states because another has the same hash has a chance of less than 0.1 %.
 */

const FIRST_SLOTS = 1 << 16
/** Slots in use, of ten, before the table doubles. */
const FULL_TENTHS = 6

export class Seen {
  size = 0
  private slots = FIRST_SLOTS
  private words = new Uint32Array(2 * FIRST_SLOTS)

  /** False if the hash was there. (0, 0) stands for an empty slot, and must not be given. */
  add(low: number, high: number): boolean {
    const { words, slots } = this
    let slot = low & (slots - 1)
    for (;;) {
      const at = 2 * slot
      if (words[at] === low && words[at + 1] === high) return false
      if (words[at] === 0 && words[at + 1] === 0) break
      slot = (slot + 1) & (slots - 1)
    }
    words[2 * slot] = low
    words[2 * slot + 1] = high
    this.size++
    if (this.size * 10 > slots * FULL_TENTHS) this.grow()
    return true
  }

  private grow(): void {
    const old = this.words
    this.slots *= 2
    this.words = new Uint32Array(2 * this.slots)
    const { words, slots } = this
    for (let from = 0; from < old.length; from += 2) {
      const low = old[from]!
      const high = old[from + 1]!
      if (low === 0 && high === 0) continue
      let slot = low & (slots - 1)
      while (words[2 * slot] !== 0 || words[2 * slot + 1] !== 0) slot = (slot + 1) & (slots - 1)
      words[2 * slot] = low
      words[2 * slot + 1] = high
    }
  }
}
