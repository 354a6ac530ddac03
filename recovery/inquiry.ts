/**
 * Questions before an automatic reset (design 4.5): who finds that the sequencer does not answer asks the
 * others before it binds itself by an invitation. Who is asked and has not heard the sequencer since then
 * probes it, and says what comes of it. One who is told that the sequencer lives doubts itself.
 *
 * With process gone and host alive this costs two round trips; with a member that only its own network has cut
 * off it saves the group a reset.
 */
import { type MemberId, type Micros, Right } from '../kernel/identity.ts'
import type { Outbox } from '../kernel/outbox.ts'
import { PacketKind } from '../kernel/packet.ts'
import { encodeInquiry, encodeTestimony, type Testimony } from '../kernel/recovery-packets.ts'
import type { Timers } from '../kernel/timers.ts'
import type { Member } from '../kernel/view.ts'
import type { Pace } from './pace.ts'

export interface InquiryHost {
  self(): MemberId
  sequencer(): Member | undefined
  /** In this member's view; undefined if no such member is there. */
  member(id: MemberId): Member | undefined
  /** Whom to ask: all but the sequencer and this member. */
  witnesses(): readonly Member[]
  /** When anything was heard of this member last. */
  lastHeard(id: MemberId): Micros
  isSuspect(id: MemberId): boolean
  probe(member: Member): void
  /** Nobody has heard the sequencer: go on. */
  confirmed(): void
  /** Somebody has: it is this member that hears badly. */
  denied(): void
}

/** Unanswered questions after which nobody is waited for any more. */
const TRIES = 3
/** Own probes that have to go unanswered before one says that the sequencer is silent. */
const SILENT_AFTER = 2
/**
 * Invitations to the same end. Whoever invites goes by its own idea of the distance, and leaves out of the view who has not
 * voted in the time of a suspicion there. (A member that had last measured half a second on a busy machine made up its
 * mind for a second, was invited seven times in that, and was expelled.)
 */
const INVITED_OFTEN_MIN = 3

export class Inquiry {
  private tries = 0
  private isAsking = false
  /** Who has said that it does not hear the sequencer either. BOUNDED by the view. */
  private readonly agreeing = new Set<MemberId>()
  /** When the first question of this episode came from others, about whom, and who has asked. BOUNDED by the view. */
  private askedAt: Micros | undefined
  private askedAbout: MemberId = 0
  private readonly askers = new Map<MemberId, Member>()
  /** How often it was undecided here, in this episode, whether to vote. */
  private invitations = 0

  private readonly outbox: Outbox
  private readonly timers: Timers
  private readonly pace: Pace
  private readonly host: InquiryHost

  constructor(parts: { outbox: Outbox; timers: Timers; pace: Pace; host: InquiryHost }) {
    this.outbox = parts.outbox
    this.timers = parts.timers
    this.pace = parts.pace
    this.host = parts.host
  }

  /** The sequencer is suspect here. */
  begin(): void {
    this.tellAskers(false)
    if (this.isAsking) return
    this.isAsking = true
    this.tries = 0
    this.agreeing.clear()
    this.ask()
  }

  /** The sequencer has been heard, or the view is another one. */
  end(): void {
    // nearly always: every packet of the sequencer ends the episode that is not there
    if (!this.isAsking && this.askedAt === undefined && this.askers.size === 0) return
    this.stopAsking()
    this.tellAskers(true)
    this.askedAt = undefined
    this.invitations = 0
  }

  private stopAsking(): void {
    this.isAsking = false
    this.timers.stop('inquiry')
  }

  forget(): void {
    this.askers.clear()
    this.end()
  }

  private ask(): void {
    const { host, outbox } = this
    const sequencer = host.sequencer()
    const witnesses = host.witnesses().filter(({ id }) => !host.isSuspect(id))
    if (sequencer === undefined) return this.end()
    if (this.tries >= TRIES || witnesses.every(({ id }) => this.agreeing.has(id))) {
      this.stopAsking()
      host.confirmed()
      return
    }
    for (const witness of witnesses) if (!this.agreeing.has(witness.id)) this.inquire(witness, sequencer.id)
    this.timers.set('inquiry', outbox.now + this.pace.wait(this.tries++))
  }

  onTimer(): void {
    if (this.isAsking) this.ask()
  }

