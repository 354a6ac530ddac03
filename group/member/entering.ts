/**
 * A joiner between the answer to its join and the moment at which that is accepted: it asks its sequencer, which
 * may die in between.
 */
import type { Micros } from '../../kernel/identity.ts'
import type { Outbox } from '../../kernel/outbox.ts'
import { PacketKind } from '../../kernel/packet.ts'
import type { RoundTrips } from '../../kernel/rtt.ts'
import type { Timers } from '../../kernel/timers.ts'
import type { Member as ViewMember } from '../../kernel/view.ts'
import type { Silence } from './silence.ts'

/** A joiner hears nobody for so many suspicion times before it gives up. */
const ENTERING_PATIENCES = 4
/** With manual recovery a program, or a person, has so long to reset the group before a joiner that waits for that gives up. */
export const RESET_AWAITED: Micros = 10_000_000

export class Entering {
  private tries = 0
  private readonly parts: {
    outbox: Outbox
    timers: Timers
    roundTrips: RoundTrips
    silence: Silence
    host: {
      sequencer(): ViewMember | undefined
      isAutomatic(): boolean
      lost(reason: string): void
    }
  }

  constructor(parts: Entering['parts']) {
    this.parts = parts
  }

  arm(): void {
    const { outbox, timers, roundTrips } = this.parts
    timers.set('entering', outbox.now + roundTrips.timeout(this.tries))
  }

  onTimer(): void {
    const { outbox, silence, host } = this.parts
    const sequencer = host.sequencer()
    if (sequencer === undefined || this.endIfForsaken()) return
    this.tries++
    outbox.unicast(sequencer.address, outbox.packet(PacketKind.state, 0, sequencer.nonce, 0))
    this.arm()
    silence.onAsked(sequencer)
  }

  /**
   * A joiner whose sequencer dies stays: its join may be accepted, and then its vote may be needed (of a view of
   * four two are no majority). It goes when nobody of the group has been heard for long, and where nobody may ever reset the
   * group (manual recovery) also when the sequencer has not: true if it has gone.
   */
  endIfForsaken(): boolean {
    const { outbox, silence, host } = this.parts
    const { lastHeard, patience, isEverybodySuspect } = silence
    const wait = ENTERING_PATIENCES * patience
    const isSilent = isEverybodySuspect || outbox.now - lastHeard > wait
    if (isSilent) host.lost('no member of the group answers any more')
    return isSilent || this.endIfNobodyResets(Math.max(wait, RESET_AWAITED))
  }

  private endIfNobodyResets(wait: Micros): boolean {
    const { outbox, silence, host } = this.parts
    const sequencer = host.sequencer()
    if (host.isAutomatic() || sequencer === undefined) return false
    const isOver = outbox.now - silence.suspicion.lastHeard(sequencer.id) > wait
    if (isOver)
      host.lost(
        'the sequencer does not answer any more, and nobody has reset the group; try again when somebody has',
      )
    return isOver
  }
}
