/**
 * A send waits for room that only this very program can make: it has deliveries that it does not take, and they
 * fill most of the history (design 4.9: `for await (…) await sendToGroup(…)`). After a while it is told so.
 */
import { ErrorCode } from '../../kernel/errors.ts'
import type { Micros } from '../../kernel/identity.ts'
import type { OrderState } from '../../kernel/order-state.ts'
import type { Outbox } from '../../kernel/outbox.ts'
import type { Timers } from '../../kernel/timers.ts'
import type { Receiver } from './receiver.ts'
import type { Sender } from './sender.ts'

/** How long a program may hold up its own send before it is told so. */
const STALL_PATIENCE: Micros = 1_000_000
const WOULD_BLOCK =
  'the history is full of deliveries that this program has not taken, and the send waits for them: receive beside sending, not after it'

export class HoldUp {
  private readonly state: OrderState
  private readonly outbox: Outbox
  private readonly timers: Timers
  private readonly sender: Sender
  private readonly receiver: Receiver

  constructor(parts: {
    state: OrderState
    outbox: Outbox
    timers: Timers
    sender: Sender
    receiver: Receiver
  }) {
    this.state = parts.state
    this.outbox = parts.outbox
    this.timers = parts.timers
    this.sender = parts.sender
    this.receiver = parts.receiver
  }

  private get holdsUpItself(): boolean {
    const { history, parameters, highest } = this.state
    if (!this.sender.isWaiting || this.receiver.delivered <= this.outbox.taken) return false
    const lag = highest - this.outbox.taken
    return lag * 2 >= parameters.historySize || history.bytes * 2 >= parameters.historyBytes
  }

  /** Armed while the member holds itself up; anything that the program takes begins the wait anew. */
  watch(): void {
    if (!this.holdsUpItself) this.timers.stop('stall')
    else if (!this.timers.isSet('stall')) this.timers.set('stall', this.outbox.now + STALL_PATIENCE)
  }

  onTaken(): void {
    this.timers.stop('stall')
  }

  onTimer(): void {
    if (this.holdsUpItself) this.sender.refuse(ErrorCode.wouldBlock, WOULD_BLOCK)
  }
}
