/** Life is not readiness: what /healthz, /readyz and the metric say while a group is well, stopped, and well again. */
import { expect, test } from 'vitest'
import { createTestNetwork } from '../../group/testing.ts'
import { whyNotReady, whyProcessNotReady } from '../../kernel/node/readiness.ts'
import { parsePage } from './metrics-page.ts'
import { info } from './support.ts'

async function ask(address: string, path: string): Promise<[status: number, text: string]> {
  const response = await fetch(`http://${address}${path}`)
  return [response.status, await response.text()]
}

test.each(['auto', 'manual'] as const)(
  'a group without a quorum lives and is not ready (%s)',
  async (recovery) => {
    await using network = createTestNetwork({ seed: 5 })
    const options = { recovery }
    const kernel = await network.startKernel({ metricsPort: 0 })
    const address = kernel.metricsAddress!
    const readyMetric = async (): Promise<number | undefined> => {
      const { samples } = parsePage((await ask(address, '/metrics'))[1])
      return samples.get('amoebacast_ready{group="orders"}')
    }
    expect(await ask(address, '/healthz')).toEqual([200, 'ok\n'])
    expect(await ask(address, '/readyz')).toEqual([503, expect.stringContaining('no group is open')])
    const joining = kernel.joinOrCreateGroup('orders', { ...options, minStarters: 3 })
    await network.advance(50)
    expect(await ask(address, '/readyz')).toEqual([503, expect.stringContaining('orders: not a member yet')])

    const others = [await network.startKernel(), await network.startKernel()]
    const opened = others.map((other) => other.joinOrCreateGroup('orders', { ...options, minStarters: 3 }))
    const group = (await network.run(Promise.all([joining, ...opened])))[0]!
    await network.advance(1000)
    expect(await ask(address, '/readyz')).toEqual([200, 'ready\n'])
    expect(await readyMetric()).toBe(1)

    for (const other of others) await network.crash(other)
    const sending = group.sendToGroup('lost?').catch(() => {})
    await network.advance(10_000)
    expect(await ask(address, '/healthz')).toEqual([200, 'ok\n'])
    const reason = recovery === 'auto' ? 'too few members answer' : 'waits for resetGroup'
    expect(await ask(address, '/readyz')).toEqual([503, expect.stringContaining(reason)])
    expect(await readyMetric()).toBe(0)
    await network.run(group.leaveGroup())
    await sending
    expect(await ask(address, '/readyz')).toEqual([503, expect.stringContaining('no group is open')])
  },
)

test('one member that is not ready makes its process not ready, and names are for those who may see them', () => {
  expect(whyNotReady(info())).toBeUndefined()
  const members = [
    info(),
    info({ port: 'stock', phase: 'recovering' }),
    info({ port: 'bills', phase: 'joining' }),
  ]
  expect(whyProcessNotReady(members, 'with names')).toBe(
    'stock: the group is being rebuilt, or too few members answer; bills: not a member yet',
  )
  expect(whyProcessNotReady(members, 'without names')).not.toMatch(/stock|bills/)
  expect(whyProcessNotReady([info()], 'with names')).toBeUndefined()
})
