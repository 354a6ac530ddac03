/**
 * Which counters of one sender have been opened. The last WINDOW_COUNTERS are remembered one by one; what is older
 * counts as seen. A ring of bits by counter: moving on clears only what is passed over.
 */

/**
 * Packets of one sender that may overtake one: unicasts and multicasts wait in different sockets, each of which
 * holds some thousands of small packets. BOUNDED: 1 KiB for each sender.
 */
export const WINDOW_COUNTERS = 8192
const WORD_BITS = 32

export class ReplayWindow {
  private readonly bits = new Uint32Array(WINDOW_COUNTERS / WORD_BITS)
  /** The highest counter opened; 0: none. */
  private highest = 0

  /** Whether `counter` is new here, and may be opened. */
  isNew(counter: number): boolean {
    if (counter > this.highest) return true
    if (counter <= this.highest - WINDOW_COUNTERS) return false
    return (this.bits[wordOf(counter)]! & bitOf(counter)) === 0
  }

  /** A packet with this counter has been opened: only what is authentic may move the window. */
  note(counter: number): void {
    if (counter > this.highest) this.moveTo(counter)
    this.bits[wordOf(counter)]! |= bitOf(counter)
  }

  private moveTo(counter: number): void {
    if (counter - this.highest >= WINDOW_COUNTERS) {
      this.bits.fill(0)
    } else {
      for (let passed = this.highest + 1; passed < counter; passed++)
        this.bits[wordOf(passed)]! &= ~bitOf(passed)
      this.bits[wordOf(counter)]! &= ~bitOf(counter)
    }
    this.highest = counter
  }
}

function wordOf(counter: number): number {
  return Math.floor((counter % WINDOW_COUNTERS) / WORD_BITS)
}

function bitOf(counter: number): number {
  return 1 << (counter % WORD_BITS)
}
