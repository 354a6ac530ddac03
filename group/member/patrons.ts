/**
 * Whom a member without every right depends on: only members with every right may number, or rebuild the group. While the
 * group stands still one without it can but wait for their word, for as long as it takes: they may be cut off, and come
 * back. Its membership ends when nothing can ever come of it, and that is known and not guessed: when the order says that
 * the last of them has left, or their kernels, or the systems at their addresses, that all of them are gone, and for a
 * while after that nobody invites who has joined since. (Guessed after ten seconds of silence, readers had ended when a
 * partition healed, and the only member with every right waited for ever for a majority of the dead.)
 */
import { type Micros, type Nonce, Right } from '../../kernel/identity.ts'
import type { Outbox } from '../../kernel/outbox.ts'
import { PacketKind } from '../../kernel/packet.ts'
import type { Timers } from '../../kernel/timers.ts'
import type { Member as ViewMember } from '../../kernel/view.ts'

/** Between two questions whether they still live, in times that a suspicion takes, and at least. */
const PATIENCES = 8
const LEAST: Micros = 2_500_000
/** So many times nobody is left to be asked: longer than one who has found too few for a reset waits before it tries again. */
const TIMES_ALONE = 4

export interface PatronsHost {
  isAutomatic(): boolean
  /** The time in which a member becomes suspect. */
  patience(): Micros
  isLeaving(): boolean
  /** Everybody in the view in force, or in a later one that is held. */
  present(): readonly ViewMember[]
  /** Asks the operating system whether anybody is there. */
  check(member: ViewMember): void
  leftBehind(reason: string): void
  orphaned(reason: string): void
}

export class Patrons {
  private isWaiting = false
  private timesAlone = 0
  private timesUnheard = 0
  /** Known to be gone. BOUNDED by the members of the views. */
  private readonly gone = new Set<Nonce>()
  private readonly outbox: Outbox
  private readonly timers: Timers
  private readonly host: PatronsHost
  private readonly right: Right

  /** `right` is the own: one with every right depends on nobody. */
  constructor(parts: { outbox: Outbox; timers: Timers; host: PatronsHost }, right: Right) {
    this.outbox = parts.outbox
    this.timers = parts.timers
    this.host = parts.host
    this.right = right
  }

  /** The group stands still, and this member waits to be invited. (With manual recovery it waits for a program.) */
  begin(): void {
    if (this.right === Right.all || this.isWaiting || !this.host.isAutomatic()) return
    this.isWaiting = true
    this.timesAlone = this.timesUnheard = 0
    this.arm()
  }

  end(): void {
    if (!this.isWaiting) return
    this.isWaiting = false
    this.timers.stop('patrons')
    this.gone.clear()
  }

  /** Its kernel, or the system at its address, says so. */
  onGone(nonce: Nonce): void {
    if (this.right === Right.all) return
    this.gone.add(nonce)
  }

  /** One who has joined since may be unknown to the views here. */
  onInvited(): void {
    this.timesAlone = this.timesUnheard = 0
  }

  onTimer(): void {
    if (!this.isWaiting) return
    const left = this.left()
    for (const patron of left) {
      const question = this.outbox.packetUnderEachKey(PacketKind.state, 0, patron.nonce, 0)
      this.outbox.unicast(patron.address, question)
      this.host.check(patron)
    }
    this.timesAlone = left.length > 0 ? 0 : this.timesAlone + 1
    this.timesUnheard++
    if (this.timesAlone < TIMES_ALONE && !this.maySlipAway) this.arm()
    else this.giveUp('every member with every right is gone, and only such a one may rebuild the group')
  }

  /** One that wants to leave need not know: it has waited for somebody to order its leave, and goes without. */
  private get maySlipAway(): boolean {
    return this.host.isLeaving() && this.timesUnheard >= TIMES_ALONE
  }

  /** A view without a sequencer is in force. */
  onNoHeir(): void {
    this.giveUp('the last member with every right has left, and nobody else may number')
  }

  private arm(): void {
    this.timers.set('patrons', this.outbox.now + Math.max(LEAST, PATIENCES * this.host.patience()))
  }

  private left(): ViewMember[] {
    return this.host.present().filter(({ right, nonce }) => right === Right.all && !this.gone.has(nonce))
  }

  private giveUp(reason: string): void {
    this.end()
    if (this.host.isLeaving()) this.host.leftBehind(reason)
    else this.host.orphaned(reason)
  }
}
