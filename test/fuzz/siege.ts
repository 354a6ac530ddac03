/**
 * A group of three at work while somebody writes to its members what looks like packets of the group: the header names the
 * group, the incarnation and the coordinator; the body was a real one of that kind once, of this very group or another, and
 * lies about something. In virtual time, from a seed.
 */
import { writeU53, writeU64 } from '../../kernel/bytes.ts'
import type { MemberId, Nonce } from '../../kernel/identity.ts'
import {
  DESTINATION_AT,
  FLAGS_AT,
  HEADER_BYTES,
  PacketKind,
  packetKindNames,
  RECEIVED_AT,
  readHeader,
  TAKEN_AT,
} from '../../kernel/packet.ts'
import { Prng } from '../../kernel/prng.ts'
import { GroupOf, type Passing, type Seat } from '../protocol/group-of.ts'
import type { Corpus } from './corpus.ts'
import { mutate } from './mutate.ts'
import { type Size, sizeOf } from './size.ts'

/** Who writes: nobody of the group; one who has left it; one who is in it. */
export type Attacker = 'stranger' | 'former' | 'member'

/** Looks at what volleys have reached, and keeps those that got somewhere new. */
export interface Guide {
  onVolley(packets: readonly Uint8Array[]): void
  samplesOf(kind: PacketKind): readonly Uint8Array[]
}

export interface SiegeCounts {
  /** Packets handed to machines. */
  packets: number
  /** Groups that were besieged; a group that its own member has brought down is followed by another. */
  groups: number
  /** Sends of the group that were ordered meanwhile. */
  ordered: number
  /** Groups that members with lies have brought to a reset, or that lost members by it. */
  disturbed: number
  largest: Size
}

const KIB = 1024
const MEMBERS = 3
/** Packets between two moments of work. */
const VOLLEY = 40
const LIVE_KEPT = 8
const SENDS_PER_GROUP = 50
const PARAMETERS = { historySize: 256, historyBytes: 256 * KIB, maxMessageSize: 64 * KIB, resilience: 1 }
const PACKET_SIZE = 1400
/**
 * What a machine of such a group may reach. Bytes: history and early entries, the assemblies and queues of each member,
 * streams of each member, the buffers of packets. Things: the entries of all these.
 */
export const BYTES_MAX = 48 * KIB * KIB
export const THINGS_MAX = 400_000
/** In virtual time; a send of a healthy group is back long before. */
const PATIENCE_MS = 30_000

const kinds = packetKindNames.flatMap((name, kind) => (name === undefined ? [] : [kind as PacketKind]))
/** Kinds by which a process that claims to be a later member speaks for the group; SECURITY.md says why. */
const WORD_OF_A_LATER_VIEW: readonly number[] = [PacketKind.invite, PacketKind.expelled]
const HARMLESS_EVENTS = ['split']

export class Siege {
  readonly counts: SiegeCounts = {
    packets: 0,
    groups: 0,
    ordered: 0,
    disturbed: 0,
    largest: { things: 0, bytes: 0 },
  }
  private readonly attacker: Attacker
  private readonly corpus: Corpus
  private readonly seed: number
  private readonly prng: Prng
  private group!: GroupOf
  private members: Seat[] = []
  private former!: Seat
  /** Packets of this very group, by kind. */
  private live: Uint8Array[][] = []
  private sends = 0
  /** What it writes to this group: with all kinds at once the first that does harm would hide the others. */
  private kinds: readonly PacketKind[] = kinds
  private readonly only: PacketKind | undefined
  private readonly guide: Guide | undefined

  constructor(attacker: Attacker, corpus: Corpus, seed: number, only?: PacketKind, guide?: Guide) {
    this.attacker = attacker
    this.corpus = corpus
    this.seed = seed
    this.only = only
    this.guide = guide
    this.prng = new Prng(seed)
    this.begin()
  }

