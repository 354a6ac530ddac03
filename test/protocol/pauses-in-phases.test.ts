/** In every phase of a reset somebody stands still, shortly or for longer than any limit, and wakes up (design 4.5, 4.6). */
import { expect, test } from 'vitest'
import { GroupOf } from './group-of.ts'
import { pause } from './paused.ts'

const marks = ['inviting', 'voted', 'collecting', 'proposing', 'result', 'result-held', 'reset', 'resumed']
const cases = marks.flatMap((mark) =>
  [1, 2, 3].flatMap((nth) =>
    [200, 700, 5000].flatMap((ms) =>
      (['has crashed', 'stands still'] as const).map((how) => [mark, nth, ms, how] as const),
    ),
  ),
)

const seqOf = (line: string): number => Number(line.split(' ')[0])

test.each(cases)(
  '"%s", the member number %i there stops for %i ms; the sequencer %s',
  (mark, nth, ms, how) => {
    const group = GroupOf.open(6, { parameters: { resilience: 2 } })
    for (const seat of group.living) seat.send(10)
    group.settle()
    if (how === 'has crashed') group.first.crash()
    else pause(group, group.first, 4000)
    let seen = 0
    for (const seat of group.living) {
      seat.onMark = (at) => {
        if (at === mark && ++seen === nth) group.queue.after(0, () => pause(group, seat, ms))
      }
    }
    const sends = group.living.map((seat) => ({ seat, sent: seat.send(10) }))
    group.advance(20_000)
    group.until(
      () => sends.every(({ seat }) => seat.isOver || seat.unanswered === 0),
      'all sends of those who are in the group have returned',
    )
    group.advance(10_000)

    const { living, seats } = group
    const order = living[0]!.order
    for (const { view } of living) expect(view.members.length).toBe(living.length)
    const begins = seqOf(order[0]!)
    // each from its own join on; who is out has delivered nothing that is not in the order
    for (const { isOver, order: its } of seats) {
      const both = its.filter((line) => seqOf(line) >= begins)
      if (isOver) expect(order).toEqual(expect.arrayContaining(both))
      else expect(both).toEqual(order.slice(order.length - both.length))
    }
    for (const { seat, sent } of sends) {
      if (sent.seq === undefined) continue
      expect(order.some((line) => line.startsWith(`${sent.seq} messages ${seat.memberId} `))).toBe(true)
    }
  },
)
