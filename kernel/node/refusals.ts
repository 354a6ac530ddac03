/**
 * Asks the operating system whether anybody listens at an address still (design 4.5): an empty datagram from a
 * connected UDP socket. If its port is closed there, the other system says so (ICMP, "port unreachable"), and
 * a connected socket is told: ECONNREFUSED, by the next send or by a reading. Sockets that are not connected,
 * such as the one that sends everything else, never hear of it.
 *
 * It is a hint. A closed port on this machine is told within a fraction of a millisecond; from other hosts the
 * answer comes where neither a packet filter nor the system's own limit on such answers swallows it; some
 * systems tell it for addresses of their own only. No answer says nothing: whoever listens stays silent, too.
 *
 * A process that has been killed keeps its ports while the system clears its memory away: 6 to 20 ms for a small
 * one, measured on Linux. So a question that is not refused is repeated a few times; it mostly comes too early.
 *
 * An answer speaks of the moment at which it was given. One that this process comes to read late, after a
 * stall, is not told: a successor may have begun at the same address meanwhile.
 */
import type { Socket } from 'node:dgram'
import type { Address, Micros } from '../identity.ts'
import { parseAddress } from './addresses.ts'
import { monotonicClock } from './clock.ts'
import { openSocket } from './socket-options.ts'
import type { RefusedHandler } from './transport.ts'

/** Sockets open at once; the one not used for longest makes room. */
const SOCKETS_MAX = 16
/** Between two questions to one address, however many ask. */
const PACE_MS = 2
/** So many more follow a question that is not refused. */
const REPEATS = 4
/** A socket of which nobody has wanted anything for so long is closed; an answer that is older counts for nothing. */
const IDLE_MS = 1000

const NOTHING = new Uint8Array(0)

interface Question {
  readonly address: Address
  readonly socket: Socket
  /** Who is still to be told. BOUNDED by the machines of this kernel. */
  readonly askers: Set<RefusedHandler>
  /** When the last datagram was sent. */
  askedAt: Micros
  /** Too soon after it for another. */
  isPaced: boolean
  /** Datagrams that may follow without being asked for. */
  repeats: number
  timer: NodeJS.Timeout | undefined
}

export class Refusals {
  private readonly host: string
  private readonly family: 4 | 6
  private readonly now = monotonicClock()
  /** BOUNDED by SOCKETS_MAX. In order of use, the oldest first. */
  private readonly questions = new Map<Address, Question>()
  private isClosed = false

  /** Asks from `host`, an address of this machine, as the packets themselves are sent. */
  constructor(host: string, family: 4 | 6) {
    this.host = host
    this.family = family
  }

  /** Sockets open now. */
  get size(): number {
    return this.questions.size
  }

  /** Calls `refused` if nobody listens at `address`: later, never from within this call, and at most once. */
  check(address: Address, refused: RefusedHandler): void {
    if (this.isClosed) return
    const known = this.questions.get(address)
    if (known !== undefined && this.isLate(known)) this.drop(known)
    const question = this.questions.get(address) ?? this.open(address)
    if (question === undefined) return
    this.questions.delete(address)
    this.questions.set(address, question)
    question.askers.add(refused)
    question.repeats = REPEATS
    if (!question.isPaced) this.ask(question)
  }

  close(): void {
    this.isClosed = true
    for (const question of [...this.questions.values()]) this.drop(question)
  }

  private open(address: Address): Question | undefined {
    let hostPort: ReturnType<typeof parseAddress>
    try {
      hostPort = parseAddress(address)
    } catch {
      // Addresses come from packets; one that is none leads nowhere.
      return undefined
    }
    const socket = openSocket(this.family, false, (error) => this.onError(question, error))
    const question: Question = {
      address,
      socket,
      askers: new Set(),
      askedAt: this.now(),
      isPaced: false,
      repeats: 0,
      timer: undefined,
    }
    for (const oldest of this.questions.values()) {
      if (this.questions.size < SOCKETS_MAX) break
      this.drop(oldest)
    }
    this.questions.set(address, question)
    try {
      // With a lookup that is synchronous all of this is done at once, or has failed at once.
      socket.bind({ address: this.host, port: 0, exclusive: true })
      if (this.isOpen(question)) {
        socket.unref()
        // The system may hand out the very port that is asked about: connected to itself, it refuses nothing.
        if (socket.address().port === hostPort.port) this.drop(question)
        else socket.connect(hostPort.port, hostPort.host)
      }
    } catch {
      this.drop(question)
    }
    return this.isOpen(question) ? question : undefined
  }

  private isOpen(question: Question): boolean {
    return this.questions.get(question.address) === question
  }

  private isLate(question: Question): boolean {
    return this.now() - question.askedAt > IDLE_MS * 1000
  }

  private ask(question: Question): void {
    question.askedAt = this.now()
    question.isPaced = true
    this.wait(question, PACE_MS, () => this.onPaced(question))
    try {
      question.socket.send(NOTHING, (error) => {
        if (error !== null) this.onError(question, error)
      })
    } catch {
      // A socket that could not be connected knows of no destination.
      this.drop(question)
    }
  }

  private onPaced(question: Question): void {
    question.isPaced = false
    if (this.isLate(question)) {
      this.drop(question)
    } else if (question.repeats > 0 && question.askers.size > 0) {
      question.repeats--
      this.ask(question)
    } else {
      this.wait(question, IDLE_MS, () => this.drop(question))
    }
  }

  /** One timer a question, which never keeps the process alive. */
  private wait(question: Question, ms: number, callback: () => void): void {
    clearTimeout(question.timer)
    question.timer = setTimeout(callback, ms).unref()
  }

  private onError(question: Question, error: NodeJS.ErrnoException): void {
    if (!this.isOpen(question)) return
    if (error.code !== 'ECONNREFUSED' || this.isLate(question)) {
      // No way there, no such address, no sockets left: that says nothing about whoever is asked about.
      this.drop(question)
      return
    }
    const told = [...question.askers]
    question.askers.clear()
    for (const refused of told) refused(question.address)
  }

  private drop(question: Question): void {
    if (!this.isOpen(question)) return
    this.questions.delete(question.address)
    clearTimeout(question.timer)
    question.askers.clear()
    question.socket.close()
  }
}
