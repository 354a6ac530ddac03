/** Members that do not receive: named, and, if the group was created so, expelled (design section 4.9). */
import { describe, expect, test } from 'vitest'
import type { MemberEvent } from '../../kernel/port.ts'
import { Prng } from '../../kernel/prng.ts'
import { GroupOf, type Seat } from './group-of.ts'

const historySize = 32

function slowEvents({ events }: Seat): Extract<MemberEvent, { event: 'slow' }>[] {
  return events.flatMap((event) => (event.event === 'slow' ? [event] : []))
}

function keepSending(group: GroupOf, seats: readonly Seat[], each: number): void {
  for (let i = 0; i < each; i++) for (const seat of seats) seat.send(100)
  group.advance(5)
}

/** After that the first message of a turn waits for the others: blocks are full, and so becomes the history. */
function sendTogether(group: GroupOf, seat: Seat): void {
  keepSending(group, [seat], 2)
  group.settle()
}

describe("slowMember: 'block'", () => {
  test.each([
    ['a member', 2],
    ['the sequencer itself', 0],
  ])('%s that does not receive is named, with how far it is behind, once while it lasts', (_who, index) => {
    const group = GroupOf.open(3, { parameters: { historySize } })
    const holder = group.seats[index]!
    sendTogether(group, group.seats[1]!)
    holder.holds = true
    keepSending(group, [group.seats[1]!], 100)
    group.until(() => slowEvents(group.first).length > 0, 'it is named', 2000)
    group.advance(10_000)
    expect(slowEvents(group.first)).toEqual([
      { event: 'slow', member: holder.memberId, lagMessages: historySize },
    ])
    expect(group.first.machine.info().lags).toContainEqual({ id: holder.memberId, messages: historySize })

    holder.resume()
    group.until(() => group.seats[1]!.unanswered === 0, 'the group goes on')
    group.settle()
    holder.holds = true
    keepSending(group, [group.seats[1]!], 100)
    group.until(() => slowEvents(group.first).length === 2, 'it is named again', 2000)
    expect(group.living.length).toBe(3)
  })

  test('every member is told who it is, itself as well, though half of all notices are lost', () => {
    const group = GroupOf.open(4, { parameters: { historySize } })
    const prng = new Prng(7)
    let notices = 0
    group.isLost = ({ kind }) => kind === 'slow' && ++notices > 0 && prng.chance(1, 2)
    const holder = group.seats[2]!
    sendTogether(group, group.seats[1]!)
    for (let episode = 1; episode <= 2; episode++) {
      holder.holds = true
      keepSending(group, [group.seats[1]!], 100)
      group.until(
        () => group.seats.every((seat) => slowEvents(seat).length === episode),
        'all are told',
        10_000,
      )
      group.advance(10_000)
      for (const seat of group.seats) {
        const told = Array.from({ length: episode }, () => holder.memberId)
        expect(
          slowEvents(seat).map(({ member }) => member),
          seat.name,
        ).toEqual(told)
        expect(slowEvents(seat).at(-1)!.lagMessages).toBe(historySize)
      }
      holder.resume()
      group.until(() => group.seats[1]!.unanswered === 0, 'the group goes on')
      group.settle()
    }
    expect(notices).toBeGreaterThan(0)
    const before = notices
    group.advance(10_000)
    expect(notices, 'a group that goes on says nothing').toBe(before)
  })

  test('of several that do not receive the ones that are furthest behind are named', () => {
    const group = GroupOf.open(4, { parameters: { historySize } })
    for (const seat of group.seats.slice(2)) seat.holds = true
    keepSending(group, [group.seats[1]!], 100)
    group.advance(3000)
    const named = slowEvents(group.first).map(({ member }) => member)
    expect(named.sort()).toEqual(group.seats.slice(2).map(({ memberId }) => memberId))
  })
})

