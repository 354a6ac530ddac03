/** The floor is the library's packet pattern: as many packets, as large, from the same member, to the same ones. */
import { expect, test } from 'vitest'
import {
  dataAtOf,
  floorBlock,
  isNames,
  isToBeNamed,
  METHOD_THRESHOLD,
  messagesOf,
  namedBytes,
  writeFloorPacket,
  writeNames,
} from '../../bench/floor-packets.ts'
import { FloorProgram } from '../../bench/floor-program.ts'
import { writeCount } from '../../bench/run-digest.ts'
import { METHOD_THRESHOLD as MEMBERS_THRESHOLD } from '../../group/member/composition.ts'
import { BareGroup, type BareSeat } from '../protocol/bare-group.ts'

/** More than packets without messages have: an order that names four blocks has 216. */
const SMALL = 250

// the floor's processes load nothing of the library, not even a number
test('the floor changes its method where members do', () => {
  expect(METHOD_THRESHOLD).toBe(MEMBERS_THRESHOLD)
})

class Watched extends BareGroup {
  seen: { readonly from: number; readonly isToAll: boolean; readonly bytes: number }[] | undefined

  override carry(from: BareSeat, packet: Uint8Array, to: string | undefined): void {
    this.seen?.push({ from: this.seats.indexOf(from), isToAll: to === undefined, bytes: packet.length })
    super.carry(from, packet, to)
  }
}

/** What carries messages, of one member while it alone sends blocks that are full. */
function packetsOfLibrary(sender: number, size: number, packetSize: number, count: number) {
  const group = new Watched({ members: 3, packetSize, method: 'auto' })
  const bodies = Array.from({ length: count }, () => new Uint8Array(size))
  const seen: NonNullable<Watched['seen']> = []
  group.seen = seen
  const before = group.seats[0]!.received
  group.seats[sender]!.sendMany(bodies)
  group.until(() => group.seats.every(({ received }) => received === before + count))
  const large = seen.filter(({ bytes }) => bytes > SMALL)
  const small = seen.filter(({ from, isToAll, bytes }) => from === 0 && isToAll && bytes <= SMALL)
  return { large, small }
}

test.each([
  [100, 16_384],
  [100, 60_000],
  [100, 8192],
  [100, 1400],
  [1024, 1400],
  [10_240, 16_384],
  [10_240, 1400],
  [102_400, 8192],
  [102_400, 60_000],
])('messages of %i bytes in packets of %i', (size, packetSize) => {
  for (const sender of [0, 1]) {
    const block = floorBlock({ packetSize, method: 'auto', size, isLone: false, isSequencer: sender === 0 })
    const { large, small } = packetsOfLibrary(sender, size, packetSize, 4 * block.messages)
    const own = large.filter(({ from }) => from === sender)
    expect(own.map(({ isToAll }) => isToAll)).toEqual(own.map(() => block.isToAll))
    const wanted = block.packets.map(({ bytes }) => bytes)
    if (block.isToAll) {
      expect(own.map(({ bytes }) => bytes)).toEqual([wanted, wanted, wanted, wanted].flat())
      expect(large).toHaveLength(own.length)
      if (block.isNamed) expect(small.length).toBeGreaterThan(0)
    } else {
      // by way of the sequencer, whose packet has some more in its head
      const orders = large.filter(({ from }) => from === 0)
      expect(orders.every(({ isToAll }) => isToAll)).toBe(true)
      expect(orders.map(({ bytes }) => bytes)).toEqual([wanted, wanted, wanted, wanted].flat())
      for (const [i, { bytes }] of own.entries()) expect(orders[i]!.bytes - bytes).toBe(37)
    }
  }
})

test('a lone message goes alone', () => {
  const lone = { packetSize: 16_384, method: 'auto', isLone: true, isSequencer: false } as const
  expect(floorBlock({ ...lone, size: 100 })).toMatchObject({ messages: 1, isToAll: false, isNamed: false })
  expect(floorBlock({ ...lone, size: 8192 })).toMatchObject({ messages: 1, isToAll: true, isNamed: true })
  expect(floorBlock({ ...lone, size: 8192, method: 'pb' })).toMatchObject({ isToAll: false, isNamed: false })
})

test('what is named is said in as many packets as it takes, each with room for headers', () => {
  const named = Array.from({ length: 60 }, (_, i) => ({ sender: i % 2, bytes: 100 + i }))
  const packets = writeNames(named, 1400)
  expect(packets.map((packet) => packet.length)).toEqual([116 + 51 * 25, 116 + 9 * 25])
  for (const packet of packets) expect(isNames(packet)).toBe(true)
  const sum = (sender: number): number =>
    named.filter((each) => each.sender === sender).reduce((all, { bytes }) => all + bytes, 0)
  for (const sender of [0, 1])
    expect(packets.reduce((all, packet) => all + namedBytes(packet, sender), 0)).toBe(sum(sender))
})

test.each([
  [100, 1400],
  [10_240, 1400],
])('programs at both ends find messages of %i bytes where they were written', (size, packetSize) => {
  const block = floorBlock({ packetSize, method: 'auto', size, isLone: false, isSequencer: false })
  const [writer, reader] = [0, 1].map(() => new FloorProgram(size, block, true))
  const built = block.packets.map((packet) => ({ packet, built: writeFloorPacket(3, block, packet) }))
  const used = new Set<ArrayBufferLike>()
  for (let round = 0; round < 4; round++) {
    for (const { packet, built: like } of built) {
      const written = writer!.write(like, packet)
      used.add(written.buffer)
      expect([messagesOf(written), dataAtOf(written)]).toEqual([block.messages, packet.dataAt])
      expect(isToBeNamed(written)).toBe(isToBeNamed(like))
      reader!.read(3, written)
      writer!.release(written)
    }
  }
  expect(reader!.digest).toMatchObject({ total: 4 * block.messages, outOfOrder: 0 })
  expect(used.size).toBeLessThanOrEqual(2)
  const body = new Uint8Array(size)
  const expected = new FloorProgram(size, block, true).digest
  for (let i = 0; i < 4 * block.messages; i++) {
    writeCount(body, i)
    expected.add(i + 1, 3, body.slice())
  }
  expect(reader!.digest.value.split('-')[0]).toBe(expected.value.split('-')[0])
})
