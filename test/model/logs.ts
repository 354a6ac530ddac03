/** Questions about logs: who numbered an event, which view holds there, what changed it. */
import type { State } from './state.ts'

/** The seq of the event with which a view begins: its result; 0 for the first view, which begins with nothing. */
export function firstSeq(state: State, view: number): number {
  return view === 0 ? 0 : state.baseSeq[view]! + 1
}

/** Which view numbered the event at `seq` of a log that ends in `view`. */
export function numberedBy(state: State, view: number, seq: number): number {
  let at = view
  while (at !== 0 && seq <= state.baseSeq[at]!) at = state.baseView[at]!
  return at
}

/** Whether the log that ends in `view` has, at `seq`, the event that `by` numbered there. */
export function holds(state: State, view: number, length: number, by: number, seq: number): boolean {
  return seq <= length && numberedBy(state, view, seq) === by
}

/** How many events, from the first one on, two logs have in common, looking at the first `length` only. */
export function commonPart(state: State, view: number, other: number, length: number): number {
  let seq = 0
  while (seq < length && numberedBy(state, view, seq + 1) === numberedBy(state, other, seq + 1)) seq++
  return seq
}

/** The members as of the event at `seq` that `view` numbered: its own, with a join and without a leave. */
export function membersAt(state: State, view: number, seq: number): number {
  let members = state.members[view]!
  if (state.joinView === view && state.joinSeq <= seq) members |= state.joiners
  if (state.leaveView === view && state.leaveSeq <= seq) members &= ~state.leaver
  return members
}

/**
 * View changes of a log: the results in it, the join and the leave. Each is one number made of the view that
 * numbered it and its seq.
 */
export type ViewChange = number

/** A log has at most one result for each view, a join and a leave. */
export const MAX_CHANGES = 18

export function changeOf(view: number, seq: number): ViewChange {
  return (view << 4) | seq
}

export function membersAfter(state: State, change: ViewChange): number {
  return membersAt(state, change >>> 4, change & 15)
}

/**
 * Who numbered a join or leave, and would have accepted it: the view's first sequencer, or the successor behind
 * the leave that it follows. Of a result, its coordinator.
 */
export function numberer(state: State, change: ViewChange): number {
  const view = change >>> 4
  const coordinator = state.coordinator[view]!
  const isSucceeded =
    state.leaveView === view && state.leaveSeq < (change & 15) && (state.leaver & coordinator) !== 0
  return isSucceeded ? state.successor : coordinator
}

export function isResult(state: State, change: ViewChange): boolean {
  return (change & 15) === firstSeq(state, change >>> 4)
}

export function isNewer(state: State, change: ViewChange, other: ViewChange): boolean {
  const view = change >>> 4
  const view2 = other >>> 4
  return view !== view2 ? state.rank[view]! > state.rank[view2]! : (change & 15) > (other & 15)
}

/** Fills in the view changes of the log with this end, newest first; gives how many. */
export function listChanges(state: State, view: number, seq: number, into: Uint8Array): number {
  let found = 0
  let at = view
  let end = seq
  for (;;) {
    const join = state.joinView === at && state.joinSeq <= end ? state.joinSeq : 0
    const leave = state.leaveView === at && state.leaveSeq <= end ? state.leaveSeq : 0
    if (join > leave) into[found++] = changeOf(at, join)
    if (leave !== 0) into[found++] = changeOf(at, leave)
    if (join !== 0 && join < leave) into[found++] = changeOf(at, join)
    into[found++] = changeOf(at, firstSeq(state, at))
    if (at === 0) return found
    end = state.baseSeq[at]!
    at = state.baseView[at]!
  }
}

const scratch = new Uint8Array(MAX_CHANGES)

/**
 * The newest view change that somebody with this log, accepted up to `accepted`, knows to be accepted. An event
 * upon a result is numbered only after the result is accepted, so holding one tells as much.
 */
export function newestAccepted(state: State, view: number, seq: number, accepted: number): ViewChange {
  const first = firstSeq(state, view)
  const known = seq > first && first > accepted ? first : accepted
  const found = listChanges(state, view, seq, scratch)
  for (let i = 0; i < found; i++) if ((scratch[i]! & 15) <= known) return scratch[i]!
  return scratch[found - 1]!
}

/** The members of the newest view known accepted, and of every later view change in the log. */
export function membersSince(state: State, view: number, seq: number, accepted: number): number {
  const newest = newestAccepted(state, view, seq, accepted)
  const found = listChanges(state, view, seq, scratch)
  let members = 0
  for (let i = 0; i < found; i++) {
    if (!isNewer(state, newest, scratch[i]!)) members |= membersAfter(state, scratch[i]!)
  }
  return members
}
