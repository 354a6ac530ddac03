/**
 * Other groups on the same port (design 4.7, 4.8): two creators that never heard each other, or whoever created the
 * port anew while it was cut off. The sequencer asks for its own port now and then, where its transport and its peers
 * reach. Whoever of another group hears that question knows of this group, and answers; so both sides know. They are
 * told, again after a while, and nothing is merged.
 *
 * A question within one group goes unanswered, but for that of a member that was removed long ago: it is told so (the
 * reminders of outsiders.ts end some time), and finds out whether it is out, or the group is split.
 */

import type { Counters } from '../../kernel/counters.ts'
import type { Address, GroupId, Micros } from '../../kernel/identity.ts'
import { keepNewest } from '../../kernel/keep-newest.ts'
import { decodeHereIs, encodeLocate, type Locate, LocatePurpose } from '../../kernel/meeting-packets.ts'
import type { Outbox } from '../../kernel/outbox.ts'
import { type PacketHeader, PacketKind } from '../../kernel/packet.ts'
import type { Timers } from '../../kernel/timers.ts'
import type { Member as ViewMember } from '../../kernel/view.ts'

/** One question for the own port, and one more for each peer beyond the view: all that it costs. */
const ASK_EVERY: Micros = 30_000_000
/** A group that has been told of is told of again when it is met after so long. */
const TELL_AGAIN: Micros = 300_000_000
const MET_KEPT = 16
/**
 * Sequencers of other groups that are asked because an answer has named them, for each round of the own questions. Anybody can
 * name any address, in fewer bytes than a question has.
 */
const NAMED_ASKED = 4

export interface LookoutHost {
  /** Whether this member numbers, and will go on to. */
  isSequencer(): boolean
  peers(): readonly Address[]
  present(): readonly ViewMember[]
  /** One who counts itself into this group asks; it may be in no view of mine. */
  onFellow(from: Address, header: PacketHeader, bytes: number): void
  /** A peer is asked, which this process was given by its operator. */
  asks(peer: Address): void
}

export class Lookout {
  /** When each other group was told of. BOUNDED by MET_KEPT, the one told of first goes first. */
  private readonly met = new Map<GroupId, Micros>()
  /** Other groups that were met when no more sequencers were asked. BOUNDED by MET_KEPT, the one met first goes first. */
  private readonly unasked = new Map<GroupId, true>()
  private namedLeft = 0
  private readonly port: string
  private readonly address: Address
  private readonly useMulticast: boolean
  private readonly outbox: Outbox
  private readonly timers: Timers
  private readonly counters: Counters
  private readonly host: LookoutHost

  constructor(
    parts: { outbox: Outbox; timers: Timers; counters: Counters; host: LookoutHost },
    options: { port: string; address: Address; useMulticast: boolean },
  ) {
    this.outbox = parts.outbox
    this.timers = parts.timers
    this.counters = parts.counters
    this.host = parts.host
    this.port = options.port
    this.address = options.address
    this.useMulticast = options.useMulticast
  }

  /** This member is the sequencer from now on. */
  begin(): void {
    if (!this.timers.isSet('lookout')) this.timers.set('lookout', this.outbox.now + ASK_EVERY)
  }

  onTimer(): void {
    if (!this.host.isSequencer()) return
    this.namedLeft = NAMED_ASKED
    if (this.useMulticast) this.outbox.multicast(this.question())
    const known = new Set([this.address, ...this.host.present().map(({ address }) => address)])
    for (const peer of this.host.peers()) {
      if (known.has(peer)) continue
      this.host.asks(peer)
      this.outbox.unicast(peer, this.question())
    }
    this.timers.set('lookout', this.outbox.now + ASK_EVERY)
  }

  private question(): Uint8Array {
    const body = encodeLocate({ port: this.port, purpose: LocatePurpose.inspect })
    return this.outbox.packetOf(PacketKind.locate, 0, 0n, body)
  }

  /** Somebody asks for this port. True if that is a group's own question, and no answer is due. */
  onLocate(from: Address, header: PacketHeader, locate: Locate, bytes: number): boolean {
    if (locate.purpose !== LocatePurpose.inspect || header.sender === 0) return false
    if (header.groupId === this.outbox.identity.groupId) {
      this.host.onFellow(from, header, bytes)
      return true
    }
    this.tell(header, from)
    return false
  }

  /** Somebody of another group answers. */
  onHereIs(from: Address, header: PacketHeader, packet: Uint8Array): void {
    const hereIs = decodeHereIs(packet)
    if (hereIs?.port !== this.port || !this.host.isSequencer()) return
    const isNews = this.tell(header, from) || this.unasked.has(header.groupId)
    // whoever answered knows by now; its sequencer may be beyond my peers
    if (isNews && header.senderNonce !== hereIs.sequencerNonce)
      this.askNamed(header.groupId, hereIs.sequencerAddress)
  }

  private askNamed(groupId: GroupId, sequencer: Address): void {
    if (this.namedLeft === 0) {
      this.counters.limited.groups++
      keepNewest(this.unasked, groupId, true, MET_KEPT)
      return
    }
    this.unasked.delete(groupId)
    this.namedLeft--
    this.outbox.unicast(sequencer, this.question())
  }

  private tell({ groupId, incarnation, coordinator }: PacketHeader, address: Address): boolean {
    const { now } = this.outbox
    const toldAt = this.met.get(groupId)
    if (toldAt !== undefined && now - toldAt < TELL_AGAIN) return false
    keepNewest(this.met, groupId, now, MET_KEPT)
    this.counters.splits++
    this.outbox.trace('split', { groupId: groupId.toString(16), incarnation, coordinator })
    this.outbox.output({
      output: 'event',
      event: { event: 'split', groupId, address, incarnation, coordinator },
    })
    return true
  }
}
