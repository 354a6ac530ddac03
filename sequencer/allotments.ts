/**
 * How much repair each member may have, whatever it asks for: a question is a hundred bytes, and its answer a quarter of a
 * megabyte. Without a key anybody can ask in a member's name, and fill the line to that member. Whoever catches up honestly
 * asks for no more than it has room for, and asks again for what it has not got.
 *
 * BOUNDED by MEMBERS_MAX; the one that had nothing for longest is forgotten first, and has all of its allotment again.
 */

import type { Micros, Nonce } from '../kernel/identity.ts'
import { keepNewest } from '../kernel/keep-newest.ts'
import { BUDGET_MAX } from './repair.ts'

/** Bytes at once: a few full answers. */
const AT_ONCE = 4 * BUDGET_MAX
/** Bytes more each microsecond, up to that: 64 MiB a second, and more than that is hardly taken by anybody who catches up. */
const BYTES_A_MICRO = (64 * 1024 * 1024) / 1_000_000
/** As many as a view can have, and as many again that have left. */
const MEMBERS_MAX = 2048

interface Allotment {
  readonly left: number
  readonly at: Micros
}

export class Allotments {
  private readonly used = new Map<Nonce, Allotment>()

  /** Bytes that may go to this one now. */
  leftFor(nonce: Nonce, now: Micros): number {
    const { left, at } = this.used.get(nonce) ?? { left: AT_ONCE, at: now }
    return Math.min(AT_ONCE, Math.floor(left + (now - at) * BYTES_A_MICRO))
  }

  use(nonce: Nonce, now: Micros, bytes: number): void {
    const left = Math.max(0, this.leftFor(nonce, now) - bytes)
    keepNewest(this.used, nonce, { left, at: now }, MEMBERS_MAX)
  }
}
