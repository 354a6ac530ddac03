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

const numbers = Object.fromEntries(names.map((name, number) => [name, number])) as Record<TimerName, number>
/** A deadline that is not set. */
const NEVER = Number.POSITIVE_INFINITY

export class Timers {
  /** By the place of their names in the list above. */
  private readonly deadlines = new Float64Array(names.length).fill(NEVER)
  /** No later than the earliest of them, and just that if it is known; asked for before and after every step. */
  private earliest: Micros = NEVER
  private isKnown = true

  set(name: TimerName, at: Micros): void {
    const number = numbers[name]
    if (this.deadlines[number] === this.earliest) this.isKnown = false
    this.deadlines[number] = at
    if (at > this.earliest) return
    this.earliest = at
    this.isKnown = true
  }

  /** Sets the deadline only if it is earlier than the one that stands. */
  setEarlier(name: TimerName, at: Micros): void {
    if (at < this.deadlines[numbers[name]]!) this.set(name, at)
  }

  stop(name: TimerName): void {
    const number = numbers[name]
    const before = this.deadlines[number]!
    if (before === NEVER) return
    this.deadlines[number] = NEVER
    if (before === this.earliest) this.isKnown = false
  }

  isSet(name: TimerName): boolean {
    return this.deadlines[numbers[name]] !== NEVER
  }

  next(): Micros | undefined {
    if (!this.isKnown) {
      this.isKnown = true
      const { deadlines } = this
      let earliest = NEVER
      for (let number = 0; number < deadlines.length; number++) {
        if (deadlines[number]! < earliest) earliest = deadlines[number]!
      }
      this.earliest = earliest
    }
    return this.earliest === NEVER ? undefined : this.earliest
  }

  /** Takes one deadline that has passed off the table, in the order of the list above. */
  takeExpired(now: Micros): TimerName | undefined {
    const next = this.next()
    if (next === undefined || next > now) return undefined
    const name = names[this.deadlines.findIndex((at) => at <= now)]
    if (name !== undefined) this.stop(name)
    return name
  }

  clear(): void {
    this.deadlines.fill(NEVER)
    this.earliest = NEVER
    this.isKnown = true
  }
}
