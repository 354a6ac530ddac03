/**
 * A vote (design 4.6): what a member that has promised itself to an attempt tells its coordinator. A snapshot:
 * after it the member changes nothing in its log until a result comes.
 */
import { readView, writeView } from '../kernel/answers.ts'
import {
  type Ballot,
  type Log,
  newestResult,
  readBallot,
  readResults,
  writeBallot,
  writeResults,
} from '../kernel/ballot.ts'
import type { MemberId, Seq } from '../kernel/identity.ts'
import { ownVersions, writeVersions } from '../kernel/meeting-packets.ts'
import type { OrderState } from '../kernel/order-state.ts'
import type { Member, View } from '../kernel/view.ts'
import { Reader, Writer } from '../kernel/wire.ts'

export interface Vote {
  /** The attempt that this member has promised itself to. */
  readonly ballot: Ballot
  readonly log: Log
  /** The history begins above it. */
  readonly stable: Seq
  /** Known accepted up to here. */
  readonly accepted: Seq
  /** The newest view known accepted, and behind it each later one that is held, in the order of the log. */
  readonly views: readonly View[]
  /** What this member's program has asked for; 0 if it has not asked. */
  readonly minMembers: number
  readonly nextMemberId: MemberId
}

/** A vote and who it is of. */
export interface Voter {
  readonly member: Member
  readonly vote: Vote
}

/** What `state` has to say in the attempt named. */
export function voteOf(state: OrderState, ballot: Ballot, minMembers: number): Vote {
  const log: Log = { results: [...state.results], end: state.history.received }
  const { seq } = newestResult(log)
  // only an accepted view numbers anything: an event behind a result shows that the result is official
  const accepted = log.end > seq ? Math.max(state.accepted, seq) : state.accepted
  const views: View[] = [state.view]
  for (const change of state.pending) {
    if (change.seq <= accepted) views.length = 0
    views.push(change.view)
  }
  const { stable } = state.history
  return { ballot, log, stable, accepted, views, minMembers, nextMemberId: state.nextMemberId }
}

export function encodeVote(vote: Vote): Uint8Array {
  const writer = writeBallot(new Writer(1024), vote.ballot)
  writeResults(writer, vote.log.results)
  writer.u53(vote.log.end).u53(vote.stable).u53(vote.accepted)
  writer.u16(vote.views.length)
  for (const view of vote.views) writeView(writer, view)
  writer.u16(vote.minMembers).u53(vote.nextMemberId)
  // lowest and highest wire version, and a place for fields to come: type, length, value
  return writeVersions(writer, ownVersions).u16(0).finish()
}

export function decodeVote(bytes: Uint8Array): Vote | undefined {
  const reader = new Reader(bytes)
  const ballot = readBallot(reader)
  const results = readResults(reader)
  const end = reader.u53()
  const stable = reader.u53()
  const accepted = reader.u53()
  const views: View[] = []
  const count = reader.u16()
  for (let i = 0; i < count && !reader.bad; i++) views.push(readView(reader))
  const minMembers = reader.u16()
  const nextMemberId = reader.u53()
  reader.u8()
  reader.u8()
  const fields = reader.u16()
  for (let i = 0; i < fields && !reader.bad; i++) {
    reader.u16()
    reader.blob()
  }
  if (!reader.done || results === undefined || views.length === 0) return undefined
  if (stable > accepted || accepted > end || results.at(-1)!.seq > end) return undefined
  // what the choice stands on: the first result is nobody's to cut, and views are in the order of the log
  if (results[0]!.seq > stable || !views.every(({ seq }, i) => i === 0 || seq > views[i - 1]!.seq))
    return undefined
  return { ballot, log: { results, end }, stable, accepted, views, minMembers, nextMemberId }
}
