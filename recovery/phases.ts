/**
 * Which signal means what in which phase of a reset, as data. `test/protocol/recovery-phases.test.ts` walks
 * every pair.
 *
 *   normal --start--> inviting --enough votes--> collecting --log complete--> proposing --all acks--> normal
 *      \                 \____________________________/_________________________/
 *       \--vote--> promised --result--> following --accepted--> normal       (a higher ballot: yield, that is vote)
 *
 * In every phase but `normal` a member is bound by its promise: it acks, accepts, delivers and sends nothing of
 * an older view. The only way on is a result.
 */
export const phases = ['normal', 'inviting', 'collecting', 'proposing', 'promised', 'following'] as const
export type Phase = (typeof phases)[number]

export const signals = [
  /** An invitation under a higher ballot than the own promise. */
  'invite',
  /** One under the ballot promised. */
  'same-invite',
  /** One under a lower ballot. */
  'low-invite',
  /** All that follows bears the ballot promised, or it is not heard at all. */
  'refusal',
  'vote',
  'result',
  /** A member holds everything up to the result. */
  'ack',
  /** Ordered entries, or parts of blocks, from somebody's history. */
  'repair',
  /** Asks for such. */
  'gap',
  /** A broadcast of the sequencer. */
  'order',
] as const
export type Signal = (typeof signals)[number]

export type Handling =
  /** Promise, and send the vote; whatever attempt was under way ends. */
  | 'vote'
  /** Note that the coordinator is still there; vote again if it asks for that. */
  | 'note'
  /** Name the higher ballot that is promised. */
  | 'refuse'
  | 'heed'
  | 'count'
  /** It comes too late for this attempt. */
  | 'late'
  | 'take'
  /** Say once more what has been said before. */
  | 'repeat'
  | 'serve'
  | 'ignore'

export const handlings: Record<Phase, Record<Signal, Handling>> = {
  normal: {
    invite: 'vote',
    'same-invite': 'ignore',
    'low-invite': 'refuse',
    refusal: 'ignore',
    vote: 'ignore',
    result: 'ignore',
    ack: 'repeat',
    repair: 'take',
    gap: 'serve',
    order: 'take',
  },
  inviting: {
    invite: 'vote',
    'same-invite': 'ignore',
    'low-invite': 'refuse',
    refusal: 'heed',
    vote: 'count',
    result: 'ignore',
    ack: 'ignore',
    repair: 'ignore',
    gap: 'serve',
    order: 'ignore',
  },
  collecting: {
    invite: 'vote',
    'same-invite': 'ignore',
    'low-invite': 'refuse',
    refusal: 'heed',
    vote: 'late',
    result: 'ignore',
    ack: 'ignore',
    repair: 'take',
    gap: 'serve',
    order: 'ignore',
  },
  proposing: {
    invite: 'vote',
    'same-invite': 'ignore',
    'low-invite': 'refuse',
    refusal: 'heed',
    vote: 'late',
    result: 'ignore',
    ack: 'count',
    repair: 'ignore',
    gap: 'serve',
    order: 'ignore',
  },
  promised: {
    invite: 'vote',
    'same-invite': 'note',
    'low-invite': 'refuse',
    refusal: 'ignore',
    vote: 'ignore',
    result: 'take',
    ack: 'ignore',
    repair: 'ignore',
    gap: 'serve',
    order: 'ignore',
  },
  following: {
    invite: 'vote',
    'same-invite': 'note',
    'low-invite': 'refuse',
    refusal: 'ignore',
    vote: 'ignore',
    result: 'repeat',
    ack: 'ignore',
    repair: 'take',
    gap: 'serve',
    order: 'take',
  },
}
