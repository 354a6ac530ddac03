/** What the transport and the seal lose by themselves, as the page shows it. */
import { Registry } from 'prom-client'
import { expect, test, vi } from 'vitest'
import { startKernel } from '../../group/index.ts'
import { drawKey } from '../../kernel/node/secure/group-key.ts'
import { countSeals } from '../../kernel/node/secure/seal-metrics.ts'
import { SealedTransport } from '../../kernel/node/secure/sealed-transport.ts'
import type { Transport } from '../../kernel/node/transport.ts'
import { countTransport } from '../../kernel/node/transport-metrics.ts'
import { PATIENCE, uniquePort } from '../support/kernels.ts'
import { parsePage } from './metrics-page.ts'
import { FakeTransport } from './support.ts'

async function shown(registry: Registry): Promise<Record<string, number>> {
  const { samples } = parsePage(await registry.metrics())
  const ours = [...samples].filter(([name]) => /^amoebacast_(lost_sends|echoes|seal_evictions)_/.test(name))
  return Object.fromEntries(ours.map(([name, value]) => [name.replace('amoebacast_', ''), value]))
}

const statsOf = (lost: Record<string, number>, tooLarge: number, echoes: number): Transport['stats'] => ({
  lostSends: new Map(Object.entries(lost)),
  tooLarge,
  echoes,
})

test('lost sends by code, those too large among them, and echoes; of all kernels that share a registry', async () => {
  const registry = new Registry()
  const stats = statsOf({ ENOBUFS: 3, queue: 2 }, 4, 5)
  const removals = [stats, statsOf({ queue: 40 }, 0, 10)].map((one) => countTransport(registry, one))
  expect(await shown(registry)).toEqual({
    'lost_sends_total{code="ENOBUFS"}': 3,
    'lost_sends_total{code="queue"}': 42,
    'lost_sends_total{code="EMSGSIZE"}': 4,
    'echoes_total{}': 15,
  })
  removals[1]!()
  stats.echoes++
  expect(await shown(registry)).toMatchObject({ 'lost_sends_total{code="queue"}': 2, 'echoes_total{}': 6 })
})

test('senders that were forgotten for others', async () => {
  const registry = new Registry()
  countSeals(registry, {
    faults: new SealedTransport(new FakeTransport(), { keys: [], clock: () => 0 }).faults,
    evictions: 7,
  })
  expect(await shown(registry)).toEqual({ 'seal_evictions_total{}': 7 })
})

test.each([
  ['without a key', undefined],
  ['with a key', drawKey()],
])('%s: a kernel shows them, and takes them away with it', async (_, key) => {
  const registry = new Registry()
  await using kernel = await startKernel({ logLevel: 'silent', registry, key })
  await using other = await startKernel({ logLevel: 'silent', key, peers: ['203.0.113.1:9'] })
  const port = uniquePort('transport')
  await kernel.createGroup(port)
  await other.joinGroup(port)
  // its own questions came back, from the multicast socket
  await vi.waitFor(async () => expect((await shown(registry))['echoes_total{}']).toBeGreaterThan(0), PATIENCE)
  expect((await shown(registry))['seal_evictions_total{}']).toBe(key === undefined ? undefined : 0)
  // there is no way from loopback to that peer
  const lost = Object.entries(await shown(other.registry)).filter(
    ([name, count]) => name.startsWith('lost_sends') && count > 0,
  )
  expect(lost).not.toEqual([])
  await kernel.close()
  expect((await shown(registry))['echoes_total{}']).toBeFalsy()
})
