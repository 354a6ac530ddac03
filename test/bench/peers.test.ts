/** Peers that are installed are measured under the same checks; the others are skipped with a line that says why. */
import { execFile } from 'node:child_process'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'
import { type PeerName, peerNames } from '../../bench/messages.ts'
import { lookFor } from '../../bench/peers/installed.ts'
import { nameOf } from '../../bench/report/series.ts'
import type { Result } from '../../bench/results.ts'
import { repositoryRoot } from '../support/files.ts'

const run = promisify(execFile)
const script = `${repositoryRoot}dist/bench/main.js`
const least = ['--members', '2', '--size', '100', '--packet-size', '8192', '--seconds', '0.1', '--runs', '1']

test('bench --against', { timeout: 300_000 }, async () => {
  const { here, missing } = await lookFor(peerNames)
  for (const { name, why } of missing) console.log(`${name} is not tested: ${why}`)
  const out = mkdtempSync(join(tmpdir(), 'amoebacast-peers-'))
  const bench = async (name: string): Promise<{ stdout: string; peers: Set<string>; results: Result[] }> => {
    const own = join(out, name)
    mkdirSync(own)
    const args = [script, name, ...least, '--against', peerNames.join(','), '--out', own]
    // Servers keep what they have in the temporary folder, and nothing is to be left of it.
    const { stdout } = await run(process.execPath, args, { env: { ...process.env, TMPDIR: own } })
    expect(readdirSync(own).filter((file) => file.startsWith('amoebacast-bench-'))).toEqual([])
    const all = JSON.parse(readFileSync(join(own, 'results.json'), 'utf8')) as Result[]
    const results = all.filter(({ subject }) => (peerNames as readonly string[]).includes(subject))
    return { stdout, results, peers: new Set(results.map(({ subject }) => subject)) }
  }
  const measured = (names: readonly PeerName[]) => new Set<string>(names)
  const names = here.map(({ name }) => name)
  try {
    // side by side: this takes time for starting, not for measuring
    const [latency, throughput] = await Promise.all([bench('latency'), bench('throughput')])
    expect(latency.peers).toEqual(measured(names))
    for (const result of latency.results) {
      expect(result.value).toBeGreaterThanOrEqual(0)
      if (result.metric === 'p50' || result.metric === 'cpu') expect(result.value).toBeGreaterThan(0)
      expect(result.orderChecked).toBe(result.subject !== 'nats-core')
    }
    for (const { name } of missing) expect(latency.stdout).toContain(`${nameOf(name)}: not measured: `)
    const page = readFileSync(join(out, 'latency', 'report.html'), 'utf8')
    for (const { name, version } of here) {
      expect(latency.stdout).toContain(version)
      expect(page).toContain(`<title>${nameOf(name)}</title>`)
    }

    expect(throughput.peers).toEqual(measured(names.filter((name) => name !== 'etcd')))
    for (const { metric, value } of throughput.results) if (metric === 'cpu') expect(value).toBeGreaterThan(0)
  } finally {
    rmSync(out, { recursive: true })
  }
})
