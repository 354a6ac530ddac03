/**
 * When a member is taken for dead (paper, section 4.2): "if, after a certain number of trials, a kernel has
 * not responded". A try is a packet that wants an answer; the times between tries are learnt from round trips
 * by whoever sends them. Anything heard from the member meanwhile, whatever it says, is an answer: one who is
 * only slow, or who waits for room, is not suspected.
 */
import type { MemberId, Micros } from '../kernel/identity.ts'
import type { Pace } from './pace.ts'

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
  private readonly pace: Pace

  constructor(pace: Pace) {
    this.pace = pace
  }

  /** Whatever it was: the member lives, and a new count begins. */
  heard(id: MemberId, now: Micros): void {
    const member = this.members.get(id)
    if (member === undefined) {
      this.members.set(id, { heardAt: now, tries: 0, nextTryAt: 0, isSuspect: false })
      return
    }
    member.heardAt = now
    member.tries = 0
    member.nextTryAt = 0
    member.isSuspect = false
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
    member.tries++
    const isNews = member.tries > this.pace.tries && !member.isSuspect
    if (isNews) member.isSuspect = true
    const wait = member.isSuspect ? this.pace.laterWait(member.tries) : this.pace.wait(member.tries)
    member.nextTryAt = now + wait
    return isNews
  }

  /** It has been asked in vain since it was heard last, and is not suspect yet. */
  isInQuestion(id: MemberId): boolean {
    const member = this.members.get(id)
    return member !== undefined && member.tries > 0 && !member.isSuspect
  }

  /** From when on one more packet counts as a try. */
  nextTryAt(id: MemberId): Micros {
    return this.members.get(id)?.nextTryAt ?? 0
  }

  /** Knowledge, not guessing: its operating system or its kernel says that the member is gone. True if that is news. */
  gone(id: MemberId): boolean {
    const member = this.members.get(id)
    if (member?.isSuspect === true) return false
    this.members.set(id, {
      heardAt: member?.heardAt ?? 0,
      tries: this.pace.tries,
      nextTryAt: 0,
      isSuspect: true,
    })
    return true
  }

  isSuspect(id: MemberId): boolean {
    return this.members.get(id)?.isSuspect === true
  }
}
