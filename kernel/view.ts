/**
 * A view: members, sequencer and group id as of one place in the order, named by (incarnation,
 * coordinator, seq). Views are immutable values; every change makes a new one.
 */
import { assert } from './assert.ts'
import type { Address, GroupId, Incarnation, MemberId, Nonce, Role, Seq } from './identity.ts'

export interface Member {
  readonly id: MemberId
  readonly nonce: Nonce
  /** For people and metrics; not unique. */
  readonly name: string
  readonly address: Address
  readonly role: Role
}

export interface View {
  readonly groupId: GroupId
  readonly incarnation: Incarnation
  /** The member whose attempt formed this incarnation; the creator at first. */
  readonly coordinator: MemberId
  /** Where in the order this view begins. */
  readonly seq: Seq
  readonly sequencer: MemberId
  /** In order of id, so the oldest is first. */
  readonly members: readonly Member[]
}

export function findMember(view: View, id: MemberId): Member | undefined {
  return view.members.find((member) => member.id === id)
}

/** Position among the members other than the sequencer, from 0; staggers reports, decides ack duty. */
export function rankAmongOthers(view: View, id: MemberId): number {
  let rank = 0
  for (const member of view.members) {
    if (member.id === id) return rank
    if (member.id !== view.sequencer) rank++
  }
  return rank
}

/** The view after `member` has joined at `seq`. */
export function withJoined(view: View, member: Member, seq: Seq): View {
  const last = view.members.at(-1)
  assert(last === undefined || member.id > last.id, 'member ids rise in order of joining', member.id)
  return { ...view, seq, members: [...view.members, member] }
}

/** The view after `id` has left at `seq`; a leaving sequencer hands over to `successor`. */
export function withoutMember(view: View, id: MemberId, seq: Seq, successor: MemberId): View {
  const members = view.members.filter((member) => member.id !== id)
  assert(members.length === view.members.length - 1, 'only a member can leave', id)
  return { ...view, seq, sequencer: view.sequencer === id ? successor : view.sequencer, members }
}

/** More than half of `view`. */
export function majorityOf(view: View): number {
  return Math.floor(view.members.length / 2) + 1
}
