/** Large messages (design section 4.2): spread first, numbered when complete, repaired packet by packet. */
import { createHash } from 'node:crypto'
import { beforeAll, describe, expect, test } from 'vitest'
import { HEADER_BYTES } from '../../kernel/packet.ts'
import { DATA_HEAD_BYTES, readData } from '../../kernel/packets.ts'
import { GroupOf, type GroupOfOptions, type Passing, type Seat } from './group-of.ts'

const MIB = 2 ** 20
const SIZE = 16 * MIB
const parameters = { maxMessageSize: SIZE, historyBytes: 2 * SIZE }
/** Bytes of block and record headers around one message. */
const AROUND = 40

let body: Uint8Array
let digest: string

beforeAll(() => {
  body = new Uint8Array(SIZE)
  for (let i = 0, x = 1; i < SIZE; i++) {
    x = (Math.imul(x, 1103515245) + 12345) & 0x7fffffff
    body[i] = x >>> 16
  }
  digest = digestOf(body)
})

function digestOf(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex')
}

function open(packetSize: number, method: 'pb' | 'bb', more: GroupOfOptions = {}): GroupOf {
  return GroupOf.open(3, { parameters, ...more, member: { packetSize, method, ...more.member } })
}

/** Packets that hold all of the message, once. */
function packetsFor(bytes: number, packetSize: number): number {
  return Math.ceil((bytes + AROUND - 8) / (packetSize - HEADER_BYTES - DATA_HEAD_BYTES))
}

function delivered(group: GroupOf): boolean {
  return group.seats.every(({ messageCount }) => messageCount === 1)
}

function expectWhole(seat: Seat): void {
  expect(seat.messages.map(({ record }) => digestOf(record!.body))).toEqual([digest])
}

/** Most bytes that have been on their way to any one member at one moment. */
function watchFlight(group: GroupOf): () => number {
  const inFlight = new Map<Seat, number>()
  let most = 0
  group.isLost = ({ to, bytes }) => {
    const now = (inFlight.get(to) ?? 0) + bytes.length
    inFlight.set(to, now)
    most = Math.max(most, now)
    group.queue.after(group.delay, () => inFlight.set(to, inFlight.get(to)! - bytes.length))
    return false
  }
  return () => most
}

const packetSizes = [1400, 8192]
const ways = packetSizes.flatMap((packetSize) =>
  (['pb', 'bb'] as const).flatMap((method) => [
    [packetSize, method, 'a member', 1] as const,
    [packetSize, method, 'the sequencer', 0] as const,
  ]),
)

describe.each(ways)(
  '16 MiB in packets of %i bytes, method %s, from %s',
  (packetSize, method, _who, index) => {
    const once = packetsFor(SIZE, packetSize)
    // method 1 goes to the sequencer first, which passes it on
    const expected = method === 'pb' && index !== 0 ? 2 * once : once

    test('every packet is sent once', () => {
      const group = open(packetSize, method)
      const before = group.counts()
      const repaired = group.retransmissions()
      const sent = group.seats[index]!.send(body)
      group.until(() => delivered(group) && sent.seq !== undefined, 'it is delivered')
      const { data, dataGap = 0 } = group.countsSince(before)
      expect({ data, dataGap }).toEqual({ data: expected, dataGap: 0 })
      expect(group.retransmissions()).toEqual(repaired)
      for (const seat of group.seats) expectWhole(seat)
    })

    const losses: [string, (packet: Passing, group: GroupOf) => boolean][] = [
      ['on its way to a receiver', ({ to }, group) => to === group.seats[2]],
      ['on its way to the sequencer', ({ to }, group) => to === group.first],
    ]
    test.each(index === 0 ? losses.slice(0, 1) : losses)(
      'one packet lost %s costs one packet',
      (_name, isOnTheWay) => {
        for (const which of [0, Math.floor(once / 2), once - 1]) {
          const group = open(packetSize, method)
          let seen = 0
          group.isLost = (packet) => packet.kind === 'data' && isOnTheWay(packet, group) && seen++ === which
          const before = group.counts()
          const sent = group.seats[index]!.send(body)
          group.until(() => delivered(group) && sent.seq !== undefined, 'it is delivered')
          const { data } = group.countsSince(before)
          // what the sequencer had to be sent again it passes on like the rest
          expect({ which, data }).toEqual({ which, data: expected + 1 })
          expectWhole(group.seats[2]!)
        }
      },
    )

    test('no more than a few packets leave before the sockets are read again', () => {
      const group = open(packetSize, method)
      const leaving = new Map<number, number>()
      group.isLost = ({ from, to, kind }) => {
        const { now } = group.queue
        const isFirstCopy = to === group.seats.find((seat) => seat !== from)
        if (kind === 'data' && from === group.seats[index] && isFirstCopy)
          leaving.set(now, (leaving.get(now) ?? 0) + 1)
        return false
      }
      const sent = group.seats[index]!.send(body)
      group.until(() => delivered(group) && sent.seq !== undefined, 'it is delivered')
      expect(Math.max(...leaving.values())).toBeLessThanOrEqual(16)
    })

    test("others' small messages are not held up", () => {
      const group = open(packetSize, method)
      const large = group.seats[index]!.send(body)
      group.advance(0.5)
      const smalls = group.seats.filter((_, i) => i !== index).map((other) => other.send(100))
      const took = group.until(() => smalls.every(({ seq }) => seq !== undefined), 'the small ones return')
      expect(took).toBeLessThanOrEqual(0.5)
      expect(large.seq).toBeUndefined()
      group.until(() => group.seats.every(({ messageCount }) => messageCount === 3), 'all is delivered')
      for (const { messages } of group.seats)
        expect(messages.map(({ record }) => record!.body.length)).toEqual([100, 100, SIZE])
    })
  },
)

