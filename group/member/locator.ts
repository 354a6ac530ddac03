/**
 * Finding a port (design 4.8): CreateGroup must not create a port that lives, JoinGroup must find it, and of
 * several that want to "join or create" at the same moment one creates and the others join.
 *
 * Of two that want to create at the same moment the one with the lower nonce does, and the other is told that
 * the port exists.
 *
 * A candidate asks k times over a time T. The lowest nonce heard creates; whoever hears a lower one only asks
 * on, and answers a higher one so that it hears of the lower. One group comes of it if between every two
 * candidates one question and its answer get through and delays stay below T/2. A candidate that was stalled
 * for longer than T/k begins again, because it may have missed the others.
 *
 * Nobody gives way to a question alone: it may be an old one, recorded and repeated, of a process that is gone. An
 * answer is a question that names the nonce of this life, which nobody could know before; whoever hears a lower nonce
 * asks it by name, and gives way to its answer. While such a one is in doubt, creating waits for k questions more,
 * once: so that a lost answer makes no second group, and whoever repeats old questions gains T at most.
 *
 * Before its call returns, who is about to create asks once more and waits for T/k: of two that have both come so far and
 * meet now, the one with the higher nonce gives up its group, in which nobody is yet, and joins the other.
 */
import type { Counters } from '../../kernel/counters.ts'
import type { Address, Micros, Nonce } from '../../kernel/identity.ts'
import { encodeLocate, type Locate, LocatePurpose } from '../../kernel/meeting-packets.ts'
import type { Outbox } from '../../kernel/outbox.ts'
import { type PacketHeader, PacketKind } from '../../kernel/packet.ts'
import type { Timers } from '../../kernel/timers.ts'

/** Questions of a candidate beyond the k: what meets in this time becomes one group still. */
const LAST_CALLS = 1

/** A candidate that yielded looks for the other's group for so many rounds before it is a candidate again. */
const YIELDED_ROUNDS = 3

const STARTERS_KEPT = 1024

/** Packets to one other starter between two own questions, so that two never answer each other's answers for ever. */
const WORDS_A_ROUND = 3

export interface LocatorHost {
  /** Nobody answered: the port is free, or not there. */
  notFound(): void
  /** Somebody else is creating the port at this moment. */
  outrun(): void
  peers(): readonly Address[]
}

export class Locator {
  private tries = 0
  private yielded = false
  private nextAt: Micros = 0
  private firstAt: Micros = 0
  /** Somebody with a lower nonce was heard, and has not answered. */
  private isInDoubt = false
  /** Others that want this port and have answered. BOUNDED by STARTERS_KEPT. */
  private readonly met = new Set<Nonce>()
  /** Packets to others since the last question to all. BOUNDED by STARTERS_KEPT. */
  private readonly words = new Map<Nonce, number>()
  private readonly minStarters: number
  private readonly port: string
  private readonly how: 'create' | 'join' | 'joinOrCreate'
  private readonly outbox: Outbox
  private readonly timers: Timers
  private readonly options: { nonce: Nonce; tries: number; interval: Micros; useMulticast: boolean }
  private readonly host: LocatorHost
  /** A limit is met. */
  private readonly limited: () => void

  constructor(
    request: { port: string; how: 'create' | 'join' | 'joinOrCreate'; minStarters?: number },
    parts: { outbox: Outbox; timers: Timers; counters: Counters; host: LocatorHost },
    options: { nonce: Nonce; tries: number; interval: Micros; useMulticast: boolean },
  ) {
    this.port = request.port
    this.how = request.how
    this.minStarters = request.how === 'joinOrCreate' ? (request.minStarters ?? 1) : 1
    this.outbox = parts.outbox
    this.timers = parts.timers
    this.host = parts.host
    this.limited = () => parts.counters.limited.starters++
    this.options = options
  }

  start(): void {
    this.ask()
  }

  startLater(): void {
    this.nextAt = this.outbox.now + this.options.interval
    this.timers.set('locate', this.nextAt)
  }

  /** A first idea of the distance, rather too long than too short. */
  get sinceFirst(): Micros {
    return this.outbox.now - this.firstAt
  }

  stop(): void {
    this.timers.stop('locate')
  }

