/**
 * When a numbered event becomes official (design 4.3, 4.4; paper, section 4.2, on resilience).
 *
 * The paper lets the sequencer choose the place after the acks. A sequencer that has accepted, delivered and
 * died then leaves survivors who hold the message but not its place. So it is numbered first, broadcast as
 * tentative, acked by any r others of the view as of the event, and then accepted, in order.
 *
 * A join or leave needs, besides the r acks, more than half of the view before and of the view after, else
 * two sides of a partition could each count a majority of a view of its own. The leave of the sequencer
 * itself needs one ack more, because its own copy goes with it.
 */
import type { MemberId, Seq } from '../kernel/identity.ts'
import type { OrderState, PendingChange } from '../kernel/order-state.ts'
import { resilienceFor } from '../kernel/parameters.ts'
import { findMember, type Member, majorityOf, type View } from '../kernel/view.ts'

/** Who holds what: as far as it is known (progress.ts), or as far as may be hoped (held-up.ts). */
export interface Holders {
  /** Highest contiguous seq that this member holds. */
  received(id: MemberId): Seq
  isGone(id: MemberId): boolean
  /** How many of these that live hold everything up to `seq`. */
  holding(members: readonly Member[], seq: Seq): number
}

/** What the question whether a view change may be official is about. */
export type Change = Pick<PendingChange, 'seq' | 'view'> & {
  readonly leave?: { readonly member: MemberId } | undefined
}

/** The highest seq that may be accepted now. The sequencer `self` holds everything itself. */
export function acceptableUpTo(state: OrderState, progress: Holders, self: MemberId): Seq {
  let view = state.view
  let reach = state.accepted
  if (reach === state.history.received) return reach
  for (const change of state.pending) {
    reach = Math.max(reach, heldByEnough(state, progress, view, self))
    if (reach < change.seq - 1) return reach
    if (!mayChangeView(state, progress, view, change, self)) return Math.min(reach, change.seq - 1)
    view = change.view
    reach = change.seq
  }
  return Math.max(reach, heldByEnough(state, progress, view, self))
}

/**
 * Highest seq that the sequencer and r others of `view` hold. One who is gone counts like one who is silent: it
 * may have been part of a newer view before it died.
 */
function heldByEnough(state: OrderState, progress: Holders, view: View, self: MemberId): Seq {
  const needed = resilienceFor(state.parameters, view.members.length)
  if (needed <= 0) return state.history.received
  const others: Seq[] = []
  for (const { id } of view.members) if (id !== self) others.push(progress.received(id))
  others.sort((a, b) => b - a)
  return Math.min(state.history.received, others[needed - 1]!)
}

export function mayChangeView(
  state: OrderState,
  progress: Holders,
  before: View,
  change: Change,
  self: MemberId,
): boolean {
  const after = change.view
  if (after.members.length === 0) return true
  const others = after.members.filter(({ id }) => id !== self)
  const isHandover = change.leave?.member === self
  const resilience = resilienceFor(state.parameters, after.members.length) + (isHandover ? 1 : 0)
  // a joiner that died before it was anybody's member was never part of another view: all of those need a
  // majority of the view before it. Of nobody else does anybody know that. It counts towards r, and not towards the
  // majority of the view with it: the group of one that took its join for official by that waited for ever for the second
  // half of a majority that could order its leave. Not official, the join is dropped by the reset.
  const goneJoiners = others.filter(
    ({ id }) => progress.isGone(id) && findMember(before, id) === undefined,
  ).length
  const holders = progress.holding(others, change.seq)
  if (holders < Math.min(resilience, others.length - goneJoiners)) return false
  const othersBefore = before.members.filter(({ id }) => id !== self)
  const boundAfter = holders + (isHandover ? 0 : 1)
  const boundBefore = progress.holding(othersBefore, change.seq) + 1
  return boundAfter >= majorityOf(after) && boundBefore >= majorityOf(before)
}

/** How many of the lowest-ranked others are asked to ack at once what is tentative now. */
export function ackersToAsk(state: OrderState, unansweredTries: number): number {
  const others = state.latestView.members.length
  if (state.accepted >= state.history.received) return 0
  if (state.pending.length > 0) return others
  return Math.min(others, resilienceFor(state.parameters, state.view.members.length) + unansweredTries)
}
