/**
 * Two hosts that cannot hear each other create the same port; when they can, both say that there are two groups, found
 * by multicast alone.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { Processes } from '../support/processes.ts'
import { LossyNetwork, whyNoNamespaces } from './namespaces.ts'
import { freshPort } from './one-order.ts'

const why = await whyNoNamespaces()
if (why !== undefined) console.warn(`skipped: ${why}`)

describe.skipIf(why !== undefined)('two hosts, cut off from each other', () => {
  const processes = new Processes()
  let network: LossyNetwork

  beforeAll(async () => {
    network = await LossyNetwork.create(2, 0)
  })

  afterAll(async () => {
    await processes.endAll()
    await network.remove()
  })

  test('tell of each other’s group when they meet', { timeout: 180_000 }, async () => {
    const port = freshPort('other-groups')
    const [here, there] = network.hosts as [LossyNetwork['hosts'][0], LossyNetwork['hosts'][0]]
    await network.partition([here], [there])
    const nodes = [here, there].map(({ prefix, address }) =>
      processes.cli(['node', '--group', port, '--create', '--interface', address, '--stay', '--json'], {
        prefix,
      }),
    )
    const ready = await Promise.all(
      nodes.map((node) => node.waitForEvent('ready', ({ event }) => event === 'ready')),
    )
    expect(ready[0]!.groupId).not.toBe(ready[1]!.groupId)
    await network.heal()
    for (const [i, node] of nodes.entries()) {
      const { groupId, address } = ready[1 - i]!
      const split = await node.waitForEvent('split', ({ event }) => event === 'split')
      expect(split).toMatchObject({ groupId, address })
    }
  })
})