describe.each(packetSizes)('packets of %i bytes', (packetSize) => {
  test.each(['pb', 'bb'] as const)(
    'single losses at everybody, method %s: what is lost is what is repaired',
    (method) => {
      const group = open(packetSize, method)
      const every = 500
      let lost = 0
      let seen = 0
      group.isLost = ({ kind }) => {
        const hit = kind === 'data' && ++seen % every === 0
        if (hit) lost++
        return hit
      }
      const before = group.counts()
      const sent = group.seats[1]!.send(body)
      group.until(() => delivered(group) && sent.seq !== undefined, 'it is delivered')
      const once = packetsFor(SIZE, packetSize)
      const { data = 0 } = group.countsSince(before)
      expect(lost).toBeGreaterThan(0)
      expect(data - (method === 'pb' ? 2 * once : once)).toBeLessThanOrEqual(lost)
      for (const seat of group.seats) expectWhole(seat)
    },
  )

  test.each(['pb', 'bb'] as const)(
    'all members send 16 MiB at once, method %s: bounded, and in one order',
    (method) => {
      const group = open(packetSize, method)
      const mostInFlight = watchFlight(group)
      for (const seat of group.seats) seat.send(body)
      let history = 0
      group.until(() => {
        for (const { machine } of group.seats) history = Math.max(history, machine.info().historyBytes)
        return group.seats.every(({ messageCount }) => messageCount === 3)
      }, 'all is delivered')
      expect(history).toBeLessThanOrEqual(parameters.historyBytes)
      expect(mostInFlight()).toBeLessThanOrEqual(group.first.machine.options.window)
      for (const { order } of group.seats) expect(order.slice(-3)).toEqual(group.first.order.slice(-3))
    },
  )
})

test.each(['pb', 'bb'] as const)(
  'eight members spreading at once fit into the smallest socket, method %s',
  (method) => {
    const group = GroupOf.open(8, {
      parameters: { maxMessageSize: 4 * MIB, historyBytes: 64 * MIB },
      member: { packetSize: 8192, method },
    })
    const mostInFlight = watchFlight(group)
    for (const seat of group.seats) seat.send(4 * MIB)
    group.until(() => group.seats.every(({ messageCount }) => messageCount === 8), 'all is delivered')
    expect(mostInFlight()).toBeLessThanOrEqual(group.first.machine.options.window)
  },
)

/** For each block of one member but its first, how long after the block before it had left it began. */
function watchStarts(group: GroupOf, seat: Seat): number[] {
  const starts: number[] = []
  let request = 0
  let leftAt = 0
  group.isLost = ({ from, kind, bytes }) => {
    const data = kind === 'data' && from === seat ? readData(bytes) : undefined
    if (data === undefined || data.request < request) return false
    const { now } = group.queue
    if (data.request > request && request > 0) starts.push(now - leftAt)
    request = data.request
    leftAt = now
    return false
  }
  return starts
}

