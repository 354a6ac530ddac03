/**
 * One state of the whole group. What a member knows of itself is in arrays by member, what an attempt has come
 * to in arrays by view (view 0 is the first one; every other belongs to the attempt of its number, whether its
 * result is ever made or not). Sets of processes are bits.
 *
 * A log is named by its end: the view that numbered the last event, and that event's seq. One view numbers one
 * event per seq and remembers the log end that its result was put upon, so the pair names the whole log.
 *
 * The network is not here: whatever was sent can arrive at any later time, any number of times, or never. What
 * was sent follows from how far a view has numbered and accepted, the highest ack of each member in it, and the
 * votes, results and acks below.
 */
import type { Model } from './model.ts'
import { has, only } from './sets.ts'

/** In place of a view: there is no join (or leave) yet. */
export const NO_VIEW = 15

export class State {
  /** Attempts so far, and one for the first view. */
  views = 1
  /** Where the one join and the one leave have been numbered. */
  joinView = NO_VIEW
  joinSeq = 0
  leaveView = NO_VIEW
  leaveSeq = 0

  // Sets of processes.
  /** Who was not in the first view. */
  joiners = 0
  /** Who has a log: the first members, and a joiner that has fetched. */
  holders = 0
  /** Who has left, or learnt that it is out. */
  gone = 0
  leaver = 0
  /** Who follows a sequencer that leaves. */
  successor = 0
  /** A joiner that counts without having fetched (only where that rule is taken away). */
  unfetched = 0
  /** Who has taken over a result as a witness. */
  witness = 0

  /** All arrays below lie in here. */
  private readonly bytes: Uint8Array
  /** How many processes: the stride of the arrays by view and member. */
  readonly processes: number

  // By view.
  /** No member gives one to two attempts; several may have the same. */
  readonly incarnation: Uint8Array
  /** The attempt's place among all ballots: 0 is the first view, no two are equal. */
  readonly rank: Uint8Array
  /** The coordinator's vote when it began; it stays when votes are forgotten. */
  readonly ballots: Uint16Array
  /** The log end that the result was put upon. */
  readonly baseView: Uint8Array
  readonly baseSeq: Uint8Array
  /** The result has been made; it has been accepted. */
  readonly formed: Uint8Array
  readonly accepted: Uint8Array
  /** acceptedSeq <= numberedSeq: how far the view's sequencer has accepted, and numbered. */
  readonly acceptedSeq: Uint8Array
  readonly numberedSeq: Uint8Array
  /** Sets: the one that coordinates, who is in the view, witnesses, who has acked the result, whose vote counts. */
  readonly coordinator: Uint8Array
  readonly members: Uint8Array
  readonly witnesses: Uint8Array
  readonly resultAcks: Uint8Array
  readonly voters: Uint8Array

  // By member.
  /** The log end. */
  readonly logView: Uint8Array
  readonly logSeq: Uint8Array
  /** delivered <= logSeq */
  readonly delivered: Uint8Array
  /** The attempt voted in last, or started; nothing of an older view counts any more. */
  readonly promise: Uint8Array
  /** A result received beyond a gap; 0 for none. */
  readonly gap: Uint8Array
  /** Names for people: they move with a member when members are sorted, and make no difference. */
  readonly name: Uint8Array

  // By view and member: at view * processes + member.
  /** The highest seq of the view that the member has acked. */
  readonly acks: Uint8Array
  /** The vote, as it was when it was cast (votes.ts). */
  readonly votes: Uint16Array

  constructor(model: Model) {
    const { processes, views } = model
    const byView = 13
    const byMember = 6
    const byBoth = 1
    this.processes = processes
    const both = views * processes
    const words = views + both
    this.bytes = new Uint8Array(2 * words + byView * views + byMember * processes + byBoth * both)
    this.ballots = new Uint16Array(this.bytes.buffer, 0, views)
    this.votes = new Uint16Array(this.bytes.buffer, 2 * views, both)
    let used = 2 * words
    const take = (length: number): Uint8Array => {
      used += length
      return this.bytes.subarray(used - length, used)
    }
    this.incarnation = take(views)
    this.rank = take(views)
    this.baseView = take(views)
    this.baseSeq = take(views)
    this.formed = take(views)
    this.accepted = take(views)
    this.acceptedSeq = take(views)
    this.numberedSeq = take(views)
    this.coordinator = take(views)
    this.members = take(views)
    this.witnesses = take(views)
    this.resultAcks = take(views)
    this.voters = take(views)
    this.logView = take(processes)
    this.logSeq = take(processes)
    this.delivered = take(processes)
    this.promise = take(processes)
    this.gap = take(processes)
    this.name = take(processes)
    this.acks = take(both)
  }

  copyFrom(other: State): void {
    this.views = other.views
    this.joinView = other.joinView
    this.joinSeq = other.joinSeq
    this.leaveView = other.leaveView
    this.leaveSeq = other.leaveSeq
    this.joiners = other.joiners
    this.holders = other.holders
    this.gone = other.gone
    this.leaver = other.leaver
    this.successor = other.successor
    this.unfetched = other.unfetched
    this.witness = other.witness
    this.bytes.set(other.bytes)
  }
}

/** The first view: its members with empty logs, member 0 the sequencer. */
export function initialState(model: Model): State {
  const state = new State(model)
  const first = (1 << model.size.members) - 1
  state.holders = first
  state.joiners = model.everybody & ~first
  state.members[0] = first
  state.coordinator[0] = 1
  state.formed[0] = 1
  state.accepted[0] = 1
  for (let member = 0; member < model.processes; member++) state.name[member] = member
  return state
}

/**
 * Clears what no rule can read any more, so that states that differ only in that are one: votes once the result
 * is made or the coordinator has moved on, acks once nobody is left who would count them.
 */
export function forget(model: Model, state: State): void {
  const { processes } = state
  const keepsAll = model.options.voteBindsNot || model.options.promiseForgotten
  for (let view = 0; view < state.views; view++) {
    const coordinator = only(state.coordinator[view]!)
    const coordinates = keepsAll || (state.promise[coordinator] === view && !has(state.gone, coordinator))
    if ((state.formed[view] === 1 || !coordinates) && state.voters[view] !== 0) {
      state.voters[view] = 0
      for (let at = view * processes; at < (view + 1) * processes; at++) state.votes[at] = 0
    }
    if (!coordinates && !isSucceeded(state, view)) {
      for (let at = view * processes; at < (view + 1) * processes; at++) state.acks[at] = 0
    }
    if (state.accepted[view] === 1 || !coordinates) state.resultAcks[view] = 0
  }
}

/** Whether the view's sequencer has numbered its own leave and the successor is still in the view. */
function isSucceeded(state: State, view: number): boolean {
  return (
    state.leaveView === view &&
    state.successor !== 0 &&
    state.promise[only(state.successor)] === view &&
    (state.leaver & state.coordinator[view]!) !== 0
  )
}
