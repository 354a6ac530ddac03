import { crc32 } from 'node:zlib'
import { describe, expect, test } from 'vitest'
import { readU32 } from '../../kernel/bytes.ts'
import { seal, verify } from '../../kernel/node/checksum.ts'
import { packet } from './support.ts'

const body = Uint8Array.from({ length: 500 }, (_, i) => i * 7)

test('the checksum is the CRC-32 of the packet with the field zero', () => {
  const bytes = packet({ body })
  const expected = crc32(bytes)
  seal(bytes)
  expect(readU32(bytes, 4)).toBe(expected)
  expect(verify(bytes)).toBe(true)
})

test('sealing once more changes nothing, and verifying leaves the packet as it was', () => {
  const bytes = packet({ body })
  seal(bytes)
  const sealed = bytes.slice()
  seal(bytes)
  expect(verify(bytes)).toBe(true)
  expect(bytes).toEqual(sealed)
})

test('every single flipped bit is noticed', () => {
  const bytes = packet({ body: body.subarray(0, 40) })
  seal(bytes)
  for (let bit = 0; bit < bytes.length * 8; bit++) {
    bytes[bit >> 3]! ^= 1 << (bit & 7)
    expect(verify(bytes)).toBe(false)
    bytes[bit >> 3]! ^= 1 << (bit & 7)
  }
  expect(verify(bytes)).toBe(true)
})

test('what is too short to have a checksum has none', () => {
  for (let length = 0; length < 8; length++) expect(verify(new Uint8Array(length))).toBe(false)
})

describe('where packets never leave memory', () => {
  const plain = () => {
    const bytes = new Uint8Array(500).fill(9)
    bytes.fill(0, 3, 8)
    return bytes
  }

  test('the checksum covers the header, and says so', () => {
    const bytes = plain()
    seal(bytes, true)
    expect(verify(bytes, true)).toBe(true)
    bytes[499]! ^= 1
    expect(verify(bytes, true)).toBe(true)
    bytes[20]! ^= 1
    expect(verify(bytes, true)).toBe(false)
  })

  test('such a packet counts for nothing where they do leave it', () => {
    const bytes = plain()
    seal(bytes, true)
    expect(verify(bytes)).toBe(false)
  })

  test('one whose checksum covers all of it counts there as well', () => {
    const bytes = plain()
    seal(bytes)
    expect(verify(bytes, true)).toBe(true)
    bytes[499]! ^= 1
    expect(verify(bytes, true)).toBe(false)
  })
})
