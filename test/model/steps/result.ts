/** Recovery, phase 2: the result, its acks, and taking over a log (section 4.6 of the design). */
import { HELD_BY_NOBODY, KEPT_OWN, NONE, OVERWRITTEN, type Violation } from '../invariants.ts'
import { commonPart, firstSeq, numberedBy } from '../logs.ts'
import { has } from '../sets.ts'
import type { State } from '../state.ts'
import type { Choice } from './choice.ts'
import { type Recorder, stepKinds } from './recorder.ts'

/** The coordinator makes a result, of any part of the votes that holds its own. */
export function form(out: Recorder, member: number, choice: Choice): void {
  const { now } = out
  const attempt = now.promise[member]!
  if (attempt === 0 || !has(now.coordinator[attempt]!, member) || now.formed[attempt] === 1) return
  const votes = now.voters[attempt]!
  for (let counted = 1; counted <= votes; counted++) {
    if ((counted & ~votes) !== 0 || !has(counted, member)) continue
    if (choice.decide(now, attempt, member, counted)) formFrom(out, member, attempt, choice, counted)
  }
}

function formFrom(out: Recorder, member: number, attempt: number, choice: Choice, counted: number): void {
  const { now, model } = out
  let violation: Violation = NONE
  const held = choice.heldByOthers()
  if (held >= 0) {
    // Nobody can fill the gap, so there is no such result; but was anything beyond it accepted?
    if (now.acceptedSeq[now.joinView]! <= held) return
    violation = HELD_BY_NOBODY
  }
  const next = out.begin()
  next.formed[attempt] = 1
  next.baseView[attempt] = choice.view
  next.baseSeq[attempt] = choice.seq
  next.numberedSeq[attempt] = choice.seq + 1
  next.members[attempt] = choice.members
  next.witnesses[attempt] = choice.ackers & ~choice.members
  // Who is not asked counts as having acked.
  next.resultAcks[attempt] = model.everybody & ~choice.ackers
  const moved = replaceLog(next, member, attempt, choice.seq + 1)
  ackResult(next, member, attempt)
  out.emit(stepKinds.form, member, attempt, counted, violation === NONE ? moved : violation)
}

function ackResult(next: State, member: number, attempt: number): void {
  next.resultAcks[attempt]! |= 1 << member
  next.acks[attempt * next.processes + member] = firstSeq(next, attempt)
}

/** Gives the member another log; what it has delivered must stay. */
function replaceLog(next: State, member: number, view: number, seq: number): Violation {
  const delivered = next.delivered[member]!
  const kept = seq >= delivered && commonPart(next, view, next.logView[member]!, delivered) === delivered
  next.logView[member] = view
  next.logSeq[member] = seq
  next.gap[member] = 0
  return kept ? NONE : OVERWRITTEN
}

/** Members and witnesses get the result and everything before it, and ack it. */
export function takeOver(out: Recorder, member: number): void {
  for (let attempt = 1; attempt < out.now.views; attempt++) {
    if (!hasToTake(out, member, attempt)) continue
    const isMember = has(out.now.members[attempt]!, member)
    if (isMember && out.model.options.ownEventsKept) keepOwn(out, member, attempt)
    if (isMember) takeAsMember(out, member, attempt)
    else if (has(out.now.witnesses[attempt]!, member)) takeAsWitness(out, member, attempt)
  }
}

function hasToTake(out: Recorder, member: number, attempt: number): boolean {
  const { now } = out
  if (now.formed[attempt] === 0 || now.logView[member] === attempt) return false
  if (has(now.coordinator[attempt]!, member)) return false
  return (
    now.promise[member] === attempt ||
    (out.model.options.promiseForgotten && has(now.members[attempt]!, member))
  )
}

function keepOwn(out: Recorder, member: number, attempt: number): void {
  const { now } = out
  const length = Math.min(now.logSeq[member]!, now.baseSeq[attempt]!)
  const common = commonPart(now, attempt, now.logView[member]!, length)
  if (common === length) return
  out.begin()
  out.emit(stepKinds.keepOwn, member, attempt, common + 1, KEPT_OWN)
}

function takeAsMember(out: Recorder, member: number, attempt: number): void {
  const { now } = out
  const { options } = out.model
  const next = out.begin()
  const moved = replaceLog(next, member, attempt, firstSeq(next, attempt))
  next.promise[member] = attempt
  ackResult(next, member, attempt)
  out.emit(stepKinds.takeOver, member, attempt, 0, moved)
  if (options.logEndBeyondGap && now.gap[member] !== attempt && now.logSeq[member]! < now.baseSeq[attempt]!) {
    out.begin().gap[member] = attempt
    out.emit(stepKinds.receiveBeyondGap, member, attempt)
  }
  if (options.partialTakeover) takePart(out, member, attempt)
}

/**
 * A witness acks and votes, and delivers nothing more. What it knows accepted it still tells in its votes, unless
 * its log has to give that up: then it begins anew.
 */
function takeAsWitness(out: Recorder, member: number, attempt: number): void {
  const next = out.begin()
  const delivered = next.delivered[member]!
  const isKept = commonPart(next, attempt, next.logView[member]!, delivered) === delivered
  next.logView[member] = attempt
  next.logSeq[member] = firstSeq(next, attempt)
  next.gap[member] = 0
  if (!isKept || out.model.options.witnessForgets) next.delivered[member] = 0
  next.witness |= 1 << member
  next.promise[member] = attempt
  ackResult(next, member, attempt)
  out.emit(stepKinds.takeOver, member, attempt)
}

/** Stops half-way: the own log down to what both have in common, then some of the result's. */
function takePart(out: Recorder, member: number, attempt: number): void {
  const { now } = out
  const view = now.logView[member]!
  const length = now.logSeq[member]!
  const common = commonPart(now, attempt, view, Math.min(length, now.baseSeq[attempt]!))
  for (let seq = common; seq <= now.baseSeq[attempt]!; seq++) {
    const end = numberedBy(now, attempt, seq)
    if (seq < now.delivered[member]!) {
      if (common >= now.delivered[member]!) continue
      replaceLog(out.begin(), member, end, seq)
      out.emit(stepKinds.takeOverPart, member, attempt, seq, OVERWRITTEN)
    } else if (end !== view || seq !== length) {
      const moved = replaceLog(out.begin(), member, end, seq)
      out.emit(stepKinds.takeOverPart, member, attempt, seq, moved)
    }
  }
}

/** The coordinator accepts its result when all members and witnesses have acked it. */
export function acceptResult(out: Recorder, member: number): void {
  const { now, model } = out
  const { options } = model
  const attempt = now.logView[member]!
  if (attempt === 0 || !has(now.coordinator[attempt]!, member)) return
  if (now.formed[attempt] === 0 || now.accepted[attempt] === 1) return
  if (now.promise[member] !== attempt && !options.voteBindsNot && !options.promiseForgotten) return
  if (now.resultAcks[attempt] !== model.everybody && !options.resultWithoutAcks) return
  const next = out.begin()
  next.accepted[attempt] = 1
  next.acceptedSeq[attempt] = firstSeq(next, attempt)
  next.delivered[member] = firstSeq(next, attempt)
  out.emit(stepKinds.acceptResult, member, attempt)
}
