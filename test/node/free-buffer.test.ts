/** Memory that is given back before the collector comes. */
import { execFile } from 'node:child_process'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { describe, expect, test } from 'vitest'
import { freeBuffer } from '../../kernel/node/free-buffer.ts'
import { CipherKey, systemCiphers } from '../../kernel/node/secure/ciphers.ts'
import { Cipher, SEAL_OVERHEAD } from '../../kernel/node/secure/envelope.ts'
import { UdpTransport } from '../../kernel/node/udp.ts'

const arrayBuffers = (): number => process.memoryUsage().arrayBuffers

describe('a large buffer', () => {
  test('is freed at once, and all its views are empty', () => {
    const before = arrayBuffers()
    const bytes = Buffer.alloc(1024 * 1024, 1)
    const view = bytes.subarray(10, 20)
    expect(arrayBuffers() - before).toBeGreaterThanOrEqual(1024 * 1024)
    expect(freeBuffer(bytes)).toBe(true)
    expect(arrayBuffers() - before).toBeLessThan(1024 * 1024)
    expect([bytes.length, view.length]).toEqual([0, 0])
    expect(freeBuffer(bytes)).toBe(false)
  })

  test('is left alone where others have parts of it', () => {
    const all = new Uint8Array(65_536).fill(7)
    expect(freeBuffer(all.subarray(0, 60_000))).toBe(false)
    expect(freeBuffer(new Uint8Array(new SharedArrayBuffer(65_536)))).toBe(false)
    expect(all.every((byte) => byte === 7)).toBe(true)
  })
})

test('a small one is left to the collector, that of the pool too', () => {
  const pooled = Buffer.from('a few bytes')
  expect(freeBuffer(pooled)).toBe(false)
  expect(freeBuffer(new Uint8Array(4095))).toBe(false)
  expect(pooled.toString()).toBe('a few bytes')
})

test('nothing ends, and before Node 22 nothing is freed, where flags cannot be set any more', async () => {
  const module = JSON.stringify(new URL('../../dist/kernel/node/free-buffer.js', import.meta.url).href)
  const program = `import { freeBuffer } from ${module}; console.log(freeBuffer(new Uint8Array(65_536)))`
  const args = ['--freeze-flags-after-init', '--input-type=module', '-e', program]
  const { stdout } = await promisify(execFile)(process.execPath, args)
  expect(stdout.trim()).toBe(String('transfer' in ArrayBuffer.prototype))
})

test('what a cipher made is freed when it has been copied', () => {
  const key = new CipherKey(new Uint8Array(32))
  const packet = new Uint8Array(60_000)
  const into = new Uint8Array(packet.length + SEAL_OVERHEAD)
  const before = arrayBuffers()
  for (let i = 0; i < 100; i++)
    systemCiphers.aeads[Cipher.aes256Gcm].seal(key, new Uint8Array(12), new Uint8Array(32), packet, into)
  expect(arrayBuffers() - before).toBeLessThan(3_000_000)
})

test('own multicasts that come back leave nothing behind', async () => {
  const transport = await UdpTransport.open({ multicastPort: 30_000 + (process.pid % 20_000) })
  try {
    await transport.listen('free-buffer')
    transport.onPacket(() => {})
    const packet = new Uint8Array(Math.min(60_000, transport.packetSizeMax))
    const before = arrayBuffers()
    for (let i = 0; transport.stats.echoes < 100 && i < 1000; i++) {
      transport.multicast('free-buffer', packet)
      await sleep(1)
    }
    expect(transport.stats.echoes).toBeGreaterThanOrEqual(100)
    expect(arrayBuffers() - before).toBeLessThan(3_000_000)
  } finally {
    await transport.close()
  }
})
