/** Members of views, and what they tell of themselves, made by hand. */
import type { MemberId } from '../../kernel/identity.ts'
import { ownVersions } from '../../kernel/meeting-packets.ts'
import type { MemberInfo } from '../../kernel/port.ts'
import type { Member } from '../../kernel/view.ts'

/** A full member with every right and its own nonce, name and address, but for what is given. */
export function memberOf(id: MemberId, given: Partial<Member> = {}): Member {
  return {
    id,
    nonce: BigInt(id),
    name: `m${id}`,
    address: `127.0.0.1:${4000 + id}`,
    role: 0,
    right: 0,
    versions: ownVersions,
    ...given,
  }
}

/** Of a full member with every right that has not done anything yet, but for what is given. */
export function infoOf(given: Partial<MemberInfo> = {}): MemberInfo {
  return {
    phase: 'member',
    port: 'p',
    memberId: 1,
    role: 'full',
    right: 'all',
    view: undefined,
    isSequencer: false,
    seq: 0,
    received: 0,
    accepted: 0,
    taken: 0,
    stable: 0,
    historyMessages: 0,
    historyBytes: 0,
    waitingSends: 0,
    outstandingSends: 0,
    queuedRequests: 0,
    lags: [],
    settings: { seq: 0, version: 1, keyId: 0 },
    ...given,
  }
}
