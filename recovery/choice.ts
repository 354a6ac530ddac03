/**
 * What a coordinator makes of the votes (design 4.6): which log goes on, who is in the new view, and whether
 * enough take part. A function of the votes alone; the rules and their crash stories are in README.md.
 */
import {
  ballotAt,
  compareBallots,
  compareLogEnds,
  cutBefore,
  holdsResult,
  isSameBallot,
  type Log,
  newestResult,
  type ResultName,
} from '../kernel/ballot.ts'
import { type GroupParameters, resilienceFor } from '../kernel/parameters.ts'
import type { Lack } from '../kernel/recovery-packets.ts'
import { findMember, type Member, majorityOf, type View } from '../kernel/view.ts'
import type { Voter } from './vote.ts'

/** A voter's log as far as it still counts. */
interface Candidate {
  readonly voter: Voter
  log: Log
  views: readonly View[]
}

export interface Choice {
  /** The log that goes on. */
  readonly log: Log
  /** Those who hold all of it. */
  readonly sources: readonly Member[]
  /** The view at its end. */
  readonly view: View
  /** The new view: the voters that belong to it. */
  readonly members: readonly Member[]
  /** The other voters. */
  readonly witnesses: readonly Member[]
  readonly removed: readonly Member[]
  readonly lossPossible: boolean
  /** Where there are too few. */
  readonly lack: Lack | undefined
}

export function choose(voters: readonly Voter[], parameters: GroupParameters): Choice {
  const candidates: Candidate[] = voters.map((voter) => ({
    voter,
    log: voter.vote.log,
    views: voter.vote.views,
  }))
  cutDeadResults(candidates)
  const best = candidates.reduce((a, b) => (compareLogEnds(b.log, a.log) > 0 ? b : a))
  const { log } = best
  const view = best.views.at(-1)!
  const sources = candidates
    .filter((candidate) => compareLogEnds(candidate.log, log) === 0)
    .map(({ voter }) => voter.member)
  const members = view.members.filter((member) => isVoter(voters, member))
  const witnesses = voters.map(({ member }) => member).filter((member) => !isIn(view, member))
  const removed = view.members.filter((member) => !isVoter(voters, member))
  const counted = countedViews(candidates, voters)
  return {
    log,
    sources,
    view,
    members,
    witnesses,
    removed,
    lossPossible: mayLose(voters, counted, view, removed, parameters),
    lack: lacking(voters, counted, members.length, parameters),
  }
}

/**
 * • Dead results are cut, the newest first, from every vote. A result that can no longer be accepted would
 * else overwrite what had returned, or block a live majority for ever. One that a newer standing result lies
 * upon is never cut: it is in force through that.
 */
function cutDeadResults(candidates: Candidate[]): void {
  for (;;) {
    const newest = candidates
      .map(({ log }) => newestResult(log))
      .reduce((a, b) => (compareBallots(b.ballot, a.ballot) > 0 ? b : a))
    if (!isDead(newest, candidates)) return
    for (const candidate of candidates) {
      if (!holdsResult(candidate.log, newest)) continue
      candidate.log = cutBefore(candidate.log, newest)
      // (the first is known accepted, and is cut by nobody but one who says at once that it is not)
      candidate.views = candidate.views.filter(({ seq }, i) => i === 0 || seq < newest.seq)
    }
  }
}

/** A voter that belongs to the result's view does not hold it, or its own coordinator votes without having accepted it. */
function isDead(result: ResultName, candidates: readonly Candidate[]): boolean {
  const view = viewOf(result, candidates)
  // whoever holds it as accepted: all members of its view have held it
  if (view === undefined) return false
  return candidates.some(({ voter: { member, vote } }) => {
    if (!isIn(view, member)) return false
    if (!holdsResult(vote.log, result)) return true
    return member.id === result.ballot.coordinator && vote.accepted < result.seq
  })
}

