/** Flow control (design section 4.9): full buffers slow senders down, and nothing else. */
import { describe, expect, test } from 'vitest'
import { ORDER_FLAG_REPORT } from '../../kernel/packets.ts'
import type { GroupParameters } from '../../kernel/parameters.ts'
import type { MemberInfo } from '../../kernel/port.ts'
import { GroupOf, type Seat, total } from './group-of.ts'

/** History slots that only changes of view may use (kernel/history.ts). */
const RESERVED = 16
const ROUND_TRIP_MS = 0.2
/** A report waits for the end of a turn, and for the one before it to be half a millisecond old. */
const SMALL_MS = 1

const bounds: [string, Partial<GroupParameters>][] = [
  ['64 messages', { historySize: 64 }],
  ['fewer messages than members', { historySize: 2 }],
  ['64 kB', { historyBytes: 65_536, maxMessageSize: 32_768 }],
]

/** `holder` takes nothing any more, and the others send until nothing moves. */
function block(
  group: GroupOf,
  holder: Seat,
  each = 300,
  senders = group.seats.filter((seat) => seat !== holder),
): void {
  holder.holds = true
  for (let i = 0; i < each; i++) for (const seat of senders) seat.send(1000)
  group.advance(5000)
  const before = group.first.messageCount
  group.advance(1000)
  expect(group.first.messageCount).toBe(before)
  expect(senders.every(({ unanswered }) => unanswered > 0)).toBe(true)
}

function memoryOf({ machine }: Seat): Partial<MemberInfo> {
  const { historyMessages, historyBytes, waitingSends, outstandingSends, queuedRequests } = machine.info()
  return { historyMessages, historyBytes, waitingSends, outstandingSends, queuedRequests }
}

function allReturned(group: GroupOf, seats: readonly Seat[] = group.seats): void {
  group.until(() => seats.every(({ unanswered }) => unanswered === 0), 'every send has returned')
  for (const seat of seats) expect(seat.sent.filter(({ seq }) => seq === undefined)).toEqual([])
}

/** What a member has delivered is what the first has, from its own beginning on. */
function oneOrder(group: GroupOf): void {
  const { living } = group
  group.until(() => {
    const seqs = living.map(({ delivered }) => delivered.at(-1)?.seq)
    return seqs.every((seq) => seq === seqs[0])
  }, 'everybody has delivered everything')
  const longest = living.map(({ order }) => order).sort((a, b) => b.length - a.length)[0]!
  for (const { order } of living) expect(order).toEqual(longest.slice(longest.length - order.length))
}

describe.each(bounds)('a member that never receives, in a history of %s', (_name, parameters) => {
  test.each([
    ['a member', 2],
    ['the sequencer', 0],
  ])('%s: the group blocks at the bound, memory stays flat, and it goes on at once', (_who, index) => {
    const group = GroupOf.open(3, { parameters })
    const holder = group.seats[index]!
    block(group, holder)
    const memory = group.seats.map(memoryOf)
    const { historySize = Number.POSITIVE_INFINITY, historyBytes = Number.POSITIVE_INFINITY } = parameters
    for (const { historyMessages, historyBytes: bytes } of memory) {
      expect(historyMessages).toBeLessThanOrEqual(historySize + RESERVED)
      expect(bytes).toBeLessThanOrEqual(historyBytes)
    }
    group.advance(20_000)
    expect(group.seats.map(memoryOf)).toEqual(memory)

    const before = group.seats[1]!.messageCount
    holder.resume()
    const took = group.until(() => group.seats[1]!.messageCount > before, 'the group goes on')
    expect(took).toBeLessThanOrEqual(ROUND_TRIP_MS + SMALL_MS)
    allReturned(group)
    oneOrder(group)
  })
})

test.each(bounds)('a group that stands still says little, in a history of %s', (_name, parameters) => {
  const group = GroupOf.open(3, { parameters })
  block(group, group.seats[2]!)
  const before = group.counts()
  group.advance(10_000)
  // each half second: a question to all, two answers, heartbeats that double their distance, and of each
  // sender that is waiting one request, answered
  expect(total(group.countsSince(before)) / 10).toBeLessThanOrEqual(2 * (1 + 2 + 6 + 2 * 2))
})