describe('slowMember: { expelAfterMs: 300 }', () => {
  const parameters = { historySize, slowMember: { expelAfterMs: 300 } }

  test.each([
    ['a member', 3],
    ['the sequencer itself', 0],
  ])('%s that does not receive is expelled by an ordered leave, and the others go on', (_who, index) => {
    const group = GroupOf.open(4, { parameters })
    const holder = group.seats[index]!
    const others = group.seats.filter((seat) => seat !== holder)
    holder.holds = true
    keepSending(group, others, 100)
    keepSending(group, [holder], 5)
    const took = group.until(() => holder.isOver, 'it is expelled', 5000)
    expect(took).toBeGreaterThanOrEqual(parameters.slowMember.expelAfterMs - 10)
    expect(took).toBeLessThanOrEqual(2 * parameters.slowMember.expelAfterMs)
    group.until(() => others.every(({ unanswered }) => unanswered === 0), 'the others go on', 5000)
    group.settle()

    expect(holder.events.filter(({ event }) => event !== 'slow')).toMatchObject([
      { event: 'expelled' },
      { event: 'closed', code: 'ERR_EXPELLED' },
    ])
    expect(holder.unanswered).toBe(0)
    const failed = holder.sent.filter(({ seq }) => seq === undefined)
    expect(failed.map(({ failed: why }) => why?.code)).toEqual(
      Array.from({ length: 5 }, () => 'ERR_EXPELLED'),
    )

    for (const { delivered, sent, events } of others) {
      const changes = delivered.filter(({ kind, seq }) => kind === 'leave' && seq > 0)
      expect(changes).toMatchObject([{ kind: 'leave', sender: holder.memberId }])
      expect(sent.every(({ seq }) => seq !== undefined)).toBe(true)
      expect(events.some(({ event }) => event === 'expelled' || event === 'closed')).toBe(false)
    }
    const orders = others.map(({ order }) => order.slice(-300))
    for (const order of orders) expect(order).toEqual(orders[0])
    // refused sends of the expelled are nowhere, and none of its messages comes after its leave
    const { delivered } = others[0]!
    const leftAt = delivered.findIndex(({ kind }) => kind === 'leave')
    expect(
      delivered.slice(leftAt).some(({ sender, kind }) => sender === holder.memberId && kind === 'messages'),
    ).toBe(false)
  })

  test('it is not before that time that somebody is expelled', () => {
    const group = GroupOf.open(3, { parameters })
    const holder = group.seats[2]!
    holder.holds = true
    keepSending(group, [group.seats[1]!], 100)
    group.advance(250)
    holder.resume()
    group.until(() => group.seats[1]!.unanswered === 0, 'the group goes on')
    group.advance(5000)
    expect(group.living.length).toBe(3)
  })

  test('members that receive are neither named nor expelled, however full the history is', () => {
    const group = GroupOf.open(3, { delayMs: 1, parameters: { ...parameters, historySize: 8 } })
    const end = group.queue.now + 5_000_000
    for (const seat of group.seats) {
      seat.onAnswered = ({ seq }) => {
        if (seq !== undefined && group.queue.now < end && group.living.length >= 3) seat.send(100)
      }
      for (let i = 0; i < 100; i++) seat.send(100)
    }
    group.advance(5000)
    expect(group.seats.flatMap(({ events }) => events)).toEqual([])
    group.until(() => group.seats.every(({ unanswered }) => unanswered === 0), 'every send has returned')
    expect(group.seats.flatMap(({ events }) => events)).toEqual([])
  })

  test('with the one that did not receive gone, the others are not expelled in its wake', () => {
    const group = GroupOf.open(4, { delayMs: 1, parameters: { ...parameters, historySize: 8 } })
    const holder = group.seats[3]!
    const end = group.queue.now + 5_000_000
    for (const seat of group.seats.slice(0, 3)) {
      seat.onAnswered = ({ seq }) => {
        if (seq !== undefined && group.queue.now < end && group.living.length >= 3) seat.send(100)
      }
      for (let i = 0; i < 100; i++) seat.send(100)
    }
    group.advance(500)
    holder.holds = true
    group.until(() => holder.isOver, 'it is expelled', 5000)
    group.advance(5000)
    expect(group.living.length).toBe(3)
  })

  test('a member that receives slowly, but does receive, stays', () => {
    const group = GroupOf.open(3, { parameters: { ...parameters, historySize: 8 } })
    const slow = group.seats[2]!
    slow.holds = true
    for (let i = 0; i < 100; i++) group.seats[1]!.send(100)
    const began = slow.delivered.length
    for (let i = 0; i < 100; i++) {
      group.until(() => slow.isOver || slow.delivered.length > began + i, 'the next is delivered')
      group.advance(50)
      if (slow.isOver) break
      slow.take(slow.delivered[began + i]!.seq)
    }
    expect(slow.events.filter(({ event }) => event === 'expelled')).toEqual([])
    expect(slow.messageCount).toBe(100)
  })
})

test('with many senders requests always wait for the network: who has taken least is not slow for that', () => {
  const window = 65_536
  const member = { packetSize: 4096, window, sendWindow: window / 4 }
  const parameters = { historySize: 2 ** 20, historyBytes: 2 ** 28, slowMember: { expelAfterMs: 300 } }
  const group = GroupOf.open(6, { delayMs: 3, parameters, member })
  const senders = group.seats.slice(0, 5)
  const last = group.seats[5]!
  last.holds = true
  for (const seat of senders) {
    seat.onAnswered = () => void seat.send(500)
    for (let i = 0; i < 500; i++) seat.send(500)
  }
  group.advance(600)
  expect(group.first.messageCount).toBeGreaterThan(10_000)
  expect(last.isOver).toBe(false)
  expect(group.seats.flatMap(slowEvents)).toEqual([])
})
