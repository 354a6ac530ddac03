/** What the demo's supervisor and its member processes tell each other, over the channel that fork() makes. */
import type { MemberReport } from './demo-verdict.ts'
import type { Returned } from './trail.ts'

/** Handed to a member process as its one argument, as JSON. */
export interface MemberOrder {
  readonly port: string
  readonly how: 'create' | 'join'
  readonly name: string
  readonly group: Readonly<Record<string, unknown>>
  readonly kernel: Readonly<Record<string, unknown>>
  /** Sends that are on their way at any time. */
  readonly outstanding: number
  readonly messageBytes: number
}

export type ToMember =
  | { readonly say: 'start' }
  /** Answered by `stats`, about the time since the last ones. */
  | { readonly say: 'ask' }
  /** Answered by `returned`, again and again until the process is killed. */
  | { readonly say: 'count' }
  /** Send nothing more; answered by `stopped` when every send has ended. */
  | { readonly say: 'stop' }
  /** Answered by `report` when everything up to this seq is delivered; then the member leaves. */
  | {
      readonly say: 'finish'
      readonly lastSeq: number
      /** By sender, how many of its sends are known to have returned. */
      readonly returned: Readonly<Record<number, number>>
    }

export type FromMember =
  | { readonly say: 'ready'; readonly memberId: number; readonly sequencer: number; readonly address: string }
  | {
      readonly say: 'stats'
      readonly seq: number
      /** Own sends that returned, per second. */
      readonly rate: number
      /** Microseconds from call to return, over the last interval; null if no send returned. */
      readonly p50Us: number | null
      readonly p99Us: number | null
    }
  | {
      readonly say: 'view'
      readonly sequencer: number
      readonly members: readonly number[]
      readonly kind: string
    }
  | ({ readonly say: 'reset' } & ResetSeen)
  | { readonly say: 'returned'; readonly returned: Returned }
  | { readonly say: 'stopped'; readonly lastSeq: number; readonly returned: Returned }
  | { readonly say: 'report'; readonly report: MemberReport }
  | { readonly say: 'failed'; readonly message: string }

/** A reset's delivery at one member. */
export interface ResetSeen {
  /** By `wallClock`. */
  readonly at: number
  readonly sequencer: number
  readonly members: readonly number[]
  readonly removed: readonly number[]
  readonly lossPossible: boolean
}

/** Milliseconds that processes of one machine can compare, finer than Date.now(). */
export function wallClock(): number {
  return performance.timeOrigin + performance.now()
}
