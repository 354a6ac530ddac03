/**
 * Two groups on one port over real UDP, whose creators could not find each other: their sequencers do, half a minute
 * later, and the programs, the log and the metrics of both say so.
 */
import { Writable } from 'node:stream'
import pino from 'pino'
import { Registry } from 'prom-client'
import { expect, test } from 'vitest'
import { type GroupEvents, startKernel } from '../../group/index.ts'
import { uniquePort } from '../support/kernels.ts'

const ASK_MS = 30_000

/** A kernel without multicast, its registry, and the lines of its log. */
async function watchedKernel(peers: string[]) {
  const registry = new Registry()
  const logged: string[] = []
  const stream = new Writable({
    write: (chunk, _encoding, done) => {
      logged.push(String(chunk))
      done()
    },
  })
  const kernel = await startKernel({ transport: 'unicast', peers, registry, logger: pino(stream) })
  return { kernel, registry, logged }
}

test('two groups on one port are told on both sides', { timeout: 4 * ASK_MS }, async () => {
  const port = uniquePort('other groups')
  const second = await watchedKernel([])
  const first = await watchedKernel([second.kernel.address])
  try {
    const sides = []
    // nobody is at the peer's address when the first looks for the port, and the second knows nobody to ask
    for (const { kernel, registry, logged } of [first, second]) {
      const group = await kernel.createGroup(port)
      const split = new Promise<GroupEvents['split']>((resolve) => group.on('split', resolve))
      sides.push({ kernel, group, registry, logged, split })
    }
    const [one, other] = sides as [(typeof sides)[0], (typeof sides)[0]]
    expect(one.group.view.groupId).not.toBe(other.group.view.groupId)
    for (const [side, met] of [
      [one, other],
      [other, one],
    ] as const) {
      const { groupId } = met.group.view
      const { address } = met.kernel
      expect(await side.split).toEqual({ groupId, address, incarnation: 1, coordinator: 1 })
      expect(side.logged.filter((line) => line.includes('two groups on this port'))).toEqual([
        expect.stringContaining(groupId),
      ])
      expect(await side.registry.metrics()).toMatch(/^amoebacast_splits_total\{.*\} 1$/m)
      expect(side.group.view.members).toHaveLength(1)
    }
  } finally {
    for (const { kernel } of [first, second]) await kernel.close()
  }
})
