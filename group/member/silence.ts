/**
 * What a member makes of silence: of others' (suspicion, questions, the policy of the group) and of its own
 * after a stall (doubt). Composes the small machines of recovery/ and decides what a suspicion leads to.
 *
 *   auto     sequencer silent   ask the others, then reset          member silent (at the sequencer)   reset
 *   manual   sequencer silent   calls end, the program resets       member silent                      standstill.ts
 */
import type { Counters } from '../../kernel/counters.ts'
import type { MemberId, Micros } from '../../kernel/identity.ts'
import type { Outbox } from '../../kernel/outbox.ts'
import { type PacketHeader, PacketKind } from '../../kernel/packet.ts'
import { decodeInquiry, decodeProbe, decodeTestimony, type Testimony } from '../../kernel/recovery-packets.ts'
import type { RoundTrips } from '../../kernel/rtt.ts'
import type { TimerName, Timers } from '../../kernel/timers.ts'
import { findMember, type View, type Member as ViewMember } from '../../kernel/view.ts'
import { Doubt } from '../../recovery/doubt.ts'
import { Inquiry } from '../../recovery/inquiry.ts'
import { Pace } from '../../recovery/pace.ts'
import { Probes } from '../../recovery/probes.ts'
import { Suspicion } from '../../recovery/suspicion.ts'
import { Watch } from '../../recovery/watch.ts'

/** Heartbeats of an idle sequencer that a member may miss before it probes it. */
const SEQUENCER_QUIET = 3
/** The sequencer hears nothing of members that have nothing to say: they are probed after so many heartbeats. */
const MEMBER_QUIET = 10

/** Told so often that the sequencer lives, a member tells the sequencer that it does not hear it. */
const DENIALS_MAX = 3

export interface SilenceHost {
  view(): View
  others(): readonly ViewMember[]
  sequencer(): ViewMember | undefined
  isSequencer(): boolean
  /** Bound by a reset under way: nobody is accused meanwhile. */
  isBound(): boolean
  isAutomatic(): boolean
  /** The sequencer does not answer, and none of the others has heard it (automatic), or nobody asks them (manual). */
  sequencerFailed(id: MemberId): void
  /** A member does not answer its sequencer, which is this one. */
  memberFailed(): void
  /** Somebody says of another member whether it answers. */
  testified(from: ViewMember, testimony: Testimony): void
  /** Somebody else has been asked in vain. */
  suspected(): void
  /** The sequencer is heard again. */
  sequencerBack(): void
  /** What was held back during the doubt goes on. */
  doubtResolved(): void
}

export class Silence {
  readonly suspicion: Suspicion
  readonly inquiry: Inquiry
  private readonly doubt: Doubt
  private readonly watch: Watch
  private readonly probes: Probes
  /** How often the others have heard the sequencer and this member has not, in a row. */
  private denials = 0
  /** When each was last asked, and the operating system beside it. BOUNDED by the members of the view, at each watch. */
  private readonly checkedAt = new Map<MemberId, Micros>()
  private readonly pace: Pace
  private readonly outbox: Outbox
  private readonly counters: Counters
  private readonly host: SilenceHost

