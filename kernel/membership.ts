/**
 * The blocks by which a view changes: joins and leaves are events in the order like messages (paper,
 * section 3; I6), and every member derives the view from them alone.
 */
import { readAdmitted, writeAdmitted } from './answers.ts'
import { BLOCK_HEADER_BYTES, BlockKind, readBlockHeader, writeBlockHeader } from './block.ts'
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
  return blockOf(BlockKind.join, member.id, change.lastRequest, payload)
}

export function decodeJoin(block: Uint8Array): JoinChange | undefined {
  const head = readBlockHeader(block, 0)
  if (head === undefined || head.kind !== BlockKind.join || head.length !== block.length) return undefined
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
  return blockOf(BlockKind.leave, change.member, change.request, payload)
}

export function decodeLeave(block: Uint8Array): LeaveChange | undefined {
  const head = readBlockHeader(block, 0)
  if (head === undefined || head.kind !== BlockKind.leave || head.length !== block.length) return undefined
  const reader = new Reader(block, head.recordsAt)
  const successor = reader.u53()
  const reason = reader.u8()
  const header = reader.blob()
  if (!reader.done || reason > LeaveReason.gone) return undefined
  return { member: head.member, request: head.firstRequest, header, successor, reason: reason as LeaveReason }
}

function blockOf(kind: BlockKind, member: MemberId, request: RequestNumber, payload: Uint8Array): Uint8Array {
  const length = BLOCK_HEADER_BYTES + payload.length
  const block = new Uint8Array(length)
  writeBlockHeader(block, 0, { kind, count: 1, length, member, firstRequest: request })
  block.set(payload, BLOCK_HEADER_BYTES)
  return block
}
