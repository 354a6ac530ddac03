/**
 * Who may say anything at all (design 4.1): a packet counts only if group id, incarnation and coordinator
 * match mine, compared for equality, and if it comes from a member of my view. Mine is the view in force or,
 * from the moment of a promise on, the attempt promised. Exceptions are listed here, and in outsiders.ts for
 * those who are out of the view.
 */
import type { Incarnation, MemberId, Seq } from '../../kernel/identity.ts'
import type { OrderState } from '../../kernel/order-state.ts'
import { type PacketHeader, PacketKind, type RejectReason } from '../../kernel/packet.ts'
import type { Member } from '../../kernel/view.ts'

export type Admittance =
  | { readonly who: 'member'; readonly member: Member }
  /** One who has left, and may not know it. */
  | { readonly who: 'former'; readonly member: Member; readonly leftAt: Seq }
  /** A process that wants to become a member. */
  | { readonly who: 'joiner' }

export function admit(
  state: OrderState,
  header: PacketHeader,
  self: MemberId,
  promise: { readonly incarnation: Incarnation; readonly coordinator: MemberId },
  partner?: Member,
): Admittance | RejectReason {
  const { view } = state
  if (header.groupId !== view.groupId) return 'group'
  if (header.incarnation !== promise.incarnation || header.coordinator !== promise.coordinator)
    return 'incarnation'
  if (header.kind === PacketKind.joinRequest) return { who: 'joiner' }
  if (header.sender === self) return 'stranger'
  const member = partner?.id === header.sender ? partner : state.insider(header.sender, header.senderNonce)
  if (member !== undefined)
    return member.nonce === header.senderNonce ? { who: 'member', member } : 'stranger'
  // an id is one life's: another one under a member's id is nobody, whoever it was before
  if (state.present.some(({ id }) => id === header.sender)) return 'stranger'
  const former = state.former.find(({ member: { id } }) => id === header.sender)
  if (former?.member.nonce === header.senderNonce) return { who: 'former', ...former }
  // Nor one that claims to have joined since: within a view the sequencer is the lowest id that is left, so that nobody
  // whose join this member has missed numbers anything for it, and anybody could claim that.
  return 'stranger'
}
