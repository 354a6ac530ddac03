/** CreateGroup (paper, section 3): a group of one, with its creator as sequencer. */
import { type MemberId, Right, Role } from '../../kernel/identity.ts'
import { ownVersions } from '../../kernel/meeting-packets.ts'
import type { Baseline } from '../../kernel/order-state.ts'
import type { GroupParameters } from '../../kernel/parameters.ts'
import { lastRequestOf, type MemberOptions } from './options.ts'

export function foundingBaseline(
  options: MemberOptions,
  parameters: GroupParameters,
  groupId: bigint,
): Baseline {
  const { start, nonce, name, address, role, keys = [], versions = ownVersions } = options
  const id: MemberId = start?.memberId ?? 1
  const seq = start?.seq ?? 0
  const view = {
    groupId,
    incarnation: start?.incarnation ?? 1,
    coordinator: id,
    seq,
    sequencer: id,
    members: [{ id, nonce, name, address, role: Role[role], right: Right.all, versions }],
  }
  const requests = new Map([[id, lastRequestOf(options)]])
  const ballot = { incarnation: view.incarnation, endIncarnation: 0, endSeq: 0, coordinator: id }
  const results = [{ ballot, seq }]
  const nextMemberId = id + 1
  return {
    parameters,
    before: view,
    view,
    results,
    seq,
    stable: seq,
    accepted: seq,
    requests,
    nextMemberId,
    settings: { seq, version: versions.highest, keyId: keys[0] ?? 0 },
  }
}
