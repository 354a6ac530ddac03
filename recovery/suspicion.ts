/**
 * When a member is taken for dead (paper, section 4.2): "if, after a certain number of trials, a kernel has
 * not responded". A try is a packet that wants an answer; the times between tries are learnt from round trips
 * by whoever sends them. Anything heard from the member meanwhile, whatever it says, is an answer: one who is
 * only slow, or who waits for room, is not suspected.
 */
import type { MemberId, Micros } from '../kernel/identity.ts'
import type { RoundTrips } from '../kernel/rtt.ts'

/** The time in which so many tries, each with its wait, go unanswered. */
export function patience(times: RoundTrips, tries: number): Micros {
  let sum = 0
  for (let i = 0; i <= tries; i++) sum += times.timeout(i)
  return sum
}

interface Episode {
  heardAt: Micros
  /** Unanswered since then. */
  tries: number
  nextTryAt: Micros
  isSuspect: boolean
}

export class Suspicion {
  /** BOUNDED by the members of the view: those who have left are forgotten with the next watch. */
  private readonly members = new Map<MemberId, Episode>()
  private readonly triesAllowed: number
  private readonly times: RoundTrips

  constructor(triesAllowed: number, times: RoundTrips) {
    this.triesAllowed = triesAllowed
    this.times = times
  }

  /** Whatever it was: the member lives, and a new count begins. */
  heard(id: MemberId, now: Micros): void {
    this.members.set(id, { heardAt: now, tries: 0, nextTryAt: 0, isSuspect: false })
  }

  /** Forgets who is in no view any more. */
  keepOnly(present: ReadonlySet<MemberId>): void {
    for (const id of this.members.keys()) if (!present.has(id)) this.members.delete(id)
  }

  lastHeard(id: MemberId): Micros {
    return this.members.get(id)?.heardAt ?? 0
  }

  /**
   * One more packet to `id` that wants an answer. True when this makes it suspect, once. Several packets at
   * one moment are one try: the next counts only after the time in which the last could have been answered.
   */
  asked(id: MemberId, now: Micros): boolean {
    const member = this.members.get(id) ?? { heardAt: 0, tries: 0, nextTryAt: 0, isSuspect: false }
    this.members.set(id, member)
    if (now < member.nextTryAt) return false
    member.nextTryAt = now + this.times.timeout(member.tries)
    if (++member.tries <= this.triesAllowed || member.isSuspect) return false
    member.isSuspect = true
    return true
  }

  /** Knowledge, not guessing: its operating system or its kernel says that the member is gone. True if that is news. */
  gone(id: MemberId): boolean {
    const member = this.members.get(id)
    if (member?.isSuspect === true) return false
    this.members.set(id, {
      heardAt: member?.heardAt ?? 0,
      tries: this.triesAllowed,
      nextTryAt: 0,
      isSuspect: true,
    })
    return true
  }

  isSuspect(id: MemberId): boolean {
    return this.members.get(id)?.isSuspect === true
  }
}
