/**
 * The blocks by which a view changes: joins and leaves are events in the order like messages (paper,
 * section 3; I6), and every member derives the view from them alone.
 */
import { readAdmitted, writeAdmitted } from './answers.ts'
import { BlockKind, blockAround, headerOfWhole } from './block.ts'
import type { MemberId, RequestNumber, Role } from './identity.ts'
import type { Member } from './view.ts'
import { Reader, Writer } from './wire.ts'

export interface JoinChange {
  readonly member: Member
  /** The joiner's header, for the others' programs. */
  readonly header: Uint8Array
  /** The request number before the joiner's first. */
  readonly lastRequest: RequestNumber
}

export interface LeaveChange {
  readonly member: MemberId
  readonly request: RequestNumber
  readonly header: Uint8Array
  /** Who numbers from here on, if the leaver is the sequencer; 0 if it is not, or if nobody is left. */
  readonly successor: MemberId
  readonly reason: LeaveReason
}

/** Why a member leaves. Append only. */
export const LeaveReason = { wish: 0, slow: 1, gone: 2 } as const
export type LeaveReason = (typeof LeaveReason)[keyof typeof LeaveReason]

export function encodeJoin(change: JoinChange): Uint8Array {
  const { member } = change
  const writer = new Writer().u64(member.nonce).u8(member.role)
  writeAdmitted(writer, member)
  const payload = writer.text(member.name).text(member.address).blob(change.header).finish()
  return blockAround(BlockKind.join, member.id, change.lastRequest, payload)
}

export function decodeJoin(block: Uint8Array): JoinChange | undefined {
  const head = headerOfWhole(block, BlockKind.join)
  if (head === undefined) return undefined
  const reader = new Reader(block, head.recordsAt)
  const nonce = reader.u64()
  const role = reader.u8()
  const admitted = readAdmitted(reader)
  const name = reader.text()
  const address = reader.text()
  const header = reader.blob()
  if (!reader.done || role > 1) return undefined
  return {
    member: { id: head.member, nonce, name, address, role: role as Role, ...admitted },
    header,
    lastRequest: head.firstRequest,
  }
}

export function encodeLeave(change: LeaveChange): Uint8Array {
  const payload = new Writer().u53(change.successor).u8(change.reason).blob(change.header).finish()
  return blockAround(BlockKind.leave, change.member, change.request, payload)
}

export function decodeLeave(block: Uint8Array): LeaveChange | undefined {
  const head = headerOfWhole(block, BlockKind.leave)
  if (head === undefined) return undefined
  const reader = new Reader(block, head.recordsAt)
  const successor = reader.u53()
  const reason = reader.u8()
  const header = reader.blob()
  if (!reader.done || reason > LeaveReason.gone) return undefined
  return { member: head.member, request: head.firstRequest, header, successor, reason: reason as LeaveReason }
}