  private get purpose(): LocatePurpose {
    if (this.how === 'create') return LocatePurpose.create
    return this.how === 'join' || this.yielded ? LocatePurpose.join : LocatePurpose.candidate
  }

  private question(to: Nonce = 0n): Uint8Array {
    return this.outbox.packetOf(
      PacketKind.locate,
      0,
      to,
      encodeLocate({ port: this.port, purpose: this.purpose, versions: this.outbox.versions }),
    )
  }

  private ask(): void {
    if (this.tries++ === 0) this.firstAt = this.outbox.now
    this.words.clear()
    if (this.options.useMulticast) this.outbox.multicast(this.question())
    for (const peer of this.host.peers()) this.outbox.unicast(peer, this.question())
    this.nextAt = this.outbox.now + this.options.interval
    this.timers.set('locate', this.nextAt)
  }

  /** The `locate` timer has run out. */
  onTimer(): void {
    const isCandidate = this.purpose === LocatePurpose.candidate
    const stalled = this.outbox.now - this.nextAt > this.options.interval
    if (isCandidate && stalled) {
      this.outbox.trace('candidate-stalled')
      this.tries = 0
    }
    const rounds = this.yielded ? YIELDED_ROUNDS : this.isInDoubt ? 2 : 1
    if (this.tries < this.options.tries * rounds + (isCandidate ? LAST_CALLS : 0)) {
      this.ask()
    } else if (this.yielded) {
      this.yielded = false
      this.isInDoubt = false
      this.tries = 0
      this.ask()
    } else if (this.met.size + 1 < this.minStarters) {
      // a group of one is its own majority: wait until enough have met
      this.tries = 0
      this.ask()
    } else {
      this.host.notFound()
    }
  }

  /** Somebody else, which is no group yet, asks for the same port, in a packet of so many bytes. */
  onRival(from: Address, header: PacketHeader, locate: Locate, bytes: number): void {
    if (locate.purpose === LocatePurpose.inspect) return
    const { senderNonce: nonce } = header
    // it has this life's nonce from a question of this life: it is there now
    const isAnswer = header.destination === this.options.nonce
    const isMet = this.met.has(nonce)
    if (isAnswer && !isMet) this.meet(nonce)
    const rank = this.rankOf(nonce, locate.purpose)
    if (rank === 'before me' && isAnswer) this.giveWay()
    else if (rank === 'before me' && !this.yielded) this.isInDoubt = true
    const concerns = rank !== undefined && !this.yielded && !(rank === 'before me' && isAnswer)
    const isWanted = this.minStarters > 1 && !isAnswer && !isMet
    if (concerns || isWanted) this.tell(from, nonce, WORDS_A_ROUND, bytes)
    // it asks by name: it has to know that this one is there
    else if (isAnswer) this.tell(from, nonce, 1, bytes)
  }

  private meet(nonce: Nonce): void {
    if (this.met.size < STARTERS_KEPT) this.met.add(nonce)
    else this.limited()
  }

  /** Which of two that may create goes first; undefined if they are not two such. */
  private rankOf(nonce: Nonce, purpose: LocatePurpose): 'before me' | 'behind me' | undefined {
    const rivalCreates = purpose === LocatePurpose.create
    if (this.how === 'join' || (!rivalCreates && purpose !== LocatePurpose.candidate)) return undefined
    // who wants to create it in any case goes before who would join as well; else the lower nonce does
    const rivalWins = rivalCreates === (this.how === 'create') ? nonce < this.options.nonce : rivalCreates
    return rivalWins ? 'before me' : 'behind me'
  }

  private giveWay(): void {
    if (this.how === 'create') {
      this.host.outrun()
      return
    }
    if (!this.yielded) this.outbox.trace('candidate-yields')
    this.yielded = true
    this.tries = 0
  }

  /** The own question, by name: to one behind, that there is one before it; to one before, whether it is there. */
  private tell(to: Address, nonce: Nonce, most: number, bytes: number): void {
    const words = this.words.get(nonce) ?? 0
    if (words >= WORDS_A_ROUND) this.limited()
    if (words >= most) return
    const question = this.question(nonce)
    // nobody gains by asking in another's name
    if (question.length > bytes) return
    if (words > 0 || this.words.size < STARTERS_KEPT) this.words.set(nonce, words + 1)
    else this.limited()
    this.outbox.unicast(to, question)
  }
}
