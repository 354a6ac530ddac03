/**
 * A member other than the sequencer is gone or suspect, and something waits for it: an ack, a vote, room in the history.
 *
 * With `recovery: 'auto'` the sequencer rebuilds the group; one that is known to be gone is accused here at once, where
 * its leave alone would not do. With 'manual' nobody does until a program asks for it, so that no call may wait for that
 * (paper, section 4.2): the sequencer ends its own calls, and tells the others, who cannot know (members watch the
 * sequencer only), by a testimony about the one who is silent; they end theirs. Where only a leave waits, only the leaver
 * is told: it goes without its place in the order. Where nothing waits, nothing ends: at r = 0 sends go on until the
 * history is full of what the dead has not taken.
 *
 * It is over when the sequencer says so, or when the order goes on: a suspect may only have been slow.
 */
import { ErrorCode } from '../../kernel/errors.ts'
import { type MemberId, type Micros, Right, type Seq } from '../../kernel/identity.ts'
import type { OrderState } from '../../kernel/order-state.ts'
import type { Outbox } from '../../kernel/outbox.ts'
import { PacketKind } from '../../kernel/packet.ts'
import { encodeTestimony, type Testimony } from '../../kernel/recovery-packets.ts'
import type { Timers } from '../../kernel/timers.ts'
import type { View, Member as ViewMember } from '../../kernel/view.ts'
import type { Sequencer } from '../../sequencer/sequencer.ts'
import { RESET_AWAITED } from './entering.ts'
import type { Office } from './office.ts'
import type { Sender } from './sender.ts'
import type { Silence } from './silence.ts'

/** The word that it is over may be lost: without another one that it is not, it is over after so long, or longer (PATIENCES). */
const LASTS_AT_LEAST: Micros = 10_000_000
/** So often it is repeated within the time of a suspicion. */
const WORDS_PER_PATIENCE = 2
/** In times that a suspicion takes. */
const PATIENCES = 4

export interface StandstillHost {
  /** Place of the own join, until that is accepted. */
  joinSeq(): Seq | undefined
  isBound(): boolean
  leftBehind(reason: string): void
  lost(reason: string): void
}

export interface StandstillParts {
  readonly self: MemberId
  readonly right: Right
  readonly state: OrderState
  readonly outbox: Outbox
  readonly timers: Timers
  readonly office: Office
  readonly sender: Sender
  readonly silence: Silence
  readonly host: StandstillHost
}

/** The last word of it, in the view in which it was said. */
interface Word {
  readonly reason: string
  readonly view: View
  readonly accepted: Seq
  readonly since: Micros
  readonly until: Micros
}

export class Standstill {
  private word: Word | undefined
  /** Of whom this program has heard by that. BOUNDED by the view. */
  private readonly named = new Set<MemberId>()
  /** At the sequencer: whom it has accused in this time in office; whether the others have been told, and when last. */
  private accused = new WeakMap<Sequencer, Set<MemberId>>()
  private hasTold: Sequencer | undefined
  private toldAt: Micros = Number.NEGATIVE_INFINITY
  private readonly parts: StandstillParts

  constructor(parts: StandstillParts) {
    this.parts = parts
  }

  /** Why calls end here; undefined as long as the group goes on. */
  get reason(): string | undefined {
    const { word } = this
    if (word === undefined) return undefined
    const { state, outbox, host } = this.parts
    if (word.view !== state.view || host.isBound()) this.end()
    // (what was under way may still come: it is no new story for the program if the word is said again)
    else if (word.accepted < state.accepted || outbox.now >= word.until) this.word = undefined
    return this.word?.reason
  }

  private get isManual(): boolean {
    return this.parts.state.parameters.recovery === 'manual'
  }

  private end(): void {
    this.word = undefined
    this.named.clear()
  }

  private reasonFor(ids: readonly MemberId[]): string {
    const who = this.parts.right === Right.all ? 'call' : 'a member with every right must call'
    return `${silenceOf(ids)}, and the group waits for ${itOf(ids)}; it needs a reset before it can go on: ${who} resetGroup`
  }

  private leaveBehind(ids: readonly MemberId[]): void {
    this.parts.host.leftBehind(`${silenceOf(ids)}, and the leave cannot be ordered without ${itOf(ids)}`)
  }

  /** Calls on their way end here, and new ones are refused until it is over. */
  private stand(ids: readonly MemberId[]): void {
    const { state, outbox, sender, silence } = this.parts
    const { now } = outbox
    const reason = this.reasonFor(ids)
    const since = this.reason === undefined ? now : this.word!.since
    const until = now + Math.max(LASTS_AT_LEAST, PATIENCES * silence.patience)
    this.word = { reason, view: state.view, accepted: state.accepted, since, until }
    sender.refuseAll(ErrorCode.memberFailed, reason)
  }

