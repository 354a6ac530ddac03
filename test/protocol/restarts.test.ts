/** A process that has crashed is started again on its old address: somebody else (design sections 4.1, 4.7 and 4.10). */
import { expect, test } from 'vitest'
import { completeParameters } from '../../kernel/parameters.ts'
import { GroupOf, Seat } from './group-of.ts'

function startAgain(group: GroupOf, index: number, peers: readonly string[], tries: number): Seat {
  const seat = new Seat(group, index, { nonce: 99n + BigInt(tries), peers: [...peers] })
  group.seats.push(seat)
  seat.open('join', completeParameters())
  return seat
}

test.each([
  ['the sequencer', 0],
  ['a member', 2],
] as const)('%s (%i) is back before anybody has missed it, and is a new member', (_role, index) => {
  const group = GroupOf.open(4, { parameters: { resilience: 1 } })
  for (const seat of group.seats) seat.send(10)
  group.settle()
  const old = group.seats[index]!
  const others = group.seats.filter((seat) => seat !== old)
  const before = others[0]!.machine.info().seq
  old.crash()
  const peers = others.map(({ address }) => address)
  // (until the others know that their sequencer is dead, nobody can let it in: then its program asks again)
  let back = startAgain(group, index, peers, 0)
  for (let tries = 1; tries < 10 && back.memberId === 0; tries++) {
    if (back.openFailed !== undefined) back = startAgain(group, index, peers, tries)
    group.until(() => back.memberId !== 0 || back.openFailed !== undefined, 'it has an answer')
  }
  expect(back.address).toBe(old.address)
  const sent = [...others, back].map((seat) => seat.send(10))
  group.until(() => sent.every(({ seq }) => seq !== undefined), 'all sends return')
  group.settle()

  // its kernel says that the former life is over, long before a suspicion would: nothing is delivered to the wrong one
  expect(back.memberId).toBe(5)
  const members = [1, 2, 3, 4, 5].filter((id) => id !== old.memberId)
  for (const seat of [...others, back]) {
    expect(seat.isOver).toBe(false)
    expect(seat.view.members.map(({ id }) => id)).toEqual(members)
    const accused = seat.events.flatMap((event) => (event.event === 'suspect' ? [event.member] : []))
    expect(accused.every((id) => id === old.memberId)).toBe(true)
    expect(seat.order).toEqual(others[0]!.order.slice(-seat.order.length))
  }
  expect(back.delivered[0]!.seq).toBeGreaterThan(before)
  expect(back.messages.every(({ seq }) => seq > before)).toBe(true)
})
