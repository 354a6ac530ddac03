/**
 * One process stands still for a while, and wakes: nobody else is accused, neither by it nor by the others (design
 * section 4.10). What chance does with pauses is the simulator's business.
 */
import { expect, test } from 'vitest'
import { GroupOf } from './group-of.ts'
import { keepSending, pause, suspects } from './paused.ts'

/** A suspicion takes a quarter of a second, and the sequencer waits a second before it looks after a member. */
const cases = [
  ['the sequencer', 0, 200, 'short'],
  ['the sequencer', 0, 1000, 'long'],
  ['the sequencer', 0, 5000, 'long'],
  ['a member', 2, 200, 'short'],
  ['a member', 2, 1000, 'short'],
  ['a member', 2, 5000, 'long'],
] as const

test.each(cases)('%s (%i) stands still for %i ms (%s), while all send', (_role, index, ms, how) => {
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