  /** Hands over at least so many packets; throws an error that names seed and packet at the first that does harm. */
  run(packets: number): SiegeCounts {
    const end = this.counts.packets + packets
    while (this.counts.packets < end) {
      this.volley()
      this.work()
      if (this.counts.packets % (VOLLEY * 25) === 0) this.measure()
      const isBroken = this.attacker === 'member' && this.isBroken()
      if (isBroken) this.counts.disturbed++
      // an old group is what its liar has made of it: a fresh one has more to lose
      if (!isBroken && (this.attacker !== 'member' || this.sends % SENDS_PER_GROUP !== 0)) continue
      this.measure()
      this.begin()
    }
    this.measure()
    return this.counts
  }

  private begin(): void {
    const group = new GroupOf({ parameters: PARAMETERS, member: { packetSize: PACKET_SIZE } })
    this.group = group
    this.live = []
    group.isLost = (packet) => {
      this.remember(packet)
      return false
    }
    const seats = Array.from({ length: MEMBERS + 1 }, () => group.add())
    this.former = seats[1]!
    this.members = seats.filter((seat) => seat !== this.former)
    for (const seat of seats) seat.send(50)
    group.until(() => seats.every(({ unanswered }) => unanswered === 0), 'the first sends have returned')
    this.former.leave()
    group.until(() => this.former.hasLeft, 'one has left')
    group.settle()
    this.counts.groups++
    const { prng } = this
    const some = Array.from({ length: 1 + prng.below(4) }, () => prng.pick(kinds))
    this.kinds = this.only === undefined ? some : [this.only]
    if (this.only === undefined && this.attacker !== 'member') this.kinds = kinds
  }

  private remember({ header, bytes }: Passing): void {
    const packets = this.live[header.kind] ?? []
    this.live[header.kind] = packets
    if (packets.length < LIVE_KEPT) packets.push(bytes.slice())
    else if (this.prng.chance(1, 8)) packets[this.prng.below(LIVE_KEPT)] = bytes.slice()
  }

  // ---- the attacker -----------------------------------------------------------------------------------

  private volley(): void {
    const packets: Uint8Array[] = []
    for (let i = 0; i < VOLLEY; i++) {
      const target = this.prng.pick(this.members)
      const packet = this.forge(target)
      if (this.guide !== undefined) packets.push(packet.slice())
      this.counts.packets++
      const from = this.attacker === 'stranger' ? '10.9.9.9:9' : this.self(target).address
      try {
        target.input({ kind: 'packet', from, bytes: packet })
        if (this.prng.chance(1, 10)) this.group.advance(0.2)
      } catch (error) {
        throw this.failure(error, packet)
      }
    }
    this.guide?.onVolley(packets)
  }

  /** Whose name the attacker bears; nobody writes to itself. */
  private self(target: Seat): Seat {
    if (this.attacker === 'former') return this.former
    return this.members.find((seat) => seat !== target)!
  }

  private forge(target: Seat): Uint8Array {
    const { prng } = this
    const kind = prng.pick(this.kinds)
    const bytes = this.bodyOf(kind)
    const { view } = target
    const { sender, nonce } = this.bearer(target, kind)
    bytes[2] = kind
    if (prng.chance(1, 3)) bytes[FLAGS_AT] = prng.below(8)
    if (prng.chance(19, 20)) {
      writeU64(bytes, 8, view.groupId)
      writeU53(bytes, 16, view.incarnation)
      writeU53(bytes, 24, view.coordinator)
    }
    writeU53(bytes, 32, sender)
    writeU64(bytes, 40, nonce)
    writeU64(bytes, DESTINATION_AT, prng.chance(2, 3) ? target.machine.options.nonce : 0n)
    const { received } = target.machine.info()
    const held = prng.chance(4, 5)
      ? Math.max(0, received + prng.between(-3, 3))
      : prng.below(2 ** 32) * 2 ** 20
    writeU53(bytes, RECEIVED_AT, held)
    writeU53(bytes, TAKEN_AT, prng.chance(4, 5) ? Math.max(0, held - prng.below(4)) : 0)
    writeU53(bytes, 72, 0)
    if (prng.chance(9, 10)) bytes.set([0, 0x10, 0, 0], 72)
    return bytes
  }

