/** One registry of a program's own: its metrics, two kernels, two groups and several members of each, on one page. */
import { Gauge, Registry } from 'prom-client'
import { expect, test } from 'vitest'
import { createTestNetwork } from '../../group/testing.ts'
import { run, whyMissing } from '../deploy/tools.ts'
import { parsePage, sumOf } from './metrics-page.ts'

test('kernels, groups and members of one process do not collide', async (context) => {
  const registry = new Registry()
  new Gauge({ name: 'shop_open', help: 'Of the program', registers: [registry] }).set(1)
  await using network = createTestNetwork({ seed: 11 })
  const a = await network.startKernel({ registry, name: 'a' })
  const b = await network.startKernel({ registry, name: 'b' })
  const orders = await network.run(a.createGroup<string>('orders'))
  const second = await network.run(a.joinGroup<string>('orders', { memberName: 'worker' }))
  const third = await network.run(b.joinGroup<string>('orders'))
  const stock = await network.run(b.createGroup<string>('stock'))
  await network.run(Promise.all([orders.sendToGroup('x'), third.sendToGroup('y'), stock.sendToGroup('z')]))
  await network.run(second.sendMany(['1', '2', '3']))
  await network.advance(500)

  const text = await registry.metrics()
  // A line that came twice would be an error of the reader.
  const { samples } = parsePage(text)
  expect(samples.get('shop_open{}')).toBe(1)
  const members = [...samples.keys()].filter((key) => key.startsWith('amoebacast_seq{'))
  expect(members.sort()).toEqual([
    'amoebacast_seq{group="orders",member="b"}',
    'amoebacast_seq{group="orders",member="worker"}',
    'amoebacast_seq{group="orders"}',
    'amoebacast_seq{group="stock"}',
  ])
  expect(sumOf(samples, 'amoebacast_sequencer_ordered_total', { group: 'orders' })).toBe(5)
  expect(sumOf(samples, 'amoebacast_sequencer_ordered_total', { group: 'stock' })).toBe(1)
  expect(sumOf(samples, 'amoebacast_is_sequencer', { group: 'orders' })).toBe(1)
  expect(sumOf(samples, 'amoebacast_send_seconds_count', { group: 'orders' })).toBe(3)
  expect(sumOf(samples, 'amoebacast_send_seconds_count', { group: 'orders', member: 'worker' })).toBe(1)
  // The lag of each, as the sequencer has it, by member id.
  const lags = [...samples.keys()].filter((key) =>
    key.startsWith('amoebacast_member_lag_messages{group="orders"'),
  )
  expect(lags).toEqual(expect.arrayContaining(['amoebacast_member_lag_messages{group="orders",member="2"}']))

  await network.run(b.close())
  const later = parsePage(await registry.metrics()).samples
  expect([...later.keys()].filter((key) => /group="stock"|member="b"/.test(key))).toEqual([])
  expect(later.get('shop_open{}')).toBe(1)

  const why = whyMissing(['promtool'], 'prometheus')
  if (why !== undefined) {
    console.warn(`skipped: ${why}`)
    return context.skip(why)
  }
  // (It complains of the program's own metric only if that is wrong, and it is not.)
  expect(await run('promtool', ['check', 'metrics'], text)).toEqual({ status: 0, output: '' })
})
