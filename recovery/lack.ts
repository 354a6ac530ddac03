/** Why too few take part in a reset, in words: how many do, how many it takes, and who says so. */
import type { MemberId } from '../kernel/identity.ts'
import type { Lack } from '../kernel/recovery-packets.ts'

export function membersText(count: number): string {
  return count === 1 ? '1 member' : `${count} members`
}

/** As `self` is told of it. */
export function lackText({ have, need, askedBy }: Lack, self: MemberId): string {
  const answering = `${membersText(have)} ${have === 1 ? 'answers' : 'answer'}`
  if (askedBy === 0) return `${answering}, and it takes ${need}`
  return `${answering}, and ${askedBy === self ? 'this member' : `member ${askedBy}`} has asked for ${need}`
}