describe('a change of view with blocked senders', () => {
  const parameters = { historySize: 32 }

  /** Four members; the last holds the group up. */
  function blocked(senders: readonly number[] = [0, 1, 2]): { group: GroupOf; holder: Seat } {
    const group = GroupOf.open(4, { parameters })
    const holder = group.seats[3]!
    block(
      group,
      holder,
      100,
      senders.map((i) => group.seats[i]!),
    )
    return { group, holder }
  }

  test('another member joins while they are blocked, and all are freed afterwards', () => {
    const { group, holder } = blocked()
    const joiner = group.add()
    joiner.send(1000)
    group.advance(1000)
    holder.resume()
    allReturned(group)
    oneOrder(group)
  })

  test('a member without sends of its own leaves while they are blocked', () => {
    const { group, holder } = blocked([0, 1])
    group.seats[2]!.leave()
    group.until(() => group.seats[2]!.hasLeft, 'it has left')
    holder.resume()
    allReturned(group)
    oneOrder(group)
  })

  test('a blocked sender leaves: its sends first, then its leave', () => {
    const { group, holder } = blocked()
    group.seats[2]!.leave()
    group.advance(1000)
    holder.resume()
    group.until(() => group.seats[2]!.hasLeft, 'it has left')
    allReturned(group)
    oneOrder(group)
  })

  test('the member that held the group up leaves', () => {
    const { group, holder } = blocked()
    holder.leave()
    group.until(() => holder.hasLeft, 'it has left')
    allReturned(group)
    oneOrder(group)
  })

  test('the sequencer leaves, without sends of its own, while they are blocked', () => {
    const { group, holder } = blocked([1, 2])
    group.first.leave()
    group.until(() => group.first.hasLeft, 'it has left')
    expect(group.seats[1]!.machine.info().isSequencer).toBe(true)
    expect(group.seats[1]!.unanswered).toBeGreaterThan(0)
    holder.resume()
    allReturned(group)
    oneOrder(group)
  })

  test('the sequencer, a blocked sender itself, leaves', () => {
    const { group, holder } = blocked()
    group.first.leave()
    group.advance(1000)
    holder.resume()
    group.until(() => group.first.hasLeft, 'it has left')
    allReturned(group)
    oneOrder(group)
    expect(group.seats[1]!.machine.info().isSequencer).toBe(true)
  })

  test('the sequencer that held the group up leaves, and its successor goes on', () => {
    const group = GroupOf.open(4, { parameters })
    block(group, group.first, 100, group.seats.slice(1))
    group.first.leave()
    group.until(() => group.first.hasLeft, 'it has left')
    allReturned(group)
    oneOrder(group)
  })

  test('the successor is the one that holds the group up', () => {
    const group = GroupOf.open(4, { parameters })
    const holder = group.seats[1]!
    block(group, holder, 100, group.seats.slice(2))
    group.first.leave()
    group.until(() => group.first.hasLeft, 'it has left')
    group.advance(1000)
    holder.resume()
    allReturned(group)
    oneOrder(group)
  })
})

describe('messages of very different sizes', () => {
  test('a single message larger than what is free waits until there is room, and nobody overtakes its sender', () => {
    const group = GroupOf.open(3, { parameters: { historyBytes: 65_536, maxMessageSize: 32_768 } })
    const [, sender, holder] = group.seats
    holder!.holds = true
    for (const size of [30_000, 30_000, 30_000, 10, 30_000, 0]) sender!.send(size)
    group.advance(2000)
    expect(sender!.unanswered).toBeGreaterThan(0)
    holder!.resume()
    allReturned(group)
    oneOrder(group)
    const sizes = holder!.messages.map(({ record }) => record!.body.length)
    expect(sizes).toEqual([30_000, 30_000, 30_000, 10, 30_000, 0])
  })
})

