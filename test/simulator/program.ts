/**
 * The simulated program above one machine: sends what its plan says, takes deliveries at its own pace, gives
 * some sends up, leaves. All dice are its own, so that one program's doings do not shift another's.
 */
import { ErrorCode, type OpenFailure } from '../../kernel/errors.ts'
import type { Micros, Seq } from '../../kernel/identity.ts'
import { completeParameters, type GroupParameters } from '../../kernel/parameters.ts'
import type { Call, Output } from '../../kernel/port.ts'
import type { Prng } from '../../kernel/prng.ts'
import type { EventQueue } from './event-queue.ts'
import type { RunOptions } from './options.ts'
import { tagged } from './tag.ts'

export interface ProgramPlan {
  readonly how: 'create' | 'join' | 'joinOrCreate'
  readonly sends: number
  /** When it calls leave, if it ever does; a program that has not joined by then leaves as soon as it has. */
  readonly leaveAt: Micros | undefined
  readonly isSlow: boolean
}

export interface ProgramHost {
  call(call: Call): void
  /** The machine's life is over, or never began: `code` says why; undefined after a leave. */
  ended(code: ErrorCode | undefined, openFailure?: OpenFailure): void
  joined(): void
}

export const PORT = 'simulated'
const OPEN_TOKEN = -1
const LEAVE_TOKEN = -2
/** Each reset has a token of its own, falling from here. */
const RESET_TOKENS = -10
/** A group that needs a reset is still sent to, now and then. */
const STUCK_GAP: Micros = 100_000
const RESET_DELAY: Micros = 50_000
/** Resets that fail are tried again, after so long at first, doubled up to so long. */
const RESET_BACKOFF: Micros = 10_000
const RESET_BACKOFF_MOST: Micros = 500_000

export class Program {
  /** Whether it has done all that its plan says. */
  get isDone(): boolean {
    return (
      this.isOver ||
      (this.hasJoined &&
        this.unsent === 0 &&
        !this.isResetDue &&
        (this.plan.leaveAt === undefined || this.isLeaving))
    )
  }

  private readonly life: number
  private readonly mayReset: boolean
  private readonly plan: ProgramPlan
  private readonly queue: EventQueue
  private readonly prng: Prng
  private readonly options: RunOptions
  private readonly host: ProgramHost
  private hasJoined = false
  private isLeaving = false
  private isLeaveFailed = false
  private isOver = false
  private isHealed = false
  private unsent: number
  private unanswered = 0
  private nextToken = 1
  private counter = 0
  private isSendDue = false
  private delivered: Seq = 0
  private taken: Seq = 0
  private isTakeDue = false
  private pausedUntil: Micros
  private readonly faultPrng: Prng
  private nextReset = RESET_TOKENS
  private isResetDue = false
  private hasResetOpen = false
  private resetsFailed = 0
  /** A send has failed with ERR_MEMBER_FAILED, and nothing has been reset since. */
  private isStuck = false

  constructor(parts: {
    life: number
    mayReset: boolean
    plan: ProgramPlan
    queue: EventQueue
    prng: Prng
    /** For resets, so that all else is as without them. */
    faultPrng: Prng
    options: RunOptions
    host: ProgramHost
  }) {
    this.faultPrng = parts.faultPrng
    this.life = parts.life
    this.mayReset = parts.mayReset
    this.plan = parts.plan
    this.queue = parts.queue
    this.prng = parts.prng
    this.options = parts.options
    this.host = parts.host
    this.unsent = parts.plan.sends
    this.pausedUntil = 0
  }

  open(parameters: GroupParameters): void {
    const header = this.bytes(this.prng.below(20))
    this.host.call({ call: 'open', token: OPEN_TOKEN, how: this.plan.how, port: PORT, parameters, header })
  }

  /** From now on it takes everything at once. */
  heal(): void {
    this.isHealed = true
    this.take()
  }

