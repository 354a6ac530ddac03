/**
 * The paper's own call forms (section 3, table 1), for those who come from it: `amoebacast/amoeba`. They
 * stand over the same objects as the rest of the package, on the shared default kernel, or on one of the
 * program's own by `amoebaCalls(kernel)`. Bodies are bytes.
 *
 * As in the paper, recovery is manual (calls fail with ERR_MEMBER_FAILED until ResetGroup) and the caller of
 * ResetGroup chooses how many members suffice: the group's own floor is 1, which lets both sides of a
 * partition go on. Use createGroup where that is not wanted.
 */
import { checkFields } from '../kernel/checks.ts'
import { ErrorCode, GroupError, invalidArgument } from '../kernel/errors.ts'
import { createGroup, joinGroup } from './default-kernel.ts'
import type { Delivery } from './deliveries.ts'
import type { Group } from './group.ts'
import type { GroupOptions } from './options.ts'

/** A group descriptor: a small integer, the smallest that is free. */
export type GroupDescriptor = number

/** JoinGroup's header names the port; `data` is delivered to the others with the join. */
export type JoinHeader = string | { readonly port: string; readonly data?: Uint8Array }

export interface Received {
  /** The header given with the send, join, leave or reset; empty if none was. */
  readonly hdr: Uint8Array
  /** The message; empty for a join, leave or reset. */
  readonly buf: Uint8Array
  /** Whether more has been buffered. */
  readonly more: boolean
  /** Beyond the paper: what this is, from whom, and its place in the order. */
  readonly kind: Delivery['kind']
  readonly sender: number
  readonly seq: number
}

export interface AmoebaCalls {
  /**
   * Creates the group `port` that survives `resilience` crashes without loss, with at most `maxGroupSize`
   * members, `nrBuf` messages of history and messages of at most `maxMsgSize` bytes, header included.
   */
  CreateGroup(
    port: string,
    resilience: number,
    maxGroupSize: number,
    nrBuf: number,
    maxMsgSize: number,
  ): Promise<GroupDescriptor>
  /** Joins; the paper's further parameters belong to the group here, and come with the join's answer. */
  JoinGroup(hdr: JoinHeader): Promise<GroupDescriptor>
  /** Leaves and gives the descriptor back, also where the member was lost already. */
  LeaveGroup(gd: GroupDescriptor, hdr?: Uint8Array): Promise<void>
  /** Resolves with the message's place in the order. */
  SendToGroup(gd: GroupDescriptor, hdr: Uint8Array | undefined, buf: Uint8Array): Promise<number>
  ReceiveFromGroup(gd: GroupDescriptor): Promise<Received>
  /** Resolves with the size of the new group, which has at least `nrMembers` members. */
  ResetGroup(gd: GroupDescriptor, hdr: Uint8Array | undefined, nrMembers: number): Promise<number>
}

/** What the calls stand on: a Kernel, or the module's shared one. */
export interface GroupOpener {
  createGroup<T>(port: string, options?: GroupOptions<T>): Promise<Group<T>>
  joinGroup<T>(port: string, options?: GroupOptions<T>): Promise<Group<T>>
}

const NO_BYTES = new Uint8Array(0)

/** The call forms over one kernel, with descriptors of their own. */
export function amoebaCalls(kernel: GroupOpener): AmoebaCalls {
  /** By descriptor. BOUNDED by the groups that the program holds. */
  const groups: (Group<Uint8Array> | undefined)[] = []

  function give(group: Group<Uint8Array>): GroupDescriptor {
    const free = groups.indexOf(undefined)
    const gd = free < 0 ? groups.length : free
    groups[gd] = group
    return gd
  }

  function groupOf(gd: GroupDescriptor): Group<Uint8Array> {
    const group = groups[gd]
    if (group !== undefined) return group
    throw invalidArgument(
      'gd',
      gd,
      'a group descriptor that CreateGroup or JoinGroup gave and LeaveGroup did not take',
    )
  }

  return {
    async CreateGroup(port, resilience, maxGroupSize, nrBuf, maxMsgSize) {
      const options: GroupOptions<Uint8Array> = {
        resilience,
        maxMembers: maxGroupSize,
        historySize: nrBuf,
        maxMessageSize: maxMsgSize,
        recovery: 'manual',
        minMembers: 1,
        codec: 'binary',
      }
      return give(await kernel.createGroup<Uint8Array>(port, options))
    },

    async JoinGroup(hdr) {
      if (typeof hdr !== 'string') checkFields('JoinGroup', hdr, ['port', 'data'])
      const { port, data } = typeof hdr === 'string' ? { port: hdr, data: undefined } : hdr
      return give(await kernel.joinGroup<Uint8Array>(port, { header: data, codec: 'binary' }))
    },

    async LeaveGroup(gd, hdr) {
      const group = groupOf(gd)
      try {
        await group.leaveGroup({ header: hdr })
      } catch (error) {
        const isLost =
          error instanceof GroupError &&
          (error.code === ErrorCode.closed || error.code === ErrorCode.expelled)
        if (!isLost) throw error
      }
      if (groups[gd] === group) groups[gd] = undefined
    },

    async SendToGroup(gd, hdr, buf) {
      return groupOf(gd).sendToGroup(buf, { header: hdr })
    },

    async ReceiveFromGroup(gd) {
      const { header, body = NO_BYTES, more, kind, sender, seq } = await groupOf(gd).receiveFromGroup()
      return { hdr: header, buf: body, more, kind, sender, seq }
    },

    async ResetGroup(gd, hdr, nrMembers) {
      return groupOf(gd).resetGroup(nrMembers, { header: hdr })
    },
  }
}

/** The call forms over the shared default kernel. */
export const { CreateGroup, JoinGroup, LeaveGroup, SendToGroup, ReceiveFromGroup, ResetGroup } = amoebaCalls({
  createGroup,
  joinGroup,
})
