import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'
import { LossyNetwork, whyNoNamespaces } from './namespaces.ts'

const run = promisify(execFile)

test('namespaces lose packets at random, lead nowhere, and are removed', async (context) => {
  const why = await whyNoNamespaces()
  if (why !== undefined) {
    console.warn(`skipped: ${why}`)
    return context.skip(why)
  }
  const network = await LossyNetwork.create(2, 50)
  const namespaces = network.hosts.map(({ namespace }) => namespace)
  try {
    const [first, second] = network.hosts
    expect(await network.bridgeLinks()).toHaveLength(3)
    // 100 datagrams from the first host to the second, where nobody listens: what arrives is counted or dropped.
    const script = `
      const socket = require('node:dgram').createSocket('udp4')
      socket.on('error', () => {})
      let left = 100
      const next = () => (left-- === 0 ? socket.close() : socket.send('x', 9, '${second!.address}', next))
      next()`
    await run(first!.prefix[0]!, [...first!.prefix.slice(1), process.execPath, '-e', script])
    const sent = await network.counts(first!)
    const arrived = await network.counts(second!)
    expect(sent.inside).toBeGreaterThanOrEqual(100)
    expect(sent.elsewhere).toBe(0)
    expect(arrived.dropped).toBeGreaterThan(20)
    expect(arrived.dropped).toBeLessThan(80)
  } finally {
    await network.remove()
  }
  const { stdout } = await run('ip', ['netns', 'list'])
  for (const namespace of namespaces) expect(stdout).not.toContain(namespace)
})
