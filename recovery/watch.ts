/**
 * Who watches whom (design 4.5): members watch the sequencer, the sequencer watches the members; nobody watches
 * everybody. One that has been quiet for long is probed, and each probe without an answer is a try. Whoever has
 * been asked for something and has not answered in time is probed at once, at the pace of suspicion: what it was
 * asked is repeated ever more slowly.
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
  /** Asked in vain, and not suspect yet, whoever they are. */
  inQuestion(): readonly Member[]
  lastHeard(id: MemberId): Micros
  nextTryAt(id: MemberId): Micros
  /** Not while this member doubts itself: it has other probes out then, and accuses nobody. */
  mayAsk(): boolean
  /** One more try. */
  asked(member: Member): void
}

export class Watch {
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

  /** One who has just been asked for something is asked again when that can have been answered. */
  hasten({ id }: Member): void {
    this.parts.timers.setEarlier('watch', this.parts.host.nextTryAt(id))
  }

  onTimer(): void {
    const { outbox, timers, roundTrips, probes, host } = this.parts
    const { now } = outbox
    const quiet = host.quiet()
    const due = new Map(host.inQuestion().map((member) => [member.nonce, member]))
    let next = now + quiet
    for (const member of host.watched()) {
      const quietAt = host.lastHeard(member.id) + quiet
      if (now < quietAt) next = Math.min(next, quietAt)
      else due.set(member.nonce, member)
    }
    for (const member of due.values()) {
      if (now >= host.nextTryAt(member.id) && host.mayAsk()) {
        probes.send(member)
        host.asked(member)
      }
      next = Math.min(next, Math.max(host.nextTryAt(member.id), now + roundTrips.timeout(0)))
    }
    timers.set('watch', Math.max(next, now + 1))
  }
}
