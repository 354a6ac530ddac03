import { describe, expect, test } from 'vitest'
import type { Metrics } from '../../bench/metrics.ts'
import { placesOf } from '../../bench/places.ts'
import { floorOf, plainCluster } from '../../bench/plan.ts'
import { TimeLeft } from '../../bench/progress.ts'
import { drawPlot } from '../../bench/report/chart.ts'
import { htmlPage } from '../../bench/report/page.ts'
import type { Plot, Series } from '../../bench/report/parts.ts'
import { scaled } from '../../bench/report/scales.ts'
import { type Result, summarize } from '../../bench/results.ts'
import { table } from '../../bench/table.ts'
import { sectionsOf } from '../../bench/write-report.ts'

const line = (name: string, role: Series['role'], ys: readonly number[]): Series => ({
  name,
  role,
  points: ys.map((y, i) => ({ x: i + 1, y, low: y / 2, high: y * 2 })),
})
const plot = (series: readonly Series[], scale: 'linear' | 'log' = 'log'): Plot => ({
  title: 'a <title> & more',
  x: { label: 'members', scale: 'linear', ticks: [1, 2, 3] },
  y: { label: 'time (µs)', scale },
  series,
})

describe('a plot', () => {
  test('has labelled axes, a legend, a mark and a whisker for each point', () => {
    const svg = drawPlot(plot([line('own', 'own', [10, 20, 30]), line('floor', 'floor', [5, 6, 7])]), true)
    for (const text of ['members', 'time (µs)', 'own', 'floor']) expect(svg).toContain(`>${text}<`)
    expect(svg).toContain('a &lt;title&gt; &amp; more')
    // One more of each line in the legend.
    expect(svg.match(/class="mark"/g)).toHaveLength(6 + 2)
    expect(svg.match(/class="whisker"/g)).toHaveLength(6)
    expect(svg).toContain('prefers-color-scheme: dark')
    expect(svg).not.toMatch(/NaN|undefined|Infinity/)
  })

  test('tells lines apart without colour', () => {
    const series = ['a', 'b', 'c'].map((name) => line(name, 'peer', [1, 2]))
    const svg = drawPlot(plot([line('own', 'own', [3, 4]), ...series]), false)
    const dashes = new Set([...svg.matchAll(/stroke-dasharray="([^"]+)"/g)].map(([, dash]) => dash))
    const marks = new Set([...svg.matchAll(/class="mark" d="([^"]+)"/g)].map(([, mark]) => mark))
    expect(dashes.size).toBe(3)
    expect(marks.size).toBe(4)
  })

  test('leaves out what a logarithmic axis has no place for, and is empty without anything', () => {
    expect(drawPlot(plot([line('own', 'own', [0, 1, 2])]), false).match(/class="whisker"/g)).toHaveLength(2)
    expect(drawPlot(plot([line('own', 'own', [0])]), false)).toBe('')
    expect(drawPlot(plot([line('own', 'own', [0, 0])], 'linear'), false)).toContain('class="mark"')
  })
})

describe('axes', () => {
  test('linear ones begin at 0, logarithmic ones hold their values and have several ticks', () => {
    expect(scaled({ label: '', scale: 'linear' }, [70, 90], 0, 100).ticks[0]).toEqual({ at: 0, label: '0' })
    for (const values of [
      [39, 40],
      [100, 2_500_000],
      [0.002, 0.9],
    ]) {
      const { ticks, at } = scaled({ label: '', scale: 'log' }, values, 0, 100)
      expect(ticks.length).toBeGreaterThan(1)
      for (const value of values) {
        expect(at(value)).toBeGreaterThanOrEqual(0)
        expect(at(value)).toBeLessThanOrEqual(100)
      }
    }
  })

  test('ticks are short', () => {
    const { ticks } = scaled({ label: '', scale: 'linear' }, [3e6], 0, 100)
    expect(ticks.map(({ label }) => label)).toContain('1 M')
  })
})

test('the page begins with resilience, whatever order benches were run in', () => {
  const section = (name: string) => ({ name, describe: '', tables: [], figures: [] })
  const page = htmlPage({
    title: 't',
    facts: [['a', '<b>']],
    sections: ['soak', 'methods', 'resilience'].map(section),
  })
  expect([...page.matchAll(/<section id="(\w+)"/g)].map(([, name]) => name)).toEqual([
    'resilience',
    'soak',
    'methods',
  ])
  expect(page).toContain('&lt;b&gt;')
})

test('a table as text has its title and its note', () => {
  const text = table({ title: 'above', headings: ['name', 'value'], rows: [['a', '1']], note: 'below' })
  expect(text.split('\n')).toEqual([
    'above',
    '',
    '| name | value |',
    '| ---- | ----: |',
    '| a    |     1 |',
    '',
    'below',
  ])
})

test('the narrowest column has a rule that Markdown takes', () => {
  const [, rule] = table({ headings: ['r', 's'], rows: [['1', 'a']] }).split('\n')
  expect(rule).toBe('| -: | -- |')
})

/** Of three members and their floor, in two runs. */
function measured(bench: string, own: Metrics, floor: Metrics, more: { r?: number; isLone?: boolean } = {}) {
  const settings = plainCluster(3, 8192, { resilience: more.r ?? 0 })
  const lone = more.isLone ?? true
  const workloads = lone ? (['other', 'sequencer'] as const) : (['all'] as const)
  return workloads.flatMap((senders) => {
    const workload = { pattern: lone ? 'lone' : 'stream', senders, size: 100 } as const
    const of = (metrics: Metrics, cluster: typeof settings): Result[] =>
      summarize(
        { bench, settings: cluster, workload },
        [metrics, metrics],
        ['p50', 'rate', 'packets', 'others'],
      )
    return [...of(own, settings), ...of(floor, floorOf(settings))]
  })
}

describe('what a bench says', () => {
  test('is doubted where other programs had the processors, on the page as well', () => {
    const quiet = measured('latency', { p50: 100, others: 4 }, { p50: 50, others: 0 })
    expect(sectionsOf(quiet, {})[0]!.warning).toBeUndefined()
    const busy = measured('latency', { p50: 100, others: 40 }, { p50: 50, others: 0 })
    const [section] = sectionsOf(busy, {})
    expect(section!.warning).toContain('up to 40.0 % of the processors')
    expect(section!.warning).toContain('in 2 of 4 settings')
    expect(htmlPage({ title: '', facts: [], sections: [section!] })).toContain(section!.warning!)
    const flooded = busy.map((result) => ({ ...result, bench: 'flood' }))
    expect(sectionsOf(flooded, {})[0]!.warning).toBeUndefined()
  })

  test('a send of the sequencer stands beside the floor of such a send', () => {
    const [{ figures }] = sectionsOf(measured('latency', { p50: 100 }, { p50: 50 }), {}) as [
      ReturnType<typeof sectionsOf>[number],
    ]
    expect(figures[0]!.plot.series.map(({ name, role }) => [name, role])).toEqual([
      ['amoebacast', 'own'],
      ['amoebacast, from the sequencer', 'own'],
      ['floor', 'floor'],
      ['floor, from the sequencer', 'floor'],
    ])
    expect(figures[0]!.says).toContain('From the sequencer itself it takes 100 µs, 2.00 times')
  })

  test('resilience has the rate by degree, to r = 0 and to the floor', () => {
    const results = [0, 1, 2].flatMap((r) => [
      ...measured('resilience', { p50: 100, rate: 9 }, { p50: 50, rate: 18 }, { r }),
      ...measured('resilience', { rate: 1000 / (1 + r) }, { rate: 4000 }, { r, isLone: false }),
    ])
    const [{ tables, figures }] = sectionsOf(results, {}) as [ReturnType<typeof sectionsOf>[number]]
    expect(tables.map(({ title }) => title)).toEqual(['lone sends', 'all sending'])
    expect(tables[1]!.rows.map((row) => [row[2], row[4], row[6]])).toEqual([
      ['0', '1.00', '0.25'],
      ['1', '0.50', '0.13'],
      ['2', '0.33', '0.08'],
    ])
    const figure = figures.find(({ name }) => name === 'resilience-rate')!
    const [own, floor] = figure.plot.series
    expect(own!.points.map(({ x, y }) => [x, Math.round(y)])).toEqual([
      [0, 1000],
      [1, 500],
      [2, 333],
    ])
    expect(floor!.points.map(({ x, y }) => [x, y])).toEqual([
      [0, 4000],
      [1, 4000],
      [2, 4000],
    ])
    expect(figure.says).toContain('r = 2: 333 messages/s, 0.33 times that.')
  })
})

test('of two methods it is said where the runs of both overlap, and that nearly the same is the same', () => {
  const runs: Record<number, { readonly pb: readonly number[]; readonly bb: readonly number[] }> = {
    100: { pb: [10, 11, 12], bb: [20, 21, 22] },
    1024: { pb: [50, 50, 50], bb: [50, 50.5, 51] },
    8192: { pb: [80, 100, 120], bb: [60, 90, 110] },
    65536: { pb: [900, 1000, 1100], bb: [400, 500, 600] },
  }
  const results = Object.entries(runs).flatMap(([size, each]) =>
    (['pb', 'bb'] as const).flatMap((method) => {
      const settings = plainCluster(3, 8192, { method })
      const workload = { pattern: 'lone', senders: 'other', size: Number(size) } as const
      const metrics = each[method].map((p50): Metrics => ({ p50 }))
      return summarize({ bench: 'methods', settings, workload }, metrics, ['p50'])
    }),
  )
  const says = sectionsOf(results, {})[0]!.figures[0]!.says
  expect(says).toContain('Method 2 is the better one at 8 KiB and 64 KiB.')
  expect(says).toContain('at 8 KiB the runs of both overlap')
  expect(says).toMatch(/The lines cross at about \d\.\d+ KiB\./)
})

describe('the time left', () => {
  test('is what is missing at the pace so far, and goes down between two runs', () => {
    let now = 0
    const left = new TimeLeft(() => now)
    expect(left.text).toBe('starting')
    now = 10_000
    left.note(0.1)
    expect(left.text).toBe('1 min 30 s left')
    now = 15_000
    expect(left.text).toBe('1 min 25 s left')
    left.note(0.5)
    expect(left.text).toBe('15 s left')
    now = 60_000
    expect(left.text).toBe('0 s left')
  })
})

describe('who is in which process', () => {
  test('one member each, and the sequencers of several groups spread', () => {
    expect(placesOf(3).map(({ process }) => process)).toEqual([0, 1, 2])
    const sequencers = placesOf(3, 4).filter(({ index }) => index === 0)
    expect(sequencers.map(({ process }) => process)).toEqual([0, 1, 2, 0])
  })

  test('with fewer processes the sequencer has the first to itself', () => {
    const places = placesOf(6, 1, 3)
    expect(places.filter(({ process }) => process === 0)).toEqual([{ group: 0, index: 0, process: 0 }])
    expect(places.map(({ process }) => process)).toEqual([0, 1, 2, 1, 2, 1])
  })
})
