/** The alerts: each tells whoever is woken what is wrong and what to do, asks for what there is, and is tested. */
import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import { repositoryRoot } from '../support/files.ts'
import { seriesOf, unknownIn } from './promql.ts'
import { publishedSeries } from './published.ts'
import { run, whyMissing } from './tools.ts'

interface Rule {
  readonly alert?: string
  readonly record?: string
  readonly expr: string
  readonly for?: string
  readonly labels?: Record<string, string>
  readonly annotations?: Record<string, string>
}
interface RuleFile {
  readonly groups: readonly { readonly name: string; readonly rules: readonly Rule[] }[]
}

const folder = `${repositoryRoot}deploy/prometheus`
const read = <T>(file: string): T => parse(readFileSync(`${folder}/${file}`, 'utf8')) as T
const alerts = read<RuleFile>('alerts.yml').groups.flatMap(({ rules }) => rules)
const recordings = read<RuleFile>('recording.yml').groups.flatMap(({ rules }) => rules)

/** What somebody would want at night (issue), by name. */
const wanted = [
  'AmoebacastGroupStopped',
  'AmoebacastSequencerNearSaturation',
  'AmoebacastMemberLagging',
  'AmoebacastHistoryNearlyFull',
  'AmoebacastResetsRepeating',
  'AmoebacastTwoSequencers',
  'AmoebacastSplit',
  'AmoebacastSendsBlocked',
  'AmoebacastNodeDown',
  'AmoebacastNoSequencer',
]

/** Fire at once: they look back by themselves. */
const lookBack = ['AmoebacastSplit', 'AmoebacastResetsRepeating', 'AmoebacastIncompatiblePackets']

/** Labels that remain after the outermost aggregation of a query. */
function resultLabels({ expr }: Rule): string[] {
  const recorded = recordings.find(({ record }) => record !== undefined && expr.includes(record))
  const by = /\bby \(([^)]*)\)/.exec(expr)?.[1] ?? /\bby \(([^)]*)\)/.exec(recorded?.expr ?? '')?.[1]
  return by === undefined ? ['job', 'instance'] : by.split(',').map((label) => label.trim())
}

const noPromtool = whyMissing(['promtool'], 'prometheus')
if (noPromtool !== undefined) console.warn(`skipped: ${noPromtool}`)

describe('the alerts', () => {
  test('are those that are wanted, each once', () => {
    const names = alerts.map(({ alert }) => alert!)
    expect(names).toEqual(expect.arrayContaining(wanted))
    expect(new Set(names).size).toBe(names.length)
  })

  test.each(alerts.map((rule) => [rule.alert!, rule] as const))(
    '%s says what is wrong and what to do',
    (name, rule) => {
      expect(rule.labels).toEqual({ severity: expect.stringMatching(/^(critical|warning)$/) })
      if (!lookBack.includes(name)) expect(rule.for).toMatch(/^\d+[ms]$/)
      expect(Object.keys(rule.annotations ?? {}).sort()).toEqual(['action', 'description', 'summary'])
      for (const text of Object.values(rule.annotations!)) {
        expect(text.length).toBeGreaterThan(20)
        // Only values that the alert has, by functions that templates know.
        for (const [, inside] of text.matchAll(/\{\{ *([^}]*?) *\}\}/g)) {
          if (/^\$value( \| (humanize|humanizePercentage))?$/.test(inside!)) continue
          const label = /^\$labels\.(\w+)$/.exec(inside!)?.[1]
          expect([inside, resultLabels(rule)]).toEqual([inside, expect.arrayContaining([label])])
        }
      }
    },
  )

  test('ask only for series that exist, by labels that they have', async () => {
    const published = await publishedSeries()
    published.set('up', new Set())
    for (const { record, expr } of recordings) {
      expect([record, unknownIn(seriesOf(expr), published)]).toEqual([record, []])
    }
    for (const { record, expr } of recordings) published.set(record!, new Set(resultLabels({ expr })))
    for (const { alert, expr } of alerts) {
      expect([alert, unknownIn(seriesOf(expr), published)]).toEqual([alert, []])
    }
  })

  test('are each tested where they fire and where they do not', () => {
    interface Expectation {
      readonly expr: string
      readonly exp_samples: readonly unknown[]
    }
    const tests = read<{ tests: readonly { promql_expr_test: readonly Expectation[] }[] }>(
      'tests/alerts.yml',
    ).tests
    const expectations = tests.flatMap(({ promql_expr_test }) => promql_expr_test)
    for (const { alert } of alerts) {
      const own = expectations.filter(({ expr }) => expr.includes(`alertname="${alert}"`))
      expect([alert, own.some(({ exp_samples }) => exp_samples.length > 0)]).toEqual([alert, true])
      expect([alert, own.some(({ exp_samples }) => exp_samples.length === 0)]).toEqual([alert, true])
    }
  })

  test('are in the README, each with what it is about', () => {
    const readme = readFileSync(`${repositoryRoot}deploy/README.md`, 'utf8')
    for (const { alert, labels } of alerts) expect(readme).toContain(`| \`${alert}\` | ${labels!.severity} |`)
  })
})

test.skipIf(noPromtool !== undefined).each([
  ['check', 'rules', '--lint=all', '--lint-fatal', 'recording.yml', 'alerts.yml'],
  ['check', 'config', '--lint=all', '--lint-fatal', 'prometheus.yml'],
  ['test', 'rules', 'tests/alerts.yml'],
])('promtool %s %s is content', async (...args) => {
  const { status, output } = await run(
    'promtool',
    args.map((arg) => (arg.endsWith('.yml') ? `${folder}/${arg}` : arg)),
  )
  expect([status, output]).toEqual([0, expect.stringContaining('SUCCESS')])
  expect(output).not.toContain('FAILED')
})
