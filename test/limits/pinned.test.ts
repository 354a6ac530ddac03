/**
 * What a history counts, and what it really holds on to: the buffers of the packets that its blocks came in. In a lossy
 * group, where packets carry again what is here already.
 */
import { describe, expect, test } from 'vitest'
import { isWorthCopying } from '../../kernel/keeping.ts'
import { HEADER_BYTES } from '../../kernel/packet.ts'
import { ORDER_HEAD_BYTES, readOrderHead, writeOrderHead } from '../../kernel/packets.ts'
import { Prng } from '../../kernel/prng.ts'
import { sizeOf } from '../fuzz/size.ts'
import { GroupOf, type Passing, type Seat } from '../protocol/group-of.ts'
import { inside } from '../protocol/recovery-scene.ts'

const KIB = 1024
const PACKET_SIZE = 60 * KIB

/** What a block may cost beside its bytes: the headers of its packet, or what is not worth a copy. */
const AROUND_A_BLOCK = 700

interface Held {
  /** As told in metrics, and bounded. */
  readonly counted: number
  /** Of buffers that are kept alive. */
  readonly pinned: number
  readonly blocks: number
}

function heldBy(seat: Seat): Held {
  const { history } = inside(seat).state
  const blocks = [...history.entriesFrom(history.stable + 1)]
  return { counted: history.bytes, pinned: sizeOf(history).bytes, blocks: blocks.length }
}

/** One that takes nothing, so that all keep everything; method 1, so that blocks travel with their order. */
function quietGroup(): GroupOf {
  const member = { packetSize: PACKET_SIZE, method: 'pb' } as const
  const parameters = { historySize: 4096, historyBytes: 64 * KIB * KIB }
  const group = GroupOf.open(3, { member, parameters })
  asSocketsDo(group)
  group.seats[2]!.holds = true
  return group
}

function joined(...parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0))
  let at = 0
  for (const part of parts) {
    whole.set(part, at)
    at += part.length
  }
  return whole
}

function expectLittle(seat: Seat): void {
  const { counted, pinned, blocks } = heldBy(seat)
  expect(blocks).toBeGreaterThan(30)
  expect(pinned, seat.name).toBeLessThan(1.1 * counted + blocks * AROUND_A_BLOCK)
}

/** A Buffer, as of the system, whose `slice` copies nothing. */
function asSocketGives(bytes: Uint8Array): Uint8Array {
  return Buffer.from(new Uint8Array(bytes).buffer)
}

/** Whoever receives a packet has a buffer of its size, and nobody else's. */
function asSocketsDo(group: GroupOf): void {
  const unicast = group.unicast.bind(group)
  group.unicast = (from, to, bytes) => unicast(from, to, asSocketGives(bytes))
  const multicast = group.multicast.bind(group)
  group.multicast = (from, bytes) => multicast(from, asSocketGives(bytes))
}

/** Three members of which one takes nothing, so that everything is kept; some packets of these kinds are lost. */
function lossyGroup(seed: number, kinds: readonly Passing['kind'][]): GroupOf {
  const prng = new Prng(seed)
  const member = { packetSize: PACKET_SIZE }
  const parameters = { historySize: 4096, historyBytes: 64 * KIB * KIB }
  const group = GroupOf.open(3, { member, parameters })
  group.seats[2]!.holds = true
  asSocketsDo(group)
  group.isLost = ({ kind }) => kinds.includes(kind) && prng.chance(2, 5)
  for (let i = 0; i < 250; i++) {
    for (const seat of [group.seats[1]!, group.seats[2]!]) {
      if (prng.chance(1, 3)) seat.send(8 * KIB)
      for (let k = prng.below(4); k >= 0; k--) seat.send(20)
    }
    if (prng.chance(1, 2)) group.advance(prng.pick([0.1, 1, 5]))
  }
  group.until(() => group.living.every(({ unanswered }) => unanswered === 0), 'all is ordered')
  group.isLost = () => false
  group.settle()
  return group
}

describe('a history holds on to no more than about twice what it counts', () => {
  test.each([
    ['requests', ['request']],
    ['orders', ['order']],
    ['both, and repairs', ['request', 'order', 'repair']],
  ] as const)('though %s are lost and repeated', (_, kinds) => {
    for (let seed = 1; seed <= 5; seed++) {
      const group = lossyGroup(seed, kinds)
      for (const seat of group.seats) {
        const { counted, pinned, blocks } = heldBy(seat)
        expect(blocks).toBeGreaterThan(50)
        expect(counted).toBeGreaterThan(500 * KIB)
        expect(pinned, `${seat.name}, seed ${seed}`).toBeLessThan(2 * counted + blocks * AROUND_A_BLOCK)
      }
    }
  })

  test('though each new request comes with all that has been ordered', () => {
    const group = quietGroup()
    const [first, second] = group.seats as [Seat, Seat]
    second.send(50 * KIB)
    group.until(() => second.unanswered === 0, 'the large one is ordered')
    const { history } = inside(first).state
    const large = history.entryAt(history.received)
    group.isLost = ({ from, to, kind, bytes }) => {
      if (kind !== 'request' || from !== second) return false
      const blocks = bytes.subarray(HEADER_BYTES)
      const packet = joined(bytes.subarray(0, HEADER_BYTES), large!.block, blocks)
      to.input({ kind: 'packet', from: from.address, bytes: asSocketGives(packet) })
      return true
    }
    for (let i = 0; i < 100; i++) {
      second.send(20)
      group.until(() => second.unanswered === 0, 'it is ordered')
    }
    group.settle()
    expect(first.order.slice(-100)).toEqual(second.order.slice(-100))
    expect(first.messages.at(-1)!.record!.body).toEqual(new Uint8Array(20).fill(100))
    expectLittle(first)
  })

  test('though each new order comes with the one before', () => {
    const group = quietGroup()
    const [first, second, third] = group.seats as [Seat, Seat, Seat]
    let before: Uint8Array | undefined
    group.isLost = ({ from, to, kind, bytes }) => {
      const head = readOrderHead(bytes)
      if (kind !== 'order' || to !== third || head?.entries !== 1) return false
      const entry = bytes.slice(HEADER_BYTES + ORDER_HEAD_BYTES)
      const isLarge = entry.length > 40 * KIB
      if (!isLarge && before !== undefined) {
        const packet = joined(bytes.subarray(0, HEADER_BYTES + ORDER_HEAD_BYTES), before, entry)
        writeOrderHead(packet, { ...head, firstSeq: head.firstSeq - 1, entries: 2 })
        to.input({ kind: 'packet', from: from.address, bytes: asSocketGives(packet) })
      }
      before = isLarge ? entry : undefined
      return !isLarge
    }
    for (let i = 0; i < 40; i++) {
      second.send(i % 2 === 0 ? 50 * KIB : 20)
      group.until(() => second.unanswered === 0 && third.messageCount === i + 1, 'it is there')
    }
    expect(third.order.slice(-40)).toEqual(first.order.slice(-40))
    expectLittle(third)
    expectLittle(first)
  })

  test('a packet with one small new block is let go', () => {
    const packet = new Uint8Array(64 * KIB)
    expect(isWorthCopying(packet, 40)).toBe(true)
    expect(isWorthCopying(packet, 31 * KIB)).toBe(true)
    expect(isWorthCopying(packet, 33 * KIB)).toBe(false)
    expect(isWorthCopying(packet.subarray(100, 200), 100)).toBe(true)
    expect(isWorthCopying(new Uint8Array(200), 40)).toBe(false)
  })
})
