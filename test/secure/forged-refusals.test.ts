/** "Nobody listens there": what the operating system says of a member's port may have been forged on the network. */
import { describe, expect, test } from 'vitest'
import type { Silence } from '../../group/member/silence.ts'
import { GroupOf, type Seat } from '../protocol/group-of.ts'

function refuse(at: Seat, about: Seat): void {
  at.input({ kind: 'refused', address: about.address })
}

describe('a refused port', () => {
  test('of a member that answers takes nobody out, however often it is told', () => {
    const group = GroupOf.open(4)
    const [first, second] = group.seats as [Seat, Seat]
    for (let i = 0; i < 500; i++) {
      for (const seat of group.seats.slice(1)) refuse(first, seat)
      if (i % 5 === 0) second.send(10)
      group.advance(3)
    }
    group.settle()
    for (const seat of group.seats) {
      expect(seat.view.members).toHaveLength(4)
      expect(seat.events).toEqual([])
    }
    expect(first.machine.counters.rejected.stranger).toBe(1500)
  })

  test('of the sequencer, told to all others: they ask each other, and nothing comes of it', () => {
    const group = GroupOf.open(4)
    const { first } = group
    for (let i = 0; i < 100; i++) {
      for (const seat of group.seats.slice(1)) refuse(seat, first)
      group.advance(3)
    }
    group.settle()
    for (const seat of group.seats) {
      expect(seat.view.members).toHaveLength(4)
      expect(seat.view.sequencer).toBe(first.memberId)
      expect(seat.delivered.some(({ kind }) => kind === 'reset')).toBe(false)
    }
  })

  test('of one that has been asked and says nothing takes it out at once', () => {
    const group = GroupOf.open(3, { parameters: { resilience: 1 } })
    const [first, second, third] = group.seats as [Seat, Seat, Seat]
    third.crash()
    const { silence } = (first.machine as unknown as { membership: { parts: { silence: Silence } } })
      .membership.parts
    group.until(() => silence.owesAnswer(third.memberId), 'it has been asked')
    const before = group.queue.now
    refuse(first, third)
    group.until(() => second.view.members.length === 2, 'it is out')
    expect(group.queue.now - before).toBeLessThan(10_000)
    expect(second.delivered.at(-1)!.kind).toBe('leave')
  })
})
