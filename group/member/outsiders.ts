/**
 * Those outside the view: who was removed by a reset and may only have been cut off, who sends under a view
 * that is none of mine, who says that the group has gone on without this member, and whoever joined while this
 * member missed it. Two lines of views on one port are found here, too, and reported.
 */
import { Allowance } from '../../kernel/allowance.ts'
import { type Ballot, compareBallots, isSameBallot, type ResultName } from '../../kernel/ballot.ts'
import type { Counters } from '../../kernel/counters.ts'
import { type Address, type Micros, type Nonce, Right, Role } from '../../kernel/identity.ts'
import { ownVersions } from '../../kernel/meeting-packets.ts'
import type { FormerMember, OrderState } from '../../kernel/order-state.ts'
import type { Outbox } from '../../kernel/outbox.ts'
import { HEADER_BYTES, type PacketHeader, PacketKind, type RejectReason } from '../../kernel/packet.ts'
import { decodeExpelled, encodeExpelled, type Invite } from '../../kernel/recovery-packets.ts'
import type { Member as ViewMember } from '../../kernel/view.ts'
import type { Recovery } from '../../recovery/recovery.ts'

/** Members that a reset has removed are told so again and again for a while: they may only have been cut off. */
const REMOVED_KEPT = 64
const REMINDER_FIRST: Micros = 500_000
const REMINDER_LAST: Micros = 30_000_000
const REMINDERS_MAX = 40
const SPLITS_KEPT = 16
/** Notices to those that nobody here knows: so many at once, and one more each so many microseconds; 4 KB a second. */
const NOTICES_AT_ONCE = 64
const NOTICE_EVERY: Micros = 100_000
/** Between two questions of a member that stands still. */
const ASK_EVERY: Micros = 50_000
/** Of IPv6 and UDP, beside each packet. */
const NETWORK_HEADER_BYTES = 48
/** Addresses whose questions are counted until they pay for a notice. */
const ASKERS_KEPT = 1024

interface Removed extends FormerMember {
  reminders: number
  nextAt: Micros
}

export class Outsiders {
  /** BOUNDED by REMOVED_KEPT, oldest first. */
  private removed: Removed[] = []
  /** Other lines of this group's views that have been reported. BOUNDED by SPLITS_KEPT. */
  private readonly reported = new Set<string>()
  private readonly notices = new Allowance(NOTICES_AT_ONCE, NOTICE_EVERY)
  private asksAt: Micros = 0
  /**
   * Bytes of questions from each address since its last notice. BOUNDED by ASKERS_KEPT, the one counted first goes first, and
   * the own peers.
   */
  private readonly asked = new Map<Address, number>()
  private readonly state: OrderState
  private readonly outbox: Outbox
  private readonly counters: Counters
  private readonly recovery: Recovery
  /** The group has gone on without this member, which is the outsider then. */
  private readonly expelled: (reason: string) => void
  private readonly standsStill: () => boolean

  constructor(parts: {
    state: OrderState
    outbox: Outbox
    counters: Counters
    recovery: Recovery
    expelled(reason: string): void
    /** Bound to an attempt, or waiting for a reset that its program calls. */
    standsStill(): boolean
  }) {
    this.state = parts.state
    this.outbox = parts.outbox
    this.counters = parts.counters
    this.recovery = parts.recovery
    this.expelled = (reason) => parts.expelled(reason)
    this.standsStill = () => parts.standsStill()
  }

  // ---- who was removed --------------------------------------------------------------------------------

  /** A reset is official, and with it any other that lies below it: whoever made that one may be out itself. */
  onResult(): void {
    const { now } = this.outbox
    const resets = new Set(this.state.results.map(({ seq }) => seq))
    for (const { member, leftAt } of this.state.former) {
      if (!resets.has(leftAt) || this.removed.some((one) => one.member.nonce === member.nonce)) continue
      this.removed.push({ member, leftAt, reminders: 0, nextAt: now + REMINDER_FIRST })
    }
    if (this.removed.length > REMOVED_KEPT) this.removed.splice(0, this.removed.length - REMOVED_KEPT)
  }

