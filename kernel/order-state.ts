/**
 * What one member knows of the group's order: the history, the view in force, view changes that are
 * numbered but not accepted, and the tables that follow from the ordered events alone (highest request
 * number ordered per member, next member id). The sequencer appends to it by numbering, everybody else by
 * receiving; from there on the two are the same code.
 *
 * Invariant, asserted: history.stable <= accepted <= history.received <= highest.
 *
 * The tables are as of `received`, the view is as of `accepted`. Because every member derives both from the
 * same events, a handover need not carry them: the successor holds everything up to it.
 */
import { assert } from './assert.ts'
import type { Log, ResultName } from './ballot.ts'
import { BlockKind } from './block.ts'
import { type Entry, History, lastSeqOf } from './history.ts'
import type { MemberId, Nonce, RequestNumber, Seq } from './identity.ts'
import { decodeJoin, decodeLeave, type JoinChange, type LeaveChange } from './membership.ts'
import type { GroupParameters } from './parameters.ts'
import { decodeResult, type ResultChange } from './result.ts'
import { decodeSettings, type Settings } from './settings.ts'
import type { Member, View } from './view.ts'
import { findMember, withJoined, withoutMember } from './view.ts'

/** Everything a joiner needs beside the events that are not stable yet. */
export interface Baseline {
  readonly parameters: GroupParameters
  /** The view in force. */
  readonly before: View
  /** The view as of `seq`, in force or about to be. */
  readonly view: View
  /** The results in the log, oldest first (recovery). */
  readonly results: readonly ResultName[]
  /** The tables below are as of this place; events up to it are kept, but change them no more. */
  readonly seq: Seq
  /** The history begins above it. */
  readonly stable: Seq
  readonly accepted: Seq
  readonly requests: ReadonlyMap<MemberId, RequestNumber>
  readonly nextMemberId: MemberId
  readonly settings: Settings
}

/** A view change that is numbered but not yet accepted. */
export interface PendingChange {
  readonly seq: Seq
  readonly view: View
  /** One of these three; none where the change came with the baseline. */
  readonly join?: JoinChange
  readonly leave?: LeaveChange
  readonly result?: ResultChange
  /** What a result put other tables in the place of, in case it is dropped again. */
  readonly before?: {
    readonly requests: ReadonlyMap<MemberId, RequestNumber>
    readonly nextMemberId: MemberId
  }
}

/** One who left a while ago, so that its late questions can be answered. */
export interface FormerMember {
  readonly member: Member
  readonly leftAt: Seq
}

const FORMER_MEMBERS_KEPT = 64
const RESULTS_KEPT = 12

export class OrderState {
  readonly parameters: GroupParameters
  readonly history: History
  /** In force: as of `accepted`. */
  view: View
  accepted: Seq
  /** Highest seq that anybody is known to have numbered. */
  highest: Seq
  nextMemberId: MemberId
  /** Highest request number ordered per member. BOUNDED by the members of the latest view. */
  readonly requests: Map<MemberId, RequestNumber>
  /** At most one in normal operation; one more for each result that a recovery puts on top. */
  readonly pending: PendingChange[] = []
  /**
   * The results in the log, oldest first, those not accepted included; the first lies at or below the stable
   * seq. Some more than logs need are kept: by them two lines of views that come from one are told from a view
   * and its successor. BOUNDED by RESULTS_KEPT, or the resets since what is stable.
   */
  readonly results: ResultName[]
  /**
   * The settings as of `received`, the newest last, and before them those that some member may still go by: the first
   * lies at or below the stable seq, or came with the baseline. BOUNDED by the changes since what is stable.
   */
  readonly settingsLog: Settings[]
  /** BOUNDED by FORMER_MEMBERS_KEPT, oldest first. */
  readonly former: FormerMember[] = []
  /** Events up to here came with the baseline's tables. */
  readonly baseline: Seq

  constructor(from: Baseline) {
    this.parameters = from.parameters
    this.view = from.before
    this.results = [...from.results]
    this.settingsLog = [from.settings]
    this.baseline = from.seq
    // whether the joiner's own join is official is for the joiner to find out like everybody else
    if (from.view.seq > from.before.seq) this.pending.push({ seq: from.seq, view: from.view })
    // a joiner holds nothing above the stable seq yet: what is accepted elsewhere becomes so here as it is fetched
    this.accepted = from.stable
    this.highest = from.seq
    this.nextMemberId = from.nextMemberId
    this.requests = new Map(from.requests)
    this.history = new History(from.stable, from.parameters.historySize, 2 * from.parameters.historyBytes)
  }

  /** As a joiner needs it; `seq` is the place of its own join, the last event so far. */
  toBaseline(): Baseline {
    return {
      parameters: this.parameters,
      before: this.view,
      view: this.latestView,
      results: this.results,
      seq: this.history.received,
      stable: this.history.stable,
      accepted: this.accepted,
      requests: new Map(this.requests),
      nextMemberId: this.nextMemberId,
      settings: this.settings,
    }
  }

  /** What this member goes by: as of the last block held (settings.ts). */
  get settings(): Settings {
    return this.settingsLog[this.settingsLog.length - 1]!
  }

  /** The view after every change that is held, accepted or not. */
  get latestView(): View {
    return this.pending.at(-1)?.view ?? this.view
  }

  /** The view in force, and behind it each later one that is held, in the order of the log. */
  get views(): View[] {
    return [this.view, ...this.pending.map(({ view }) => view)]
  }

  /**
   * All that are in the view, or about to be, or about to leave: whom a broadcast is for. A leaver counts until its leave
   * is accepted: in a group of two its ack is needed for that, so nothing it lacks may be freed before.
   */
  get present(): readonly Member[] {
    const { view, latestView } = this
    if (view === latestView) return view.members
    return [...view.members, ...latestView.members.filter(({ id }) => findMember(view, id) === undefined)]
  }

