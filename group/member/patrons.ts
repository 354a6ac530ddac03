/**
 * Whom a member without every right depends on: only members with every right may number, or rebuild the group. While the
 * group stands still one without it can but wait for their word; when none comes for long, or the order itself says that
 * the last of them has left, its membership ends, because nothing would ever come of it.
 */
import { type Micros, Right } from '../../kernel/identity.ts'
import type { Outbox } from '../../kernel/outbox.ts'
import type { Timers } from '../../kernel/timers.ts'
import type { Member as ViewMember } from '../../kernel/view.ts'

/**
 * How long that is, in times that a suspicion takes, and at least: longer than one who has found too few for a reset waits
 * before it tries again (recovery/binding.ts), so that nobody goes who would be invited once more.
 */
const PATIENCES = 32
const LEAST: Micros = 10_000_000

export interface PatronsHost {
  isAutomatic(): boolean
  /** The time in which a member becomes suspect. */
  patience(): Micros
  isLeaving(): boolean
  leftBehind(reason: string): void
  orphaned(reason: string): void
}

export class Patrons {
  private isWaiting = false
  private heardAt: Micros = 0
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
    this.heardAt = this.outbox.now
    this.arm()
  }

  end(): void {
    if (!this.isWaiting) return
    this.isWaiting = false
    this.timers.stop('patrons')
  }

  onHeard({ right }: ViewMember): void {
    if (this.isWaiting && right === Right.all) this.heardAt = this.outbox.now
  }

  private get limit(): Micros {
    return Math.max(LEAST, PATIENCES * this.host.patience())
  }

  private arm(): void {
    this.timers.set('patrons', this.heardAt + this.limit)
  }

  onTimer(): void {
    if (!this.isWaiting) return
    if (this.outbox.now - this.heardAt < this.limit) return this.arm()
    this.giveUp('no member with every right answers any more, and only such a one may rebuild the group')
  }

  /** A view without a sequencer is in force. */
  onNoHeir(): void {
    this.giveUp('the last member with every right has left, and nobody else may number')
  }

  private giveUp(reason: string): void {
    this.end()
    if (this.host.isLeaving()) this.host.leftBehind(reason)
    else this.host.orphaned(reason)
  }
}
