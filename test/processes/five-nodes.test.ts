import { afterEach, describe, expect, test } from 'vitest'
import { Processes } from '../support/processes.ts'
import { madeText } from '../support/texts.ts'
import { LossyNetwork, whyNoNamespaces } from './namespaces.ts'
import { feedAndCompare, freshPort, startGroup } from './one-order.ts'

const NODES = 5
const processes = new Processes()

afterEach(() => processes.endAll())

/** A different one for each node. */
const madeTexts = (lines: number) => Array.from({ length: NODES }, (_, i) => madeText(i + 1, lines))

describe('five processes, five texts, one order', () => {
  test.each(['multicast', 'unicast'])('over UDP on loopback, %s', { timeout: 120_000 }, async (transport) => {
    const texts = madeTexts(2_000)
    const total = texts.reduce((sum, lines) => sum + lines.length, 0)
    const places = Array.from({ length: NODES }, () => ({ prefix: [], options: [] }))
    const common = ['--count', String(total), '--interface', '127.0.0.1', '--transport', transport]
    const nodes = await startGroup(processes, freshPort(transport), places, common)
    await feedAndCompare(nodes, texts)
  })

  test('between network namespaces that lose a tenth of all packets', {
    timeout: 180_000,
  }, async (context) => {
    const why = await whyNoNamespaces()
    if (why !== undefined) {
      console.warn(`skipped: ${why}`)
      return context.skip(why)
    }
    const network = await LossyNetwork.create(NODES, 10)
    try {
      const texts = madeTexts(400)
      const total = texts.reduce((sum, lines) => sum + lines.length, 0)
      const places = network.hosts.map(({ prefix, address }) => ({
        prefix,
        options: ['--interface', address],
      }))
      const common = ['--count', String(total), '--transport', 'multicast']
      const nodes = await startGroup(processes, freshPort('lossy'), places, common)
      await feedAndCompare(nodes, texts)

      expect(await network.bridgeLinks()).toHaveLength(NODES + 1)
      for (const host of network.hosts) {
        const { dropped, inside, elsewhere } = await network.counts(host)
        expect(dropped).toBeGreaterThan(0)
        expect(inside).toBeGreaterThan(0)
        expect(elsewhere).toBe(0)
      }
    } finally {
      await processes.endAll()
      await network.remove()
    }
  })
})
