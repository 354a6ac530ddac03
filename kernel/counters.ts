/**
 * What a machine counts. Plain numbers that only rise, read by metrics when they are asked for; the lists
 * derive from the kinds and reasons, so that none can be forgotten.
 */
import { type PacketKindName, packetKindNames, type RejectReason, rejectReasons } from './packet.ts'

export type Direction = 'in' | 'out'

/** Upper bounds of the batch histogram's buckets, in messages per broadcast. */
export const batchBuckets = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000] as const

/** Upper bounds of the buckets for the time that a reset takes, in microseconds. */
export const resetBuckets = [
  1_000, 2_000, 5_000, 10_000, 20_000, 50_000, 100_000, 200_000, 500_000, 1_000_000, 5_000_000,
] as const

/** Limits, each of which is counted when it is met. A closed list: operators tell by the name which it was (SECURITY.md, Limits). */
export const limitNames = [
  // Nothing was dropped for these.
  /** A joiner was told that the view is full. */
  'members',
  /** Another starter was not counted, or not answered. */
  'starters',
  /** Less repair was given than asked for. */
  'repair',
  /** The sequencer of another group on the port was not asked. */
  'groups',
  /** A sequencer that an answer names was not asked (again) by one that is opening. */
  'joins',
  /** One who writes to the dead was not told. */
  'gone',
  // A packet was dropped for these, or what it asks for was not done: it counts among the rejected as well (`overflow`).
  /** A joiner was told that more come than the group lets in. */
  'newJoins',
  /** A joiner was told that too many wait for their place. */
  'waitingJoins',
  /** A joiner was told that the program has too many to decide about. */
  'deciding',
  /** An inspection was not answered, because too many are under way. */
  'inspections',
  /** A question was shorter than its answer would be. */
  'unpadded',
  /** There was no room for a member's block that came apart from its order, or it came in too many pieces. */
  'blocks',
  /** There was no room for a member's request. */
  'requests',
  /** There was no room for the next entry of the order: who numbers keeps to the history's bounds, so somebody lied. */
  'history',
  /** A sender's unfinished stream was forgotten for its newer one, or the new one is too large. */
  'streams',
  /** An unfinished stream was forgotten because there are too many of all senders together. */
  'allStreams',
  /** An unknown process was not told that it is no member. */
  'notices',
  /** An invitation was numbered so far ahead that no reset can have come to it. */
  'attempts',
] as const
export type LimitName = (typeof limitNames)[number]

export class Counters {
  /** By packet kind number. A multicast counts once, a fan-out once for each copy. */
  readonly packets: Record<Direction, number[]> = { in: zeros(), out: zeros() }
  readonly packetBytes: Record<Direction, number[]> = { in: zeros(), out: zeros() }
  readonly rejected: Record<RejectReason, number>
  /** Packets sent again: requests by senders, repairs from histories, blocks by method 2, stream fragments. */
  readonly retransmissions = { request: 0, repair: 0, data: 0, stream: 0 }
  ordered = 0
  orderedBytes = 0
  /** How many broadcasts carried up to batchBuckets[i] messages; the last for more. */
  readonly batches: number[] = new Array<number>(batchBuckets.length + 1).fill(0)
  readonly deliveries = { message: 0, join: 0, leave: 0, reset: 0 }
  suspicions = 0
  /** Resets that this member has taken part in, and own attempts that too few have answered. */
  readonly resets = { ok: 0, failed: 0 }
  /** How many resets took up to resetBuckets[i]; the last for longer ones. */
  readonly resetTimes: number[] = new Array<number>(resetBuckets.length + 1).fill(0)
  resetMicros = 0
  /** Changes of the group's settings that this member has delivered. */
  readonly settings = { key: 0, version: 0 }
  /** Other groups that have been met on the port, and other lines of views of this one. */
  splits = 0

  /** How often each limit was met. */
  readonly limited: Record<LimitName, number>

  constructor() {
    this.rejected = zeroOf(rejectReasons)
    this.limited = zeroOf(limitNames)
  }

  /** A packet was dropped for a limit, or what it asks for was not done. */
  overflow(limit: LimitName): void {
    this.rejected.overflow++
    this.limited[limit]++
  }

  packet(direction: Direction, kind: number, bytes: number): void {
    this.packets[direction][kind]!++
    this.packetBytes[direction][kind]! += bytes
  }

  broadcast(messages: number): void {
    let i = 0
    while (i < batchBuckets.length && messages > batchBuckets[i]!) i++
    this.batches[i]!++
  }

  reset(micros: number): void {
    let i = 0
    while (i < resetBuckets.length && micros > resetBuckets[i]!) i++
    this.resetTimes[i]!++
    this.resets.ok++
    this.resetMicros += micros
  }

  /** Packets by name, for people and metrics. */
  packetsByName(direction: Direction): [PacketKindName, number][] {
    return packetKindNames.flatMap((name, kind) =>
      name === undefined ? [] : [[name, this.packets[direction][kind]!] as [PacketKindName, number]],
    )
  }
}

function zeroOf<Name extends string>(names: readonly Name[]): Record<Name, number> {
  return Object.fromEntries(names.map((name) => [name, 0])) as Record<Name, number>
}

function zeros(): number[] {
  return new Array<number>(packetKindNames.length).fill(0)
}
