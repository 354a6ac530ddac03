/**
 * From one sequencer to the next: after a handover that is accepted, or after a reset. The view says who the
 * successor is; how it learns that it is one, and what it says first, is here. The office itself is office.ts.
 */
import type { MemberId } from '../../kernel/identity.ts'
import type { OrderState } from '../../kernel/order-state.ts'
import type { Outbox } from '../../kernel/outbox.ts'
import { PacketKind } from '../../kernel/packet.ts'
import { encodeLeft } from '../../kernel/packets.ts'
import { findMember } from '../../kernel/view.ts'
import type { Office } from './office.ts'
import type { Patrons } from './patrons.ts'
import type { Receiver } from './receiver.ts'
import type { Reports } from './reports.ts'
import type { Sender } from './sender.ts'
import type { Silence } from './silence.ts'

export class Succession {
  private readonly parts: {
    readonly self: MemberId
    readonly state: OrderState
    readonly outbox: Outbox
    readonly office: Office
    readonly receiver: Receiver
    readonly reports: Reports
    readonly sender: Sender
    readonly silence: Silence
    readonly patrons: Patrons
  }

  constructor(parts: Succession['parts']) {
    this.parts = parts
  }

  /** The view in force names a sequencer that it did not name before: whoever it is numbers from here on. */
  onNewSequencer(): void {
    const { self, state, outbox, office, reports, sender, silence, patrons } = this.parts
    const { view } = state
    outbox.trace('new-sequencer', { sequencer: view.sequencer, seq: view.seq })
    if (findMember(view, self) === undefined) return
    if (view.sequencer === 0) return patrons.onNoHeir()
    silence.begin()
    if (view.sequencer === self) {
      office.take()
      office.sequencer?.announce()
      this.releasePredecessor()
    } else {
      reports.onNewSequencer()
    }
    sender.onNewSequencer()
  }

  /**
   * A request or report comes to me, and I am named as the successor in a handover that I hold: whoever sent it knows
   * that the handover is accepted. (The old sequencer may be gone before I could hear it from itself.)
   */
  learn(): void {
    const { self, state, office, receiver } = this.parts
    const handover = state.pending[0]
    if (office.sequencer !== undefined || handover?.leave?.successor !== self) return
    receiver.acceptUpTo(handover.seq)
    this.onNewSequencer()
  }

  /** The old sequencer waits for its successor's word, and is in no audience any more. */
  private releasePredecessor(): void {
    const { state, outbox } = this.parts
    const predecessor = state.former.at(-1)
    if (predecessor === undefined) return
    const { address, nonce } = predecessor.member
    const seq = encodeLeft(predecessor.leftAt)
    outbox.unicast(address, outbox.packetOf(PacketKind.left, 0, nonce, seq))
  }
}
