/**
 * Bodies of the packets by which members find out who lives and rebuild their group (paper, section 4.2;
 * design 4.5 to 4.7). Votes and results go by stream: they may be larger than a packet.
 */
import { type Ballot, type ResultName, readBallot, readResults, writeBallot, writeResults } from './ballot.ts'
import type { MemberId, Seq } from './identity.ts'
import { HEADER_BYTES } from './packet.ts'
import { Reader, Writer } from './wire.ts'

/** Flag of an invitation: nobody has asked for this reset; who has just heard the sequencer does not vote. */
export const INVITE_FLAG_AUTOMATIC = 1
/** Flag of an invitation: the coordinator still lacks the vote of this member, or its ack of the result. */
export const INVITE_FLAG_OWING = 2

/** Results named in an invitation or a notice: enough to tell an older view from another line of views. */
export const NOTICE_RESULTS_MAX = 8

/** Nobody gets there by resets; who is shown a higher one does not follow. */
const INCARNATION_MAX = Number.MAX_SAFE_INTEGER - 2 ** 32

export interface Invite {
  /** Of the attempt. */
  readonly ballot: Ballot
  /** Where the coordinator's newest view known accepted begins. */
  readonly viewSeq: Seq
  /** The newest results that it knows accepted: one that has missed its join learns from them that it belongs. */
  readonly results: readonly ResultName[]
}

/** `invite`: ballot, place of the coordinator's view, its newest accepted results. */
export function encodeInvite({ ballot, viewSeq, results }: Invite): Uint8Array {
  const writer = writeBallot(new Writer(), ballot).u53(viewSeq)
  return writeResults(writer, results.slice(-NOTICE_RESULTS_MAX)).finish()
}

export function decodeInvite(packet: Uint8Array): Invite | undefined {
  const reader = new Reader(packet, HEADER_BYTES)
  const ballot = readBallot(reader)
  const viewSeq = reader.u53()
  const results = readResults(reader)
  if (!reader.done || results === undefined || ballot.incarnation > INCARNATION_MAX) return undefined
  return { ballot, viewSeq, results }
}

/** Why an invitation is not voted on. Append only. */
export const RefusalReason = {
  /** The promise named is higher. */
  promised: 1,
  /** The sequencer has just been heard. */
  alive: 2,
  /** From a coordinator to its voters: too few have answered, and it gives up. */
  tooFew: 3,
} as const
export type RefusalReason = (typeof RefusalReason)[keyof typeof RefusalReason]

/** Why too few have answered. */
export interface Lack {
  /** Of those counted. */
  readonly have: number
  readonly need: number
  /** The member whose program has asked for so many; 0 where it is the group's own minimum. */
  readonly askedBy: MemberId
}

export interface Refusal {
  readonly reason: RefusalReason
  /** The attempt that is refused. */
  readonly refused: Ballot
  /** What the refuser has promised. */
  readonly promise: Ballot
  /** With `tooFew`. */
  readonly lack?: Lack | undefined
}

export function encodeRefusal({ reason, refused, promise, lack }: Refusal): Uint8Array {
  const writer = writeBallot(writeBallot(new Writer().u8(reason), refused), promise)
  if (lack !== undefined) writer.u53(lack.have).u53(lack.need).u53(lack.askedBy)
  return writer.finish()
}

export function decodeRefusal(packet: Uint8Array): Refusal | undefined {
  const reader = new Reader(packet, HEADER_BYTES)
  const reason = reader.u8() as RefusalReason
  const refused = readBallot(reader)
  const promise = readBallot(reader)
  const hasLack = reason === RefusalReason.tooFew && !reader.done
  const lack = hasLack ? { have: reader.u53(), need: reader.u53(), askedBy: reader.u53() } : undefined
  if (promise.incarnation > INCARNATION_MAX) return undefined
  if (!reader.done || reason < RefusalReason.promised || reason > RefusalReason.tooFew) return undefined
  return lack === undefined ? { reason, refused, promise } : { reason, refused, promise, lack }
}

/** `inquiry`: has anybody heard this member lately? */
export function encodeInquiry(about: MemberId): Uint8Array {
  return new Writer().u53(about).finish()
}

export function decodeInquiry(packet: Uint8Array): MemberId | undefined {
  const reader = new Reader(packet, HEADER_BYTES)
  const about = reader.u53()
  return reader.done ? about : undefined
}

/** `testimony`: the answer. */
export interface Testimony {
  readonly about: MemberId
  readonly isAlive: boolean
}

export function encodeTestimony({ about, isAlive }: Testimony): Uint8Array {
  return new Writer()
    .u53(about)
    .u8(isAlive ? 1 : 0)
    .finish()
}

export function decodeTestimony(packet: Uint8Array): Testimony | undefined {
  const reader = new Reader(packet, HEADER_BYTES)
  const about = reader.u53()
  const isAlive = reader.u8()
  return reader.done && isAlive <= 1 ? { about, isAlive: isAlive === 1 } : undefined
}

/** `probe` and `probeAnswer`: a number to be sent back, so that an old answer is known as such. */
export function encodeProbe(cookie: number): Uint8Array {
  return new Writer(4).u32(cookie).finish()
}

export function decodeProbe(packet: Uint8Array): number | undefined {
  const reader = new Reader(packet, HEADER_BYTES)
  const cookie = reader.u32()
  return reader.done ? cookie : undefined
}

/**
 * `expelled`: the group has gone on without you; the newest results of this member's log. `common` is the newest of them
 * that is in the receiver's log, too, where that is known.
 */
export function encodeExpelled(results: readonly ResultName[], common?: ResultName): Uint8Array {
  // the oldest, too: a second line of views that is many resets long must not look like a successor; and the common one:
  // nor must a successor that is many resets away look like a second line
  const newest = results.slice(-NOTICE_RESULTS_MAX + 2)
  const named = results.filter((result, i) => i === 0 || result === common || newest.includes(result))
  return writeResults(new Writer(), named).finish()
}

export function decodeExpelled(packet: Uint8Array): ResultName[] | undefined {
  const reader = new Reader(packet, HEADER_BYTES)
  const results = readResults(reader)
  return reader.done ? results : undefined
}