  constructor(
    parts: {
      outbox: Outbox
      timers: Timers
      counters: Counters
      roundTrips: RoundTrips
      host: SilenceHost
    },
    options: { tries: number; tryInterval: Micros; heartbeatIdle: Micros },
  ) {
    const { outbox, timers, counters, roundTrips, host } = parts
    this.outbox = outbox
    this.counters = counters
    this.host = host
    this.pace = new Pace(roundTrips, options)
    this.suspicion = new Suspicion(this.pace)
    this.probes = new Probes(outbox)
    const { probes } = this
    this.inquiry = new Inquiry({
      outbox,
      timers,
      pace: this.pace,
      host: {
        self: () => outbox.identity.memberId,
        sequencer: () => host.sequencer(),
        member: (id) => findMember(host.view(), id),
        witnesses: () => host.others().filter(({ id }) => id !== host.sequencer()?.id),
        lastHeard: (id) => this.suspicion.lastHeard(id),
        isSuspect: (id) => this.suspicion.isSuspect(id),
        probe: (member) => {
          probes.send(member)
          this.check(member)
        },
        confirmed: () => {
          const sequencer = host.sequencer()
          if (sequencer !== undefined) host.sequencerFailed(sequencer.id)
        },
        denied: () => {
          const sequencer = host.sequencer()
          if (sequencer === undefined) return
          this.suspicion.heard(sequencer.id, outbox.now)
          if (++this.denials >= DENIALS_MAX) this.inquiry.complain(sequencer)
        },
      },
    })
    this.doubt = new Doubt(
      {
        outbox,
        timers,
        roundTrips,
        probes,
        host: {
          view: () => host.view(),
          others: () => host.others(),
          isSequencer: () => host.isSequencer(),
          resolved: () => host.doubtResolved(),
        },
      },
      { tries: options.tries },
    )
    const watchHost = {
      quiet: () => (host.isSequencer() ? MEMBER_QUIET : SEQUENCER_QUIET) * options.heartbeatIdle,
      watched: () => this.watched(),
      inQuestion: () => this.inQuestion(),
      lastHeard: (id: MemberId) => this.suspicion.lastHeard(id),
      nextTryAt: (id: MemberId) => this.suspicion.nextTryAt(id),
      mayAsk: () => !this.isDoubting,
      asked: (member: ViewMember) => this.onAsked(member),
    }
    this.watch = new Watch({ outbox, timers, roundTrips, probes, host: watchHost })
  }

  get isDoubting(): boolean {
    return this.doubt.isDoubting
  }

  /** A stall longer than this casts doubt: half of the time in which others would suspect this member. */
  get stallLimit(): Micros {
    return Math.round(this.patience / 2)
  }

  /** The time in which all tries go unanswered, and a member becomes suspect. */
  get patience(): Micros {
    return this.pace.patience
  }

  /** When anybody else was heard last. */
  get lastHeard(): Micros {
    return Math.max(0, ...this.host.others().map(({ id }) => this.suspicion.lastHeard(id)))
  }

  get isAnybodySuspect(): boolean {
    return this.host.others().some(({ id }) => this.suspicion.isSuspect(id))
  }

  get isEverybodySuspect(): boolean {
    return this.host.others().every(({ id }) => this.suspicion.isSuspect(id))
  }

  private watched(): readonly ViewMember[] {
    const { host } = this
    if (host.isBound()) return []
    if (host.isSequencer()) return host.others()
    const sequencer = host.sequencer()
    return sequencer === undefined ? [] : [sequencer]
  }

  private inQuestion(): readonly ViewMember[] {
    const { host, suspicion } = this
    return host.isBound() ? [] : host.others().filter(({ id }) => suspicion.isInQuestion(id))
  }

  /** A view begins: everybody in it has just been heard, in person or by its coordinator's word. */
  begin(): void {
    const { now } = this.outbox
    for (const { id } of this.host.view().members) this.suspicion.heard(id, now)
    this.inquiry.forget()
    this.watch.arm()
  }

  /** A result is accepted, with this member's own ack: whoever has doubted is in. (A handover says nothing: it may have waited in the socket.) */
  onReset(): void {
    this.doubt.end()
  }

  onStall(stalled: Micros): void {
    if (!this.host.isBound()) this.doubt.begin(stalled)
  }

  onTimer(name: TimerName): void {
    if (name === 'inquiry') this.inquiry.onTimer()
    else if (name === 'watch') this.onWatch()
    else this.doubt.onTimer()
  }

  private onWatch(): void {
    const { host } = this
    const present = [...host.view().members, ...host.others()]
    const ids = new Set(present.map(({ id }) => id))
    this.suspicion.keepOnly(ids)
    for (const id of this.checkedAt.keys()) if (!ids.has(id)) this.checkedAt.delete(id)
    this.watch.onTimer()
  }

