/** Ordering with resilience, joins, leaves and the handover: sections 4.3 and 4.4 of the design. */
import { firstSeq, holds, membersAt } from '../logs.ts'
import type { Model } from '../model.ts'
import { count, has, isMajority, only } from '../sets.ts'
import { NO_VIEW, type State } from '../state.ts'
import { endSeq, endView } from '../votes.ts'
import { type Recorder, stepKinds } from './recorder.ts'

/** Whether a member with a log still takes part in the view at its end: it has not voted since. */
function isActive(model: Model, now: State, member: number): boolean {
  return now.promise[member] === now.logView[member] || model.options.voteBindsNot
}

/** What the sequencer of a view does: number and accept. */
export function sequence(out: Recorder, member: number): void {
  const { model, now } = out
  const view = now.logView[member]!
  if (now.accepted[view] === 0 || !isActive(model, now, member)) return
  const isFirst = has(now.coordinator[view]!, member)
  const isSuccessor = has(now.successor, member) && hasHandedOver(now, view)
  if (!isFirst && !isSuccessor) return
  const length = now.logSeq[member]!
  const mayNumber =
    length === now.numberedSeq[view] &&
    (isFirst
      ? !hasHandedOver(now, view)
      : (now.delivered[member]! >= now.leaveSeq || model.options.successorEarly) && length >= now.leaveSeq)
  if (mayNumber && length < model.options.maxSeq) number(out, member, isFirst)
  accept(out, member, isFirst, isSuccessor && mayNumber)
}

/** Whether the view's sequencer has numbered its own leave. */
function hasHandedOver(now: State, view: number): boolean {
  return now.leaveView === view && (now.leaver & now.coordinator[view]!) !== 0
}

function number(out: Recorder, member: number, isFirst: boolean): void {
  const { model, now } = out
  const { options } = model
  const view = now.logView[member]!
  const length = now.logSeq[member]!
  const joined = now.joinView === view ? now.joinSeq : 0
  const left = now.leaveView === view ? now.leaveSeq : 0
  const changes = (joined === 0 ? 0 : 1) + (left === 0 ? 0 : 1)
  const messages = length - firstSeq(now, view) - changes
  if (messages < (view === 0 ? options.msgs0 : options.msgs)) {
    append(out, member)
    out.emit(stepKinds.number, member, view)
  }
  // View changes go one at a time.
  if (now.acceptedSeq[view]! < Math.max(joined, left) && !options.overlappingChanges) return
  if (model.size.joiners > 0 && now.joinView === NO_VIEW) {
    const next = append(out, member)
    next.joinView = view
    next.joinSeq = length + 1
    out.emit(stepKinds.numberJoin, member, view)
  }
  if (options.leaves > 0 && now.leaveView === NO_VIEW) numberLeave(out, member, isFirst)
}

function numberLeave(out: Recorder, member: number, isFirst: boolean): void {
  const { model, now } = out
  const { handover } = model.options
  const view = now.logView[member]!
  const members = membersAt(now, view, now.logSeq[member]!)
  if (count(members) < 2) return
  for (let leaver = 0; leaver < model.processes; leaver++) {
    if (!has(members, leaver) || has(now.joiners, leaver)) continue
    if (leaver !== member) {
      if (handover === 1) continue
      appendLeave(out, member, leaver)
      out.emit(stepKinds.numberLeave, member, view, leaver)
      continue
    }
    // The sequencer's own leave names the successor: any, since members here have no order of joining.
    if (handover === 0 || !isFirst) continue
    for (let successor = 0; successor < model.processes; successor++) {
      if (successor === member || !has(members, successor)) continue
      const next = appendLeave(out, member, leaver)
      next.successor |= 1 << successor
      out.emit(stepKinds.numberLeave, member, view, leaver)
    }
  }
}

function appendLeave(out: Recorder, member: number, leaver: number): State {
  const next = append(out, member)
  next.leaveView = next.logView[member]!
  next.leaveSeq = next.logSeq[member]!
  next.leaver |= 1 << leaver
  return next
}

/** The sequencer puts one more event at the end of its log, and counts as holding it. */
function append(out: Recorder, member: number): State {
  const next = out.begin()
  const view = next.logView[member]!
  const seq = next.logSeq[member]! + 1
  next.logSeq[member] = seq
  next.numberedSeq[view] = seq
  next.acks[view * next.processes + member] = seq
  return next
}