/** The view that a result makes, where nobody knows it accepted. */
function viewOf(result: ResultName, candidates: readonly Candidate[]): View | undefined {
  let view: View | undefined
  for (const { log, views, voter } of candidates) {
    if (!holdsResult(log, result)) continue
    if (voter.vote.accepted >= result.seq) return undefined
    view = views.find(({ seq }) => seq === result.seq)
  }
  return view
}

/**
 * The minimum: the group's floor, or more where a caller has asked for more, • counted over members and
 * witnesses in the newest view known accepted by any voter and in every later, uncut view that a voter holds.
 */
function lacking(
  voters: readonly Voter[],
  counted: readonly View[],
  members: number,
  parameters: GroupParameters,
): Lack | undefined {
  const asker = voters.reduce((a, b) => (b.vote.minMembers > a.vote.minMembers ? b : a))
  const asked = asker.vote.minMembers
  for (const view of counted) {
    const have = view.members.filter((member) => isVoter(voters, member)).length
    const { minMembers } = parameters
    // of a view smaller than the floor all must vote: then there is no other side
    const floor = minMembers === 'majority' ? majorityOf(view) : Math.min(minMembers, view.members.length)
    const need = Math.max(floor, asked)
    if (have < need) return { have, need, askedBy: asked > floor ? asker.member.id : 0 }
  }
  return members < asked ? { have: members, need: asked, askedBy: asker.member.id } : undefined
}

/** A view with the name of the one that numbered the change that made it. */
interface NamedView {
  readonly view: View
  readonly log: Log
}

/** The newest view known accepted by any voter, and every later one that may have been accepted. */
function countedViews(candidates: readonly Candidate[], voters: readonly Voter[]): View[] {
  const newest = newestAccepted(candidates)
  const counted: View[] = [newest.view]
  for (const { log, views } of candidates) {
    views.forEach((view, i) => {
      if (!isNewer({ view, log }, newest)) return
      if (!isUnaccepted(view, views[i - 1], log, voters)) counted.push(view)
    })
  }
  return counted
}

/**
 * The sequencer that numbered a join or leave votes, and has not accepted it: then nobody has, and nobody ever
 * will in that view. (Without this a group of one whose joiner dies is stuck: it would need both.)
 */
function isUnaccepted(view: View, before: View | undefined, log: Log, voters: readonly Voter[]): boolean {
  if (before === undefined || log.results.some(({ seq }) => seq === view.seq)) return false
  return voters.some(({ member, vote }) => member.id === before.sequencer && vote.accepted < view.seq)
}

function newestAccepted(candidates: readonly Candidate[]): NamedView {
  const accepted = candidates.map(({ views, log }): NamedView => ({ view: views[0]!, log }))
  return accepted.reduce((a, b) => (isNewer(b, a) ? b : a))
}

function isNewer(a: NamedView, b: NamedView): boolean {
  const [ballotA, ballotB] = [ballotAt(a.log, a.view.seq), ballotAt(b.log, b.view.seq)]
  return isSameBallot(ballotA, ballotB) ? a.view.seq > b.view.seq : compareBallots(ballotA, ballotB) > 0
}

/**
 * Whether something whose send has returned may be missing: more are gone than r, and with them the one who
 * accepted it.
 */
function mayLose(
  voters: readonly Voter[],
  counted: readonly View[],
  latest: View,
  removed: readonly Member[],
  parameters: GroupParameters,
): boolean {
  const areSequencersHere = counted.every(({ sequencer }) =>
    voters.some(({ member }) => member.id === sequencer),
  )
  return !areSequencersHere && removed.length > resilienceFor(parameters, latest.members.length)
}

function isIn(view: View, { id, nonce }: Member): boolean {
  return findMember(view, id)?.nonce === nonce
}

function isVoter(voters: readonly Voter[], { id, nonce }: Member): boolean {
  return voters.some(({ member }) => member.id === id && member.nonce === nonce)
}
