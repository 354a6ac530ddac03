/** A bench that fails loses neither what it has measured nor the others. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { benches } from '../../bench/all.ts'
import { MEMBER_FLAGS } from '../../bench/arguments.ts'
import { describeMachine } from '../../bench/machine.ts'
import { estimateOf, measureAll } from '../../bench/measure.ts'
import { type Bench, type BenchOptions, plainCluster } from '../../bench/plan.ts'
import { type Result, summarize } from '../../bench/results.ts'
import { readResults } from '../../bench/write-report.ts'

/** As `npm run bench` has them without options (cli/bench-command.ts). */
const options: BenchOptions = {
  members: undefined,
  sizes: undefined,
  packetSizes: undefined,
  method: 'auto',
  seconds: 1,
  runs: 5,
  kills: 30,
  minutes: 2,
  against: [],
  execArgv: MEMBER_FLAGS,
}
const lone = { pattern: 'lone', senders: 'other', size: 100 } as const

/** In the place of a real one, it measures one figure and then throws, if it is to. */
function pretended(name: 'latency' | 'resilience', failure?: string): Bench {
  const real = benches.find((bench) => bench.name === name)!
  return {
    name,
    describe: real.describe,
    report: (results) => real.report(results),
    measure: async (_options, progress, _signal, keep) => {
      progress(0, 1, 'one figure')
      keep(
        summarize({ bench: name, settings: plainCluster(3, 8192), workload: lone }, [{ p50: 12 }], ['p50']),
      )
      if (failure !== undefined) throw new Error(failure)
    },
  }
}

test('what was measured is written, shown, and can be shown again', async () => {
  const out = mkdtempSync(join(tmpdir(), 'amoebacast-failing-'))
  try {
    const said: string[] = []
    const which = [pretended('resilience', 'this run is wrong'), pretended('latency')]
    const signal = new AbortController().signal
    const machine = { ...describeMachine(), facts: [['machine', 'this one']] as const }
    const failures = await measureAll(which, options, machine, out, signal, (text) => said.push(text))
    expect(failures).toEqual({ resilience: 'this run is wrong' })
    expect(said.join('')).toContain('failed: this run is wrong')
    const { results, origin } = readResults(out)
    expect(results.map(({ bench, value }) => [bench, value])).toEqual([
      ['resilience', 12],
      ['latency', 12],
    ])
    expect(origin).toMatchObject({ failures, facts: [['machine', 'this one']] })
    const page = readFileSync(join(out, 'report.html'), 'utf8')
    expect(page).toContain('This bench failed')
    expect(page.match(/<section /g)).toHaveLength(2)
  } finally {
    rmSync(out, { recursive: true })
  }
})

test('one that is stopped has written what it had', async () => {
  const out = mkdtempSync(join(tmpdir(), 'amoebacast-stopped-'))
  try {
    const stopping = new AbortController()
    const stopped: Bench = {
      ...pretended('latency'),
      measure: async (...args) => {
        await pretended('latency').measure!(...args)
        stopping.abort(new Error('stopped'))
        stopping.signal.throwIfAborted()
      },
    }
    const machine = { ...describeMachine(), facts: [] }
    const which = [stopped, pretended('resilience')]
    await expect(measureAll(which, options, machine, out, stopping.signal, () => {})).rejects.toThrow(
      'stopped',
    )
    const results = JSON.parse(readFileSync(join(out, 'results.json'), 'utf8')) as Result[]
    expect(results.map(({ bench }) => bench)).toEqual(['latency'])
    expect(readFileSync(join(out, 'report.html'), 'utf8')).toContain('This bench failed')
  } finally {
    rmSync(out, { recursive: true })
  }
})

test('all of it with the defaults is to fit into 45 minutes', () => {
  const estimate = estimateOf(benches, options)
  expect(Number(/^about (\d+) min /.exec(estimate)?.[1])).toBeLessThan(45)
  for (const { name } of benches) expect(estimate).toContain(`${name} `)
})