  onOutput(output: Output): void {
    switch (output.output) {
      case 'joined':
        return this.onJoined(output.view.seq)
      case 'sent':
        this.unanswered -= output.count
        return this.sendSoon()
      case 'failed':
        if (output.token === OPEN_TOKEN) return this.end(output.code, output.openFailure)
        return this.onFailed(output.token, output.code)
      case 'reset':
        this.hasResetOpen = false
        return this.onReset()
      case 'deliveries': {
        if (output.deliveries.some(({ kind }) => kind === 'reset')) this.onReset()
        const last = output.deliveries.at(-1)!
        this.delivered = last.kind === 'messages' ? last.seq + last.count - 1 : last.seq
        return this.takeSoon()
      }
      case 'event':
        if (output.event.event === 'closed') this.end(output.event.code)
        if ((output.event.event === 'suspect' || output.event.event === 'stopped') && this.heeds)
          this.resetSoon(RESET_DELAY)
        return
      default:
        return
    }
  }

  private onFailed(token: number, code: ErrorCode): void {
    if (token <= RESET_TOKENS) {
      this.hasResetOpen = false
      this.resetsFailed++
      if (this.heeds) this.resetSoon(Math.min(RESET_BACKOFF_MOST, RESET_BACKOFF * 2 ** this.resetsFailed))
      return
    }
    if (token === LEAVE_TOKEN) {
      // it leaves once the group has been reset
      this.isLeaving = false
      this.isLeaveFailed = true
    } else this.unanswered--
    if (code === ErrorCode.memberFailed) {
      this.isStuck = true
      if (this.heeds) this.resetSoon(RESET_DELAY)
    }
    this.sendSoon()
  }

  // ---- resets -----------------------------------------------------------------------------------------

  /** Whether it asks for a reset when it is told that somebody is suspect. */
  private get heeds(): boolean {
    return this.options.recovery === 'manual' && !this.options.heedless
  }

  private resetSoon(within: Micros): void {
    if (this.isResetDue || this.hasResetOpen || this.isOver || !this.mayReset) return
    this.isResetDue = true
    this.queue.after(this.faultPrng.below(within + 1), () => {
      this.isResetDue = false
      if (!this.isOver && this.hasJoined && !this.hasResetOpen) this.reset()
    })
  }

  private reset(): void {
    const prng = this.faultPrng
    const asksMore = !this.isHealed && prng.chance(1, 10)
    const minMembers = asksMore ? prng.between(1, this.options.members) : 1
    const header = new Uint8Array(prng.below(20)).fill(prng.below(256))
    this.hasResetOpen = true
    this.host.call({ call: 'reset', token: this.nextReset--, minMembers, header })
  }

  private onReset(): void {
    this.resetsFailed = 0
    this.isStuck = false
    if (this.isLeaveFailed) {
      this.isLeaveFailed = false
      this.leave()
    } else this.sendSoon()
  }

  private onJoined(seq: Seq): void {
    this.hasJoined = true
    this.delivered = this.taken = seq
    this.host.joined()
    const { leaveAt, isSlow } = this.plan
    if (isSlow && this.options.pause > 0) {
      this.queue.after(this.prng.below(this.options.healAt), () => {
        this.pausedUntil = this.queue.now + this.options.pause
      })
    }
    if (this.options.resets > 0 && this.faultPrng.unit() < this.options.resets)
      this.resetSoon(this.options.healAt)
    this.sendSoon()
    if (leaveAt !== undefined) this.queue.at(Math.max(this.queue.now, leaveAt), () => this.leave())
  }

  /** Its process is no more. */
  stop(): void {
    this.isOver = true
  }

  private end(code: ErrorCode | undefined, openFailure?: OpenFailure): void {
    if (this.isOver) return
    this.isOver = true
    this.host.ended(code, openFailure)
  }

  private leave(): void {
    if (this.isOver) return
    this.isLeaving = true
    this.unsent = 0
    this.host.call({ call: 'leave', token: LEAVE_TOKEN, header: this.bytes(this.prng.below(20)) })
  }

  // ---- sending ----------------------------------------------------------------------------------------

  private get mayGo(): boolean {
    if (this.isOver || this.isLeaving || !this.hasJoined || this.unsent === 0) return false
    return this.options.outstanding === 0 || this.unanswered < this.options.outstanding
  }

