/** What a program is handed, and the view beside it, in the form that programs see. */
import type { GroupError } from '../kernel/errors.ts'
import {
  hex64,
  type Incarnation,
  type MemberId,
  type RightName,
  type RoleName,
  rightNames,
  roleNames,
  type Seq,
} from '../kernel/identity.ts'
import { keyText, type Settings } from '../kernel/settings.ts'
import type { View as MachineView } from '../kernel/view.ts'

export interface ViewMember {
  readonly id: MemberId
  /** For people; not unique. */
  readonly name: string
  /** `host:port` where the member's kernel receives. */
  readonly address: string
  readonly role: RoleName
  /** What it may do: everything; send and receive; only receive. */
  readonly right: RightName
}

/** The members and the sequencer as of one place in the order (paper, section 3; design, section 1). */
export interface View {
  /** 16 hexadecimal digits, drawn by the creator: another life of the same port has another. */
  readonly groupId: string
  /** Raised by every attempt at a reset. */
  readonly incarnation: Incarnation
  /** The member whose attempt formed this incarnation; the creator at first. */
  readonly coordinator: MemberId
  /** The place in the order at which this view begins. */
  readonly seq: Seq
  /** Who numbers; 0 where the last member has left, or the last that may number. */
  readonly sequencer: MemberId
  /** In order of id, so the oldest is first. */
  readonly members: readonly ViewMember[]
}

interface Place {
  /** Place in the group's one order. */
  readonly seq: Seq
  /** Who sent, joined, left, or coordinated the reset; the own new member id where this member came back. */
  readonly sender: MemberId
  /** The small header given beside the body, or with the join, leave or reset; empty if none was. */
  readonly header: Uint8Array
  /** Whether another delivery is waiting already. */
  readonly more: boolean
  /** The view as of this place; the new one for a join, leave, reset or rejoin. */
  readonly view: View
}

/** A message whose body the codec could decode. */
export interface MessageDelivery<T> extends Place {
  readonly kind: 'message'
  readonly body: T
  readonly error?: undefined
}

/**
 * A message whose body this member's codec could not decode. It keeps its place in the order, so that the
 * program decides: `error` is an ERR_INVALID_ARGUMENT whose `cause` is what the codec threw.
 */
export interface UndecodableDelivery extends Place {
  readonly kind: 'message'
  readonly body: undefined
  readonly error: GroupError
}

export interface MembershipDelivery extends Place {
  readonly kind: 'join' | 'leave'
  readonly body: undefined
}

/**
 * The group was rebuilt after crashes, or because a member called resetGroup (paper, section 4.2). All members of
 * the new view receive it at the same place, and had received the same before it. `view` is the new one, with
 * a new `incarnation` and its `coordinator`, who is the sequencer now. What to do: stop waiting for those in
 * `removed`, take over their work; where `lossPossible`, check what must not be missing.
 */
export interface ResetDelivery extends Place {
  readonly kind: 'reset'
  readonly body: undefined
  /** Ids of the members of the view before that are not in the new one. */
  readonly removed: readonly MemberId[]
  /** Whether messages whose send had returned may be missing: more members were lost than `resilience`. */
  readonly lossPossible: boolean
}

/**
 * Only with `rejoin: true`, and only here: this process was expelled and has come back as a new member; `sender`
 * is its new member id, `seq` the place of its new join. The group's events after `missedFrom`, the last place
 * handed out before this, and before `seq` are missed. What was handed out last may be missing at the others,
 * too (see the guarantees in the top README), and where `view.groupId` is another, this is another group under
 * the same name. What to do: fetch the state from another member, as a first-time joiner would.
 */
export interface RejoinDelivery extends Place {
  readonly kind: 'rejoin'
  readonly body: undefined
  readonly missedFrom: Seq
}

/** One event of the group's order; tell them apart by `kind`, and undecodable messages by `error`. */
export type Delivery<T = unknown> =
  | MessageDelivery<T>
  | UndecodableDelivery
  | MembershipDelivery
  | ResetDelivery
  | RejoinDelivery

/** What the group has agreed upon, in the form that programs see. */
export function toAgreed({ version, keyId }: Pick<Settings, 'version' | 'keyId'>): {
  readonly wireVersion: number
  readonly keyId: string | undefined
} {
  return { wireVersion: version, keyId: keyId === 0 ? undefined : keyText(keyId) }
}

/** The machine's view in the form that programs see. */
export function toView(view: MachineView): View {
  return {
    groupId: hex64(view.groupId),
    incarnation: view.incarnation,
    coordinator: view.coordinator,
    seq: view.seq,
    sequencer: view.sequencer,
    members: view.members.map(({ id, name, address, role, right }) => ({
      id,
      name,
      address,
      role: roleNames[role],
      right: rightNames[right],
    })),
  }
}
