/**
 * Names and order of attempts at a reset, and of logs (design 4.6; paper, section 4.2). An attempt that
 * succeeds gives its ballot to the view that it makes, so ballots name views, too.
 *
 * The design compares ballots by (incarnation, the coordinator's log end, lower id). A log end again names a
 * result, hence a ballot, and so on without end; here only the incarnation of that result is compared. Any
 * total order of the ballots of one incarnation is safe (recovery/README.md tells how that was checked); this
 * one still lets the better informed coordinator win.
 */
import type { Incarnation, MemberId, Seq } from './identity.ts'
import type { Reader, Writer } from './wire.ts'

export interface Ballot {
  readonly incarnation: Incarnation
  /** Of the newest result that the coordinator held when it began. */
  readonly endIncarnation: Incarnation
  /** The last contiguous seq that it held then. */
  readonly endSeq: Seq
  readonly coordinator: MemberId
}

/** Above 0 where `a` is the higher. Between equals the lower member id wins. */
export function compareBallots(a: Ballot, b: Ballot): number {
  return (
    a.incarnation - b.incarnation ||
    a.endIncarnation - b.endIncarnation ||
    a.endSeq - b.endSeq ||
    b.coordinator - a.coordinator
  )
}

export function isSameBallot(a: Ballot, b: Ballot): boolean {
  return compareBallots(a, b) === 0
}

/** The event that makes a view, at its place in the order; the creation of the group is the first. */
export interface ResultName {
  readonly ballot: Ballot
  readonly seq: Seq
}

/**
 * A log as others need to know it: the results in it, oldest first, and its last contiguous event. A view
 * numbers one event for each seq, so this says what is at every place above the first result named.
 */
export interface Log {
  /** Never empty: the first lies at or below the stable seq. */
  readonly results: readonly ResultName[]
  readonly end: Seq
}

export function newestResult(log: Log): ResultName {
  return log.results.at(-1)!
}

/** Log ends are compared by their newest results first, then by length. */
export function compareLogEnds(a: Log, b: Log): number {
  return compareBallots(newestResult(a).ballot, newestResult(b).ballot) || a.end - b.end
}

/** The log without the result named, and without all that lies upon it. */
export function cutBefore(log: Log, result: ResultName): Log {
  const at = log.results.findIndex(({ ballot }) => isSameBallot(ballot, result.ballot))
  return at < 0 ? log : { results: log.results.slice(0, at), end: result.seq - 1 }
}

export function holdsResult(log: Log, { ballot }: ResultName): boolean {
  return log.results.some((result) => isSameBallot(result.ballot, ballot))
}

/** The view that numbered place `seq` of the log; the oldest known for what lies below it. */
export function ballotAt({ results }: Log, seq: Seq): Ballot {
  for (let i = results.length - 1; i > 0; i--) if (results[i]!.seq <= seq) return results[i]!.ballot
  return results[0]!.ballot
}

/**
 * The last place up to which two logs are the same; undefined if they have no result in common. By seq alone
 * nobody can tell: equal seqs are not equal events.
 */
export function agreement(a: Log, b: Log): Seq | undefined {
  for (let i = a.results.length - 1; i >= 0; i--) {
    const j = b.results.findIndex(({ ballot }) => isSameBallot(ballot, a.results[i]!.ballot))
    if (j >= 0) return Math.min(segmentEnd(a, i), segmentEnd(b, j))
  }
  return undefined
}

function segmentEnd({ results, end }: Log, index: number): Seq {
  const next = results[index + 1]
  return next === undefined ? end : next.seq - 1
}

export function writeBallot(writer: Writer, ballot: Ballot): Writer {
  return writer.u53(ballot.incarnation).u53(ballot.endIncarnation).u53(ballot.endSeq).u53(ballot.coordinator)
}

export function readBallot(reader: Reader): Ballot {
  return {
    incarnation: reader.u53(),
    endIncarnation: reader.u53(),
    endSeq: reader.u53(),
    coordinator: reader.u53(),
  }
}

export function writeResults(writer: Writer, results: readonly ResultName[]): Writer {
  writer.u16(results.length)
  for (const { ballot, seq } of results) writeBallot(writer, ballot).u53(seq)
  return writer
}

/** Undefined if they are none, or do not rise. */
export function readResults(reader: Reader): ResultName[] | undefined {
  const results: ResultName[] = []
  const count = reader.u16()
  for (let i = 0; i < count && !reader.bad; i++) {
    const result = { ballot: readBallot(reader), seq: reader.u53() }
    const last = results.at(-1)
    if (last !== undefined && (last.seq >= result.seq || compareBallots(last.ballot, result.ballot) >= 0)) {
      return undefined
    }
    results.push(result)
  }
  return results.length === 0 ? undefined : results
}