  private sendSoon(): void {
    if (this.isSendDue || !this.mayGo) return
    this.isSendDue = true
    // the next of a stream of sends that wait for answers goes at once
    const gap = this.isStuck
      ? STUCK_GAP
      : this.options.outstanding > 0 && this.prng.chance(1, 2)
        ? 0
        : this.prng.below(2 * this.options.sendGap + 1)
    this.queue.after(gap, () => {
      this.isSendDue = false
      if (this.mayGo) this.sendSome()
      this.sendSoon()
    })
  }

  private sendSome(): void {
    const { prng, options } = this
    const room = options.outstanding === 0 ? this.unsent : options.outstanding - this.unanswered
    const count = Math.min(this.unsent, room, prng.between(1, options.burst))
    const first = this.nextToken
    this.unsent -= count
    if (count > 1 && prng.unit() < options.sendMany) {
      const bodies = Array.from({ length: count }, () => this.message(8, 0).body)
      this.unanswered += count
      this.nextToken += count
      this.host.call({ call: 'sendMany', token: first, channel: 0, bodies })
    } else {
      for (let i = 0; i < count && !this.isOver; i++) {
        const { header, body } = this.message(0, prng.chance(1, 4) ? 16 : 0)
        this.unanswered++
        this.host.call({ call: 'send', token: this.nextToken++, channel: 0, header, body })
      }
    }
    for (let token = first; token < this.nextToken; token++)
      if (prng.unit() < options.cancels) this.cancel(token)
  }

  private cancel(token: number): void {
    const { delay } = this.options
    this.queue.after(this.prng.chance(1, 2) ? 0 : this.prng.below(4 * delay), () =>
      this.host.call({ call: 'cancel', token }),
    )
  }

  /** The next message: mostly small, now and then as large as the group allows, or too large. */
  private message(minBytes: number, headerMost: number): { header: Uint8Array; body: Uint8Array } {
    const { prng, options } = this
    const tag = { life: this.life, counter: this.counter++ }
    const limit = options.maxMessageSize
    if (prng.unit() < options.oversized) return tagged(tag, 0, limit + prng.between(1, 20))
    const headerBytes = Math.min(prng.below(headerMost + 1), limit - 16)
    const usual = options.large > 0 && prng.unit() >= options.large ? options.packetSize / 4 : limit
    const size = prng.chance(1, 10) ? usual : Math.round(usual * prng.unit() ** 4)
    // a body too short for its tag has it in the header
    return tagged(
      tag,
      headerBytes,
      Math.max(minBytes, Math.min(size, limit - headerBytes - (size < 16 ? 8 : 0))),
    )
  }

  private bytes(length: number): Uint8Array {
    return new Uint8Array(length).fill(this.prng.u32() & 0xff)
  }

  // ---- taking -----------------------------------------------------------------------------------------

  private takeSoon(): void {
    if (!this.plan.isSlow || this.isHealed) return this.take()
    if (this.isTakeDue || this.delivered === this.taken) return
    this.isTakeDue = true
    const delay = this.prng.below(2 * this.options.takeDelay + 1)
    this.queue.at(Math.max(this.queue.now + delay, this.pausedUntil), () => {
      this.isTakeDue = false
      this.take()
      this.takeSoon()
    })
  }

  private take(): void {
    if (this.isOver || this.delivered === this.taken) return
    const isSome = !this.isHealed && this.plan.isSlow && this.prng.chance(1, 2)
    this.taken = isSome ? this.prng.between(this.taken + 1, this.delivered) : this.delivered
    this.host.call({ call: 'taken', seq: this.taken })
  }
}

export function parametersOf(options: RunOptions): GroupParameters {
  const { resilience, minMembers, recovery } = options
  const { maxMembers, historySize, historyBytes, maxMessageSize } = options
  return completeParameters({
    resilience,
    minMembers,
    recovery,
    maxMembers,
    historySize,
    historyBytes,
    maxMessageSize,
  })
}
