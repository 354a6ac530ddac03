/**
 * Joins and leaves waiting for their place in the order. They go one at a time: the next is numbered only
 * when the last is accepted (design 4.4).
 */
import { Deque } from '../kernel/deque.ts'
import type { Address, MemberId, Micros, Nonce, RequestNumber } from '../kernel/identity.ts'
import type { LeaveReason } from '../kernel/membership.ts'
import type { Applicant } from './authorization.ts'

export interface WaitingJoin extends Applicant {
  readonly change: 'join'
  /** A joiner that has gone silent meanwhile is not let in: the group would wait for it. */
  heardAt: Micros
}

export interface WaitingLeave {
  readonly change: 'leave'
  readonly member: MemberId
  /** Of a member's own wish, which is numbered only when the requests before it are; undefined where it has none. */
  readonly request?: RequestNumber
  readonly header: Uint8Array
  readonly reason: LeaveReason
}

export type WaitingChange = WaitingJoin | WaitingLeave

/** BOUNDED: joins by this number, leaves by the members of the view. */
const WAITING_JOINS_MAX = 64

export class WaitingChanges {
  private readonly waiting = new Deque<WaitingChange>()
  private joins = 0

  get length(): number {
    return this.waiting.length
  }

  /** Whether this joiner waits already. */
  hasJoin(nonce: Nonce): boolean {
    for (const waiting of this.waiting) if (waiting.change === 'join' && waiting.nonce === nonce) return true
    return false
  }

  /** False if too many wait already. A repeated request only shows that the joiner is still there. */
  addJoin(join: WaitingJoin): boolean {
    for (const waiting of this.waiting) {
      if (waiting.change === 'join' && waiting.nonce === join.nonce) {
        waiting.heardAt = join.heardAt
        waiting.keys = join.keys
        return true
      }
    }
    if (this.joins >= WAITING_JOINS_MAX) return false
    this.joins++
    this.waiting.push(join)
    return true
  }

  /** It has given up. False if it does not wait here. */
  dropJoin(from: Address, nonce: Nonce): boolean {
    const isIt = (one: WaitingChange) => one.change === 'join' && one.nonce === nonce && one.from === from
    return this.takeFirst(isIt) !== undefined
  }

  addLeave(leave: WaitingLeave): void {
    for (const waiting of this.waiting) {
      if (waiting.change === 'leave' && waiting.member === leave.member) return
    }
    this.waiting.push(leave)
  }

  [Symbol.iterator](): Iterator<WaitingChange> {
    return this.waiting[Symbol.iterator]()
  }

  /** Takes out the first change that may go now. */
  takeFirst(ready: (change: WaitingChange) => boolean): WaitingChange | undefined {
    const change = this.waiting.remove(ready)
    if (change?.change === 'join') this.joins--
    return change
  }
}
