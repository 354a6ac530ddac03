/**
 * The block by which recovery makes a new view: a result is an event in the order like joins and leaves (paper,
 * section 4.2; I6), official only when everybody in it holds it. Everything that the new view's members need to
 * know stands in it, so that a member that held another log before is like all others after.
 */
import { readMembers, readRequests, readView, writeMembers, writeRequests, writeView } from './answers.ts'
import { type Ballot, type ResultName, readBallot, readResults, writeBallot, writeResults } from './ballot.ts'
import { BlockKind, blockAround, headerOfWhole } from './block.ts'
import { type MemberId, type RequestNumber, Right, type Seq } from './identity.ts'
import { findMember, type Member, type View } from './view.ts'
import { Reader, Writer } from './wire.ts'

export interface ResultChange {
  readonly ballot: Ballot
  /** The new view; it begins at the result's own place. */
  readonly view: View
  /** Voters that are not in the new view: they hold and ack the result, and are expelled when it is accepted. */
  readonly witnesses: readonly Member[]
  /** The results in the log that this one lies upon, oldest first. */
  readonly results: readonly ResultName[]
  /** Everything at or below it is taken by all that were members. */
  readonly stable: Seq
  /** Highest request number ordered in that log, for each member of the new view. */
  readonly requests: ReadonlyMap<MemberId, RequestNumber>
  readonly nextMemberId: MemberId
  /** Members of the view before that are not in the new one. */
  readonly removed: readonly MemberId[]
  /** More were lost at once than the resilience degree covers. */
  readonly lossPossible: boolean
  /** Of the program that asked for the reset; empty after an automatic one. */
  readonly header: Uint8Array
}

/**
 * Where a result is taken apart for small packets, it is named like a block of its coordinator; its place counts
 * down from where nobody's requests ever get to. (Named by its place alone it took the place of the coordinator's
 * large message of the same number, and who fetched both lost one of them for ever.)
 */
export function resultRequest(seq: Seq): RequestNumber {
  return Number.MAX_SAFE_INTEGER - 1 - seq
}

export function encodeResult(result: ResultChange): Uint8Array {
  const writer = new Writer(1024)
  writeBallot(writer, result.ballot)
  writeView(writer, result.view)
  writeMembers(writer, result.witnesses)
  writeResults(writer, result.results)
  writer.u53(result.stable)
  writeRequests(writer, result.requests)
  writer.u53(result.nextMemberId).u16(result.removed.length)
  for (const id of result.removed) writer.u53(id)
  writer.u8(result.lossPossible ? 1 : 0).blob(result.header)
  const { ballot, view } = result
  return blockAround(BlockKind.result, ballot.coordinator, resultRequest(view.seq), writer.finish())
}

export function decodeResult(block: Uint8Array): ResultChange | undefined {
  const head = headerOfWhole(block, BlockKind.result)
  if (head === undefined) return undefined
  const reader = new Reader(block, head.recordsAt)
  const ballot = readBallot(reader)
  const view = readView(reader)
  const witnesses = readMembers(reader)
  const results = readResults(reader)
  const stable = reader.u53()
  const requests = readRequests(reader)
  const nextMemberId = reader.u53()
  const removed: MemberId[] = []
  const count = reader.u16()
  for (let i = 0; i < count && !reader.bad; i++) removed.push(reader.u53())
  const lossPossible = reader.u8() === 1
  const header = reader.blob()
  if (!reader.done || results === undefined || head.member !== ballot.coordinator) return undefined
  if (view.incarnation !== ballot.incarnation || view.coordinator !== ballot.coordinator) return undefined
  if (view.sequencer !== view.coordinator || stable >= view.seq || results.at(-1)!.seq >= view.seq) {
    return undefined
  }
  // • and only who has every right may number
  if (findMember(view, view.sequencer)?.right !== Right.all) return undefined
  if (view.members.at(-1)!.id >= nextMemberId) return undefined
  return {
    ballot,
    view,
    witnesses,
    results,
    stable,
    requests,
    nextMemberId,
    removed,
    lossPossible,
    header,
  }
}
