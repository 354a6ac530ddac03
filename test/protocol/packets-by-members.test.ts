/**
 * The packets that the sequencer takes and sends for a message do not grow with the members of the group: acks reach it
 * at a bounded number a broadcast, whether messages come alone or in a stream. Counted at its own counters.
 */
import { describe, expect, test } from 'vitest'
import { packetKindNames } from '../../kernel/packet.ts'
import { GroupOf, type PacketCounts, total } from './group-of.ts'

const MEMBERS = [2, 8, 32] as const
/** Quiet members that report of their own accord for a broadcast (group/member/reports.ts). */
const REPORTERS = 2

/** Both directions of the sequencer, by kind. */
function handled({ first }: GroupOf): PacketCounts {
  const { in: taken, out } = first.machine.counters.packets
  return Object.fromEntries(taken.map((count, kind) => [packetKindNames[kind], count + out[kind]!]))
}

/** What `messages` messages take each, by kind, once `run` has sent them. */
function each(group: GroupOf, messages: number, run: () => void): PacketCounts {
  const before = handled(group)
  run()
  const after = handled(group)
  const counts = Object.entries(after).map(([kind, count]) => [
    kind,
    ((count ?? 0) - (before[kind as keyof PacketCounts] ?? 0)) / messages,
  ])
  return Object.fromEntries(counts)
}

function open(members: number, packetSize = 8192): GroupOf {
  const group = GroupOf.open(members, { parameters: { maxMembers: 64 }, member: { packetSize } })
  group.advance(500)
  return group
}

/** From a member that is not the sequencer, the next so long after the last has returned. */
function lone(members: number, gapMs: number): PacketCounts {
  const group = open(members)
  // several seconds of it, so that everybody's turn has come again and again
  const messages = Math.max(40, Math.min(1500, Math.ceil(3000 / gapMs)))
  return each(group, messages, () => {
    for (let i = 0; i < messages; i++) {
      const sent = group.seats[1]!.send(100)
      group.until(() => sent.seq !== undefined, 'the send has returned')
      group.advance(gapMs)
    }
  })
}

function stream(members: number, packetSize: number): { counts: PacketCounts; broadcasts: number } {
  const group = open(members, packetSize)
  const messages = 24_000
  const sender = group.seats[1]!
  const broadcasts = group.first.machine.counters.packets.out[packetKindNames.indexOf('order')]!
  const counts = each(group, messages, () => {
    const next = (): void => {
      if (sender.sent.length < messages) sender.send(100)
    }
    sender.onAnswered = next
    for (let i = 0; i < 1000; i++) next()
    group.until(() => group.seats.every((seat) => seat.messageCount >= messages), 'all is delivered')
  })
  const after = group.first.machine.counters.packets.out[packetKindNames.indexOf('order')]!
  return { counts, broadcasts: after - broadcasts }
}

describe('lone messages', () => {
  test.each([2, 5, 20, 100])('one every %i ms', (gapMs) => {
    const [two, eight, many] = MEMBERS.map((members) => lone(members, gapMs))
    for (const counts of [two!, eight!, many!]) {
      expect(counts.request).toBe(1)
      expect(counts.state).toBeLessThanOrEqual(REPORTERS)
    }
    // heartbeats and probes come by time, not by message: they are counted in packet-counts.test.ts
    const ofMessages = ({ probe = 0, probeAnswer = 0, locate = 0, ...counts }: PacketCounts): number =>
      total(counts)
    for (const counts of [eight!, many!])
      expect(ofMessages(counts)).toBeLessThanOrEqual(ofMessages(two!) + REPORTERS / 2)
  })

  test('everybody has its turn: nobody has to be probed while messages come', () => {
    const group = open(32)
    const messages = 400
    const { probe = 0, state = 0 } = each(group, messages, () => {
      for (let i = 0; i < messages; i++) {
        group.first.send(100)
        group.advance(20)
      }
    })
    expect(probe * messages).toBeLessThan(2 * 31)
    expect(state * messages).toBeGreaterThan(5 * 31)
  })
})

describe('a stream from one member, the others only listen', () => {
  test.each([1400, 8192])('packets of %i bytes', (packetSize) => {
    const [two, eight, many] = MEMBERS.map((members) => stream(members, packetSize))
    for (const { counts, broadcasts } of [eight!, many!]) {
      expect(((counts.state ?? 0) * 24_000) / broadcasts).toBeLessThanOrEqual(REPORTERS)
      expect(total(counts)).toBeLessThan(1.2 * total(two!.counts))
    }
  })
})
