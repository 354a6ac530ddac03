/** What a member of a real group keeps during one run. */
import type { Latencies } from './latencies.ts'
import type { Calls, RunOrder } from './messages.ts'
import type { RunDigest } from './run-digest.ts'
import type { Traffic } from './traffic.ts'
import type { MeasuringWindow } from './window.ts'

export interface Run {
  readonly order: RunOrder
  readonly calls: Calls
  /** In this process. */
  readonly groups: number
  readonly digest: RunDigest
  readonly latencies: Latencies
  readonly window: MeasuringWindow
  readonly before: Traffic
  sent: number
  lastOwnSeq: number
  expelled: number
  resets: number
  isOver: boolean
}
