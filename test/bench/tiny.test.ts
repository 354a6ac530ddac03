/** The benches cannot rot: each runs with the least parameters, checks its order, and writes what readers expect. */
import { execFile } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { describe, expect, test } from 'vitest'
import { benches } from '../../bench/all.ts'
import { checkRound, type Next, stagesOf } from '../../bench/failover-group.ts'
import type { RoundReport } from '../../bench/failover-messages.ts'
import type { Result } from '../../bench/results.ts'
import { type Origin, sectionsOf } from '../../bench/write-report.ts'
import { repositoryRoot } from '../support/files.ts'

const run = promisify(execFile)
const script = `${repositoryRoot}dist/bench/main.js`

const VOID_TAGS = ['meta', 'br', 'hr', 'img', 'link', 'input']

/** Tags that are not closed, or closed and never opened; in the order in which they are met. */
function wrongTags(markup: string): string[] {
  const open: string[] = []
  const wrong: string[] = []
  const text = markup.replace(/<!doctype html>/, '').replace(/<style>.*?<\/style>/gs, '')
  for (const [tag, closing, name, isEmpty] of text.matchAll(/<(\/?)([a-z][a-z0-9]*)(?:\s[^<>]*?)?(\/?)>/gi)) {
    if (isEmpty === '/' || VOID_TAGS.includes(name!)) continue
    if (closing === '') open.push(name!)
    else if (open.pop() !== name) wrong.push(tag)
  }
  // What is neither a tag nor text has not been escaped.
  const rest = text.replace(/<\/?[a-z][^<>]*>/gi, '')
  return [...wrong, ...open, ...(rest.match(/[<>]/g) ?? [])]
}

