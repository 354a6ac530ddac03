/**
 * What a coordinator makes of the votes that it counts: dead results cut, the log chosen, the minimum counted
 * (section 4.6 of the design).
 */
import {
  changeOf,
  commonPart,
  firstSeq,
  holds,
  isNewer,
  isResult,
  listChanges,
  MAX_CHANGES,
  membersAfter,
  membersAt,
  newestAccepted,
  numberer,
  type ViewChange,
} from '../logs.ts'
import type { Model } from '../model.ts'
import { count, has, only } from '../sets.ts'
import { NO_VIEW, type State } from '../state.ts'
import { acceptedSeq, cutBack, endSeq, endView, gapView, isLowerVote, type Vote } from '../votes.ts'

/** Made once and used again for every choice. */
export class Choice {
  /** The log that is taken. */
  view = 0
  seq = 0
  /** Who will be in the new view, and who must ack its result. */
  members = 0
  ackers = 0

  private readonly model: Model
  private now!: State
  private attempt = 0
  private coordinator = 0
  /** The voters that are counted. */
  private counted = 0
  /** Each voter's vote, after cutting. */
  private readonly votes: Uint16Array
  private readonly changes = new Uint8Array(MAX_CHANGES + 1)

  constructor(model: Model) {
    this.model = model
    this.votes = new Uint16Array(model.processes)
  }

  /** False if no result can be made of these votes. */
  decide(now: State, attempt: number, coordinator: number, counted: number): boolean {
    this.now = now
    this.attempt = attempt
    this.coordinator = coordinator
    this.counted = counted
    this.readVotes()
    if (this.model.options.deadResults !== 'kept') this.cutDeadResults()
    this.chooseLog()
    if (this.seq + 1 > this.model.options.maxSeq) return false
    this.chooseMembers()
    return has(this.members, coordinator) && this.isEnough()
  }

  private readVotes(): void {
    for (let voter = 0; voter < this.now.processes; voter++) this.votes[voter] = this.castBy(voter)
  }

  /** The vote as it was cast. */
  private castBy(voter: number): Vote {
    return this.now.votes[this.attempt * this.now.processes + voter]!
  }

  /**
   * Only the newest result of all is looked at, until one stands: a result that a newer, standing one lies upon
   * is in force through that.
   */
  private cutDeadResults(): void {
    for (let dead = this.deadResult(); dead !== 0; dead = this.deadResult()) {
      const { now } = this
      for (let voter = 0; voter < now.processes; voter++) {
        if (!has(this.counted, voter)) continue
        const vote = this.votes[voter]!
        if (!holds(now, endView(vote), endSeq(vote), dead, firstSeq(now, dead))) continue
        this.votes[voter] = cutBack(vote, now.baseView[dead]!, now.baseSeq[dead]!)
      }
    }
  }

  /** A dead result to be cut next; 0 if there is none. */
  private deadResult(): number {
    const { now } = this
    let newest = 0
    for (let voter = 0; voter < now.processes; voter++) {
      if (!has(this.counted, voter)) continue
      const view = endView(this.votes[voter]!)
      if (now.rank[view]! > now.rank[newest]!) newest = view
    }
    if (this.isDead(newest)) return newest
    if (this.model.options.deadResults !== 'all-cut') return 0
    for (let voter = 0; voter < now.processes; voter++) {
      if (!has(this.counted, voter)) continue
      for (let view = endView(this.votes[voter]!); view !== 0; view = now.baseView[view]!) {
        if (this.isDead(view)) return view
      }
    }
    return 0
  }

  /** Whether a voter of that view does not hold its result, or its own coordinator votes without having accepted it. */
  private isDead(view: number): boolean {
    const { now } = this
    if (view === 0) return false
    const result = firstSeq(now, view)
    for (let voter = 0; voter < now.processes; voter++) {
      if (!has(this.counted & now.members[view]!, voter)) continue
      const vote = this.castBy(voter)
      if (!holds(now, endView(vote), endSeq(vote), view, result)) return true
      if (has(now.coordinator[view]!, voter) && acceptedSeq(vote) < result) return true
    }
    return false
  }

  /** The highest log end; the coordinator's own among equals. */
  private chooseLog(): void {
    const { model, now, votes } = this
    let best = votes[this.coordinator]!
    for (let voter = 0; voter < now.processes; voter++) {
      if (has(this.counted, voter) && isLowerVote(model, now, best, votes[voter]!)) best = votes[voter]!
    }
    this.view = endView(best)
    this.seq = endSeq(best)
  }

