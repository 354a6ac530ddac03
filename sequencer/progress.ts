/**
 * How far each member is: the paper's table "member i has received all broadcasts up to T_i" (section 4.1),
 * fed by the numbers piggybacked on every packet to the sequencer.
 */
import type { MemberId, Micros, Seq } from '../kernel/identity.ts'
import { type PacketHeader, PacketKind } from '../kernel/packet.ts'
import type { Member } from '../kernel/view.ts'

export interface MemberProgress {
  /** Highest contiguous seq held. */
  received: Seq
  /** Highest seq that the program has taken. */
  taken: Seq
  /** Bytes that its socket can buffer. */
  window: number
  heardAt: Micros
  /** When it last said nothing but how far it is. */
  reportedAt: Micros
}

export class ProgressTable {
  /** BOUNDED by the members of the latest view and one leaver. */
  private readonly members = new Map<MemberId, MemberProgress>()
  /**
   * Members whose process is known (not suspected) to live no more: their kernel says that their nonce is
   * gone. Nobody waits for them to take anything; but they may have voted before they died, so they count for
   * no majority.
   */
  private readonly gone = new Set<MemberId>()

  begin(id: MemberId, seq: Seq, window: number, now: Micros): void {
    this.members.set(id, { received: seq, taken: seq, window, heardAt: now, reportedAt: now })
  }

  forget(id: MemberId): void {
    this.members.delete(id)
    this.gone.delete(id)
  }

  isGone(id: MemberId): boolean {
    return this.gone.has(id)
  }

  get hasGone(): boolean {
    return this.gone.size > 0
  }

  markGone(id: MemberId): void {
    this.gone.add(id)
  }

  get(id: MemberId): MemberProgress | undefined {
    return this.members.get(id)
  }

  /** Numbers only rise: an old packet that arrives late changes nothing. True if something rose. */
  report(id: MemberId, header: PacketHeader, now: Micros): boolean {
    const progress = this.members.get(id)
    if (progress === undefined) return false
    progress.heardAt = now
    if (header.kind === PacketKind.state) progress.reportedAt = now
    if (header.window > 0) progress.window = header.window
    const rose = header.received > progress.received || header.taken > progress.taken
    progress.received = Math.max(progress.received, header.received)
    progress.taken = Math.max(progress.taken, header.taken)
    return rose
  }

  received(id: MemberId): Seq {
    return this.members.get(id)?.received ?? 0
  }

  taken(id: MemberId): Seq {
    return this.members.get(id)?.taken ?? 0
  }

  /** What everybody has taken; undefined where nobody is left to be waited for. */
  takenByAll(members: Iterable<Member>): Seq | undefined {
    let least = Number.POSITIVE_INFINITY
    for (const { id } of members) if (!this.gone.has(id)) least = Math.min(least, this.taken(id))
    return least === Number.POSITIVE_INFINITY ? undefined : least
  }

  leastReceived(members: Iterable<Member>): Seq {
    let least = Number.POSITIVE_INFINITY
    for (const { id } of members) if (!this.gone.has(id)) least = Math.min(least, this.received(id))
    return least
  }

  /**
   * Since when all of them have reported. Other packets may have been on their way before whatever is asked: a sender's
   * data answered every question at once, and a sequencer went on past sockets that it had filled.
   */
  reportedSince(members: Iterable<Member>, self: MemberId): Micros {
    let least = Number.POSITIVE_INFINITY
    for (const { id } of members) {
      if (id !== self && !this.gone.has(id)) least = Math.min(least, this.members.get(id)?.reportedAt ?? 0)
    }
    return least
  }

  leastWindow(members: Iterable<Member>): number {
    let least = Number.POSITIVE_INFINITY
    for (const { id } of members)
      least = Math.min(least, this.members.get(id)?.window ?? Number.POSITIVE_INFINITY)
    return least
  }

  /** How many of `members` hold everything up to `seq`. */
  holding(members: readonly Member[], seq: Seq): number {
    let holders = 0
    for (const { id } of members) if (!this.gone.has(id) && this.received(id) >= seq) holders++
    return holders
  }
}