  /** The sequencer reminds those who were removed: one that was only cut off finds its group again. */
  remind(): void {
    const { now } = this.outbox
    for (const one of this.removed) {
      if (now < one.nextAt) continue
      one.reminders++
      one.nextAt = now + Math.min(REMINDER_LAST, REMINDER_FIRST * 2 ** one.reminders)
      this.recovery.tellExpelled(one.member, this.lastHeldBy(one))
    }
    this.removed = this.removed.filter(({ reminders }) => reminders < REMINDERS_MAX)
  }

  onGone(nonce: Nonce): void {
    this.removed = this.removed.filter(({ member }) => member.nonce !== nonce)
  }

  // ---- who may be none --------------------------------------------------------------------------------

  /**
   * One whose join this member has missed: the view that it knows accepted lies upon mine, and this member is
   * in it, or it would not be invited. (Else a member that lags behind joins, with all that it knows dead, could
   * never vote again, and the others might lack its vote for a majority.)
   */
  laterMember(from: Address, header: PacketHeader, invite: Invite): ViewMember | undefined {
    const { state } = this
    const isNew = header.sender >= state.nextMemberId && invite.viewSeq > state.view.seq
    if (!isNew || !this.lieUponMine(invite.results)) return undefined
    const role = Role.full
    // It invites, so it must hold every right: whoever votes for it takes its result for what it is.
    const right = Right.all
    return {
      id: header.sender,
      nonce: header.senderNonce,
      name: '',
      address: from,
      role,
      right,
      versions: ownVersions,
    }
  }

  /** The newest result known accepted. */
  private get mine(): ResultName {
    const { results, accepted } = this.state
    return results.findLast(({ seq }) => seq <= accepted) ?? results[0]!
  }

  /**
   * Whether views lie upon mine: whatever is official there lies upon everything below it, hence upon mine if it is held
   * here and lies upon that. (The names told need not be all.)
   */
  private lieUponMine(theirs: readonly ResultName[]): boolean {
    const { seq } = this.mine
    return this.state.results.some((result) => result.seq >= seq && isNamed(result, theirs))
  }

  /** A packet of this group that belongs to no view of mine: its sender is in none of mine, or has gone on without this member. */
  onForeign(from: Address, header: PacketHeader, isSequencer: boolean, bytes: number): void {
    if (header.sender === 0 || header.groupId !== this.outbox.identity.groupId) return
    const isInsider = this.state.insider(header.sender, header.senderNonce) !== undefined
    if (this.standsStill()) {
      // what a living line sends to everybody, and what it looks for others with; also where one of my own view has made it
      // that has never heard of me: with manual recovery nobody here invites it, who would be told then
      const { kind } = header
      const isNews = !isInsider || header.incarnation > this.recovery.promise.incarnation
      if (isNews && (kind === PacketKind.order || kind === PacketKind.locate)) this.ask(from, header, bytes)
      return
    }
    if (isInsider) return
    if (header.destination === 0n && !isSequencer) return
    this.tell(from, header, bytes)
  }

  /**
   * A member that stands still hears from a line of views that it is in none of: it says which one it is in, and is told
   * what it has missed. (One without every right invites nobody to a reset. When all members of its view had gone, those
   * who came after them had never heard of it, and it waited for ever: seed 3012598.) What it says is no larger than what
   * it has heard, the headers of the network counted.
   */
  private ask(to: Address, { senderNonce }: PacketHeader, bytes: number): void {
    const { outbox } = this
    if (outbox.now < this.asksAt) return
    this.asksAt = outbox.now + ASK_EVERY
    for (let left = bytes; left >= HEADER_BYTES; left -= HEADER_BYTES + NETWORK_HEADER_BYTES)
      outbox.unicast(to, outbox.packet(PacketKind.state, 0, senderNonce, 0))
  }

  /**
   * Tells one who is in no view of mine that the group goes on without it. A former member is told where it was a member; of
   * anybody else it is not known that it receives where it says, so that it is told seldom. No address is sent more bytes
   * than have come for it: a notice that is larger than the question waits until more has been asked. `theirs` are results
   * that it knows accepted, where it has said.
   */
  tell(from: Address, header: PacketHeader, bytes: number, theirs?: readonly ResultName[]): void {
    const { senderNonce: nonce } = header
    const former = this.state.former.find(({ member }) => member.nonce === nonce)
    const common = this.inCommon(header, former, theirs)
    const to = former?.member ?? { address: from, nonce }
    const noticeBytes = HEADER_BYTES + encodeExpelled(this.state.results, common).length
    if (!this.isPaidFor(to.address, bytes, noticeBytes)) return
    if (former !== undefined || this.notices.take(this.outbox.now)) this.recovery.tellExpelled(to, common)
    else this.counters.overflow('notices')
  }

