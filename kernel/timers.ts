/**
 * Named deadlines in one table; the caller owns the one real timer. Each belongs to one part, which acts when it has run
 * out; who sets and stops it is told here.
 */
import type { Micros } from './identity.ts'

const names = [
  /** Something waits for the end of this turn of the loop: requests, numbering. Set by whoever brings it. */
  'flush',
  /** The oldest request on its way has had no answer. Set by the sender, stopped when nothing is on its way. */
  'request',
  /** A gap is known. Set by gaps, stopped when nothing is missing, and by who takes the office. */
  'gap',
  /** What is held and taken has not been reported. Set by reports, and for a new key; stopped by any packet to the sequencer. */
  'report',
  /** The idle sequencer repeats its highest seq. Set by every broadcast. */
  'heartbeat',
  /** The sequencer waits for acks of something tentative, or for room. Set and stopped by the sequencer. */
  'acks',
  /** The next question for a port. Set and stopped by the locator. */
  'locate',
  /** The next join request. Set and stopped by the joiner. */
  'join',
  /** A stream has unacknowledged bytes. Set and stopped by streams. */
  'stream',
  /** The own join is not accepted yet. Set by entering, stopped by the membership. */
  'entering',
  /** The program holds up its own send. Set and stopped by the hold-up. */
  'stall',
  /** A leaver whose leave is ordered asks whether it is accepted. Set and stopped by the leaver. */
  'leave',
  /** The next look at a reset under way, or the next attempt. Set and stopped by the recovery. */
  'recovery',
  /** Who accuses the sequencer waits for what the others say. Set and stopped by the inquiry. */
  'inquiry',
  /** Members that are quiet for long are probed. Set by the watch. */
  'watch',
  /** After a stall: the next probe. Set and stopped by the doubt. */
  'doubt',
  /** The sequencer's next question for other groups on its port. Set by the lookout. */
  'lookout',
  /** How long a member that may not rebuild its group waits for one that may. Set and stopped by the patrons. */
  'patrons',
] as const
export type TimerName = (typeof names)[number]

export class Timers {
  private readonly deadlines = new Map<TimerName, Micros>()
  /** The earliest of them; asked for after every step, and seldom another one. */
  private earliest: Micros | undefined
  private isKnown = true

  set(name: TimerName, at: Micros): void {
    const before = this.deadlines.get(name)
    this.deadlines.set(name, at)
    if (!this.isKnown) return
    if (this.earliest === undefined || at <= this.earliest) this.earliest = at
    else if (before === this.earliest) this.isKnown = false
  }

  /** Sets the deadline only if it is earlier than the one that stands. */
  setEarlier(name: TimerName, at: Micros): void {
    const standing = this.deadlines.get(name)
    if (standing === undefined || at < standing) this.set(name, at)
  }

  stop(name: TimerName): void {
    const before = this.deadlines.get(name)
    if (before === undefined) return
    this.deadlines.delete(name)
    if (before === this.earliest) this.isKnown = false
  }

  isSet(name: TimerName): boolean {
    return this.deadlines.has(name)
  }

  next(): Micros | undefined {
    if (!this.isKnown) {
      this.isKnown = true
      this.earliest = undefined
      for (const at of this.deadlines.values()) {
        if (this.earliest === undefined || at < this.earliest) this.earliest = at
      }
    }
    return this.earliest
  }

  /** Takes one deadline that has passed off the table, in the order of the list above. */
  takeExpired(now: Micros): TimerName | undefined {
    const next = this.next()
    if (next === undefined || next > now) return undefined
    for (const name of names) {
      const at = this.deadlines.get(name)
      if (at !== undefined && at <= now) {
        this.stop(name)
        return name
      }
    }
    return undefined
  }

  clear(): void {
    this.deadlines.clear()
    this.isKnown = false
  }
}