/** The next event is accepted, by whoever sequences at that place, once enough hold it. */
function accept(out: Recorder, member: number, isFirst: boolean, succeeds: boolean): void {
  const { now } = out
  const view = now.logView[member]!
  const seq = now.acceptedSeq[view]! + 1
  const isHandover = hasHandedOver(now, view)
  if (!(isHandover && seq > now.leaveSeq ? succeeds : isFirst)) return
  if (seq > now.numberedSeq[view]! || seq > now.logSeq[member]!) return
  let held = 1 << member
  for (let other = 0; other < now.processes; other++) {
    if (now.acks[view * now.processes + other]! >= seq) held |= 1 << other
  }
  if (!isHeldEnough(out, member, seq, held, isHandover)) return
  const next = out.begin()
  next.acceptedSeq[view] = seq
  if (next.delivered[member]! < seq) next.delivered[member] = seq
  out.emit(stepKinds.accept, member, view, held)
}

function isHeldEnough(
  out: Recorder,
  member: number,
  seq: number,
  held: number,
  isHandover: boolean,
): boolean {
  const { model, now } = out
  const { options } = model
  const view = now.logView[member]!
  const before = membersAt(now, view, seq - 1)
  const after = membersAt(now, view, seq)
  const isJoin = now.joinView === view && now.joinSeq === seq
  const isLeave = now.leaveView === view && now.leaveSeq === seq
  const size = count(after)
  const needed =
    isLeave && isHandover && !options.handoverWithR
      ? Math.min(model.degree(size) + 1, size)
      : model.acksNeeded(size)
  if (count(held & after & ~(1 << member)) < needed && !options.placeAfterAcks) return false
  if ((isJoin && !options.joinWithR) || (isLeave && !options.leaveWithR)) {
    return isMajority(held, before) && isMajority(held, after)
  }
  return true
}

/** What every member of a view does: take the next event and ack it, learn what is accepted and deliver it. */
export function follow(out: Recorder, member: number): void {
  const { model, now } = out
  const view = now.logView[member]!
  if (now.accepted[view] === 0) return
  const active = isActive(model, now, member)
  const length = now.logSeq[member]!
  if ((active || model.options.ackAfterVote) && length < now.numberedSeq[view]!) {
    const next = out.begin()
    next.logSeq[member] = length + 1
    next.acks[view * now.processes + member] = length + 1
    out.emit(stepKinds.take, member, view)
  }
  const known = Math.min(length, now.acceptedSeq[view]!)
  if (active && known > now.delivered[member]!) {
    const next = out.begin()
    const isOut = has(now.witness, member)
    const hasLeft = now.leaveView === view && now.leaveSeq <= known && has(now.leaver, member)
    if (!isOut) next.delivered[member] = known
    if (isOut || hasLeft) next.gone |= 1 << member
    out.emit(stepKinds.deliver, member, view)
  }
}

/** A process that may join: it fetches everything up to its join, and only then counts. */
export function join(out: Recorder, member: number): void {
  const { model, now } = out
  const { joinerUnfetched } = model.options
  if (now.joinView === NO_VIEW) return
  appear(out, member)
  out.emit(stepKinds.fetch, member, now.joinView)
  if (joinerUnfetched === 'acks') {
    appear(out, member).unfetched |= 1 << member
    out.emit(stepKinds.takeUnfetched, member, now.joinView)
  }
  if (joinerUnfetched === 'votes') {
    for (let attempt = 1; attempt < now.views; attempt++) voteEmpty(out, member, attempt)
  }
}

function appear(out: Recorder, member: number): State {
  const next = out.begin()
  next.holders |= 1 << member
  next.logView[member] = next.promise[member] = next.joinView
  next.logSeq[member] = next.joinSeq
  next.acks[next.joinView * next.processes + member] = next.joinSeq
  return next
}

/** A coordinator that holds the join knows the joiner, and invites it before it has anything. */
function voteEmpty(out: Recorder, member: number, attempt: number): void {
  const { now } = out
  if (now.formed[attempt] === 1) return
  const ballot = now.ballots[attempt]!
  if (!holds(now, endView(ballot), endSeq(ballot), now.joinView, now.joinSeq)) return
  const next = out.begin()
  next.holders |= 1 << member
  next.promise[member] = attempt
  next.voters[attempt]! |= 1 << member
  out.emit(stepKinds.voteEmpty, member, attempt, only(now.coordinator[attempt]!))
}
