/**
 * Readiness, as opposed to life: whether a member is in a view that may go on. `/readyz`, `amoebacast_ready` and a
 * rolling restart go by it. A process that is not ready may be in the best of health, so nothing should kill it.
 */
import type { MemberInfo } from '../port.ts'

/** Why the member's sends would not be ordered now, for people; undefined if they would. */
export function whyNotReady({ phase, view }: Pick<MemberInfo, 'phase' | 'view'>): string | undefined {
  switch (phase) {
    case 'member':
      return view === undefined ? 'not in a view yet' : undefined
    case 'recovering':
      return 'the group is being rebuilt, or too few members answer'
    case 'failed':
      return 'the group has stopped, and waits for resetGroup'
    case 'rejoining':
      return 'expelled, and on the way back'
    case 'leaving':
    case 'lingering':
      return 'leaving'
    case 'closed':
      return 'out of the group'
    default:
      return 'not a member yet'
  }
}

/** All memberships of a process: `undefined` if it is ready. A process without any does no work that could be sent to it. */
export function whyProcessNotReady(
  members: Iterable<Pick<MemberInfo, 'port' | 'phase' | 'view'>>,
  naming: 'with names' | 'without names',
): string | undefined {
  let count = 0
  const reasons = new Set<string>()
  for (const member of members) {
    count++
    const reason = whyNotReady(member)
    if (reason !== undefined) reasons.add(naming === 'with names' ? `${member.port}: ${reason}` : reason)
  }
  if (count === 0) return 'no group is open'
  return reasons.size === 0 ? undefined : [...reasons].join('; ')
}
