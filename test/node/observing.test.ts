/** observing.md is true: it names every metric, label and channel that there is, and its example runs. */
import { readFileSync } from 'node:fs'
import { expect, test, vi } from 'vitest'
import { createTestNetwork } from '../../group/testing.ts'
import * as diagnostics from '../../kernel/node/diagnostics.ts'
import { publishedSeries } from '../deploy/published.ts'
import { repositoryRoot } from '../support/files.ts'

const text = readFileSync(`${repositoryRoot}kernel/node/observing.md`, 'utf8')
const rows = text.split('\n').filter((line) => line.startsWith('| `'))

test('every metric is in the table, with its labels', async () => {
  const published = [...(await publishedSeries())].filter(([name]) => !/_(bucket|sum|count)$/.test(name))
  expect(published.length).toBeGreaterThan(20)
  const shared = ['group', 'member', 'le']
  for (const [name, labels] of published) {
    const row = rows.find((line) => line.split('|')[1]!.includes(`\`${name.replace('amoebacast_', '')}\``))
    expect([name, row]).toEqual([name, expect.any(String)])
    for (const label of labels) {
      if (!shared.includes(label))
        expect([name, row!.split('|')[2]]).toEqual([name, expect.stringContaining(`\`${label}\``)])
    }
  }
})

test('every channel is in the table', () => {
  const names = Object.entries(diagnostics).flatMap(([name, value]) =>
    name.endsWith('_CHANNEL') ? [String(value)] : [],
  )
  expect(names).toHaveLength(6)
  for (const name of names) expect(rows.some((line) => line.startsWith(`| \`${name}\``))).toBe(true)
})

test('the example says how long messages took, and what a reset does', async () => {
  const example = /```js\n([\s\S]+?)```/.exec(text)![1]!
  const said = vi.spyOn(console, 'log').mockImplementation(() => {})
  await import(`data:text/javascript,${encodeURIComponent(example)}`)
  await using network = createTestNetwork({ seed: 2 })
  const [a, b] = [await network.startKernel(), await network.startKernel()]
  await network.run(a.createGroup('orders', { minMembers: 1 }))
  const group = await network.run(b.joinGroup('orders'))
  const seqs = await network.run(group.sendMany(['x', 'y']))
  await network.crash(a)
  const last = await network.run(group.sendToGroup('z'))
  const lines = said.mock.calls.map((words) => words.join(' '))
  vi.restoreAllMocks()
  for (const seq of [...seqs, last]) {
    expect(lines).toContainEqual(expect.stringMatching(new RegExp(`^message ${seq} took \\d+ µs$`)))
  }
  expect(lines).toContainEqual(expect.stringMatching(/^orders done [\d.]+ ms$/))
})