  private chooseMembers(): void {
    const { now, counted } = this
    const { newView } = this.model.options
    if (newView === 'voters') this.members = counted & ~this.outside()
    else this.members = counted & membersAt(now, this.view, this.seq)
    this.ackers = newView === 'witnesses' ? counted : this.members
  }

  /** Whose leave is in the chosen log, or whose join is not. */
  private outside(): number {
    const { now } = this
    let outside = 0
    if (now.leaveView !== NO_VIEW && holds(now, this.view, this.seq, now.leaveView, now.leaveSeq)) {
      outside |= now.leaver
    }
    if (now.joinView !== NO_VIEW && !holds(now, this.view, this.seq, now.joinView, now.joinSeq)) {
      outside |= now.joiners
    }
    return outside
  }

  /**
   * The minimum, counted over those that ack the result: in the newest view known accepted by any voter, and in
   * every later view change, not cut and not left out, that one holds.
   */
  private isEnough(): boolean {
    const { now, coordinator } = this
    const { minimumIn } = this.model.options
    const accepted = this.newestAcceptedByVoters()
    switch (minimumIn) {
      case 'newest-accepted':
        return this.reaches(accepted)
      case 'coordinators-accepted': {
        const vote = this.castBy(coordinator)
        return this.reaches(newestAccepted(now, endView(vote), endSeq(vote), acceptedSeq(vote)))
      }
      case 'newest-held':
        return this.reaches(this.newestHeld(accepted))
      case 'every-view':
        return this.reaches(accepted) && this.reachesAllAfter(accepted)
    }
  }

  private reaches(change: ViewChange): boolean {
    const members = membersAfter(this.now, change)
    const acking = this.model.options.minimumOverVoters ? this.counted : this.ackers
    return count(acking & members) >= this.model.minimum(count(members))
  }

  private newestAcceptedByVoters(): ViewChange {
    const { now } = this
    let newest = -1
    for (let voter = 0; voter < now.processes; voter++) {
      if (!has(this.counted, voter)) continue
      const vote = this.votes[voter]!
      const change = newestAccepted(now, endView(vote), endSeq(vote), acceptedSeq(vote))
      if (newest === -1 || isNewer(now, change, newest)) newest = change
    }
    return newest
  }

  private newestHeld(accepted: ViewChange): ViewChange {
    let newest = accepted
    for (let voter = 0; voter < this.now.processes; voter++) {
      const found = this.listHeld(voter)
      for (let i = 0; i < found; i++)
        if (isNewer(this.now, this.changes[i]!, newest)) newest = this.changes[i]!
    }
    return newest
  }

  private reachesAllAfter(accepted: ViewChange): boolean {
    for (let voter = 0; voter < this.now.processes; voter++) {
      const found = this.listHeld(voter)
      for (let i = 0; i < found; i++) {
        const change = this.changes[i]!
        if (!isNewer(this.now, change, accepted) || this.isLeftOut(change)) continue
        if (!this.reaches(change)) return false
      }
    }
    return true
  }

  /** A join or leave whose own sequencer votes without having accepted it: nobody has, and in that view nobody will. */
  private isLeftOut(change: ViewChange): boolean {
    const { now, counted } = this
    if (this.model.options.unacceptedChanges === 'counted' || isResult(now, change)) return false
    const sequencer = numberer(now, change) & counted
    return sequencer !== 0 && acceptedSeq(this.castBy(only(sequencer))) < (change & 15)
  }

  /** Fills in the view changes that a counted voter holds, none for others; gives how many. */
  private listHeld(voter: number): number {
    const { now } = this
    if (!has(this.counted, voter)) return 0
    const vote = this.votes[voter]!
    const found = listChanges(now, endView(vote), endSeq(vote), this.changes)
    const gap = gapView(vote)
    if (gap === 0) return found
    this.changes[found] = changeOf(gap, firstSeq(now, gap))
    return found + 1
  }

  /**
   * With a joiner that counts without having fetched, how much of the chosen log somebody else holds; -1 if
   * there is no such joiner among the voters, or nothing is missing.
   */
  heldByOthers(): number {
    const { now, counted } = this
    const joiner = now.unfetched & counted
    if (joiner === 0 || !holds(now, this.view, this.seq, now.joinView, now.joinSeq)) return -1
    const needed = Math.min(now.joinSeq - 1, this.seq)
    let held = 0
    for (let voter = 0; voter < now.processes; voter++) {
      if (!has(counted & ~joiner, voter)) continue
      const vote = this.castBy(voter)
      const length = Math.min(needed, endSeq(vote))
      held = Math.max(held, commonPart(now, endView(vote), this.view, length))
    }
    return held < needed ? held : -1
  }
}
