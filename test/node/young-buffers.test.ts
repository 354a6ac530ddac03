/** When the young generation is collected for the sake of buffers. */
import { execFile } from 'node:child_process'
import { setImmediate as turn } from 'node:timers/promises'
import { promisify } from 'node:util'
import { describe, expect, test, vi } from 'vitest'
import { isOfUse, YoungBuffers } from '../../kernel/node/young-buffers.ts'

const MIB = 1024 * 1024

/** A heap whose collection takes `takes` milliseconds, and whose clock goes on by nothing else. */
function scene({ takes = 1, isThere = true, used = 12 * MIB } = {}) {
  const state = { now: 0, used, collections: 0, searches: 0 }
  const collect = (): void => {
    state.collections++
    state.now += takes
  }
  const buffers = new YoungBuffers({
    now: () => state.now,
    used: () => state.used,
    findCollection: () => {
      state.searches++
      return isThere ? collect : undefined
    },
  })
  return { state, buffers }
}

describe('the young generation', () => {
  test('is left alone by whoever receives little', async () => {
    const { state, buffers } = scene()
    for (let i = 0; i < 6 * 16 - 1; i++) buffers.note(MIB / 16)
    await turn()
    expect(state).toMatchObject({ searches: 0, collections: 0 })
  })

  test('is collected after six MiB, in a turn of its own', async () => {
    const { state, buffers } = scene()
    for (let round = 1; round <= 5; round++) {
      for (let i = 0; i < 6; i++) buffers.note(MIB)
      expect(state.collections).toBe(round - 1)
      await turn()
      expect(state.collections).toBe(round)
      state.now += 100
    }
    expect(state.searches).toBe(1)
  })

  test('is not collected for more than a fifth of the time', async () => {
    const { state, buffers } = scene({ takes: 3 })
    while (state.now < 3000) {
      buffers.note(6 * MIB)
      await turn()
      state.now += 1
    }
    expect(state.collections * 3).toBeLessThanOrEqual(600)
    expect(state.collections * 3).toBeGreaterThan(500)
  })

  test('is left to V8 where the heap is large, and as long as it is', async () => {
    const { state, buffers } = scene({ used: 65 * MIB })
    buffers.note(6 * MIB)
    await turn()
    expect(state.collections).toBe(0)
    state.used = 63 * MIB
    buffers.note(6 * MIB)
    await turn()
    expect(state.collections).toBe(1)
  })

  test('is collected as ever after a time with timers that are not real', async () => {
    const { state, buffers } = scene()
    vi.useFakeTimers()
    buffers.note(6 * MIB)
    vi.useRealTimers()
    await turn()
    expect(state.collections).toBe(1)
  })

  test('is left to V8 where V8 does not show its collector', async () => {
    const { state, buffers } = scene({ isThere: false })
    for (let i = 0; i < 3; i++) {
      buffers.note(6 * MIB)
      await turn()
    }
    expect(state).toMatchObject({ searches: 1, collections: 0 })
  })
})

test('a heap that was started larger is left to V8 before Node 24', () => {
  const larger = ['--enable-source-maps', '--initial-old-space-size=128']
  expect(isOfUse('11.3.244.8-node.38', [])).toBe(true)
  expect(isOfUse('11.3.244.8-node.38', larger)).toBe(false)
  expect(isOfUse('12.4.254.21-node.33', ['--max-old-space-size=99', '--initial_heap_size=200'])).toBe(false)
  expect(isOfUse('13.6.233.17-node.26', larger)).toBe(true)
  expect(isOfUse('14.2.1', larger)).toBe(true)
  expect(isOfUse('12.4.254.21-node.33', ['--max-old-space-size=99'])).toBe(true)
})

/** What V8 has collected in a process that receives 400 MB of packets over UDP, and what `typeof gc` is there. */
async function receiving(flags: readonly string[] = []) {
  const program = `
    import dgram from 'node:dgram'
    import { PerformanceObserver, constants } from 'node:perf_hooks'
    import { UdpTransport } from ${JSON.stringify(new URL('../../dist/kernel/node/udp.js', import.meta.url).href)}
    let forced = 0
    new PerformanceObserver((list) => {
      for (const { detail } of list.getEntries())
        if (detail.kind === constants.NODE_PERFORMANCE_GC_MINOR && detail.flags === constants.NODE_PERFORMANCE_GC_FLAGS_FORCED) forced++
    }).observe({ entryTypes: ['gc'] })
    const transport = await UdpTransport.open({ mode: 'unicast' })
    const socket = dgram.createSocket('udp4')
    const packet = new Uint8Array(60_000)
    const port = Number(transport.address.split(':').at(-1))
    let received = 0
    const kept = [] // as a history does
    const send = () => socket.send(packet, port, '127.0.0.1')
    transport.onPacket((_, bytes) => { kept[(received / 60_000) % 200] = bytes; received += bytes.length; send() })
    send()
    for (let before = -1; received < 400e6; ) {
      if (received === before) send() // it was lost
      before = received
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
    socket.close()
    await transport.close()
    await new Promise((resolve) => setTimeout(resolve, 50))
    console.log(forced, typeof gc)`
  const args = [...flags, '--input-type=module', '-e', program]
  const { stdout } = await promisify(execFile)(process.execPath, args, { timeout: 60_000 })
  const [forced, shown] = stdout.trim().split(' ')
  return { forced: Number(forced), shown }
}

describe('over UDP', () => {
  // 63 at most; a machine that does something else has fewer, since a collection takes longer then.
  test('packets of 400 MB are collected, and the program is shown no collector', {
    timeout: 60_000,
  }, async () => {
    const { forced, shown } = await receiving()
    expect(forced).toBeGreaterThan(3)
    expect(forced).toBeLessThan(66)
    expect(shown).toBe('undefined')
  })

  test('nothing is, and nothing ends, where flags cannot be set any more', { timeout: 60_000 }, async () => {
    expect(await receiving(['--freeze-flags-after-init'])).toEqual({ forced: 0, shown: 'undefined' })
  })

  test('a program that was started with the collector keeps it', { timeout: 60_000 }, async () => {
    const { forced, shown } = await receiving(['--expose-gc'])
    expect(forced).toBeGreaterThan(3)
    expect(shown).toBe('function')
  })
})
