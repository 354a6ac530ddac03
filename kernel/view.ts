/**
 * A view: members, sequencer and group id as of one place in the order, named by (incarnation,
 * coordinator, seq). Views are immutable values; every change makes a new one.
 */
import { assert } from './assert.ts'
import {
  type Address,
  type GroupId,
  type Incarnation,
  type MemberId,
  type Nonce,
  Right,
  type Role,
  type Seq,
} from './identity.ts'
import type { Versions } from './meeting-packets.ts'

export interface Member {
  readonly id: MemberId
  readonly nonce: Nonce
  /** For people and metrics; not unique. */
  readonly name: string
  readonly address: Address
  readonly role: Role
  /** As what the sequencer has let it in. */
  readonly right: Right
  /** Versions of the wire format that it reads. */
  readonly versions: Versions
}

export interface View {
  readonly groupId: GroupId
  readonly incarnation: Incarnation
  /** The member whose attempt formed this incarnation; the creator at first. */
  readonly coordinator: MemberId
  /** Where in the order this view begins. */
  readonly seq: Seq
  /** 0 where nobody is left that may number: the group ends there. */
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

/**
 * The view after `id` has left at `seq`. A leaving sequencer hands over to `successor`; nobody numbers (0) where that is
 * not a member with every right, so that a sequencer that lies makes nobody else its like.
 */
export function withoutMember(view: View, id: MemberId, seq: Seq, successor: MemberId): View {
  const members = view.members.filter((member) => member.id !== id)
  assert(members.length === view.members.length - 1, 'only a member can leave', id)
  if (view.sequencer !== id) return { ...view, seq, members }
  const isHeir = members.some((member) => member.id === successor && member.right === Right.all)
  return { ...view, seq, sequencer: isHeir ? successor : 0, members }
}

/** More than half of `view`. */
export function majorityOf(view: View): number {
  return Math.floor(view.members.length / 2) + 1
}
