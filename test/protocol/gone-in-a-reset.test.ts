/** Processes that die during a reset, on hosts that live: the operating system says so, and nobody waits for them. */
import { describe, expect, test } from 'vitest'
import { GroupOf, type Seat } from './group-of.ts'

/** A suspicion takes a quarter of a second by default. */
const SOON_MS = 150

function group(size: number): { group: GroupOf; seats: Seat[] } {
  const group = GroupOf.open(size, { parameters: { resilience: 1 } })
  group.isRefusing = true
  group.first.send(10)
  group.settle()
  return { group, seats: group.seats }
}

const inNewView = (seats: readonly Seat[]) => () =>
  seats.every(({ view }) => view.members.length === seats.length)

describe('a process that dies during a reset', () => {
  test('together with the sequencer, and nobody knows yet: its vote is not waited for', () => {
    const { group: five, seats } = group(5)
    five.first.crash()
    const second = seats[1]!
    // whoever invites has just heard it
    for (const seat of seats.slice(1, 4)) {
      seat.onMark = (mark) => {
        if (mark === 'inviting') seats[4]!.crash()
      }
    }
    second.send(10)
    const ms = five.until(inNewView(seats.slice(1, 4)), 'three are in a new view')
    expect(ms).toBeLessThan(SOON_MS)
  })

  test('as its coordinator, when the others have voted: they do not sit out their patience', () => {
    const { group: five, seats } = group(5)
    const coordinator = seats[2]!
    let votes = 0
    for (const seat of [seats[1]!, seats[3]!, seats[4]!]) {
      seat.onMark = (mark) => {
        if (mark === 'voted' && ++votes === 3) coordinator.crash()
      }
    }
    five.first.crash()
    coordinator.reset()
    five.isLost = ({ to, kind }) => to === coordinator && kind === 'streamData'
    five.until(() => coordinator.isOver, 'the coordinator is dead')
    five.isLost = () => false
    const ms = five.until(inNewView([seats[1]!, seats[3]!, seats[4]!]), 'three are in a new view')
    expect(ms).toBeLessThan(SOON_MS)
  })
})

test('a joiner that dies before it has acked its join does not stop a group of one', () => {
  const lone = new GroupOf()
  lone.isRefusing = true
  const first = lone.add()
  first.onMark = (mark) => {
    if (mark === 'join-numbered') lone.seats[1]!.crash()
  }
  lone.begin()
  lone.until(() => lone.seats[1]!.isOver, 'the joiner is dead')
  const sent = first.send(10)
  lone.until(() => sent.seq !== undefined, 'the send returns')
  expect(first.view.members).toHaveLength(1)
})
