/** What the failover bench and its member processes tell each other, as JSON over the channel of a fork. */

export interface FailoverOrder {
  readonly port: string
  /** Creates the group; the others join. */
  readonly isCreator: boolean
  readonly resilience: number
  readonly detection: 'default' | 'fast'
  /** Bytes of a message. */
  readonly size: number
}

/** A turning point of the machine, in microseconds of the clock that all processes of this machine share. */
export interface Mark {
  readonly mark: string
  readonly at: number
  /** Whom it is about, where it is about somebody. */
  readonly member: number | undefined
}

/** What one member saw from `begin` to the end of a kill. */
export interface RoundReport {
  /** Own sends of the round; all have returned. */
  readonly sent: number
  readonly bySender: Readonly<Record<string, number>>
  /** Over seq, sender and body of all messages of the round, in order. */
  readonly digest: string
  /** Messages that were not their sender's next. */
  readonly outOfOrder: number
}

export type ToFailover =
  /** A round begins: count what comes from now on. Answered by `begun`. */
  | { readonly say: 'begin' }
  /** Everybody counts. Answered by `sending` when sends have returned. */
  | { readonly say: 'send' }
  /** Answered by `aimed`: who is the sequencer, and whether this member is still among the others. */
  | { readonly say: 'aim' }
  /** That one is about to be killed: `next` is the first message in a view without it. Answered by `watching`. */
  | { readonly say: 'watch'; readonly victim: number }
  /** Answered by `stopped` when all sends have returned. */
  | { readonly say: 'stop' }
  /** Answered by `report` when everything up to here is delivered. */
  | { readonly say: 'finish'; readonly lastSeq: number }
  | { readonly say: 'close' }

export type FromFailover =
  | { readonly say: 'ready'; readonly memberId: number }
  | { readonly say: 'begun' }
  | { readonly say: 'sending' }
  | { readonly say: 'aimed'; readonly sequencer: number; readonly isExpelled: boolean }
  | { readonly say: 'watching' }
  /** So many sends of the round have returned. Said unasked, again and again. */
  | { readonly say: 'returned'; readonly count: number }
  /** The first message after the kill is delivered, or none will be. Said unasked, once a round. */
  | {
      readonly say: 'next'
      readonly at: number
      readonly marks: readonly Mark[]
      readonly isExpelled: boolean
    }
  | { readonly say: 'stopped'; readonly lastSeq: number; readonly isExpelled: boolean }
  | { readonly say: 'report'; readonly report: RoundReport }
  | { readonly say: 'failed'; readonly message: string }
