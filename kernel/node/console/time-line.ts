/** What has happened to a membership, by the outputs of its machine: a bounded list for people. */
import { hex64, type MemberId } from '../../identity.ts'
import type { MemberEvent, OrderedEvent, Output } from '../../port.ts'
import type { View } from '../../view.ts'
import type { FinishedReset } from './reset-watch.ts'
import type { TimeLineEntry, WallMs } from './snapshot.ts'

/** Entries kept. */
export const ENTRIES_MAX = 40
/** Names of removed members that are kept with a reset. */
const REMOVED_MAX = 16

export class TimeLine {
  /** BOUNDED by ENTRIES_MAX; oldest first. */
  readonly entries: TimeLineEntry[] = []
  private number = 0
  private view: View | undefined

  note(output: Output, wall: WallMs, takeReset: () => FinishedReset | undefined): void {
    if (output.output === 'joined') {
      this.view = output.view
      this.add({ kind: 'joined', member: output.memberId, ...placeOf(output.view) }, wall)
    } else if (output.output === 'deliveries') {
      for (const event of output.deliveries) {
        if (event.kind !== 'messages') this.noteView(event, wall, takeReset)
      }
    } else if (output.output === 'event') {
      this.noteEvent(output.event, wall)
    }
  }

  /** The group has come to stand still, since too few answer. */
  stopped(reason: string | undefined, wall: WallMs): void {
    this.add({ kind: 'stopped', ...(reason === undefined ? {} : { reason }) }, wall)
  }

  private noteView(
    event: Exclude<OrderedEvent, { kind: 'messages' }>,
    wall: WallMs,
    takeReset: () => FinishedReset | undefined,
  ): void {
    const { kind, seq, sender, view } = event
    const before = this.view
    this.view = view
    const who = { member: sender, name: nameIn(view, sender) ?? nameIn(before, sender) ?? '' }
    if (kind !== 'reset') return this.add({ kind, ...who, ...placeOf(view), seq }, wall)
    const removed = event.removed.slice(0, REMOVED_MAX).map((id) => ({ id, name: nameIn(before, id) ?? '' }))
    const { lossPossible } = event
    this.add({ kind, ...who, ...placeOf(view), seq, removed, lossPossible, ...takeReset() }, wall)
  }

  private noteEvent(event: MemberEvent, wall: WallMs): void {
    switch (event.event) {
      case 'suspect': {
        const { member, reason } = event
        return this.add({ kind: 'suspect', member, name: nameIn(this.view, member) ?? '', reason }, wall)
      }
      case 'slow': {
        const { member, lagMessages } = event
        return this.add({ kind: 'slow', member, name: nameIn(this.view, member) ?? '', lagMessages }, wall)
      }
      case 'split': {
        const { incarnation, coordinator: member, groupId, address } = event
        const other = groupId === undefined ? {} : { groupId: hex64(groupId) }
        const where = address === undefined ? {} : { address }
        return this.add({ kind: 'split', incarnation, member, ...other, ...where }, wall)
      }
      case 'expelled':
        return this.add({ kind: 'expelled', reason: event.reason }, wall)
      case 'closed':
        // an opening that came to nothing has no story
        if (this.view === undefined) return
        return this.add({ kind: 'closed', reason: event.reason }, wall)
    }
  }

  private add(fields: Omit<TimeLineEntry, 'number' | 'at'>, at: WallMs): void {
    const last = this.entries.at(-1)
    const isSame = last !== undefined && last.kind === fields.kind && last.member === fields.member
    if (isSame && (fields.kind === 'slow' || fields.kind === 'suspect')) {
      // told again and again, it must not push out everything else
      this.entries.pop()
      this.entries.push({ ...fields, number: last.number, at, times: (last.times ?? 1) + 1 })
      return
    }
    this.entries.push({ ...fields, number: ++this.number, at })
    if (this.entries.length > ENTRIES_MAX) this.entries.shift()
  }
}

function placeOf({ seq, incarnation, sequencer, members }: View) {
  return { seq, incarnation, sequencer, members: members.length }
}

function nameIn(view: View | undefined, id: MemberId): string | undefined {
  return view?.members.find((member) => member.id === id)?.name
}
