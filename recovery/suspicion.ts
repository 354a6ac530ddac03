/**
 * When a member is taken for dead (paper, section 4.2): "if, after a certain number of trials, a kernel has
 * not responded". A try is a packet that wants an answer; the times between tries are learnt from round trips
 * by whoever sends them. Anything heard from the member meanwhile, whatever it says, is an answer: one who is
 * only slow, or who waits for room, is not suspected.
 */
import type { MemberId, Micros } from '../kernel/identity.ts'

export class Suspicion {
  /** BOUNDED by the members of the view; forgotten with them. */
  private readonly heardAt = new Map<MemberId, Micros>()
  private readonly suspected = new Set<MemberId>()
  private readonly triesAllowed: number

  constructor(triesAllowed: number) {
    this.triesAllowed = triesAllowed
  }

  heard(id: MemberId, now: Micros): void {
    this.heardAt.set(id, now)
    this.suspected.delete(id)
  }

  forget(id: MemberId): void {
    this.heardAt.delete(id)
    this.suspected.delete(id)
  }

  lastHeard(id: MemberId): Micros {
    return this.heardAt.get(id) ?? 0
  }

  /**
   * `tries` packets to `id`, the first at `since`, have had no answer. True when this makes it suspect for
   * the first time.
   */
  unanswered(id: MemberId, tries: number, since: Micros): boolean {
    if (tries <= this.triesAllowed || this.lastHeard(id) > since || this.suspected.has(id)) return false
    this.suspected.add(id)
    return true
  }

  isSuspect(id: MemberId): boolean {
    return this.suspected.has(id)
  }
}
