/** Recovery, phase 1: attempts and votes (section 4.6 of the design). */
import { membersAt, membersSince } from '../logs.ts'
import { has, only } from '../sets.ts'
import type { State } from '../state.ts'
import { acceptedSeq, currentVote, endSeq, endView, isLowerVote } from '../votes.ts'
import { type Recorder, stepKinds } from './recorder.ts'

/**
 * Anybody may start an attempt at any time, with every incarnation above its promise that it could have been
 * shown. Ties between ballots are decided in every way, more than the lower member id would allow.
 */
export function start(out: Recorder, member: number): void {
  const { model, now } = out
  if (now.views === model.views || has(now.witness, member)) return
  let highest = 0
  for (let view = 0; view < now.views; view++) highest = Math.max(highest, now.incarnation[view]!)
  const above = model.options.incarnationAgain ? 0 : 1
  const promised = now.incarnation[now.promise[member]!]! + above
  for (let incarnation = Math.max(1, promised); incarnation <= highest + 1; incarnation++) {
    const [lowest, last] = places(out, member, incarnation)
    for (let rank = lowest; rank <= last; rank++) startAt(out, member, incarnation, rank)
  }
}

/** Written to anew by each call. */
const range: [number, number] = [0, 0]

/**
 * Between which places among the ballots this one can be, above the own promise: by incarnation, then by log end
 * (or in any order, where the run says so).
 */
function places(out: Recorder, member: number, incarnation: number): readonly [number, number] {
  const { model, now } = out
  const own = currentVote(now, member)
  range[0] = 0
  range[1] = now.views
  for (let view = 0; view < now.views; view++) {
    const ballot = now.ballots[view]!
    let isAbove: boolean
    let isBelow = false
    if (view === 0 || (view === now.promise[member] && !model.options.incarnationAgain)) isAbove = true
    else if (now.incarnation[view] !== incarnation) {
      isAbove = now.incarnation[view]! < incarnation
      isBelow = !isAbove
    } else if (model.options.ballotsInAnyOrder) isAbove = false
    else {
      isAbove = isLowerVote(model, now, ballot, own)
      isBelow = isLowerVote(model, now, own, ballot)
    }
    if (isAbove) range[0] = Math.max(range[0], now.rank[view]! + 1)
    if (isBelow) range[1] = Math.min(range[1], now.rank[view]!)
  }
  return range
}

function startAt(out: Recorder, member: number, incarnation: number, rank: number): void {
  const next = out.begin()
  const attempt = next.views++
  for (let view = 0; view < attempt; view++) if (next.rank[view]! >= rank) next.rank[view]!++
  next.incarnation[attempt] = incarnation
  next.rank[attempt] = rank
  next.ballots[attempt] = currentVote(next, member)
  next.coordinator[attempt] = 1 << member
  castVote(next, member, attempt)
  out.emit(stepKinds.start, member, attempt)
}

/** From here on nothing of an older view counts: a vote is a promise. */
function castVote(next: State, member: number, attempt: number): void {
  next.promise[member] = attempt
  next.voters[attempt]! |= 1 << member
  next.votes[attempt * next.processes + member] = currentVote(next, member)
}

export function vote(out: Recorder, member: number): void {
  for (let attempt = 1; attempt < out.now.views; attempt++) {
    if (!mayVote(out, member, attempt)) continue
    castVote(out.begin(), member, attempt)
    out.emit(stepKinds.vote, member, attempt)
  }
}

function mayVote(out: Recorder, member: number, attempt: number): boolean {
  const { now } = out
  const promise = now.promise[member]!
  if (attempt === promise || has(now.coordinator[attempt]!, member)) return false
  if (now.rank[attempt]! < now.rank[promise]! && !out.model.options.promiseForgotten) return false
  return answers(out, member, only(now.coordinator[attempt]!)) && has(invited(now, attempt), member)
}

/** Whether the member votes for this coordinator, or takes it for expelled. */
function answers(out: Recorder, member: number, coordinator: number): boolean {
  const { now } = out
  const view = now.logView[member]!
  const seq = now.logSeq[member]!
  switch (out.model.options.invitations) {
    case 'from-any-change':
      return has(membersSince(now, view, seq, now.delivered[member]!), coordinator)
    case 'from-log-end':
      return has(membersAt(now, view, seq), coordinator)
    case 'from-anyone':
      return true
  }
}

/** Whom the coordinator asks: members of its newest view known accepted, and of later view changes it holds. */
function invited(now: State, attempt: number): number {
  const ballot = now.ballots[attempt]!
  return membersSince(now, endView(ballot), endSeq(ballot), acceptedSeq(ballot))
}
