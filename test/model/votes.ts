/**
 * What a vote shows, as one number of 16 bits: the log end, the accepted seq, and a result beyond a gap (0 but
 * where that rule is taken away). A coordinator's own is its ballot.
 */
import type { Model } from './model.ts'
import type { State } from './state.ts'

export type Vote = number

/** The vote that the member would cast now. */
export function currentVote(state: State, member: number): Vote {
  const view = state.logView[member]!
  const gap = state.gap[member]!
  // A result beyond a gap counts only if it is newer than the log end.
  const counts = gap !== 0 && state.rank[gap]! > state.rank[view]!
  return (view << 12) | (state.logSeq[member]! << 8) | (state.delivered[member]! << 4) | (counts ? gap : 0)
}

export function endView(vote: Vote): number {
  return vote >>> 12
}

export function endSeq(vote: Vote): number {
  return (vote >>> 8) & 15
}

export function acceptedSeq(vote: Vote): number {
  return (vote >>> 4) & 15
}

export function gapView(vote: Vote): number {
  return vote & 15
}

/** The view that counts where votes are compared. */
export function contestView(vote: Vote): number {
  return gapView(vote) || endView(vote)
}

/** The same vote with a shorter log. */
export function cutBack(vote: Vote, view: number, seq: number): Vote {
  return (view << 12) | (seq << 8) | (acceptedSeq(vote) << 4)
}

/** Log ends in the contest: the newest result counts before the seq. */
export function isLowerVote(model: Model, state: State, vote: Vote, other: Vote): boolean {
  const view = contestView(vote)
  const otherView = contestView(other)
  if (view !== otherView && !model.options.contestBySeq) return state.rank[view]! < state.rank[otherView]!
  return endSeq(vote) < endSeq(other)
}