  onTestimony(from: MemberId, { about, isAlive }: Testimony): void {
    if (!this.isAsking || about !== this.host.sequencer()?.id) return
    if (isAlive) {
      this.stopAsking()
      this.outbox.trace('testimony-alive', { by: from })
      this.host.denied()
      return
    }
    this.agreeing.add(from)
    this.ask()
  }

  /**
   * The sequencer itself cannot rebuild its group, because it is about to leave: asked about itself, those others
   * do that may. False if none of them is left who answers.
   */
  resign(): boolean {
    const { host } = this
    const sequencer = host.sequencer()
    const others = host.witnesses().filter(({ id, right }) => right === Right.all && !host.isSuspect(id))
    if (sequencer === undefined) return false
    for (const other of others) this.inquire(other, sequencer.id)
    return others.length > 0
  }

  private inquire({ address, nonce }: Member, about: MemberId): void {
    const body = encodeInquiry(about)
    this.outbox.unicast(address, this.outbox.packetOf(PacketKind.inquiry, 0, nonce, body))
  }

  /** The sequencer lives, and only this member does not hear it: it is told so, and may go on without this member. */
  complain(sequencer: Member): void {
    this.tell(sequencer, this.outbox.identity.memberId, false)
  }

  // ---- who is asked -----------------------------------------------------------------------------------

  /** Somebody asks about the sequencer. */
  onInquiry(from: Member, about: MemberId): void {
    if (from.id === about && this.host.sequencer()?.id === about) return this.host.confirmed()
    const verdict = this.verdict(about, from.id)
    if (verdict !== undefined) this.tell(from, about, verdict)
    else if (about === this.host.sequencer()?.id) this.askers.set(from.id, from)
    // else whoever asks will ask again, and by then it is known
  }

  /**
   * Whether the sequencer of whoever asks is alive, as far as can be told now; undefined while a probe is under way. After
   * a handover that one of the two has missed it is another than this member's. `asker` is undefined for an inviter.
   */
  private verdict(about: MemberId, asker?: MemberId): boolean | undefined {
    const { host, outbox } = this
    const sequencer = host.sequencer()
    if (sequencer === undefined) return false
    if (about === host.self()) return true
    const subject = host.member(about)
    // it has left here: the handover was missed there, and the group lives under another sequencer; but if that is the asker, nobody
    // numbers (each time it was told that the group lives, by members that waited for its word: seed 73047479)
    if (subject === undefined) return sequencer.id !== asker && !host.isSuspect(sequencer.id)
    // it is a member here: if not the sequencer, the handover to it was missed here. (It counted for one missed there once: old
    // and new sequencer dead with one host, two members told each other for ever that the group lived. Seed 9081960.)
    if (host.isSuspect(about)) return false
    const { now } = outbox
    if (this.askedAt === undefined || this.askedAbout !== about) {
      this.askedAt = now
      this.askedAbout = about
      host.probe(subject)
      return undefined
    }
    // (an episode ends when the sequencer is heard, and by nothing else: invitations come ever more slowly, and one
    // that began to ask anew each time would never come to vote, and be left out of the view)
    if (host.lastHeard(about) > this.askedAt) return true
    if (now - this.askedAt > SILENT_AFTER * this.pace.wait(0)) return false
    return undefined
  }

  /** The same for who is invited to a reset because of it: false is to vote. */
  onInvitation(about: MemberId): boolean | undefined {
    const verdict = this.verdict(about)
    return verdict === undefined && ++this.invitations >= this.often ? false : verdict
  }

  /** Nearly as often as there are tries: one that is further away than the inviter hears of the sequencer later, too. */
  private get often(): number {
    return Math.max(INVITED_OFTEN_MIN, this.pace.tries - 1)
  }

  private tellAskers(isAlive: boolean): void {
    const about = this.host.sequencer()?.id
    if (about !== undefined) for (const asker of this.askers.values()) this.tell(asker, about, isAlive)
    this.askers.clear()
  }

  private tell({ address, nonce }: Member, about: MemberId, isAlive: boolean): void {
    const body = encodeTestimony({ about, isAlive })
    this.outbox.unicast(address, this.outbox.packetOf(PacketKind.testimony, 0, nonce, body))
  }
}
