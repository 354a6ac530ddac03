/**
 * Where the operating system says that nobody listens there any more, a group is rebuilt no later than where a host has
 * fallen silent (design 4.5: ask at once instead of waiting), whoever it is that has died.
 */
import { describe, expect, test } from 'vitest'
import { GroupOf } from './group-of.ts'

type Who = 'member' | 'sequencer'

/** Milliseconds from the crash to the return of a send, or to the suspicion where too few are left for that. */
function outage(n: number, resilience: number, who: Who, isRefusing: boolean): number {
  const group = GroupOf.open(n, { parameters: { resilience } })
  group.isRefusing = isRefusing
  group.first.send(10)
  group.settle()
  const victim = who === 'member' ? group.seats.at(-1)! : group.first
  victim.crash()
  const witness = group.living.at(-1)!
  const sent = witness.send(10)
  const isSuspected = () =>
    witness.events.some((one) => one.event === 'suspect' && one.member === victim.memberId)
  return group.until(() => sent.seq !== undefined || (n === 2 && isSuspected()), 'it is noticed', 20_000)
}

const scenes = [2, 3, 4, 5].flatMap((n) =>
  Array.from({ length: n }, (_, r) => r).flatMap((r) =>
    (['member', 'sequencer'] as const).map((who) => ({ n, r, who })),
  ),
)

describe('refused is never later than silent', () => {
  test.each(scenes)('$n members, r = $r, a $who dies', ({ n, r, who }) => {
    expect(outage(n, r, who, true)).toBeLessThanOrEqual(outage(n, r, who, false))
  })

  test('one that is gone, and that nobody waits for, leaves without a reset', () => {
    const group = GroupOf.open(4, { parameters: { resilience: 1 } })
    group.isRefusing = true
    group.seats[3]!.crash()
    group.until(() => group.first.view.members.length === 3, 'it is out')
    for (const { delivered } of group.living)
      expect(delivered.some(({ kind }) => kind === 'reset')).toBe(false)
  })
})
