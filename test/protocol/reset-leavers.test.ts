/** Members that leave while their group is rebuilt, or has gone on without them. */
import { expect, test } from 'vitest'
import { GroupOf, type Seat } from './group-of.ts'
import { JudgedGroup, only, passAll } from './recovery-judged.ts'

test('one that was cut off, wants to leave and finds nobody has not left in order', () => {
  const it = new JudgedGroup(3, {})
  // it has nothing to say, and takes the silence for what it is wont to
  it.lead(only([1, 2]))
  it.reset(1)
  it.until(() => it.hasMarked(1, 'reset'), 'the others have gone on')
  const fourth = it.begin()
  it.lead(({ fromId, toId }) => (fromId === 3 || toId === 3 ? 'lose' : 'pass'))
  it.until(() => fourth.memberId !== 0, 'there is a fourth')
  for (const id of [1, 2]) {
    it.seat(id).leave()
    it.until(() => it.seat(id).isOver, `member ${id} has left`)
  }
  const sent = it.send(3)
  it.advance(1)
  it.seat(3).leave()
  for (const id of [1, 2]) it.refuse(3, id)
  it.until(() => it.seat(3).isOver, 'the third has left')
  expect(sent.failed?.outcome).toBe('unknown')
  it.lead(passAll)
  it.finish()
})

test('a successor that has missed the handover to it, with the old sequencer gone, is told by nobody that the group lives', () => {
  const group = GroupOf.open(4)
  const [old, successor, ...others] = group.seats as [Seat, Seat, ...Seat[]]
  group.isLost = ({ to }) => to === successor
  old.leave()
  group.until(() => others.every(({ view }) => view.sequencer === successor.memberId), 'the others know')
  old.crash()
  group.isLost = () => false
  expect(successor.view.sequencer).toBe(old.memberId)
  group.until(() => successor.view.sequencer === successor.memberId, 'it numbers')
  const sends = group.living.map((seat) => seat.send(10))
  group.until(() => sends.every(({ seq }) => seq !== undefined), 'the group goes on')
})
