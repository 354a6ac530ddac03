/**
 * What cannot go on without members that are gone or suspect: events that lack their acks or votes, requests that wait for
 * room that only they can give, and view changes that could not be made official. It says nothing about what is to be done;
 * the member around the sequencer does (group/member/standstill.ts).
 */
import type { MemberId, Seq } from '../kernel/identity.ts'
import type { OrderState } from '../kernel/order-state.ts'
import type { Member, View } from '../kernel/view.ts'
import { acceptableUpTo, type Holders, mayChangeView } from './acceptance.ts'
import type { ProgressTable } from './progress.ts'

/** More than any seq, and still a number that can be sorted by. */
const EVERYTHING: Seq = Number.MAX_SAFE_INTEGER

export interface HeldUp {
  /** Something that everybody's calls wait for: what is numbered cannot become official, or requests have no room. */
  readonly isOrder: boolean
  /** A view change waits, which could not become official if it were numbered. */
  readonly isChange: boolean
  /** Who has asked for its leave, and will not have it by that. */
  readonly leavers: readonly MemberId[]
}

export const NOTHING_HELD_UP: HeldUp = { isOrder: false, isChange: false, leavers: [] }

/** Whatever the silent have acked counts; of everybody else it is hoped that they will ack all that there is. */
class Hope implements Holders {
  private readonly progress: ProgressTable
  private readonly isSilent: (id: MemberId) => boolean

  constructor(progress: ProgressTable, isSilent: (id: MemberId) => boolean) {
    this.progress = progress
    this.isSilent = isSilent
  }

  received(id: MemberId): Seq {
    return this.isSilent(id) ? this.progress.received(id) : EVERYTHING
  }

  isGone(id: MemberId): boolean {
    return this.progress.isGone(id)
  }

  holding(members: readonly Member[], seq: Seq): number {
    return members.filter(({ id }) => !this.isGone(id) && this.received(id) >= seq).length
  }
}

export class Dependence {
  private readonly self: MemberId
  private readonly state: OrderState
  private readonly progress: ProgressTable
  private readonly isSuspect: (id: MemberId) => boolean

  constructor(parts: {
    self: MemberId
    state: OrderState
    progress: ProgressTable
    isSuspect: (id: MemberId) => boolean
  }) {
    this.self = parts.self
    this.state = parts.state
    this.progress = parts.progress
    this.isSuspect = parts.isSuspect
  }

  isSilent(id: MemberId): boolean {
    return id !== this.self && (this.progress.isGone(id) || this.isSuspect(id))
  }

  /** Nearly always false. */
  get isAnybodySilent(): boolean {
    return this.state.present.some(({ id }) => this.isSilent(id))
  }

  /** Gone or suspect. */
  get silent(): Member[] {
    return this.state.present.filter(({ id }) => this.isSilent(id))
  }

  private get hope(): Hope {
    return new Hope(this.progress, (id) => this.isSilent(id))
  }

  /** What is numbered cannot all become official. */
  get holdsUpAcceptance(): boolean {
    const { state } = this
    if (state.accepted === state.history.received) return false
    return acceptableUpTo(state, this.hope, this.self) < state.history.received
  }

  /** Whether everybody else has taken or received more than the silent have: room that they alone keep. */
  get holdsUpRoom(): boolean {
    const { progress } = this
    const { present } = this.state
    const others = present.filter(({ id }) => !this.isSilent(id))
    if (progress.leastReceived(others) > progress.leastReceived(present)) return true
    return (progress.takenByAll(others) ?? 0) > (progress.takenByAll(present) ?? 0)
  }

  /** Whether the others have all reported since they were asked, and the silent alone have not. */
  holdsUpSpread(askedAt: number): boolean {
    const others = this.state.present.filter(({ id }) => !this.isSilent(id))
    return this.progress.reportedSince(others, this.self) > askedAt
  }

  /** Whether the change to `after` could become official without the silent, once it is numbered. */
  allows(after: View, leaver?: MemberId): boolean {
    const { state, self } = this
    if (!this.isAnybodySilent) return true
    const leave = leaver === undefined ? undefined : { member: leaver }
    const change = { seq: state.history.received + 1, view: after, leave }
    return mayChangeView(state, this.hope, state.latestView, change, self)
  }
}
