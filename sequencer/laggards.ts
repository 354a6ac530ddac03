/**
 * Whom the group waits for (design 4.9): a member that does not receive stops everybody once the history is
 * full, and people must be able to see who it is; or, if the group was created so, it is expelled by an
 * ordered leave.
 */
import type { MemberId, Micros } from '../kernel/identity.ts'
import type { OrderState } from '../kernel/order-state.ts'
import type { Member } from '../kernel/view.ts'
import type { ProgressTable } from './progress.ts'

/** How long the group stands still before the member that it waits for is named. */
const SLOW_AFTER: Micros = 500_000

export class Laggards {
  /** Since when requests have waited for room in the history. */
  private blockedSince: Micros | undefined
  /** Named since then. BOUNDED by the view. */
  private readonly named = new Set<MemberId>()
  private readonly state: OrderState
  private readonly progress: ProgressTable

  constructor(state: OrderState, progress: ProgressTable) {
    this.state = state
    this.progress = progress
  }

  /** The end of a turn: requests wait for room, or none do. */
  note(isBlocked: boolean, now: Micros): void {
    if (!isBlocked) {
      this.blockedSince = undefined
      this.named.clear()
    } else {
      this.blockedSince ??= now
    }
  }

  /** Who has held the group up for so long that it must be named, with its lag; each once while it lasts. */
  toName(members: readonly Member[], now: Micros): { id: MemberId; messages: number }[] {
    if (this.blockedSince === undefined || now - this.blockedSince < SLOW_AFTER) return []
    const found = this.holdingUp(members).filter(({ id }) => !this.named.has(id))
    for (const { id } of found) this.named.add(id)
    return found
  }

  /** Who has held the group up for longer than it allows. */
  toExpel(members: readonly Member[], now: Micros): MemberId[] {
    const { slowMember } = this.state.parameters
    if (slowMember === 'block' || this.blockedSince === undefined) return []
    if (now - this.blockedSince < slowMember.expelAfterMs * 1000) return []
    return this.holdingUp(members).map(({ id }) => id)
  }

  /** Those that have taken least. */
  private holdingUp(members: readonly Member[]): { id: MemberId; messages: number }[] {
    const least = this.progress.leastTaken(members)
    if (least === undefined) return []
    const messages = this.state.history.received - least.seq
    return members
      .filter(({ id }) => this.progress.taken(id) === least.seq)
      .map(({ id }) => ({ id, messages }))
  }
}
