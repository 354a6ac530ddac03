import { describe, expect, test } from 'vitest'
import { placesOf } from '../../bench/places.ts'
import { TimeLeft } from '../../bench/progress.ts'
import { drawPlot } from '../../bench/report/chart.ts'
import { htmlPage } from '../../bench/report/page.ts'
import type { Plot, Series } from '../../bench/report/parts.ts'
import { scaled } from '../../bench/report/scales.ts'
import { table } from '../../bench/table.ts'

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
