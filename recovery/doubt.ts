/**
 * Self-doubt after a stall (design 4.5, 4.7). A process that was stopped for longer than half the suspicion
 * time may be out of its group and not know it: it delivers nothing, sends nothing and accuses nobody until a
 * fresh probe is answered. What lies in its socket's buffer is no answer to that.
 *
 * A member is content with the answer of one fellow; the sequencer, who would accept by itself, needs so many
 * that no new view can have been made without them.
 */
import type { MemberId, Micros } from '../kernel/identity.ts'
import type { Outbox } from '../kernel/outbox.ts'
import type { RoundTrips } from '../kernel/rtt.ts'
import type { Timers } from '../kernel/timers.ts'
import { type Member, majorityOf, type View } from '../kernel/view.ts'
import type { Probes } from './probes.ts'

export interface DoubtHost {
  view(): View
  others(): readonly Member[]
  isSequencer(): boolean
  /** It is over: what was held back goes on. */
  resolved(): void
}

export class Doubt {
  isDoubting = false
  private tries = 0
  private since: Micros = 0
  /** Who has answered a fresh probe. BOUNDED by the view. */
  private readonly answered = new Set<MemberId>()
  private readonly parts: {
    outbox: Outbox
    timers: Timers
    roundTrips: RoundTrips
    probes: Probes
    host: DoubtHost
  }
  private readonly triesAllowed: number

  constructor(
    parts: { outbox: Outbox; timers: Timers; roundTrips: RoundTrips; probes: Probes; host: DoubtHost },
    options: { tries: number },
  ) {
    this.parts = parts
    this.triesAllowed = options.tries
  }

  /** This process has stood still for too long. */
  begin(stalled: Micros): void {
    const { outbox, probes, host } = this.parts
    outbox.trace('stalled', { micros: stalled })
    if (host.others().length === 0) return
    this.isDoubting = true
    this.tries = 0
    this.since = outbox.now
    this.answered.clear()
    probes.renew()
    this.ask()
  }

  private ask(): void {
    const { outbox, timers, roundTrips, probes, host } = this.parts
    for (const member of host.others()) if (!this.answered.has(member.id)) probes.send(member)
    timers.set('doubt', outbox.now + roundTrips.timeout(this.tries++))
  }

  /** Nobody answers at all: that is for the suspicion to deal with. */
  onTimer(): void {
    if (!this.isDoubting) return
    if (this.tries > this.triesAllowed) this.end()
    else this.ask()
  }

  onAnswer(from: MemberId, cookie: number): void {
    if (!this.isDoubting || cookie !== this.parts.probes.newest) return
    this.answered.add(from)
    const { host } = this.parts
    const needed = host.isSequencer() ? majorityOf(host.view()) - 1 : 1
    if (this.answered.size >= needed) this.end()
  }

  /** Also when the group has gone on in a new view. */
  end(): void {
    if (!this.isDoubting) return
    this.isDoubting = false
    this.parts.timers.stop('doubt')
    this.parts.outbox.trace('doubt-resolved', { micros: this.parts.outbox.now - this.since })
    this.parts.host.resolved()
  }
}
