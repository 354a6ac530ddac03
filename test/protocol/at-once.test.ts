/**
 * What is alone does not wait for the end of its turn: a lone message's request, its broadcast, its ack and its
 * acceptance each leave in the step that is their cause. What comes in company waits, and shares packets.
 */
import { describe, expect, test } from 'vitest'
import { BareGroup } from './bare-group.ts'
import { GroupOf, type Seat } from './group-of.ts'

const MESSAGES = 100

/** Of all machines together, for a lone message of a member that is not the sequencer. */
function stepsOfLone(resilience: number): number {
  const group = new BareGroup({ members: 3, packetSize: 16_384, parameters: { resilience } })
  const before = group.steps
  for (let i = 0; i < MESSAGES; i++) {
    group.seats[1]!.sendMany([new Uint8Array(100)])
    group.pump()
    group.now += 200
  }
  return (group.steps - before) / MESSAGES
}

describe('steps of a lone message, at three members together', () => {
  // the call, the request, and two members to whom it comes; beside them timers now and then
  test('r = 0', () => expect(stepsOfLone(0)).toBeLessThan(4.5))

  // the ack, and the acceptance at two members
  test('r = 1', () => expect(stepsOfLone(1)).toBeLessThan(7.5))
})

/** How many packets of a kind the group has sent for `run`. */
function countOf(group: GroupOf, kind: 'request' | 'order', run: () => void): number {
  const before = group.counts()
  run()
  return group.countsSince(before)[kind] ?? 0
}

function sendInOneTurn(group: GroupOf, seats: readonly Seat[], each: number): void {
  const sent = seats.flatMap((seat) => Array.from({ length: each }, () => seat.send(100)))
  group.until(() => sent.every(({ seq }) => seq !== undefined), 'all have returned')
}

describe('messages in one turn', () => {
  test('of one member share a request, but for the first time', () => {
    const group = GroupOf.open(3)
    const turn = () => sendInOneTurn(group, [group.seats[1]!], 10)
    expect(countOf(group, 'request', turn)).toBe(2)
    for (let i = 0; i < 5; i++) expect(countOf(group, 'request', turn)).toBe(1)
  })

  test('a lone one after them waits once more, and then none does', () => {
    const group = GroupOf.open(3)
    const sender = group.seats[1]!
    sendInOneTurn(group, [sender], 10)
    sendInOneTurn(group, [sender], 1)
    const before = group.counts()
    sender.send(100)
    // (no time has gone by, and no turn has ended)
    expect(group.countsSince(before).request).toBe(1)
  })

  test('of several members share broadcasts', () => {
    const group = GroupOf.open(5)
    const turn = () => sendInOneTurn(group, group.seats.slice(1), 1)
    const orders = Array.from({ length: 20 }, () => countOf(group, 'order', turn))
    expect(orders.slice(2)).toEqual(orders.slice(2).map(() => 1))
  })
})

describe('what a program has taken', () => {
  const historySize = 32

  /** A group with a member to whom so many messages have come, and which has taken none of them. */
  function withUntaken(messages: number): { group: GroupOf; reader: Seat; seq: number } {
    const group = GroupOf.open(3, { parameters: { historySize } })
    const reader = group.seats[2]!
    reader.holds = true
    for (let i = 0; i < messages; i++) sendInOneTurn(group, [group.seats[1]!], 1)
    group.until(() => reader.messageCount === messages, 'all have come')
    return { group, reader, seq: reader.delivered.at(-1)!.seq }
  }

  test('is noted, and told with the next report', () => {
    const { group, reader, seq } = withUntaken(4)
    const before = group.counts()
    expect(reader.machine.note({ call: 'taken', seq })).toBe(true)
    expect(group.countsSince(before)).toEqual({})
    group.settle()
    expect(group.first.machine.info().lags).toContainEqual({ id: reader.memberId, messages: 0 })
  })

  test('is stepped where the group may be waiting for it', () => {
    const { group, reader, seq } = withUntaken(historySize / 2)
    expect(reader.machine.note({ call: 'taken', seq })).toBe(false)
    reader.resume()
    group.settle()
    expect(group.first.machine.info().lags).toContainEqual({ id: reader.memberId, messages: 0 })
  })

  test('no other call is only noted', () => {
    const { reader } = withUntaken(1)
    expect(reader.machine.note({ call: 'leave', token: 99, header: new Uint8Array(0) })).toBe(false)
  })
})