  /** This life of a member of the view in force, or of a later one that is held. */
  insider(id: MemberId, nonce: Nonce): Member | undefined {
    const member = findMember(this.view, id)
    if (member?.nonce === nonce) return member
    for (const { view } of this.pending) {
      const later = findMember(view, id)
      if (later?.nonce === nonce) return later
    }
    return undefined
  }

  /** What an entry that has just become held changes; called once for each, in order. */
  apply(entry: Entry): void {
    if (lastSeqOf(entry) > this.highest) this.highest = lastSeqOf(entry)
    if (entry.seq <= this.baseline) return
    switch (entry.kind) {
      case BlockKind.messages:
        this.requests.set(entry.member, entry.firstRequest + entry.count - 1)
        return
      case BlockKind.join: {
        const join = decodeJoin(entry.block)
        // every member reads the same bytes: what is no join, or not the next, changes nothing for anybody
        if (join === undefined || join.member.id < this.nextMemberId) return
        this.requests.set(join.member.id, join.lastRequest)
        this.nextMemberId = join.member.id + 1
        const view = withJoined(this.latestView, join.member, entry.seq)
        this.pending.push({ seq: entry.seq, view, join })
        return
      }
      case BlockKind.leave: {
        const leave = decodeLeave(entry.block)
        if (leave === undefined || findMember(this.latestView, leave.member) === undefined) return
        this.requests.set(leave.member, leave.request)
        const view = withoutMember(this.latestView, leave.member, entry.seq, leave.successor)
        this.pending.push({ seq: entry.seq, view, leave })
        return
      }
      case BlockKind.result: {
        const result = decodeResult(entry.block)
        if (result === undefined || result.view.seq !== entry.seq) return
        this.applyResult(entry.seq, result)
        return
      }
      case BlockKind.settings: {
        const settings = decodeSettings(entry.block)
        if (settings !== undefined) this.settingsLog.push({ seq: entry.seq, ...settings })
        return
      }
    }
  }

  private applyResult(seq: Seq, result: ResultChange): void {
    const before = { requests: new Map(this.requests), nextMemberId: this.nextMemberId }
    this.pending.push({ seq, view: result.view, result, before })
    this.results.push({ ballot: result.ballot, seq })
    this.requests.clear()
    for (const [member, request] of result.requests) this.requests.set(member, request)
    this.nextMemberId = Math.max(this.nextMemberId, result.nextMemberId)
  }

  /** The log as others need to know it. */
  get log(): Log {
    return { results: this.results, end: this.history.received }
  }

  /**
   * Drops everything above `seq`, which a result has not taken over (design 4.6), with all that followed from
   * it. What is dropped was never official here.
   */
  dropAbove(seq: Seq): void {
    assert(seq >= this.accepted, 'what was accepted is never dropped', seq, this.accepted)
    for (const entry of this.history.dropAbove(seq)) this.undo(entry)
    for (let last = this.pending.at(-1); last !== undefined && last.seq > seq; last = this.pending.at(-1)) {
      this.pending.pop()
    }
    while (this.results.length > 1 && this.results.at(-1)!.seq > seq) this.results.pop()
    while (this.settingsLog.length > 1 && this.settings.seq > seq) this.settingsLog.pop()
    this.highest = this.history.received
  }

  /** The reverse of `apply`, from the end of the log backwards. */
  private undo(entry: Entry): void {
    if (entry.seq <= this.baseline) return
    if (entry.kind === BlockKind.messages) {
      this.requests.set(entry.member, entry.firstRequest - 1)
      return
    }
    const { join, leave, before } = this.pending.find(({ seq }) => seq === entry.seq) ?? {}
    if (join !== undefined) {
      this.requests.delete(join.member.id)
      this.nextMemberId = join.member.id
    } else if (leave !== undefined) {
      this.requests.set(leave.member, leave.request - 1)
    } else if (before !== undefined) {
      this.requests.clear()
      for (const [member, request] of before.requests) this.requests.set(member, request)
      this.nextMemberId = before.nextMemberId
    }
  }

  /**
   * Takes over that everything up to `accepted` is official, as far as it is held, and puts the view
   * changes among it in force. Gives the highest seq that may be delivered now.
   */
  accept(accepted: Seq): Seq {
    const reach = Math.min(accepted, this.history.received)
    if (reach <= this.accepted) return this.accepted
    this.accepted = reach
    for (
      let change = this.pending[0];
      change !== undefined && change.seq <= reach;
      change = this.pending[0]
    ) {
      this.pending.shift()
      for (const { id } of this.view.members) {
        if (findMember(change.view, id) === undefined) this.forget(id, change.seq)
      }
      this.view = change.view
    }
    return reach
  }

  private forget(id: MemberId, leftAt: Seq): void {
    const member = findMember(this.view, id)
    assert(member !== undefined, 'a leaver is in the view before', id)
    this.requests.delete(id)
    this.former.push({ member, leftAt })
    if (this.former.length > FORMER_MEMBERS_KEPT) this.former.shift()
  }

  /** Frees history that every member has taken. */
  release(stable: Seq): void {
    this.history.release(Math.min(stable, this.accepted))
    const { results, settingsLog } = this
    while (settingsLog.length > 1 && settingsLog[1]!.seq <= this.history.stable) settingsLog.shift()
    while (results.length > RESULTS_KEPT && results[1]!.seq <= this.history.stable) results.shift()
    assert(
      this.history.stable <= this.accepted && this.accepted <= this.history.received,
      'marks are in order',
      this.history.stable,
      this.accepted,
      this.history.received,
    )
  }
}