  /**
   * The newest result that this log shares with that of an outsider. Without its name in the notice one who has missed more
   * resets than a notice names takes its group for a second line of views, and tries for ever to rebuild its own.
   */
  private inCommon(
    { incarnation, coordinator }: PacketHeader,
    former: FormerMember | undefined,
    theirs: readonly ResultName[] | undefined,
  ): ResultName | undefined {
    const { results } = this.state
    const shared = theirs && results.findLast((result) => isNamed(result, theirs))
    if (shared !== undefined) return shared
    if (former !== undefined) return this.lastHeldBy(former)
    return results.find(
      ({ ballot }) => ballot.incarnation === incarnation && ballot.coordinator === coordinator,
    )
  }

  /** A result that makes a view is held by all that are in it. */
  private lastHeldBy({ leftAt }: FormerMember): ResultName | undefined {
    return this.state.results.findLast(({ seq }) => seq < leftAt)
  }

  /** What an asked peer has to say is answered, though the answer be larger: nobody's question is forged here. */
  expectWordFrom(peer: Address): void {
    this.asked.delete(peer)
    this.asked.set(peer, Number.POSITIVE_INFINITY)
  }

  /** Whether as many bytes have come for this address as are about to go there; they are used up by that. */
  private isPaidFor(to: Address, bytes: number, noticeBytes: number): boolean {
    const { asked } = this
    const paid = (asked.get(to) ?? 0) + bytes
    if (paid >= noticeBytes) {
      asked.delete(to)
      return true
    }
    const [oldest] = asked.keys()
    if (oldest !== undefined && asked.size >= ASKERS_KEPT && !asked.has(to)) asked.delete(oldest)
    asked.set(to, paid)
    return false
  }

  // ---- whose group it is ------------------------------------------------------------------------------

  /**
   * Somebody says that the group has gone on without this member. It has, if the views of the one who says so
   * lie upon mine; if both lie upon an older one, there are two groups on one port (possible below a
   * majority), and nobody expels anybody.
   */
  onExpelled(from: Address, header: PacketHeader, packet: Uint8Array): RejectReason | undefined {
    // every real one names whom it is for: who cannot name this life knows nothing of it
    if (header.destination === 0n) return 'destination'
    const theirs = decodeExpelled(packet)
    if (theirs === undefined) return 'malformed'
    const { state } = this
    const last = theirs.at(-1)!
    const newest = last.ballot
    // a witness holds the result that is official now
    if (this.recovery.onNotice(newest)) return undefined
    if (isNamed(last, state.results) || compareBallots(newest, state.results[0]!.ballot) < 0) {
      return 'incarnation'
    }
    if (this.lieUponMine(theirs) || compareBallots(theirs[0]!.ballot, this.mine.ballot) > 0) {
      if (!this.mayExpel(header)) return 'stranger'
      this.expelled('the group has gone on without this member')
      return undefined
    }
    // told once for each other line: who says so hears as much of this one, if it has not yet
    const isNews = this.reportSplit(newest)
    if (isNews && !this.recovery.isBound) {
      this.tell(from, header, packet.length)
    }
    return undefined
  }

  /** Only a member of a later view can say so: one of this view, or one who has joined since, under a higher id. */
  private mayExpel({ sender, senderNonce }: PacketHeader): boolean {
    if (this.state.insider(sender, senderNonce) !== undefined) return true
    return sender > Math.max(...this.state.view.members.map(({ id }) => id))
  }

  /** False if it has been told of before. */
  private reportSplit({ incarnation, coordinator }: Ballot): boolean {
    const name = `${incarnation}/${coordinator}`
    if (this.reported.has(name)) return false
    if (this.reported.size >= SPLITS_KEPT) this.reported.clear()
    this.reported.add(name)
    this.counters.splits++
    this.outbox.trace('split', { incarnation, coordinator })
    this.outbox.output({ output: 'event', event: { event: 'split', incarnation, coordinator } })
    return true
  }
}

function isNamed({ ballot }: ResultName, results: readonly ResultName[]): boolean {
  return results.some((result) => isSameBallot(result.ballot, ballot))
}
