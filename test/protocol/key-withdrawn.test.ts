/**
 * A key that a process put first and thinks better of: it lets go of it once nobody can take it at its former word, and
 * not before, whatever is late, lost, or said by a sequencer that has the office since. (key-rules.ts has two schedules made by hand.)
 */
import { describe, expect, test } from 'vitest'
import { Prng } from '../../kernel/prng.ts'
import { findMember } from '../../kernel/view.ts'
import { GroupOf, type Seat } from './group-of.ts'

const OLD = 0x0a0a0a0a
const NEW = 0x0b0b0b0b

const keyOf = ({ machine }: Seat): number => machine.info().settings.keyId
const needs = ({ machine }: Seat, key: number): boolean =>
  machine.keysInUse().some(({ keyId }) => keyId === key)
const setKeys = (seat: Seat, keys: readonly number[]): void => seat.call({ call: 'keys', keys })

/** All have come from the old key to the new one, and hold the new one only. */
function changed(size: number): GroupOf {
  const group = new GroupOf()
  for (let i = 0; i < size; i++) group.add({ keys: [OLD] })
  for (const seat of group.seats) setKeys(seat, [NEW, OLD])
  group.until(() => group.seats.every((seat) => keyOf(seat) === NEW), 'all have changed')
  group.until(() => !group.seats.some((seat) => needs(seat, OLD)), 'nobody needs the old one')
  for (const seat of group.seats) setKeys(seat, [NEW])
  group.settle()
  return group
}

describe('a key that was put first by mistake', () => {
  test('goes when every member has taken the next event', () => {
    for (const mistaken of [0, 2]) {
      const group = changed(3)
      const seat = group.seats[mistaken]!
      setKeys(seat, [OLD, NEW])
      group.advance(500)
      setKeys(seat, [NEW, OLD])
      group.advance(500)
      expect(needs(seat, OLD)).toBe(true)
      group.seats[1]!.send(10)
      group.until(() => !needs(seat, OLD), 'the old one is not needed any more')
      setKeys(seat, [NEW])
      const sent = seat.send(10)
      group.until(() => sent.seq !== undefined, 'and the group goes on')
    }
  })

  test('is kept while a member has not taken it', () => {
    const group = changed(3)
    const [, seat, slow] = group.seats as [Seat, Seat, Seat]
    setKeys(seat, [OLD, NEW])
    group.advance(500)
    setKeys(seat, [NEW, OLD])
    slow.holds = true
    group.first.send(10)
    group.advance(5_000)
    expect(needs(seat, OLD)).toBe(true)
    slow.resume()
    group.until(() => !needs(seat, OLD), 'the old one is not needed any more')
  })
})

/** What nobody may take away: the key that any of its view goes by. */
function assertKept(group: GroupOf): void {
  for (const seat of group.living) {
    const keyId = keyOf(seat)
    for (const other of group.living)
      if (findMember(seat.view, other.memberId) !== undefined && !needs(other, keyId))
        throw new Error(`${seat.name} goes by ${keyId.toString(16)}, and ${other.name} would let go of it`)
  }
}

describe('whoever goes from one key to the other and back', () => {
  const runs = (name: string, disturb: (group: GroupOf, prng: Prng) => void) =>
    test(name, () => {
      let changes = 0
      let releases = 0
      for (let seed = 1; seed <= 60; seed++) {
        const group = changed(4)
        const prng = new Prng(seed)
        for (const seat of group.seats) setKeys(seat, [NEW, OLD])
        group.delayOf = () => 50 + prng.below(prng.chance(1, 10) ? 20_000 : 1_000)
        group.isLost = () => prng.chance(1, 10)
        const disturbAt = prng.below(40)
        for (let step = 0; step < 60; step++) {
          if (step === disturbAt) disturb(group, prng)
          const seat = prng.pick(group.living)
          const before = keyOf(seat)
          if (prng.chance(1, 2)) setKeys(seat, prng.chance(2, 3) ? [OLD, NEW] : [NEW, OLD])
          if (prng.chance(1, 3)) prng.pick(group.living).send(10)
          const end = group.queue.now + prng.below(5_000)
          const isOver = (): boolean => {
            assertKept(group)
            return group.queue.now >= end
          }
          group.queue.at(end, () => {})
          group.until(isOver, 'its time is over')
          if (keyOf(seat) !== before) changes++
          if (!needs(seat, OLD) || !needs(seat, NEW)) releases++
        }
      }
      // (a test in which nothing happens shows nothing)
      expect(changes).toBeGreaterThan(10)
      expect(releases).toBeGreaterThan(10)
    })

  runs('never lets go of a key that the group may go by', () => {})
  runs('nor where the sequencer hands over meanwhile', (group) => group.first.leave())
  runs('nor where a crash of the sequencer leads to a reset', (group) => group.first.crash())
})