  // ---- at the sequencer ---------------------------------------------------------------------------------

  /** Its turn is over: whatever can be numbered and accepted now is. */
  look(): void {
    const { office, silence, sender, self } = this.parts
    const { sequencer } = office
    if (sequencer === undefined) return
    const { isOrder, isChange, leavers } = sequencer.heldUp()
    if ((isOrder || isChange) && this.accuse(sequencer)) return
    if (!this.isManual) return
    const missed = isOrder || leavers.length > 0 ? sequencer.missed : []
    if (!isOrder) this.goOn(sequencer)
    if (missed.length === 0) return
    const ids = missed.map(({ id }) => id)
    if (isOrder) {
      this.stand(ids)
      this.hasTold = sequencer
    }
    const { outbox } = this.parts
    const isDue = outbox.now - this.toldAt >= silence.patience / WORDS_PER_PATIENCE
    const isTold = isOrder ? this.parts.state.present : this.membersOf(leavers)
    if (isDue) this.tell(ids, false, isTold)
    if (sender.isLeaving && (isOrder || leavers.includes(self))) this.leaveBehind(ids)
  }

  /** Known to be gone, and its leave is not enough: it is suspect at once (design 4.5). True if somebody is by that. */
  private accuse(sequencer: Sequencer): boolean {
    const { silence } = this.parts
    const accused = this.accused.get(sequencer) ?? new Set<MemberId>()
    this.accused.set(sequencer, accused)
    const news = sequencer.missed.filter(
      ({ id }) => !accused.has(id) && sequencer.progress.isGone(id) && !silence.suspicion.isSuspect(id),
    )
    for (const { id } of news) {
      accused.add(id)
      silence.onGone(id)
    }
    return news.length > 0
  }

  private membersOf(ids: readonly MemberId[]): ViewMember[] {
    return this.parts.state.present.filter(({ id }) => ids.includes(id))
  }

  private tell(about: readonly MemberId[], isAlive: boolean, members: readonly ViewMember[]): void {
    const { outbox, self } = this.parts
    this.toldAt = outbox.now
    for (const id of about) {
      const body = encodeTestimony({ about: id, isAlive })
      for (const { address, nonce, id: to } of members) {
        if (to !== self) outbox.unicast(address, outbox.packetOf(PacketKind.testimony, 0, nonce, body))
      }
    }
  }

  /** Nothing waits for anybody silent any more. */
  private goOn(sequencer: Sequencer): void {
    this.end()
    if (this.hasTold !== sequencer) return
    this.hasTold = undefined
    const { state, self } = this.parts
    this.tell([self], true, state.present)
    this.toldAt = Number.NEGATIVE_INFINITY
  }

  /** What waits is looked at again, even if nothing else happens. */
  onBeat(): void {
    const { office, timers, outbox } = this.parts
    const { sequencer } = office
    if (sequencer === undefined) return
    const waits = sequencer.isWaiting && sequencer.missed.length > 0
    if (waits || this.hasTold === sequencer) timers.setEarlier('flush', outbox.now)
  }

  // ---- at the others ------------------------------------------------------------------------------------

  /** The sequencer says of another one that the group waits for it in vain, or that it does so no more. */
  onTestimony(from: ViewMember, { about, isAlive }: Testimony): void {
    const { state, outbox, sender, silence, host } = this.parts
    if (!this.isManual || from.id !== state.view.sequencer || host.isBound()) return
    if (isAlive) return this.end()
    if (host.joinSeq() !== undefined) {
      this.stand([about])
      if (outbox.now - this.word!.since >= Math.max(RESET_AWAITED, PATIENCES * silence.patience))
        host.lost(
          `${silenceOf([about])}, and this process cannot be let in without it; try again when the group has been reset`,
        )
      return
    }
    if (sender.isLeaving) return this.leaveBehind([about])
    if (!this.named.has(about) && !silence.suspicion.isSuspect(about)) {
      const event = { event: 'suspect', member: about, reason: 'it does not answer the sequencer' } as const
      outbox.output({ output: 'event', event })
    }
    this.stand([about])
    this.named.add(about)
  }
}

function silenceOf(ids: readonly MemberId[]): string {
  return ids.length === 1
    ? `member ${ids[0]} does not answer any more`
    : `members ${ids.join(', ')} do not answer any more`
}

function itOf(ids: readonly MemberId[]): string {
  return ids.length === 1 ? 'it' : 'them'
}
