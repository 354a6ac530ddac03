/**
 * Whom the group waits for (design 4.9): a member that does not receive stops everybody once the history is
 * full, and people must be able to see who it is; or, if the group was created so, it is expelled by an
 * ordered leave.
 */
import type { MemberId, Micros, Seq } from '../kernel/identity.ts'
import type { OrderState } from '../kernel/order-state.ts'
import type { SlowNotice } from '../kernel/packets.ts'
import type { Member } from '../kernel/view.ts'
import type { ProgressTable } from './progress.ts'

/** How long the group stands still before the member that it waits for is named. */
const SLOW_AFTER: Micros = 500_000

export class Laggards {
  /** Since when requests have waited for room in the history. */
  private blockedSince: Micros | undefined
  private least: Seq | undefined
  /** Named since then. BOUNDED by the view. */
  private readonly named = new Set<MemberId>()
  private readonly state: OrderState
  private readonly progress: ProgressTable

  constructor(state: OrderState, progress: ProgressTable) {
    this.state = state
    this.progress = progress
  }

  /**
   * The end of a turn: requests wait for room, or none do. A busy group is always a little blocked; the time
   * counts from when the one that has taken least has last taken anything.
   */
  note(isBlocked: boolean, members: readonly Member[], now: Micros): void {
    const least = this.progress.takenByAll(members)
    if (isBlocked && least === this.least) {
      this.blockedSince ??= now
      return
    }
    this.least = least
    this.blockedSince = isBlocked ? now : undefined
    this.named.clear()
  }

  /** Whom the group waits for, for so long that they must be named; undefined while it does not stand still. */
  notice(members: readonly Member[], now: Micros): SlowNotice | undefined {
    if (this.blockedSince === undefined || now - this.blockedSince < SLOW_AFTER) return undefined
    const taken = this.progress.takenByAll(members)
    if (taken === undefined) return undefined
    const lagMessages = this.state.history.received - taken
    return { taken, lagMessages, members: this.holdingUp(members, taken) }
  }

  /** Of these, who has not been named yet: each is, once while it lasts. */
  toName({ members }: SlowNotice): MemberId[] {
    const found = members.filter((id) => !this.named.has(id))
    for (const id of found) this.named.add(id)
    return found
  }

  /** Who has held the group up for longer than it allows. */
  toExpel(members: readonly Member[], now: Micros): MemberId[] {
    const { slowMember } = this.state.parameters
    if (slowMember === 'block' || this.blockedSince === undefined) return []
    if (now - this.blockedSince < slowMember.expelAfterMs * 1000) return []
    const taken = this.progress.takenByAll(members)
    return taken === undefined ? [] : this.holdingUp(members, taken)
  }

  /** When there is something to name or to do next. */
  nextAt(now: Micros): Micros | undefined {
    if (this.blockedSince === undefined) return undefined
    const { slowMember } = this.state.parameters
    const times = [SLOW_AFTER, ...(slowMember === 'block' ? [] : [slowMember.expelAfterMs * 1000])]
    const next = times.map((time) => this.blockedSince! + time).filter((at) => at > now)
    return next.length === 0 ? undefined : Math.min(...next)
  }

  /** Those that have taken least. */
  private holdingUp(members: readonly Member[], least: Seq): MemberId[] {
    return members.filter(({ id }) => this.progress.taken(id) === least).map(({ id }) => id)
  }
}