test('who spreads alone begins a block when the one before it has left; beside others, when it has come', () => {
  const group = open(1400, 'bb', { parameters: { maxMessageSize: MIB, historyBytes: 16 * MIB } })
  const [, one, other] = group.seats as [Seat, Seat, Seat]
  const starts = watchStarts(group, one)
  const roundTrip = 2 * group.delay
  for (let i = 0; i < 30; i++) one.send(30_000)
  group.until(() => other.messageCount === 30, 'one alone has sent all')
  // it has to hear nobody for eight blocks before it takes itself for alone
  expect(starts.slice(0, 8).every((took) => took >= roundTrip)).toBe(true)
  expect(starts.slice(10).every((took) => took < roundTrip)).toBe(true)
  starts.length = 0
  for (let i = 0; i < 60; i++) other.send(30_000)
  group.until(() => one.messageCount > 30, 'the other is heard')
  for (let i = 0; i < 30; i++) one.send(30_000)
  group.until(() => group.first.messageCount === 120, 'both have sent all')
  expect(starts.length).toBe(30)
  expect(starts.filter((took) => took < roundTrip)).toEqual([])
})

test.each(['auto', 'pb'] as const)(
  'who spreads alone into small sockets: a block lost at the sequencer has room beside a large one behind it, method %s',
  (method) => {
    const window = 212_992
    const group = GroupOf.open(3, { member: { packetSize: 8192, window, sendWindow: window / 4, method } })
    const sender = group.seats[1]!
    for (let i = 0; i < 10; i++) {
      const alone = sender.send(20_000)
      group.until(() => alone.seq !== undefined, 'one after the other')
    }
    const begin = group.queue.now
    let first = 0
    group.isLost = ({ kind, from, to, bytes }) => {
      if (kind !== 'data' || from !== sender || to !== group.first || group.queue.now > begin + 1000)
        return false
      const request = readData(bytes)!.request
      first ||= request
      return request === first
    }
    const both = [sender.send(20_000), sender.send(MIB)]
    group.until(() => both.every(({ seq }) => seq !== undefined), 'both are ordered', 5_000)
  },
)

describe('a message over the limit', () => {
  test('is refused before anything is sent, and what stands behind it goes', () => {
    const group = GroupOf.open(3, { parameters: { maxMessageSize: 1000 } })
    const sender = group.seats[1]!
    const before = group.counts()
    const tooLarge = sender.send(1001)
    expect(tooLarge.failed).toMatchObject({ code: 'ERR_MESSAGE_TOO_LARGE', outcome: 'refused' })
    expect(tooLarge.failed?.message).toMatch(/1001.*1000/)
    group.advance(5)
    expect(group.countsSince(before)).toEqual({})
    const fitting = sender.send(1000)
    group.until(() => fitting.seq !== undefined, 'the largest that is allowed has returned')
  })

  test('16 MiB and one byte are over every limit', () => {
    const group = GroupOf.open(2, { parameters })
    const sent = group.seats[1]!.send(new Uint8Array(SIZE + 1))
    expect(sent.failed).toMatchObject({ code: 'ERR_MESSAGE_TOO_LARGE', outcome: 'refused' })
  })
})

test('one that has left, and lacks the bytes of what lies before its leave, is given them', () => {
  const group = GroupOf.open(4, { parameters: { maxMessageSize: MIB }, member: { method: 'bb' } })
  const [first, second, leaver, slow] = group.seats as [Seat, Seat, Seat, Seat]
  // what it has not taken stays in everybody's history
  slow.holds = true
  group.isLost = ({ to, kind }) => to === leaver && (kind === 'data' || kind === 'repair')
  const sent = second.send(100_000)
  group.until(() => sent.seq !== undefined, 'the message is ordered')
  leaver.leave()
  group.until(() => first.view.members.length === 3, 'the leave is accepted')
  group.isLost = () => false
  group.until(() => leaver.hasLeft, 'it has left')
  expect(leaver.messages.map(({ record }) => record!.body.length)).toEqual([100_000])
})
