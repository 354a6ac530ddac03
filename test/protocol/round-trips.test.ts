/** Retransmission times are learnt from round trips: nothing is repeated that is only on its way. */
import { describe, expect, test } from 'vitest'
import { detectionPresets } from '../../group/member/options.ts'
import type { RoundTrips } from '../../kernel/rtt.ts'
import { GroupOf, type GroupOfOptions } from './group-of.ts'

const presets = ['default', 'wan'] as const
const ROUND_TRIP = 200

/** A group whose members have joined over a short link, which now has 100 ms one way. */
function overALongLink(preset: 'default' | 'wan', options: GroupOfOptions = {}): GroupOf {
  const group = GroupOf.open(3, {
    ...options,
    member: { detection: detectionPresets[preset], ...options.member },
  })
  group.delay = 100_000
  group.settle()
  return group
}

describe.each(presets)('100 ms one way, %s detection', (preset) => {
  test.each([0, 1, 2])('once the first send has returned nothing is repeated, at r = %i', (resilience) => {
    const group = overALongLink(preset, { parameters: { resilience } })
    const sender = group.seats[1]!
    const first = sender.send(100)
    group.until(() => first.seq !== undefined, 'the first send has returned')
    group.settle()
    const retransmissions = group.retransmissions()
    const before = group.counts()
    for (let i = 0; i < 50; i++) {
      const sent = sender.send(100)
      const took = group.until(() => sent.seq !== undefined, 'the send has returned')
      expect(took).toBeLessThanOrEqual((resilience === 0 ? 1 : 2) * ROUND_TRIP + 1)
    }
    const { request, gap = 0, repair = 0, requestAck = 0 } = group.countsSince(before)
    expect(group.retransmissions()).toEqual(retransmissions)
    expect({ request, gap, repair, requestAck }).toEqual({ request: 50, gap: 0, repair: 0, requestAck: 0 })
  })

  test('a steady stream of all members brings no repetition either', () => {
    const group = overALongLink(preset)
    for (const seat of group.seats) seat.send(100)
    group.until(
      () => group.seats.every(({ unanswered }) => unanswered === 0),
      'the first sends have returned',
    )
    group.settle()
    const retransmissions = group.retransmissions()
    const before = group.counts()
    for (let i = 0; i < 100; i++) {
      for (const seat of group.seats) for (let k = 0; k < 5; k++) seat.send(1000)
      group.advance(10)
    }
    group.until(() => group.seats.every(({ unanswered }) => unanswered === 0), 'every send has returned')
    const { gap = 0, repair = 0, requestAck = 0 } = group.countsSince(before)
    expect(group.retransmissions()).toEqual(retransmissions)
    expect({ gap, repair, requestAck }).toEqual({ gap: 0, repair: 0, requestAck: 0 })
  })

  test('the sequencer learns how long acks take, and asks nobody twice', () => {
    const group = overALongLink(preset, { parameters: { resilience: 2 } })
    const { first } = group
    const warmUp = first.send(100)
    group.until(() => warmUp.seq !== undefined, 'the first send has returned')
    group.settle()
    let orders = 0
    group.isLost = ({ kind, to }) => {
      if (kind === 'order' && to === group.seats[1]) orders++
      return false
    }
    const sent = first.send(100)
    group.until(() => sent.seq !== undefined, 'the send has returned')
    // the broadcast, and the word that it is accepted; heartbeats come in between, doubling their distance
    const { heartbeatFirstMs } = detectionPresets[preset]
    const heartbeats = Math.ceil(Math.log2(ROUND_TRIP / heartbeatFirstMs + 1))
    expect(orders).toBeLessThanOrEqual(2 + heartbeats)
    expect(group.seats.flatMap(({ events }) => events)).toEqual([])
  })

  test('a gap over it is asked for once, and repaired once', () => {
    const group = overALongLink(preset)
    const [sequencer, sender, loser] = group.seats
    const first = sender!.send(100)
    group.until(() => first.seq !== undefined, 'the first send has returned')
    const learning = loser!.send(100)
    group.until(() => learning.seq !== undefined, 'the round trip is learnt')
    group.settle()
    const before = group.counts()
    let isLost = false
    group.isLost = ({ from, to, kind, bytes }) => {
      const hit = !isLost && from === sequencer && to === loser && kind === 'order' && bytes.length > 200
      if (hit) isLost = true
      return hit
    }
    for (let i = 0; i < 10; i++) {
      sender!.send(100)
      group.advance(10)
    }
    group.until(
      () => loser!.messageCount === group.first.messageCount && loser!.messageCount === 12,
      'it is repaired',
    )
    group.advance(1000)
    const { gap, repair } = group.countsSince(before)
    expect({ isLost, gap, repair }).toEqual({ isLost: true, gap: 1, repair: 1 })
  })
})

test('100 ms one way, wan detection: a group is found and joined, and nothing is asked twice', () => {
  const group = new GroupOf({ delayMs: 100, member: { detection: detectionPresets.wan } })
  group.add()
  const before = group.counts()
  group.add()
  const { locate, joinRequest, streamData } = group.countsSince(before)
  // one question by multicast, and one to the peer
  expect({ locate, joinRequest, streamData }).toEqual({ locate: 2, joinRequest: 1, streamData: 1 })
})

test('what is answered at one moment has met one delay, and is one round trip learnt', () => {
  const group = GroupOf.open(2, { member: { detection: { ...detectionPresets.default, minRtoMs: 100 } } })
  const sender = group.seats[1]!
  const { roundTrips } = sender.machine as unknown as { readonly roundTrips: RoundTrips }
  for (let i = 0; i < 50; i++) {
    const sent = sender.send(100)
    group.until(() => sent.seq !== undefined, 'the send has returned')
  }
  const before = roundTrips.mean
  // seven requests, a millisecond after each other, that meet at the sequencer: its answers are two broadcasts
  group.delay = 30_000
  for (let i = 0; i < 7; i++) {
    sender.send(100)
    group.delay -= 1_000
    group.advance(1)
  }
  group.until(() => sender.unanswered === 0, 'every send has returned')
  const rise = roundTrips.mean - before
  expect(rise).toBeGreaterThan(0)
  expect(rise).toBeLessThanOrEqual((2 * 60_000) / 8)
})
