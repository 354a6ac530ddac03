/** Who is around a member: its sequencer, all that a broadcast is for, and who has what is missing here. */
import type { MemberId } from '../../kernel/identity.ts'
import type { OrderState } from '../../kernel/order-state.ts'
import { findMember, type Member as ViewMember } from '../../kernel/view.ts'
import type { Recovery } from '../../recovery/recovery.ts'

export class Fellows {
  private readonly self: MemberId
  private readonly state: OrderState
  private readonly recovery: () => Recovery

  constructor(parts: { self: MemberId; state: OrderState; recovery: () => Recovery }) {
    this.self = parts.self
    this.state = parts.state
    this.recovery = parts.recovery
  }

  get sequencer(): ViewMember | undefined {
    return findMember(this.state.view, this.state.view.sequencer)
  }

  /** All that a broadcast is for. */
  get present(): readonly ViewMember[] {
    return this.state.present
  }

  get others(): readonly ViewMember[] {
    return this.state.latestView.members.filter(({ id }) => id !== this.self)
  }

  /** Who has what is missing here: the sequencer, or whom a reset under way names. */
  get source(): ViewMember | undefined {
    const recovery = this.recovery()
    return recovery.isBound ? recovery.source : this.sequencer
  }

  get sources(): readonly ViewMember[] {
    const recovery = this.recovery()
    if (!recovery.isBound) return this.others
    const { source } = recovery
    return source === undefined ? [] : [source]
  }
}
