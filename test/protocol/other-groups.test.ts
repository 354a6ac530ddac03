/**
 * Two groups on one port whose creators never heard each other (design 4.7, 4.8): whoever can hear the other side tells
 * of it, on both sides, not too often, and nothing is merged.
 */
import { describe, expect, test } from 'vitest'
import { GroupOf, type Seat } from './group-of.ts'
import { splitsAt, twoGroups } from './two-groups.ts'

const SECONDS = 1000
const MINUTES = 60 * SECONDS

function expectUnmerged(seats: readonly Seat[], groupIds: readonly bigint[]): void {
  expect(seats.map(({ view }) => view.groupId)).toEqual(groupIds)
  for (const { view } of seats) expect(view.members).toHaveLength(2)
}

describe('two groups on one port', () => {
  test('that hear each other are told at every member, with the other’s group id and address', () => {
    const { group, seats, heal } = twoGroups()
    const groupIds = seats.map(({ view }) => view.groupId)
    group.advance(2 * MINUTES)
    for (const seat of seats) expect(splitsAt(seat)).toEqual([])
    heal()
    group.advance(35 * SECONDS)
    for (const [i, seat] of seats.entries()) {
      const other = seats[i < 2 ? 2 : 0]
      const { groupId, incarnation, coordinator } = other.view
      const { address } = other
      expect(splitsAt(seat)).toEqual([{ event: 'split', groupId, incarnation, coordinator, address }])
      expect(seat.machine.counters.splits).toBe(1)
    }
    expectUnmerged(seats, groupIds)
    // and they go on, each by itself
    const sent = seats.map((seat) => seat.send(10))
    group.until(() => sent.every(({ seq }) => seq !== undefined), 'all four sends are ordered')
  })

  test('are told again after minutes, not sooner', () => {
    const { group, seats, heal } = twoGroups()
    heal()
    group.advance(4 * MINUTES)
    for (const seat of seats) expect(splitsAt(seat)).toHaveLength(1)
    group.advance(4 * MINUTES)
    for (const seat of seats) expect(splitsAt(seat)).toHaveLength(2)
  })

  test('are told without multicast, at both sequencers, where one side has any of the other among its peers', () => {
    const { group, seats, heal } = twoGroups({
      member: { transport: 'unicast' },
      // m1 finds m0; the first group knows of m3, who is no sequencer, and the second of nobody else
      peersOf: (number) => [['m3:1'], ['m0:1', 'm3:1'], [], ['m2:1']][number]!,
    })
    const [a, b, c, d] = seats
    const groupIds = seats.map(({ view }) => view.groupId)
    heal()
    group.advance(35 * SECONDS)
    expect(splitsAt(a)).toMatchObject([{ groupId: c.view.groupId, address: d.address }])
    expect(splitsAt(c)).toMatchObject([{ groupId: a.view.groupId, address: a.address }])
    expect(splitsAt(d)).toMatchObject([{ groupId: a.view.groupId, address: a.address }])
    expect(splitsAt(b)).toEqual([])
    expectUnmerged(seats, groupIds)
  })

  test('cost one question each in half a minute, and nobody of the own group answers it', () => {
    const { group } = twoGroups()
    group.advance(30 * SECONDS)
    const before = group.counts()
    group.advance(60 * SECONDS)
    const { locate = 0, hereIs = 0 } = group.countsSince(before)
    expect({ locate, hereIs }).toEqual({ locate: 4, hereIs: 0 })
  })

  test('are looked for by whoever is the sequencer now', () => {
    const { group, seats, heal } = twoGroups()
    const [a, b, c, d] = seats
    a.leave()
    c.leave()
    group.until(() => a.isOver && c.isOver, 'both first sequencers have left')
    heal()
    group.advance(35 * SECONDS)
    for (const [seat, other] of [
      [b, d],
      [d, b],
    ] as const)
      expect(splitsAt(seat)).toMatchObject([{ groupId: other.view.groupId, address: other.address }])
  })
})

test('one group that fell apart is told of as well when its halves meet after half an hour', () => {
  const group = new GroupOf({ parameters: { minMembers: 2 }, member: { transport: 'unicast' } })
  const seats = Array.from({ length: 4 }, () => group.add())
  let isCut = true
  const sideOf = (seat: Seat): boolean => seats.indexOf(seat) < 2
  group.isLost = ({ from, to }) => isCut && sideOf(from) !== sideOf(to)
  const sent = [seats[0]!.send(10), seats[2]!.send(10)]
  group.until(() => sent.every(({ seq }) => seq !== undefined), 'each half goes on')
  // by then nobody reminds those who were removed any more, and without multicast they hear no heartbeats
  group.advance(30 * MINUTES)
  isCut = false
  group.advance(35 * SECONDS)
  const [a, , c] = seats as [Seat, Seat, Seat, Seat]
  expect(a.view.groupId).toBe(c.view.groupId)
  for (const [seat, other] of [
    [a, c],
    [c, a],
  ] as const) {
    const { incarnation, coordinator } = other.view
    expect(splitsAt(seat)).toEqual([{ event: 'split', incarnation, coordinator }])
  }
})
