/**
 * When the group goes by other settings: the sequencer orders a change of its own as soon as every member can do what it
 * says (kernel/settings.ts says why nothing else has to be waited for).
 *
 * - **Version**: the highest that lies in the range of every member of the latest view. It only rises.
 * - **Key**: the newest key of this process, once every member says that it is its newest, too. A member says so in the header of each
 *   packet. Old words do not count, so that a packet that comes late, or is played back, cannot speak for a key that its
 *   sender has been allowed to forget since (group/member/member.ts, keysInUse): what a member said before it held the last
 *   change, before it held all that was ordered when this sequencer began, or when it held less than it has reported since.
 *
 * No change is ordered while a join, leave or result waits for its acceptance: who is in the group must be known. A joiner
 * that is numbered first holds the change up until it has reported; one that comes later must be able to follow
 * (view-changes.ts, cannotFollow). After an own leave nothing is ordered, and the successor begins to count anew.
 */
import type { MemberId, Seq } from '../kernel/identity.ts'
import type { OrderState } from '../kernel/order-state.ts'
import type { Outbox } from '../kernel/outbox.ts'
import type { PacketHeader } from '../kernel/packet.ts'
import type { Agreed, Settings } from '../kernel/settings.ts'
import type { ProgressTable } from './progress.ts'

export class SettingsKeeper {
  /**
   * Newest keys of those whose newest is not the group's, or not known to be. Nothing is kept for the others, so that a
   * packet costs one comparison where all have the group's key. BOUNDED by the members of the latest view.
   */
  private readonly otherKeys = new Map<MemberId, number>()
  /** What the keys were told in. */
  private since: Settings
  private readonly self: MemberId
  private readonly state: OrderState
  private readonly outbox: Outbox
  private readonly progress: Pick<ProgressTable, 'received'>
  /** Where the order was when this sequencer began: what was said to the one before it may come to this one late. */
  private readonly begunAt: Seq

  constructor(self: MemberId, state: OrderState, outbox: Outbox, progress: Pick<ProgressTable, 'received'>) {
    this.self = self
    this.state = state
    this.outbox = outbox
    this.progress = progress
    this.since = state.settings
    this.begunAt = state.history.received
  }

  /** A member's packet has come, and its progress is noted. True if it may be the one that was missing. */
  heard(id: MemberId, { newestKey, received }: PacketHeader): boolean {
    const { settings } = this.state
    if (newestKey === settings.keyId && this.otherKeys.size === 0) return false
    this.startAnew(settings)
    if (received < Math.max(settings.seq, this.begunAt, this.progress.received(id))) return false
    if (newestKey === settings.keyId) return this.otherKeys.delete(id)
    if (this.otherKeys.get(id) === newestKey) return false
    this.otherKeys.set(id, newestKey)
    return true
  }

  forget(id: MemberId): void {
    this.otherKeys.delete(id)
  }

  /** What is told to people: of who has not said otherwise, the group's. */
  newestKeyOf(id: MemberId): number {
    const { settings } = this.state
    this.startAnew(settings)
    return id === this.self ? this.outbox.newestKey : (this.otherKeys.get(id) ?? settings.keyId)
  }

  /** What the group is to go by from now on; undefined if it stays as it is. */
  next(): Agreed | undefined {
    const { settings, pending } = this.state
    const { versions, newestKey } = this.outbox
    if (newestKey === settings.keyId && versions.highest === settings.version) return undefined
    if (pending.length > 0) return undefined
    const version = this.commonVersion()
    const keyId = newestKey !== 0 && this.areAllAt(newestKey) ? newestKey : settings.keyId
    if (version === settings.version && keyId === settings.keyId) return undefined
    return { version, keyId }
  }

  private commonVersion(): number {
    const { settings, view } = this.state
    let { highest } = this.outbox.versions
    for (const { versions } of view.members) highest = Math.min(highest, versions.highest)
    if (highest <= settings.version) return settings.version
    return view.members.every(({ versions }) => versions.lowest <= highest) ? highest : settings.version
  }

  private areAllAt(keyId: number): boolean {
    const { settings, view } = this.state
    this.startAnew(settings)
    return view.members.every(({ id }) => id === this.self || this.otherKeys.get(id) === keyId)
  }

  /** The settings are others than they were: what was told before counts no more. */
  private startAnew(settings: Settings): void {
    if (this.since === settings) return
    this.since = settings
    this.otherKeys.clear()
  }
}
