/** Long lists of numbers in pages, so that nothing is copied as they grow. */

const PAGE = 1 << 16

export class RowQueue {
  private readonly length: number
  private readonly pages: Uint32Array[] = []
  private written = 0
  private read = 0

  constructor(length: number) {
    this.length = length
  }

  push(row: Uint32Array): void {
    const inPage = this.written % PAGE
    if (inPage === 0) this.pages.push(new Uint32Array(PAGE * this.length))
    const page = this.pages.at(-1)!
    const at = inPage * this.length
    for (let i = 0; i < this.length; i++) page[at + i] = row[i]!
    this.written++
  }

  /** Hands over the next row as a page and the place in it; false if there is none. */
  next(take: (page: Uint32Array, offset: number) => void): boolean {
    if (this.read === this.written) return false
    const inPage = this.read % PAGE
    if (inPage === 0 && this.read > 0) {
      this.pages.shift()
    }
    take(this.pages[0]!, inPage * this.length)
    this.read++
    return true
  }
}

/** For each state, in the order of discovery, which state it came from and by which of its steps. */
export class Origins {
  private readonly states: Uint32Array[] = []
  private readonly steps: Uint16Array[] = []
  private size = 0

  push(state: number, step: number): void {
    const inPage = this.size % PAGE
    if (inPage === 0) {
      this.states.push(new Uint32Array(PAGE))
      this.steps.push(new Uint16Array(PAGE))
    }
    this.states.at(-1)![inPage] = state
    this.steps.at(-1)![inPage] = step
    this.size++
  }

  /** The numbers of the steps from the first state to this one. */
  path(state: number): number[] {
    const steps: number[] = []
    for (let at = state; at !== 0; at = this.states[Math.floor(at / PAGE)]![at % PAGE]!) {
      steps.push(this.steps[Math.floor(at / PAGE)]![at % PAGE]!)
    }
    return steps.reverse()
  }
}
