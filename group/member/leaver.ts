/**
 * LeaveGroup (design 4.4). The leave goes through the order like a message, behind the member's own sends;
 * when it is accepted the member has left. A sequencer that leaves stays until its successor has broadcast.
 *
 *   asked --ordered--> ordered --accepted--> left            (members)
 *                              --accepted--> lingering --successor heard--> left   (the sequencer)
 */
import type { Micros } from '../../kernel/identity.ts'
import type { Outbox } from '../../kernel/outbox.ts'
import { PacketKind } from '../../kernel/packet.ts'
import { STATE_FLAG_LEAVING } from '../../kernel/packets.ts'
import type { RoundTrips } from '../../kernel/rtt.ts'
import type { Timers } from '../../kernel/timers.ts'
import type { Member as ViewMember } from '../../kernel/view.ts'

/** So often a leaver is told that it has left before it stops waiting for what it has missed. */
const TOLD_ENOUGH = 8

export interface LeaverHost {
  others(): readonly ViewMember[]
  /** Who numbers now. */
  successor(): ViewMember | undefined
  /** Whether this member numbers, and others stay behind who need a successor. */
  needsSuccessor(): boolean
  /** Whether the kernels of all that stay behind say that these are gone. */
  areOthersGone(): boolean
  /** When anybody else was heard last. */
  lastHeard(): Micros
  left(): void
}

export class Leaver {
  isLingering = false
  private tries = 0
  private told = 0
  private lingersSince: Micros = 0
  private readonly parts: { outbox: Outbox; timers: Timers; roundTrips: RoundTrips; host: LeaverHost }
  private readonly triesAllowed: number
  private readonly patience: Micros

  constructor(
    parts: { outbox: Outbox; timers: Timers; roundTrips: RoundTrips; host: LeaverHost },
    options: { tries: number; patience: Micros },
  ) {
    this.parts = parts
    this.triesAllowed = options.tries
    this.patience = options.patience
  }

  /** The leave has its place in the order, but may not be accepted yet. */
  onOrdered(): void {
    this.arm()
  }

  private arm(): void {
    const { outbox, timers, roundTrips } = this.parts
    timers.set('leave', outbox.now + roundTrips.timeout(this.tries))
  }

  /** Somebody says that the leave is accepted. If what lies before it does not come now, nobody has it any more. */
  onTold(): void {
    if (++this.told > TOLD_ENOUGH) this.parts.host.left()
  }

  /** The leave is accepted. */
  onAccepted(): void {
    if (this.parts.host.needsSuccessor()) {
      this.isLingering = true
      this.lingersSince = this.parts.outbox.now
      this.parts.timers.stop('leave')
      this.parts.outbox.trace('lingering')
    } else {
      this.parts.host.left()
    }
  }

  /**
   * The `leave` timer has run out. Whoever holds the accepted leave tells a former member so; the sequencer
   * may have left itself meanwhile, so everybody is asked in turn. When nobody answers any more there is
   * nothing left to leave.
   */
  onTimer(): void {
    const { host, outbox } = this.parts
    const others = host.others()
    const asked = others[this.tries % Math.max(1, others.length)]
    const isSilent = outbox.now - host.lastHeard() > this.patience
    if (asked === undefined || (++this.tries > this.triesAllowed * others.length && isSilent)) {
      host.left()
      return
    }
    this.knock(asked)
    this.arm()
  }

  /** The old sequencer repeats what it has said, until it hears its successor or gives up waiting for it. */
  onHeartbeat(): void {
    if (!this.isLingering) return
    const { outbox, host } = this.parts
    if (outbox.now - this.lingersSince > this.patience) return host.left()
    const successor = host.successor()
    if (successor !== undefined) return this.knock(successor)
    // nobody may number after this one: those who stay go when they hear that the leave is accepted
    if (host.areOthersGone()) host.left()
    else for (const other of host.others()) this.knock(other)
  }

  /** Whoever is asked answers that the leave is accepted, or its kernel that it is gone itself. */
  private knock({ address, nonce }: ViewMember): void {
    const { outbox } = this.parts
    outbox.unicast(address, outbox.packet(PacketKind.state, STATE_FLAG_LEAVING, nonce, 0))
  }
}