  private bodyOf(kind: PacketKind): Uint8Array {
    const { prng } = this
    const live = this.live[kind] ?? []
    const kept = this.guide?.samplesOf(kind) ?? []
    if (kept.length > 0 && prng.chance(1, 3)) return mutate(prng, prng.pick(kept), HEADER_BYTES)
    const recorded = this.corpus.get(packetKindNames[kind]!) ?? []
    const samples = live.length > 0 && (recorded.length === 0 || prng.chance(1, 2)) ? live : recorded
    const sample = samples.length > 0 ? prng.pick(samples) : new Uint8Array(HEADER_BYTES + prng.below(60))
    const bytes = prng.chance(1, 4) ? sample.slice() : mutate(prng, sample, HEADER_BYTES)
    return bytes.length < HEADER_BYTES ? sample.slice() : bytes
  }

  private bearer(target: Seat, kind: PacketKind): { sender: MemberId; nonce: Nonce } {
    const { prng } = this
    if (this.attacker !== 'stranger') {
      const { memberId, machine } = this.self(target)
      return { sender: memberId, nonce: machine.options.nonce }
    }
    const highest = Math.max(...this.members.map(({ memberId }) => memberId))
    const later = WORD_OF_A_LATER_VIEW.includes(kind) ? 0 : highest + 1 + prng.below(3)
    const ids = [0, this.former.memberId, prng.pick(this.members).memberId, later]
    return { sender: prng.pick(ids), nonce: prng.u64() }
  }

  // ---- the group --------------------------------------------------------------------------------------

  /** One send at one member, returned everywhere; members with lies may make it fail, but not for ever. */
  private work(): void {
    try {
      const sender = this.prng.pick(this.members)
      const size = this.prng.chance(1, 10) ? 5000 : 30
      const sent = sender.isOver ? undefined : sender.send(size)
      this.sends++
      if (this.attacker === 'member') {
        this.group.advance(5)
        if (sent?.seq !== undefined) this.counts.ordered++
        return
      }
      this.group.until(() => sent?.seq !== undefined, 'a send has returned', PATIENCE_MS)
      this.group.until(
        () => this.members.every(({ messages }) => messages.at(-1)!.seq >= sent!.seq!),
        'it is delivered everywhere',
        PATIENCE_MS,
      )
      this.counts.ordered++
      this.compare()
    } catch (error) {
      throw this.failure(error)
    }
  }

  /** The order is the same at all, nobody has come or gone, nobody was suspected. */
  private compare(): void {
    const [first, ...others] = this.members
    const last = (seat: Seat) => seat.order.slice(-3).join('; ')
    for (const seat of others)
      if (last(seat) !== last(first!)) throw new Error(`${seat.name} has another order`)
    for (const seat of this.members) {
      const events = seat.events.filter(({ event }) => !HARMLESS_EVENTS.includes(event))
      if (events.length > 0) throw new Error(`${seat.name} was told ${JSON.stringify(events[0])}`)
      if (seat.view.members.length !== MEMBERS)
        throw new Error(`${seat.name} sees ${seat.view.members.length} members`)
    }
    for (const seat of this.members) {
      seat.events.length = 0
      if (seat.delivered.length > 100) seat.delivered.splice(0, 90)
      if (seat.sent.length > 100) seat.sent.splice(0, 90)
    }
  }

  /** The group is not what it was: its members have gone. */
  private isBroken(): boolean {
    return this.members.some((seat) => seat.isOver || seat.view.members.length !== MEMBERS)
  }

  private measure(): void {
    for (const { machine } of this.members) {
      const size = sizeOf(machine)
      const { largest } = this.counts
      largest.things = Math.max(largest.things, size.things)
      largest.bytes = Math.max(largest.bytes, size.bytes)
      if (size.things > THINGS_MAX || size.bytes > BYTES_MAX)
        throw this.failure(new Error(`a machine has grown to ${size.things} things and ${size.bytes} bytes`))
    }
  }

  private failure(error: unknown, packet?: Uint8Array): Error {
    const what = error instanceof Error ? (error.stack ?? error.message) : String(error)
    const header = packet === undefined ? undefined : readHeader(packet)
    const kind = typeof header === 'object' ? packetKindNames[header.kind] : ''
    const bytes = packet === undefined ? '' : `; ${kind} ${Buffer.from(packet).toString('hex')}`
    return new Error(
      `${this.attacker}, seed ${this.seed}, after ${this.counts.packets} packets: ${what}${bytes}`,
    )
  }
}
