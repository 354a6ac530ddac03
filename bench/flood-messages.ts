/** What the bench flood and its process that sends garbage tell each other. */

export interface FloodOrder {
  readonly addresses: readonly string[]
  /** At most PER_SECOND_MAX; what the machine does not manage is not sent. */
  readonly perSecond: number
  /** At most LASTING_MAX_MS. */
  readonly forMs: number
}

/** Answered by `flooded`. */
export type ToFlooder = { readonly say: 'flood'; readonly order: FloodOrder }
export type FromFlooder =
  | { readonly say: 'ready' }
  | { readonly say: 'flooded'; readonly sent: number; readonly seconds: number }
  | { readonly say: 'failed'; readonly message: string }

export const PER_SECOND_MAX = 100_000
/** Longer than any run. */
export const LASTING_MAX_MS = 15 * 60_000
