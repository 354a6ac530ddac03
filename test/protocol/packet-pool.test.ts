import { expect, test } from 'vitest'
import { PacketPool } from '../../kernel/packet-pool.ts'

test('a buffer that was given back is taken again, at whatever length', () => {
  const pool = new PacketPool(8192)
  const first = pool.take(8000)
  pool.give(first)
  const second = pool.take(5000)
  expect(second.buffer).toBe(first.buffer)
  expect(second.length).toBe(5000)
  expect(pool.take(5000).buffer).not.toBe(first.buffer)
})

test('a buffer that is given twice is not handed to two', () => {
  const pool = new PacketPool(8192)
  const packet = pool.take(8000)
  expect(pool.give(packet)).toBe(true)
  expect(pool.give(packet)).toBe(false)
  expect(pool.take(8000).buffer).toBe(packet.buffer)
  expect(pool.take(8000).buffer).not.toBe(packet.buffer)
})

test('small packets, larger ones than the pool’s and strangers are left to the collector', () => {
  const pool = new PacketPool(8192)
  for (const packet of [pool.take(80), pool.take(9000), new Uint8Array(4096), new Uint8Array(8192)]) {
    expect(pool.give(packet)).toBe(false)
    expect(pool.take(4096).buffer).not.toBe(packet.buffer)
  }
})

test('keeps a mebibyte at most', () => {
  const pool = new PacketPool(65_507)
  const packets = Array.from({ length: 100 }, () => pool.take(60_000))
  for (const packet of packets) pool.give(packet)
  const known = new Set(packets.map(({ buffer }) => buffer))
  const again = Array.from({ length: 100 }, () => pool.take(60_000)).filter(({ buffer }) => known.has(buffer))
  expect(again).toHaveLength(16)
})
