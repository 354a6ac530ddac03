/**
 * Whom the group waits for, as its sequencer tells all members: programs everywhere hear who it is (design 4.9), each
 * once while it lasts. The sequencer's own program hears it from the sequencer (sequencer/laggards.ts).
 */
import type { MemberId, Seq } from '../../kernel/identity.ts'
import type { OrderState } from '../../kernel/order-state.ts'
import type { Outbox } from '../../kernel/outbox.ts'
import { decodeSlow } from '../../kernel/packets.ts'
import { findMember } from '../../kernel/view.ts'

export class Slowness {
  /** Where each stood when it was told of. BOUNDED by the view. */
  private readonly told = new Map<MemberId, Seq>()
  private readonly state: OrderState
  private readonly outbox: Outbox

  constructor(parts: { state: OrderState; outbox: Outbox }) {
    this.state = parts.state
    this.outbox = parts.outbox
  }

  /** False if it is no such packet. */
  onPacket(packet: Uint8Array): boolean {
    const notice = decodeSlow(packet)
    if (notice === undefined) return false
    const { view } = this.state
    for (const id of this.told.keys()) if (findMember(view, id) === undefined) this.told.delete(id)
    for (const member of notice.members) {
      if (findMember(view, member) === undefined || this.told.get(member) === notice.taken) continue
      this.told.set(member, notice.taken)
      const { lagMessages } = notice
      this.outbox.output({ output: 'event', event: { event: 'slow', member, lagMessages } })
    }
    return true
  }
}
