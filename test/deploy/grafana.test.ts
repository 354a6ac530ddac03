/** The dashboard: its panels lie beside each other, and ask for what there is. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { repositoryRoot } from '../support/files.ts'
import { type Queried, seriesOf, unknownIn } from './promql.ts'
import { publishedSeries } from './published.ts'
import { run, whyMissing } from './tools.ts'

interface Target {
  readonly refId: string
  readonly expr: string
  readonly legendFormat: string
}
interface Panel {
  readonly id: number
  readonly type: string
  readonly title: string
  readonly description?: string
  readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number }
  readonly targets?: readonly Target[]
  readonly fieldConfig?: {
    readonly defaults: {
      readonly unit?: string
      readonly thresholds?: { readonly steps: readonly { value: number | null }[] }
    }
  }
}
interface Variable {
  readonly name: string
  readonly type: string
  readonly definition?: string
}
interface Dashboard {
  readonly uid: string
  readonly panels: readonly Panel[]
  readonly templating: { readonly list: readonly Variable[] }
  readonly annotations: { readonly list: readonly { readonly name: string; readonly expr: string }[] }
}

const text = readFileSync(`${repositoryRoot}deploy/grafana/amoebacast.json`, 'utf8')
const dashboard = JSON.parse(text) as Dashboard
const panels = dashboard.panels.filter(({ type }) => type !== 'row')
const expressions = [
  ...panels.flatMap(({ title, targets }) => (targets ?? []).map(({ expr }) => ({ title, expr }))),
  ...dashboard.annotations.list.map(({ name, expr }) => ({ title: `annotation ${name}`, expr })),
]

/** With values in place of Grafana's variables, as Prometheus gets them. */
function filledIn(expr: string): string {
  return expr.replaceAll('$__rate_interval', '1m').replaceAll('$__interval', '1m').replace(/\$\w+/g, '.+')
}

describe('the dashboard', () => {
  test('has panels with ids of their own, a title, a description and a unit', () => {
    expect(panels.length).toBeGreaterThan(20)
    expect(new Set(dashboard.panels.map(({ id }) => id)).size).toBe(dashboard.panels.length)
    expect(new Set(panels.map(({ title }) => title)).size).toBe(panels.length)
    for (const { title, description, fieldConfig, targets } of panels) {
      expect([title, description]).toEqual([title, expect.stringMatching(/\w.{20,}\.$/s)])
      expect([title, fieldConfig?.defaults.unit]).toEqual([title, expect.stringMatching(/^\w+$/)])
      expect([title, new Set(targets!.map(({ refId }) => refId)).size]).toEqual([title, targets!.length])
      const steps = fieldConfig!.defaults.thresholds!.steps.map(({ value }) => value)
      expect([title, steps[0]]).toEqual([title, null])
      const rest = steps.slice(1) as number[]
      expect(rest).toEqual([...rest].sort((a, b) => a - b))
    }
  })

  test('has panels inside the grid that do not lie on each other', () => {
    const taken = new Map<string, string>()
    for (const { title, gridPos } of dashboard.panels) {
      const { x, y, w, h } = gridPos
      expect([title, x >= 0 && w > 0 && h > 0 && x + w <= 24]).toEqual([title, true])
      for (let column = x; column < x + w; column++) {
        for (let line = y; line < y + h; line++) {
          const cell = `${column},${line}`
          expect([title, cell, taken.get(cell)]).toEqual([title, cell, undefined])
          taken.set(cell, title)
        }
      }
    }
  })

  test('asks only for metrics that exist, by labels that they have', async () => {
    const published = await publishedSeries()
    const asked = new Set<string>()
    for (const { title, expr } of expressions) {
      expect([title, unknownIn(seriesOf(expr), published)]).toEqual([title, []])
      for (const { name } of seriesOf(expr)) asked.add(name.replace(/_(bucket|sum|count)$/, ''))
    }
    // Whoever adds a metric is reminded of the dashboard.
    expect(
      [...published.keys()].filter((name) => !asked.has(name) && !/_(bucket|sum|count)$/.test(name)),
    ).toEqual([])
  })

  test('uses the variables that it has, and no others', () => {
    const names = dashboard.templating.list.map(({ name }) => name)
    expect(names).toEqual(['datasource', 'job', 'group', 'instance'])
    const used = new Set([...text.matchAll(/\$\{?(\w+)\}?/g)].map(([, name]) => name!))
    expect([...used].filter((name) => !name.startsWith('__')).sort()).toEqual([...names].sort())
    for (const { title, expr } of expressions)
      expect([title, expr]).toEqual([title, expect.stringContaining('$job')])
  })

  test('has legends made of labels that the query gives', () => {
    for (const { title, targets } of panels) {
      for (const { expr, legendFormat } of targets!) {
        const by = /\bby \(([^)]*)\)/.exec(expr)?.[1]?.split(', ')
        const labels = [...legendFormat.matchAll(/\{\{(\w+)\}\}/g)].map(([, label]) => label!)
        if (by !== undefined)
          expect([title, labels.filter((label) => !by.includes(label))]).toEqual([title, []])
      }
    }
  })

  test('has queries that Prometheus can read', async (context) => {
    const why = whyMissing(['promtool'], 'prometheus')
    if (why !== undefined) {
      console.warn(`skipped: ${why}`)
      return context.skip(why)
    }
    const folder = mkdtempSync(join(tmpdir(), 'amoebacast-dashboard-'))
    try {
      const rules = expressions.map(({ expr }, i) => ({ record: `panel:expr${i}`, expr: filledIn(expr) }))
      const file = join(folder, 'panels.json')
      // JSON is YAML.
      writeFileSync(file, JSON.stringify({ groups: [{ name: 'panels', rules }] }))
      const { status, output } = await run('promtool', ['check', 'rules', file])
      expect([status, output]).toEqual([0, expect.stringContaining(`${rules.length} rules found`)])
      writeFileSync(
        file,
        JSON.stringify({ groups: [{ name: 'panels', rules: [{ record: 'x', expr: 'sum by (' }] }] }),
      )
      expect((await run('promtool', ['check', 'rules', file])).status).not.toBe(0)
    } finally {
      rmSync(folder, { recursive: true })
    }
  })
})

test('the reader of queries finds what is wrong', async () => {
  const published = await publishedSeries()
  const wrong = (expr: string): readonly string[] =>
    unknownIn(seriesOf(expr) as readonly Queried[], published)
  expect(wrong('sum(rate(amoebacast_seq{group="x"}[1m]))')).toEqual([])
  expect(wrong('amoebacast_sequence')).toEqual(['amoebacast_sequence does not exist'])
  expect(wrong('amoebacast_seq{grop="x"}')).toEqual(['amoebacast_seq has no label grop'])
  expect(wrong('sum by (member) (amoebacast_member_lag_messages)')).toEqual([])
  expect(wrong('sum by (kind) (amoebacast_seq)')).toEqual(['nothing in the query has the label kind'])
  expect(wrong('amoebacast_send_seconds_bucket{le="1"}')).toEqual([])
})
