/** What a group waits for before it changes its key, and what may get lost meanwhile: reports, the sequencer, one of the members. */
import { expect, test } from 'vitest'
import { GroupOf, type Seat } from './group-of.ts'

const OLD = 0x0a0a0a0a
const NEW = 0x0b0b0b0b

const keyOf = ({ machine }: Seat): number => machine.info().settings.keyId

test('a joiner that has given up needs no key', () => {
  const group = new GroupOf()
  group.add({ keys: [OLD], asksProgram: true })
  const joiner = group.begin({ keys: [NEW, OLD] })
  group.until(() => group.first.applicants.length > 0, 'the program is asked')
  group.first.authorize(group.first.applicants[0]!, false)
  group.until(() => joiner.openFailed !== undefined, 'it is refused')
  expect(joiner.machine.keysInUse()).toEqual([])
})

test('a change comes in an idle group, whatever packet is lost', () => {
  for (let lost = 0; lost < 12; lost++) {
    const group = new GroupOf()
    for (let i = 0; i < 4; i++) group.add({ keys: [OLD] })
    group.settle()
    let count = 0
    group.isLost = ({ kind, from }) => kind === 'state' && from !== group.first && count++ === lost
    for (const seat of group.seats) seat.call({ call: 'keys', keys: [NEW, OLD] })
    group.until(
      () => group.seats.every((seat) => keyOf(seat) === NEW),
      `all have changed without report ${lost}`,
    )
    // and the old one goes
    group.until(
      () => group.seats.every(({ machine }) => machine.keysInUse().every(({ keyId }) => keyId === NEW)),
      'nobody needs the old one',
    )
  }
})

test('a change comes when the sequencer is the last, the first, or has handed over meanwhile', () => {
  for (const order of [
    [0, 1, 2],
    [2, 1, 0],
    [1, 2],
  ] as const) {
    const group = new GroupOf()
    for (let i = 0; i < 3; i++) group.add({ keys: [OLD] })
    group.settle()
    for (const i of order) {
      group.seats[i]!.call({ call: 'keys', keys: [NEW, OLD] })
      group.advance(500)
    }
    if (order.length < 3) group.first.leave()
    group.until(() => group.living.every((seat) => keyOf(seat) === NEW), 'all have changed')
  }
})

test('a change comes when a crash takes away the one that is waited for, or the sequencer', () => {
  for (const victim of [0, 2]) {
    const group = new GroupOf()
    for (let i = 0; i < 3; i++) group.add({ keys: [OLD] })
    group.settle()
    for (const seat of group.seats) {
      if (seat !== group.seats[victim]) seat.call({ call: 'keys', keys: [NEW, OLD] })
    }
    group.advance(500)
    expect(group.seats.map(keyOf)).toEqual([OLD, OLD, OLD])
    group.seats[victim]!.crash()
    group.until(() => group.living.every((seat) => keyOf(seat) === NEW), 'the others have changed')
  }
})