describe('all members send as much as they can', () => {
  const SIZE = 8000
  const ALL = 1500

  /** Of the first half of the order, the share of each member. */
  function shares(group: GroupOf, senders: readonly Seat[], size = SIZE, each = ALL): number[] {
    for (let i = 0; i < each; i++) for (const seat of senders) seat.send(size)
    allReturned(group)
    oneOrder(group)
    const messages = group.first.messages.slice(0, (each * senders.length) / 2)
    return senders.map(
      ({ memberId }) => messages.filter(({ sender }) => sender === memberId).length / messages.length,
    )
  }

  test('the sequencer’s own program gets no more of the order than the others’', () => {
    const group = GroupOf.open(4, { member: { method: 'pb' } })
    for (const share of shares(group, group.seats)) expect(share).toBeGreaterThan(0.15)
  })

  test('nor with messages of many packets, which are paced in another way', () => {
    const group = GroupOf.open(4, { member: { packetSize: 1400 } })
    for (const share of shares(group, group.seats, 20_000, 400)) expect(share).toBeGreaterThan(0.15)
  })

  test('the sequencer spreads no more of its own at once than each of the others may, before it hears from them', () => {
    const group = GroupOf.open(4, { delayMs: 50 })
    const [first, second] = group.seats as [Seat, Seat]
    const { window, packetSize } = first.machine.options
    let bytes = 0
    group.isLost = ({ from, to, kind, bytes: packet }) => {
      if (from === first && to === second && kind === 'data') bytes += packet.length
      return false
    }
    // (few enough that it does not take itself for the only one before it has heard of the others)
    for (let i = 0; i < 6; i++) first.send(window / 8)
    group.advance(90)
    const share = window / (2 * group.seats.length)
    expect(bytes).toBeGreaterThanOrEqual(share)
    expect(bytes).toBeLessThan(share + packetSize)
    group.until(() => first.unanswered === 0, 'the rest goes when they have reported')
  })

  test('a member that is asked for a report sends one, though its own requests say as much', () => {
    const group = GroupOf.open(8)
    const owed = new Map<Seat, number>()
    let answers = 0
    let longest = 0
    group.isLost = ({ from, to, kind, header }) => {
      const { now } = group.queue
      if (from === group.first && kind === 'order' && (header.flags & ORDER_FLAG_REPORT) !== 0) {
        if (!owed.has(to)) owed.set(to, now)
      } else if (to === group.first && kind === 'state' && owed.has(from)) {
        longest = Math.max(longest, now - owed.get(from)!)
        owed.delete(from)
        answers++
      }
      return false
    }
    const [first, ...others] = group.seats as [Seat, ...Seat[]]
    for (let i = 0; i < 40; i++) first.send(60_000)
    for (let i = 0; i < 400; i++) {
      for (const seat of others) seat.send(10)
      group.advance(0.02)
    }
    allReturned(group)
    group.advance(10)
    expect(answers).toBeGreaterThan(others.length)
    expect(owed.size).toBe(0)
    // the way there, and the answers of all spread (reports.ts)
    expect(longest).toBeLessThanOrEqual(1000)
  })

  test('one that starts later is not behind all that another has sent', () => {
    const group = GroupOf.open(3)
    const [first, , late] = group.seats as [Seat, Seat, Seat]
    for (let i = 0; i < ALL; i++) first.send(SIZE)
    const sent = late.send(10)
    const took = group.until(() => sent.seq !== undefined, 'its message is ordered')
    expect(took).toBeLessThanOrEqual(10 * ROUND_TRIP_MS)
    expect(first.unanswered).toBeGreaterThan(0)
  })

  test('the sequencer’s program alone waits for nobody’s share', () => {
    const group = GroupOf.open(3)
    const [first] = group.seats as [Seat]
    const { sendWindow, window } = first.machine.options
    expect(sendWindow).toBeLessThan(window / 2)
    for (let i = 0; (i + 1) * SIZE < window / 2; i++) first.send(SIZE)
    const before = group.queue.now
    group.until(() => first.unanswered === 0, 'all is numbered')
    expect(group.queue.now - before).toBe(0)
  })
})