  onHeard({ id }: ViewMember): void {
    this.suspicion.heard(id, this.outbox.now)
    if (id !== this.host.view().sequencer) return
    this.denials = 0
    this.inquiry.end()
    this.host.sequencerBack()
  }

  /** One more packet that wants an answer has gone to a member. */
  onAsked(member: ViewMember): void {
    if (this.isDoubting || this.host.isBound()) return
    const { id } = member
    this.check(member)
    if (this.suspicion.asked(id, this.outbox.now)) this.suspect(id, 'it has not answered for too long')
    else if (this.suspicion.isInQuestion(id)) this.watch.hasten(member)
  }

  /** Asks the operating system whether anybody is there, besides what has been asked of the member itself. */
  check({ id, address }: ViewMember): void {
    this.checkedAt.set(id, this.outbox.now)
    this.outbox.check(address)
  }

  /** Whether a member has been asked since it was heard last. */
  owesAnswer(id: MemberId): boolean {
    const checkedAt = this.checkedAt.get(id)
    return checkedAt !== undefined && checkedAt >= this.suspicion.lastHeard(id)
  }

  /** Its kernel, or the operating system at its address, says that this member is gone: no need to wait. */
  onGone(id: MemberId): void {
    if (this.host.isBound() || !this.suspicion.gone(id)) return
    this.suspect(id, 'its process is gone')
  }

  private suspect(id: MemberId, reason: string): void {
    const { host } = this
    this.counters.suspicions++
    this.outbox.trace('suspect', { member: id })
    this.outbox.output({ output: 'event', event: { event: 'suspect', member: id, reason } })
    if (id === host.sequencer()?.id) {
      this.onSequencerSuspect(id)
    } else if (host.isSequencer()) {
      host.memberFailed()
    } else {
      host.suspected()
    }
  }

  private onSequencerSuspect(id: MemberId): void {
    if (this.host.isAutomatic()) this.inquiry.begin()
    else this.host.sequencerFailed(id)
  }

  /**
   * This member's join is accepted. What it found out about its sequencer while it was still a joiner it had left to the
   * members, and nobody else may be able to rebuild the group.
   */
  onJoined(): void {
    const sequencer = this.host.sequencer()
    if (sequencer !== undefined && this.suspicion.isSuspect(sequencer.id))
      this.onSequencerSuspect(sequencer.id)
  }

  /**
   * A member says that it does not hear this sequencer, which others hear: only one of the two directions between them
   * works. It can be sent nothing, so the group is better off without it.
   */
  private onDeaf({ id }: ViewMember): void {
    if (!this.host.isSequencer() || this.host.isBound()) return
    this.outbox.trace('deaf', { member: id })
    this.counters.suspicions++
    const reason = 'it does not hear the sequencer, and the others do'
    this.outbox.output({ output: 'event', event: { event: 'suspect', member: id, reason } })
    this.host.memberFailed()
  }

  /** Inquiries, testimonies, probes and their answers; false for what cannot be read. */
  onPacket(from: ViewMember, header: PacketHeader, packet: Uint8Array): boolean {
    switch (header.kind) {
      case PacketKind.inquiry: {
        const about = decodeInquiry(packet)
        if (about === undefined) return false
        this.inquiry.onInquiry(from, about)
        return true
      }
      case PacketKind.testimony: {
        const testimony = decodeTestimony(packet)
        if (testimony === undefined) return false
        if (testimony.about === from.id && !testimony.isAlive) this.onDeaf(from)
        else this.inquiry.onTestimony(from.id, testimony)
        this.host.testified(from, testimony)
        return true
      }
      case PacketKind.probe: {
        const cookie = decodeProbe(packet)
        if (cookie === undefined) return false
        this.probes.answer(from, cookie)
        return true
      }
      default: {
        const cookie = decodeProbe(packet)
        if (cookie === undefined) return false
        this.doubt.onAnswer(from.id, cookie)
        return true
      }
    }
  }
}