/** One file, whole, with a plot and a table of every bench, that asks nobody for anything. */
function checkPage(page: string): void {
  expect(wrongTags(page)).toEqual([])
  const own = page.replaceAll('http://www.w3.org/2000/svg', '')
  expect(own).not.toMatch(/https?:|\bsrc=|url\(|@import|<script/)
  expect(page).toContain('prefers-color-scheme: dark')
  expect(page.indexOf('<section id="resilience">')).toBe(page.indexOf('<section '))
  for (const [bench, plots] of Object.entries(PLOTS)) {
    const section = page.slice(page.indexOf(`<section id="${bench}">`)).split('</section>')[0]!
    expect(section.match(/<svg /g)?.length ?? 0, bench).toBeGreaterThanOrEqual(plots.length)
    expect(section).toContain('<table>')
    expect(section).not.toMatch(/NaN|undefined|Infinity/)
    for (const [, says] of section.matchAll(/<figcaption>(.*?)<\/figcaption>/gs))
      expect(says).toMatch(/\d|Method/)
  }
}

const STAGES = ['detection', 'inquiry', 'phase1', 'phase2', 'first']

/** Two kills in each of four settings, in a group that can lose one. */
function checkFailover(results: readonly Result[]): void {
  const wholes = results.filter(({ metric }) => metric === 'failover')
  const settings = wholes.map(({ situation, detection }) => `${situation}, ${detection}`)
  expect(settings).toEqual([
    'process gone, default',
    'process gone, fast',
    expect.stringMatching(/^(host silent|process stopped), default$/),
    expect.stringMatching(/^(host silent|process stopped), fast$/),
  ])
  for (const whole of wholes) {
    expect(whole).toMatchObject({ members: 3, resilience: 1, runs: 2, unit: 'ms', orderChecked: true })
    expect(whole.samples).toEqual([whole.min, whole.max])
    expect(whole.min).toBeGreaterThan(0)
    const parts = results.filter(
      ({ metric, situation, detection }) =>
        STAGES.includes(metric) && situation === whole.situation && detection === whole.detection,
    )
    expect(parts.map(({ metric }) => metric)).toEqual(STAGES)
    // Medians of two are means, which add up.
    expect(parts.reduce((sum, { value }) => sum + value, 0)).toBeCloseTo(whole.value, 3)
  }
}

/** Every bench, and a file of each of its plots. */
const PLOTS: Record<string, readonly string[]> = {
  resilience: ['resilience', 'resilience-packets', 'resilience-rate'],
  latency: ['latency'],
  throughput: ['throughput-8192-all', 'throughput-8192-one'],
  methods: ['methods-multicast-wire', 'methods-unicast-latency'],
  failover: ['failover-3'],
  scale: ['scale-latency', 'scale-sequencer', 'scale-groups'],
  slow: ['slow'],
  soak: ['soak-memory', 'soak-latency', 'soak-loop'],
  secure: [],
  flood: ['flood'],
}

function checkResult(result: Result): void {
  expect(result).toMatchObject({
    bench: expect.any(String),
    subject: expect.stringMatching(/^(amoebacast|floor|floor-delivered)$/),
    members: expect.any(Number),
    size: 100,
    resilience: expect.any(Number),
    method: expect.stringMatching(/^(auto|pb|bb)$/),
    metric: expect.any(String),
    value: expect.any(Number),
    unit: expect.any(String),
    min: expect.any(Number),
    max: expect.any(Number),
    runs: 1,
    orderChecked: result.subject === 'amoebacast',
  })
  expect(result.min).toBeLessThanOrEqual(result.value)
  expect(result.max).toBeGreaterThanOrEqual(result.value)
}

test.each([
  ['<p>a <b>b</p>', ['</p>', 'p']],
  ['<p>1 < 2</p>', ['<']],
  ['<!doctype html><p>a<br><path d="M0,1"/></p>', []],
])('what is wrong with %s', (markup, wrong) => {
  expect(wrongTags(markup)).toEqual(wrong)
})

/** At the same time: those that mostly wait go beside those that work. */
const TOGETHER = [
  ['resilience', 'latency', 'throughput', 'methods', 'secure'],
  ['failover', 'slow', 'soak', 'flood'],
  ['scale'],
]
const LEAST = ['--members', '2', '--size', '100', '--packet-size', '8192', '--seconds', '0.1', '--runs', '1']
const FEW = ['--kills', '2', '--minutes', '0.01']

/** The results of all benches, as they came, and what was said. */
async function benchAll(out: string): Promise<{ all: Result[]; said: string }> {
  const parts = await Promise.all(
    TOGETHER.map(async (names, i) => {
      const part = join(out, String(i))
      const { stdout } = await run(process.execPath, [script, ...names, ...LEAST, ...FEW, '--out', part])
      return { stdout, results: JSON.parse(readFileSync(join(part, 'results.json'), 'utf8')) as Result[] }
    }),
  )
  return {
    all: parts.flatMap(({ results }) => results),
    said: parts.map(({ stdout }) => stdout).join(''),
  }
}

/**
 * What a run comes to beside the bare packets of the same run, which do at both ends what a program does. The library
 * reaches half of their rate, and its lone send takes four times as long where others have the processors, too: these
 * bounds are three times worse, and worse than that in every one of several tries is no chance. The first try is a tenth
 * of a second, in which the library's code, much more than the floor's, is not compiled yet (ratios of 0.06 and 15);
 * a second is enough, with a second before it for warming up.
 */
const RATE_LEAST = 0.15
const LONE_MOST = 12
const TRIES = 4
const LONGER = ['--seconds', '1']

function ratiosOf(results: readonly Result[]): { rate: number; lone: number } {
  const ratio = (
    metric: Result['metric'],
    bench: string,
    floor: Result['subject'],
    senders: string,
  ): number => {
    const value = (subject: Result['subject']): number =>
      results.find(
        (result) =>
          result.bench === bench &&
          result.metric === metric &&
          result.subject === subject &&
          result.senders === senders &&
          result.calls === 'batch',
      )?.value ?? Number.NaN
    return value('amoebacast') / value(floor)
  }
  return {
    rate: ratio('rate', 'throughput', 'floor-delivered', 'all'),
    lone: ratio('p50', 'latency', 'floor', 'other'),
  }
}

describe('npm run bench', () => {
  test('every bench runs, checks the order and writes its results and the page; none has collapsed', {
    timeout: 400_000,
  }, async () => {
    const out = mkdtempSync(join(tmpdir(), 'amoebacast-bench-'))
    const read = (name: string): string => readFileSync(join(out, name), 'utf8')
    try {
      expect(TOGETHER.flat().sort()).toEqual(benches.map(({ name }) => name).sort())
      const { all, said } = await benchAll(out)
      expect(said).toMatch(/Node v\d+.*commit/)
      expect(said).toMatch(/takes: about \d+ s \(resilience \d+ s, /)
      checkFailover(all.filter(({ bench }) => bench === 'failover'))
      for (const result of all) if (result.bench !== 'failover') checkResult(result)

      const found = (wanted: Partial<Result>) =>
        all.filter((result) =>
          Object.entries(wanted).every(([key, value]) => result[key as keyof Result] === value),
        )
      const metrics = (bench: string) => new Set(found({ bench }).map(({ metric }) => metric))
      expect(metrics('latency')).toContain('p999')
      expect(metrics('methods')).toContain('wire')
      expect(metrics('scale')).toContain('handled')
      expect(metrics('soak')).toContain('rss')
      const degrees = found({ bench: 'resilience', subject: 'amoebacast', metric: 'p50' })
      expect(degrees.map(({ resilience }) => resilience)).toEqual([0, 1])
      const streams = found({ bench: 'resilience', subject: 'amoebacast', metric: 'rate', pattern: 'stream' })
      expect(streams.map(({ resilience }) => resilience)).toEqual([0, 1])
      const rates = found({ bench: 'throughput', metric: 'rate', senders: 'all' })
      expect(rates.map(({ subject, calls }) => `${subject} ${calls}`).sort()).toEqual([
        'amoebacast batch',
        'amoebacast each',
        'floor batch',
        'floor-delivered batch',
      ])
      const groups = found({ bench: 'scale', subject: 'amoebacast', metric: 'handled', pattern: 'stream' })
      expect(groups.map((result) => result.groups)).toEqual([1, 2, 4, 8, 16])
      expect(new Set(found({ bench: 'slow' }).map(({ asleep }) => asleep?.share))).toEqual(
        new Set([0, 0.3, 0.6, 0.9]),
      )
      expect(new Set(found({ bench: 'secure', metric: 'rate' }).map(({ isSealed }) => isSealed))).toEqual(
        new Set([false, true]),
      )
      for (const flooded of found({ bench: 'flood', metric: 'garbage' })) {
        if (flooded.flood === 0) expect(flooded.value).toBe(0)
        else expect(flooded.value).toBeGreaterThan(0)
      }
      const thrownAway = found({ bench: 'flood', metric: 'rejected' }).filter(({ flood }) => flood! > 0)
      for (const { value } of thrownAway) expect(value).toBeGreaterThan(1)
      for (const { max } of found({ bench: 'flood', metric: 'suspicions' })) expect(max).toBe(0)

      // the page of all of it, made of the results alone
      const { facts } = JSON.parse(read('0/machine.json')) as Origin
      writeFileSync(join(out, 'results.json'), JSON.stringify(all))
      writeFileSync(join(out, 'machine.json'), JSON.stringify({ facts, failures: {} }))
      await run(process.execPath, [script, 'report', '--out', out])
      for (const name of Object.values(PLOTS).flat()) expect(wrongTags(read(`${name}.svg`))).toEqual([])
      checkPage(read('report.html'))
      for (const name of ['resilience.svg', 'latency.svg']) expect(read(`0/${name}`)).toBe(read(name))
      // and of any part of it, as a run that failed leaves it
      for (const { name } of benches) {
        const own = found({ bench: name })
        for (let i = 1; i < own.length; i += 3)
          expect(() => sectionsOf(own.slice(0, i), { [name]: 'it failed' }), name).not.toThrow()
      }

      const tried = [ratiosOf(all)]
      const isFine = (): boolean =>
        tried.some(({ rate }) => rate > RATE_LEAST) && tried.some(({ lone }) => lone < LONE_MOST)
      while (!isFine() && tried.length < TRIES) {
        const again = ['latency', 'throughput', ...LEAST, ...LONGER, '--out', join(out, 'again')]
        await run(process.execPath, [script, ...again])
        tried.push(ratiosOf(JSON.parse(read('again/results.json')) as Result[]))
      }
      expect(isFine(), `beside the floor: ${JSON.stringify(tried)}`).toBe(true)
    } finally {
      rmSync(out, { recursive: true })
    }
  })

  test('it is a command of the shell as well', { timeout: 60_000 }, async () => {
    const bench = (...args: string[]) =>
      run(process.execPath, [`${repositoryRoot}dist/cli/main.js`, 'bench', ...args])
    const { stdout } = await bench('--help')
    expect(stdout).toMatch(/^amoebacast bench \[resilience\|/)
    await expect(bench('speed')).rejects.toMatchObject({ code: 2, stderr: /latency, throughput/ })
  })

  test('wrong usage is status 2 and says what is allowed', { timeout: 120_000 }, async () => {
    const wrong = (...args: string[]) => run(process.execPath, [script, ...args])
    await expect(wrong('speed')).rejects.toMatchObject({ code: 2, stderr: /latency, throughput/ })
    for (const [option, value, says] of [
      ['--size', '7', /from 8 .* not "7"/],
      ['--packet-size', '2,,3', /from 512/],
      ['--seconds', '0', /above 0/],
      ['--runs', '1.5', /whole number/],
      ['--against', 'redis,corosync', /redis, nats, nats-core, etcd, not "corosync"/],
      ['--method', 'cb', /auto, pb, bb/],
    ] as const)
      await expect(wrong('latency', option, value)).rejects.toMatchObject({ code: 2, stderr: says })
    await expect(wrong('latency', '--members', '1')).rejects.toMatchObject({ code: 2, stderr: /from 2/ })
    await expect(wrong('report', 'latency')).rejects.toMatchObject({ code: 2, stderr: /measures nothing/ })
    await expect(wrong('report', '--out', '/nowhere')).rejects.toMatchObject({ code: 2, stderr: /--out/ })
  })
})

describe('the check of a kill', () => {
  const report: RoundReport = { sent: 2, bySender: { 1: 3, 2: 2, 3: 2 }, digest: 'a-b', outOfOrder: 0 }
  const victim = { memberId: 1, returned: 3 }
  const survivors = (wrong: Partial<RoundReport>) => [
    { memberId: 2, report },
    { memberId: 3, report: { ...report, ...wrong } },
  ]

  test('takes one after which all that had returned is there', () => {
    expect(() => checkRound(survivors({}), [victim])).not.toThrow()
  })

  test.each([
    ['a message of a survivor is missing', { bySender: { 1: 3, 2: 1, 3: 2 } }, 'received 1'],
    ['one of the killed sequencer that had returned is missing', { bySender: { 1: 2, 2: 2, 3: 2 } }, 'told'],
    ['a sender was not heard in order', { outOfOrder: 1 }, 'out of their'],
    ['the order was another', { digest: 'a-c' }, 'different orders'],
  ])('fails where %s', (_what, wrong, says) => {
    expect(() => checkRound(survivors(wrong), [victim])).toThrow(says)
  })

  test('divides the time where the attempt that succeeded passed its turning points', () => {
    const at = (mark: string, time: number, member?: number) => ({ mark, at: time, member })
    const nexts: Next[] = [
      {
        at: 90_000,
        marks: [
          at('suspect', 500, 1),
          at('suspect', 21_000, 1),
          at('inviting', 24_000),
          at('collecting', 30_000),
        ],
      },
      {
        at: 80_000,
        marks: [
          at('suspect', 20_000, 1),
          at('inviting', 40_000),
          at('collecting', 50_000),
          at('reset', 70_000),
        ],
      },
    ]
    expect(stagesOf(1_000, 1, nexts)).toEqual({
      failover: 89,
      detection: 19,
      inquiry: 4,
      phase1: 26,
      phase2: 20,
      first: 20,
      attempts: 2,
    })
  })
})
