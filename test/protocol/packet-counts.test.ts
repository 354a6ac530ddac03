/** Packets that messages cost (design section 4.2), asserted from the machines' own counters. */
import { describe, expect, test } from 'vitest'
import { detectionPresets } from '../../group/member/options.ts'
import { GroupOf, type GroupOfOptions, type PacketCounts, total } from './group-of.ts'

const sizes = [2, 3, 5, 8]
const methods = ['pb', 'bb'] as const
type Method = (typeof methods)[number]

const perMethod = sizes.flatMap((n) => methods.map((method) => [n, method] as const))
const perDegree = perMethod.flatMap(([n, method]) =>
  Array.from({ length: n }, (_, r) => [n, r, method] as const),
)

/** Packets from the call to the return of a lone message of a member that is not the sequencer. */
function loneMessage(n: number, resilience: number, method: Method, more: GroupOfOptions = {}): PacketCounts {
  const group = GroupOf.open(n, { ...more, parameters: { resilience }, member: { method, ...more.member } })
  const sender = group.seats.at(-1)!
  const before = group.counts()
  const sent = sender.send(100)
  group.until(() => sent.seq !== undefined, 'the send has returned')
  return group.countsSince(before)
}

describe('a lone message of another member than the sequencer, from call to return', () => {
  test.each(perDegree)('n = %i, r = %i, %s', (n, r, method) => {
    const first = method === 'pb' ? { request: 1 } : { data: 1 }
    // method 2 trades the large packet for a small one, not their number
    const expected = r === 0 ? { ...first, order: 1 } : { ...first, order: 2, state: r }
    const counts = loneMessage(n, r, method)
    expect(counts).toEqual(expected)
    expect(total(counts)).toBe(r === 0 ? 2 : 3 + r)
  })

  test.each(perMethod)('n = %i, %s, copied to each member where there is no multicast', (n, method) => {
    const counts = loneMessage(n, 0, method, { member: { transport: 'unicast' } })
    const first = method === 'pb' ? { request: 1 } : { data: n - 1 }
    expect(counts).toEqual({ ...first, order: n - 1 })
  })

  test.each(sizes)('n = %i: the same from each of the members, one after the other', (n) => {
    const group = GroupOf.open(n, { parameters: { resilience: 1 } })
    for (const seat of group.seats.slice(1)) {
      group.settle()
      const before = group.counts()
      const sent = seat.send(100)
      group.until(() => sent.seq !== undefined, 'the send has returned')
      expect(group.countsSince(before)).toEqual({ request: 1, order: 2, state: 1 })
    }
  })
})

/** All members keep so many sends under way until each has made `each`. */
function stream(group: GroupOf, each: number, underWay: number): PacketCounts {
  const before = group.counts()
  for (const seat of group.seats) {
    const already = seat.sent.length
    const next = () => {
      if (seat.sent.length < already + each) seat.send(100)
    }
    seat.onAnswered = next
    for (let i = 0; i < underWay; i++) next()
  }
  const messages = group.seats.length * each
  group.until(() => group.seats.every((seat) => seat.messageCount >= messages), 'all is delivered')
  return group.countsSince(before)
}

describe('a steady stream of 100-byte messages from all members, 8-kB packets', () => {
  test.each(perMethod)('n = %i, %s: less than 0.05 packets a message at r = 0', (n, method) => {
    const group = GroupOf.open(n, { member: { packetSize: 8192, method } })
    const each = 8000
    const joining = group.retransmissions()
    const packets = total(stream(group, each, 1000))
    expect(packets / (n * each)).toBeLessThan(0.05)
    for (const seat of group.seats) expect(seat.order.slice(-1000)).toEqual(group.first.order.slice(-1000))
    expect(group.retransmissions()).toEqual(joining)
  })

  test.each([1, 2])('acks and accepts ride on other packets at r = %i', (resilience) => {
    const group = GroupOf.open(3, { parameters: { resilience }, member: { packetSize: 8192 } })
    const each = 8000
    expect(total(stream(group, each, 1000)) / (3 * each)).toBeLessThan(0.1)
  })

  test('headers cost at most 16 bytes a message', () => {
    const group = GroupOf.open(3, { member: { packetSize: 8192, method: 'pb' } })
    const bytesOf = () =>
      group.seats.reduce(
        (sum, { machine }) => sum + machine.counters.packetBytes.out.reduce((a, b) => a + b),
        0,
      )
    const before = bytesOf()
    const each = 8000
    stream(group, each, 1000)
    // two members of three send a request, and everything is broadcast
    const bodies = 100 * each * (2 + 3)
    expect((bytesOf() - before - bodies) / (3 * each)).toBeLessThanOrEqual(16)
  })
})

describe('an idle group', () => {
  const { heartbeatIdleMs, heartbeatFirstMs } = detectionPresets.default
  const perSecond = 1000 / heartbeatIdleMs

  test.each([1, ...sizes])('n = %i: a heartbeat every 200 ms, a probe of each member every 2 s', (n) => {
    const group = GroupOf.open(n)
    const before = group.counts()
    group.advance(10_000)
    const { order = 0, probe = 0, probeAnswer = 0, ...others } = group.countsSince(before)
    expect(others).toEqual({})
    // the sequencer watches the members, nobody else watches anybody but the sequencer
    expect(probe).toBeLessThanOrEqual((n - 1) * perSecond)
    expect(probeAnswer).toBe(probe)
    expect(order).toBeLessThanOrEqual(10 * perSecond)
  })

  test.each(sizes)('n = %i: no more in the second after a message than it takes to fall silent', (n) => {
    const group = GroupOf.open(n)
    const sent = group.seats.at(-1)!.send(100)
    group.until(() => sent.seq !== undefined, 'the send has returned')
    const before = group.counts()
    group.advance(1000)
    // one report of each, a word on what is stable, and heartbeats that double their distance
    const doublings = Math.ceil(Math.log2(heartbeatIdleMs / heartbeatFirstMs))
    expect(total(group.countsSince(before))).toBeLessThanOrEqual(n - 1 + 1 + 2 * doublings + perSecond)
  })
})

test('who has left says nothing more, though the packet that says so asks the others', () => {
  const group = GroupOf.open(5)
  const late: string[] = []
  for (const { machine, name } of group.seats) {
    const step = machine.step.bind(machine)
    let isClosed = false
    const note = (): void => {
      if (isClosed) late.push(name)
    }
    machine.step = (now, input, sink) =>
      step(now, input, {
        ...sink,
        unicast: (to, packet) => {
          note()
          sink.unicast(to, packet)
        },
        multicast: (packet) => {
          note()
          sink.multicast(packet)
        },
        output: (output) => {
          isClosed ||= output.output === 'event' && output.event.event === 'closed'
          sink.output(output)
        },
      })
  }
  for (const index of [3, 4, 2]) group.seats[index]!.leave()
  group.seats[1]!.send(10)
  group.until(() => group.seats.slice(2).every(({ hasLeft }) => hasLeft), 'they have left')
  group.settle()
  expect(late).toEqual([])
})
