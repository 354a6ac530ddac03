/**
 * One process stands still for a while, and wakes: nobody else is accused, neither by it nor by the others (design
 * section 4.10). What chance does with pauses is the simulator's business.
 */
import { expect, test } from 'vitest'
import { GroupOf } from './group-of.ts'
import { keepSending, pause, suspects } from './paused.ts'

const roles = [
  ['the sequencer', 0],
  ['a member', 2],
] as const
/** A suspicion takes a quarter of a second; members are watched less closely than the sequencer. */
const pauses = [
  [100, 'short'],
  [200, 'short'],
  [1000, 'long'],
  [5000, 'long'],
] as const
const cases = roles.flatMap(([role, index]) => pauses.map(([ms, how]) => [role, ms, how, index] as const))

test.each(cases)('%s stands still for %i ms (%s), while all send', (_role, ms, how, index) => {
  const group = GroupOf.open(5, { parameters: { resilience: 1 } })
  const paused = group.seats[index]!
  const others = group.seats.filter((seat) => seat !== paused)
  const stop = keepSending(group, 5)
  group.advance(500)
  pause(group, paused, ms)
  group.advance(10_000)
  stop()
  group.until(
    () => others.every(({ unanswered }) => unanswered === 0),
    'all sends of the others have returned',
  )
  expect(suspects([paused])).toEqual([])
  const accused = new Set(suspects(others))
  expect([...accused]).toEqual(how === 'long' ? [index + 1] : [])
  expect(group.seats.filter(({ isOver }) => isOver)).toEqual(how === 'long' ? [paused] : [])
})
