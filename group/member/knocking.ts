/**
 * Where the questions of one call that opens go, and how long it is kept waiting. An answer to `locate` says where the
 * sequencer is, and who has no key can forge one: whatever address it names is written to. So an address that has never
 * answered gets as many questions as it takes to give it up, and one more each time that the group is looked for again;
 * there are few such addresses; and what is asked because a packet has asked for it is rationed, wherever it goes.
 * (Before, a flood of forged refusals had a question sent for each, for as long as it went on.)
 *
 * A sequencer behind address translation may answer from elsewhere than it says it is: then it is asked there.
 */
import { Allowance } from '../../kernel/allowance.ts'
import type { Counters } from '../../kernel/counters.ts'
import type { Address, Micros } from '../../kernel/identity.ts'

/** Addresses that one call asks. */
const ADDRESSES_MAX = 8
/** Questions that a packet has asked for: so many at once, and one more each so many microseconds. */
const PROMPTED_AT_ONCE = 8
const PROMPTED_EVERY: Micros = 1_000_000
/** Sequencers that say that another one is. */
const REDIRECTS_MAX = 8

/** Why a sequencer has a joiner wait. */
export type WaitingWord = 'busy' | 'deciding' | 'heldUp'

/** For so long at least a call goes by each, whoever says it: with no end, somebody who repeats it would be waited for for ever. */
const leastPatience: Readonly<Record<WaitingWord, Micros>> = {
  busy: 30_000_000,
  deciding: 30_000_000,
  // a program, or a person, resets the group by then or not at all (entering.ts)
  heldUp: 10_000_000,
}

/**
 * Where packets take long so does everything that is waited for: as long as it takes so many times to suspect a member, if
 * that is more. (Of sixty that joined at once, over 200 ms with every third packet lost, a fifth were told that the group was
 * too busy, while it let in one after the other.)
 */
const PATIENCES = 4

export interface KnockingOptions {
  /** Questions that an address gets before it has answered, one more in each later round. */
  readonly tries: number
  /** How long it takes to suspect a member that does not answer. */
  readonly patience: Micros
}

interface Door {
  knocks: number
  /** The last round in which it was asked. */
  round: number
  /** A packet has come from there. */
  isOpen: boolean
}

export class Knocking {
  /** BOUNDED by ADDRESSES_MAX. */
  private readonly doors = new Map<Address, Door>()
  private readonly prompted = new Allowance(PROMPTED_AT_ONCE, PROMPTED_EVERY)
  private readonly waitingSince = new Map<WaitingWord, Micros>()
  private redirects = 0
  private round = 0
  private readonly options: KnockingOptions
  private readonly counters: Counters

  constructor(options: KnockingOptions, counters: Counters) {
    this.options = options
    this.counters = counters
  }

  /** The group is looked for again. */
  nextRound(): void {
    this.round++
  }

  /** Where to send one question: to the address named, or else to where an answer has come from; undefined for nowhere. */
  where(named: Address, answeredFrom?: Address): Address | undefined {
    const door = this.doors.get(named) ?? this.found(named)
    if (door !== undefined && (door.isOpen || door.knocks < this.options.tries || door.round < this.round)) {
      door.knocks++
      door.round = this.round
      return named
    }
    this.counters.limited.joins++
    return answeredFrom
  }

  private found(address: Address): Door | undefined {
    if (this.doors.size >= ADDRESSES_MAX) return undefined
    const door = { knocks: 0, round: this.round, isOpen: false }
    this.doors.set(address, door)
    return door
  }

  /** An answer has come from this address. */
  answered(from: Address): void {
    const door = this.doors.get(from)
    if (door !== undefined) door.isOpen = true
  }

  /** Whether a question may go out because a packet has asked for it, and not because it was time. */
  mayFollow(now: Micros): boolean {
    if (this.prompted.take(now)) return true
    this.counters.limited.joins++
    return false
  }

  /** Whether another sequencer may be asked because the last one says so. */
  mayRedirect(): boolean {
    if (this.redirects < REDIRECTS_MAX) {
      this.redirects++
      return true
    }
    this.counters.limited.joins++
    return false
  }

  /** How long this call goes by that word. */
  patienceWith(word: WaitingWord): Micros {
    return Math.max(leastPatience[word], PATIENCES * this.options.patience)
  }

  /** A sequencer has this call wait. False if it has waited long enough. */
  mayWait(word: WaitingWord, now: Micros): boolean {
    // what was waited for then has been there since, or is waited for no more; the other words have their own end
    if (word !== 'heldUp') this.waitingSince.delete('heldUp')
    const since = this.waitingSince.get(word) ?? now
    this.waitingSince.set(word, since)
    return now - since < this.patienceWith(word)
  }
}
