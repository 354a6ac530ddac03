/**
 * States as rows of 32-bit words: what is stored, sorted and hashed. Members appear as columns in sorted order;
 * since nothing in a state refers to a member by number, that takes out all symmetry between them, exactly.
 *
 * A row: one word on the whole, two for each view, then a column for each member (one word on it, one for each
 * view), then one word of names, which is not part of the hash. No field has more than 8 bits, no word more
 * than 28, so that words compare as they are.
 */
import type { Model } from './model.ts'
import type { State } from './state.ts'

const WORDS_BY_VIEW = 2

export class Rows {
  /** Words in a row, and how many of them make the state. */
  readonly length: number
  /** The row last packed, and its hash in two halves (never both 0). */
  readonly row: Uint32Array
  hashLow = 0
  hashHigh = 0

  private readonly processes: number
  private readonly views: number
  private readonly columns: Int32Array
  /** Where in `columns` each starts, in sorted order. */
  private readonly order: Int32Array

  constructor(model: Model) {
    this.processes = model.processes
    this.views = model.views
    this.length = 1 + WORDS_BY_VIEW * this.views + this.processes * (1 + this.views) + 1
    this.row = new Uint32Array(this.length)
    this.columns = new Int32Array(this.processes * (1 + this.views))
    this.order = new Int32Array(this.processes)
  }

  /** Packs the state into `row`, sorted, with its hash. */
  pack(state: State): void {
    this.packViews(state)
    this.packColumns(state)
    this.sortColumns()
    const { row, columns, order, processes } = this
    const width = 1 + this.views
    let at = 1 + WORDS_BY_VIEW * this.views
    let names = 0
    for (let place = 0; place < processes; place++) {
      const from = order[place]!
      for (let i = 0; i < width; i++) row[at++] = columns[from + i]!
      names |= state.name[from / width]! << (3 * place)
    }
    row[at] = names
    this.hash(at)
  }

  unpack(row: Uint32Array, offset: number, state: State): void {
    const { processes } = this
    state.joiners = state.holders = state.gone = state.leaver = 0
    state.successor = state.unfetched = state.witness = 0
    const columns = this.unpackViews(row, offset, state)
    const width = 1 + this.views
    for (let member = 0; member < processes; member++) {
      const word = row[columns + member * width]!
      state.logView[member] = word >>> 24
      state.logSeq[member] = (word >>> 20) & 15
      state.delivered[member] = (word >>> 16) & 15
      state.promise[member] = (word >>> 12) & 15
      state.witness |= ((word >>> 10) & 1) << member
      state.unfetched |= ((word >>> 9) & 1) << member
      state.successor |= ((word >>> 8) & 1) << member
      state.leaver |= ((word >>> 7) & 1) << member
      state.gone |= ((word >>> 6) & 1) << member
      state.holders |= ((word >>> 5) & 1) << member
      state.joiners |= ((word >>> 4) & 1) << member
      state.gap[member] = word & 15
    }
    for (let view = 0; view < this.views; view++) {
      let coordinator = 0
      let members = 0
      let resultAcks = 0
      let voters = 0
      let witnesses = 0
      for (let member = 0; member < processes; member++) {
        const word = row[columns + member * width + 1 + view]!
        witnesses |= (word >>> 24) << member
        voters |= ((word >>> 23) & 1) << member
        resultAcks |= ((word >>> 22) & 1) << member
        members |= ((word >>> 21) & 1) << member
        coordinator |= ((word >>> 20) & 1) << member
        state.acks[view * processes + member] = (word >>> 16) & 15
        state.votes[view * processes + member] = word & 0xffff
      }
      state.coordinator[view] = coordinator
      state.members[view] = members
      state.resultAcks[view] = resultAcks
      state.voters[view] = voters
      state.witnesses[view] = witnesses
    }
    const names = row[columns + processes * width]!
    for (let member = 0; member < processes; member++) state.name[member] = (names >>> (3 * member)) & 7
  }

  private packViews(state: State): void {
    const { row } = this
    row[0] =
      state.views |
      (state.joinView << 4) |
      (state.joinSeq << 8) |
      (state.leaveView << 12) |
      (state.leaveSeq << 16)
    let at = 1
    for (let view = 0; view < this.views; view++) {
      row[at++] =
        state.incarnation[view]! |
        (state.rank[view]! << 4) |
        (state.baseView[view]! << 8) |
        (state.baseSeq[view]! << 12) |
        (state.acceptedSeq[view]! << 16) |
        (state.numberedSeq[view]! << 20) |
        (state.formed[view]! << 24) |
        (state.accepted[view]! << 25)
      row[at++] = state.ballots[view]!
    }
  }

