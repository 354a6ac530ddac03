/** What must always hold, as checks on one state; README.md has the table. */
import { firstSeq, membersAt, numberedBy } from './logs.ts'
import type { Model } from './model.ts'
import { count } from './sets.ts'
import { NO_VIEW, type State } from './state.ts'

/** Each violation's name, and what it says. Number 0 is none. */
export const violations = [
  ['', 'nothing is wrong'],
  ['I1', 'an event that a member has delivered is overwritten'],
  ['I1', 'two members of a view hold different events under one seq'],
  ['I5', 'an event is kept that nobody taking part holds'],
  ['I5', 'at most r members were lost between two accepted results, and a returned event is missing'],
  ['I7', 'a member that an accepted view expelled is in a later one without joining'],
  ['I8', 'two accepted views of one incarnation'],
  ['I12', 'two lines of accepted view changes'],
  ['I12', 'an accepted event is missing in a later accepted view, though r and the minimum do not allow it'],
] as const

export const NONE = 0
export const OVERWRITTEN = 1
export const KEPT_OWN = 2
export const HELD_BY_NOBODY = 3
export const LOST = 4
export const RETURNED = 5
export const INCARNATION_TWICE = 6
export const TWO_LINES = 7
export const MISSING = 8

export type Violation = number

/**
 * Whether the accepted views of the state fit together. Only an event or a result that has just been accepted
 * can change the answer, so no other step needs to ask.
 */
export function checkViews(model: Model, state: State): Violation {
  for (let view = 1; view < state.views; view++) {
    if (state.accepted[view] === 0) continue
    const before = acceptedBefore(state, view)
    for (let other = 0; other < state.views; other++) {
      if (other === view || state.accepted[other] === 0) continue
      if (isTwin(model, state, view, other)) return INCARNATION_TWICE
      if (state.rank[other]! > state.rank[view]!) continue
      const found = checkEvents(model, state, view, other, other === before)
      if (found !== NONE) return found
    }
    if (!model.options.allowReturn && isReturned(state, view)) return RETURNED
  }
  return NONE
}

/** Whether two attempts got one incarnation accepted; below a majority both may. */
function isTwin(model: Model, state: State, view: number, other: number): boolean {
  return (
    model.options.min === 0 &&
    other !== 0 &&
    other < view &&
    state.incarnation[other] === state.incarnation[view]
  )
}

/** The newest accepted view that `view` lies upon. */
function acceptedBefore(state: State, view: number): number {
  let before = state.baseView[view]!
  while (before !== 0 && state.accepted[before] === 0) before = state.baseView[before]!
  return before
}

/** Looks for what `older` accepted in the log that `view` began with. */
function checkEvents(model: Model, state: State, view: number, older: number, isBefore: boolean): Violation {
  const { min } = model.options
  const first = firstSeq(state, view)
  const begin = firstSeq(state, older)
  const end = membersAt(state, older, state.acceptedSeq[older]!)
  const hasLeft = state.leaveView === older && state.leaveSeq <= state.acceptedSeq[older]! ? state.leaver : 0
  for (let seq = Math.max(1, begin); seq <= state.acceptedSeq[older]!; seq++) {
    if (seq < first && numberedBy(state, view, seq) === older) continue
    const members = membersAt(state, older, seq)
    const size = count(members)
    if (min === 0 && isChange(state, older, begin, seq)) return TWO_LINES
    if (min === 0 && model.acksNeeded(size) >= (size - 1) >>> 1) return MISSING
    if (!isBefore) continue
    // At most r lost since, joiners too, and one that was a member then is still here.
    const lost = (members | end) & ~state.members[view]! & ~hasLeft
    if ((members & state.members[view]!) !== 0 && count(lost) <= model.degree(size)) return LOST
  }
  return NONE
}

function isChange(state: State, view: number, begin: number, seq: number): boolean {
  return (
    seq === begin ||
    (state.joinView === view && state.joinSeq === seq) ||
    (state.leaveView === view && state.leaveSeq === seq)
  )
}

/** Whether the view has a member that an accepted view, in its past, has not. */
function isReturned(state: State, view: number): boolean {
  const mayBeNew = state.joinView === NO_VIEW ? 0 : state.joiners
  for (let past = state.baseView[view]!; past !== 0; past = state.baseView[past]!) {
    if (state.accepted[past] === 0) continue
    if ((state.members[view]! & ~state.members[past]! & ~mayBeNew) !== 0) return true
  }
  return false
}
