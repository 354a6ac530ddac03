/** One configuration: its size and its options, checked, with what follows from them. */
import type { Options, Size } from './options.ts'

/** Sets of processes are bits of one byte, and numbers are packed into four bits each (rows.ts). */
const MAX_PROCESSES = 8
const MAX_VIEWS = 14
const MAX_SEQ = 14

export class Model {
  readonly size: Size
  readonly options: Options
  /** Members of the first view and those that may join. */
  readonly processes: number
  readonly views: number
  /** The set of all processes. */
  readonly everybody: number

  constructor(size: Size, options: Options) {
    const { members, joiners, views } = size
    if (members < 1 || joiners < 0 || joiners > 1 || members + joiners > MAX_PROCESSES) {
      throw new Error(`1 to ${MAX_PROCESSES} processes, at most one of them a joiner`)
    }
    if (views < 1 || views > MAX_VIEWS) throw new Error(`1 to ${MAX_VIEWS} views`)
    if (options.maxSeq < 1 || options.maxSeq > MAX_SEQ) throw new Error(`maxSeq must be 1 to ${MAX_SEQ}`)
    if (options.leaves < 0 || options.leaves > 1) throw new Error('leaves must be 0 or 1')
    this.size = size
    this.options = options
    this.processes = members + joiners
    this.views = views
    this.everybody = (1 << this.processes) - 1
  }

  /** The resilience degree in a view of so many members, as asked for. */
  degree(members: number): number {
    return this.options.r < 0 ? members >>> 1 : this.options.r
  }

  /** How many others must ack an event, in a view of so many. */
  acksNeeded(members: number): number {
    return Math.min(this.degree(members), members - 1)
  }

  /** The minimum for recovery, counted in a view of so many. */
  minimum(members: number): number {
    return this.options.min === 0 ? (members >>> 1) + 1 : this.options.min
  }
}