  private unpackViews(row: Uint32Array, offset: number, state: State): number {
    let at = offset
    const whole = row[at++]!
    state.views = whole & 15
    state.joinView = (whole >>> 4) & 15
    state.joinSeq = (whole >>> 8) & 15
    state.leaveView = (whole >>> 12) & 15
    state.leaveSeq = (whole >>> 16) & 15
    for (let view = 0; view < this.views; view++) {
      const result = row[at++]!
      state.incarnation[view] = result & 15
      state.rank[view] = (result >>> 4) & 15
      state.baseView[view] = (result >>> 8) & 15
      state.baseSeq[view] = (result >>> 12) & 15
      state.acceptedSeq[view] = (result >>> 16) & 15
      state.numberedSeq[view] = (result >>> 20) & 15
      state.formed[view] = (result >>> 24) & 1
      state.accepted[view] = (result >>> 25) & 1
      state.ballots[view] = row[at++]!
    }
    return at
  }

  private packColumns(state: State): void {
    const { columns, processes } = this
    const width = 1 + this.views
    columns.fill(0)
    for (let member = 0; member < processes; member++) {
      columns[member * width] =
        (state.logView[member]! << 24) |
        (state.logSeq[member]! << 20) |
        (state.delivered[member]! << 16) |
        (state.promise[member]! << 12) |
        (((state.witness >>> member) & 1) << 10) |
        (((state.unfetched >>> member) & 1) << 9) |
        (((state.successor >>> member) & 1) << 8) |
        (((state.leaver >>> member) & 1) << 7) |
        (((state.gone >>> member) & 1) << 6) |
        (((state.holders >>> member) & 1) << 5) |
        (((state.joiners >>> member) & 1) << 4) |
        state.gap[member]!
    }
    for (let view = 0; view < state.views; view++) {
      const coordinator = state.coordinator[view]!
      const members = state.members[view]!
      const resultAcks = state.resultAcks[view]!
      const voters = state.voters[view]!
      const witnesses = state.witnesses[view]!
      for (let member = 0; member < processes; member++) {
        columns[member * width + 1 + view] =
          (((witnesses >>> member) & 1) << 24) |
          (((voters >>> member) & 1) << 23) |
          (((resultAcks >>> member) & 1) << 22) |
          (((members >>> member) & 1) << 21) |
          (((coordinator >>> member) & 1) << 20) |
          (state.acks[view * processes + member]! << 16) |
          state.votes[view * processes + member]!
      }
    }
  }

  /** Insertion sort, highest column first. */
  private sortColumns(): void {
    const { order, processes } = this
    const width = 1 + this.views
    for (let member = 0; member < processes; member++) {
      const column = member * width
      let place = member
      while (place > 0 && this.isAbove(column, order[place - 1]!)) {
        order[place] = order[place - 1]!
        place--
      }
      order[place] = column
    }
  }

  private isAbove(column: number, other: number): boolean {
    const { columns } = this
    for (let i = 0; i <= this.views; i++) {
      const difference = columns[column + i]! - columns[other + i]!
      if (difference !== 0) return difference > 0
    }
    return false
  }

  /** Two lanes of 32 bits over the first words: 64 bits together. */
  private hash(words: number): void {
    const { row } = this
    let low = 0x9e3779b9
    let high = 0x7f4a7c15
    for (let i = 0; i < words; i++) {
      const word = row[i]!
      low = Math.imul(low ^ word, 0x85ebca6b)
      low ^= low >>> 15
      high = Math.imul(high ^ word, 0xc2b2ae35) + low
      high ^= high >>> 13
    }
    low = Math.imul(low ^ (low >>> 16), 0x27d4eb2f)
    high = Math.imul(high ^ (high >>> 16), 0x165667b1)
    this.hashLow = (low ^ (low >>> 15)) >>> 0
    this.hashHigh = (high ^ (high >>> 14)) >>> 0
    if (this.hashLow === 0 && this.hashHigh === 0) this.hashLow = 1
  }
}
