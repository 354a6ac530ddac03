/**
 * One attempt at a reset, at its coordinator: who is invited, who has voted, who has acked the result. Data
 * and bookkeeping only; coordinator.ts draws the consequences.
 */
import type { Ballot } from '../kernel/ballot.ts'
import type { Micros, Nonce } from '../kernel/identity.ts'
import type { RoundTrips } from '../kernel/rtt.ts'
import type { Member } from '../kernel/view.ts'
import type { Choice } from './choice.ts'
import type { Voter } from './vote.ts'

export interface Invitee {
  readonly member: Member
  vote: Voter | undefined
  /** Its kernel says that it lives no more, or it has not answered often enough. */
  isOut: boolean
  /** It was suspect before: it is waited for no longer than an answer takes. */
  readonly wasSuspect: boolean
  tries: number
  nextTryAt: Micros
}

/** A member that was suspect has so many round trips to show that it lives. */
const GRACE_ROUND_TRIPS = 2
const GRACE_MIN: Micros = 300

export class Attempt {
  readonly ballot: Ballot
  readonly isAutomatic: boolean
  readonly startedAt: Micros
  /** BOUNDED by the members of the views that the coordinator and its voters know. */
  readonly invitees = new Map<Nonce, Invitee>()
  /** A higher ballot has been shown: this attempt will not have all votes, and its turn comes again. */
  beatenUntil: Micros | undefined
  /** What has been made of the votes. */
  choice: Choice | undefined
  /** Who has to ack the result and has not. */
  readonly owing = new Set<Nonce>()
  private readonly grace: Micros

  constructor(ballot: Ballot, isAutomatic: boolean, now: Micros, times: RoundTrips) {
    this.ballot = ballot
    this.isAutomatic = isAutomatic
    this.startedAt = now
    this.grace = now + Math.max(GRACE_MIN, GRACE_ROUND_TRIPS * times.mean)
  }

  invite(member: Member, wasSuspect: boolean): void {
    const { nonce } = member
    const nextTryAt = this.startedAt
    this.invitees.set(nonce, { member, vote: undefined, isOut: false, wasSuspect, tries: 0, nextTryAt })
  }

  /** The member's kernel says that it is gone. */
  gone(nonce: Nonce): void {
    const invitee = this.invitees.get(nonce)
    if (invitee !== undefined) invitee.isOut = true
  }

  count(nonce: Nonce, voter: Voter): void {
    const invitee = this.invitees.get(nonce)
    if (invitee === undefined) return
    invitee.vote ??= voter
    invitee.isOut = false
  }

  /** Whether nobody else is waited for. */
  isComplete(now: Micros): boolean {
    for (const { vote, isOut, wasSuspect } of this.invitees.values()) {
      if (vote !== undefined || isOut) continue
      if (!wasSuspect || now < this.grace) return false
    }
    return true
  }

  get voters(): Voter[] {
    return [...this.invitees.values()].flatMap(({ vote }) => (vote === undefined ? [] : [vote]))
  }

  /** When to look again at who has not voted. */
  nextLook(): Micros {
    let at = Number.POSITIVE_INFINITY
    for (const { vote, isOut, wasSuspect, nextTryAt } of this.invitees.values()) {
      if (vote === undefined && !isOut && !wasSuspect) at = Math.min(at, nextTryAt)
    }
    return at === Number.POSITIVE_INFINITY ? this.grace : at
  }
}
