/**
 * Who watches whom while nothing else is to be said (design 4.5): members watch the sequencer, the sequencer
 * watches the members; nobody watches everybody. One that has been quiet for long is probed, and each probe
 * without an answer is a try.
 */
import type { MemberId, Micros } from '../kernel/identity.ts'
import type { Outbox } from '../kernel/outbox.ts'
import type { RoundTrips } from '../kernel/rtt.ts'
import type { Timers } from '../kernel/timers.ts'
import type { Member } from '../kernel/view.ts'
import type { Probes } from './probes.ts'

export interface WatchHost {
  /** For how long one may be quiet. */
  quiet(): Micros
  watched(): readonly Member[]
  lastHeard(id: MemberId): Micros
  /** One more try. */
  asked(member: Member): void
}

export class Watch {
  private tries = 0
  private readonly parts: {
    outbox: Outbox
    timers: Timers
    roundTrips: RoundTrips
    probes: Probes
    host: WatchHost
  }

  constructor(parts: Watch['parts']) {
    this.parts = parts
  }

  arm(): void {
    const { outbox, timers, host } = this.parts
    timers.set('watch', outbox.now + host.quiet())
  }

  onTimer(): void {
    const { outbox, timers, roundTrips, probes, host } = this.parts
    const { now } = outbox
    const quiet = host.quiet()
    let next = now + quiet
    let isAnyQuiet = false
    for (const member of host.watched()) {
      const quietAt = host.lastHeard(member.id) + quiet
      if (now < quietAt) {
        next = Math.min(next, quietAt)
        continue
      }
      isAnyQuiet = true
      probes.send(member)
      host.asked(member)
    }
    this.tries = isAnyQuiet ? this.tries + 1 : 0
    if (isAnyQuiet) next = Math.min(next, now + roundTrips.timeout(this.tries - 1))
    timers.set('watch', Math.max(next, now + 1))
  }
}
