/** What the audit makes of reports of `npm audit --json` (version 2 of its format): which advisories stop a release. */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { repositoryRoot } from '../support/files.ts'

const TODAY = '2026-06-15'
let folder = ''

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'amoebacast-audit-'))
})
afterAll(() => rmSync(folder, { recursive: true }))

type Severity = 'info' | 'low' | 'moderate' | 'high' | 'critical'

const ids: Record<Severity, string> = {
  info: 'GHSA-aaaa-0000-0001',
  low: 'GHSA-aaaa-0000-0002',
  moderate: 'GHSA-aaaa-0000-0003',
  high: 'GHSA-aaaa-0000-0004',
  critical: 'GHSA-aaaa-0000-0005',
}

/** As npm writes it: an advisory is an object in the `via` of the package that has it, and a name in those that depend on that. */
function reportOf(severities: readonly Severity[]): object {
  const counts = { info: 0, low: 0, moderate: 0, high: 0, critical: 0 }
  const vulnerabilities: Record<string, object> = {}
  for (const [i, severity] of severities.entries()) {
    counts[severity]++
    const name = `sorry-${severity}`
    vulnerabilities[name] = {
      name,
      severity,
      isDirect: false,
      via: [
        {
          source: 1_090_000 + i,
          name,
          dependency: name,
          title: `A ${severity} mistake in ${name}`,
          url: `https://github.com/advisories/${ids[severity]}`,
          severity,
          cwe: ['CWE-400'],
          cvss: { score: 7.5, vectorString: 'CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:H' },
          range: '<1.2.3',
        },
      ],
      effects: ['above-all'],
      range: '<1.2.3',
      nodes: [`node_modules/${name}`],
      fixAvailable: true,
    }
  }
  vulnerabilities['above-all'] = {
    name: 'above-all',
    severity: severities.at(-1) ?? 'info',
    isDirect: true,
    via: severities.map((severity) => `sorry-${severity}`),
    effects: [],
    range: '*',
    nodes: ['node_modules/above-all'],
    fixAvailable: false,
  }
  const dependencies = { prod: 12, dev: 0, optional: 1, peer: 0, peerOptional: 0, total: 13 }
  return {
    auditReportVersion: 2,
    vulnerabilities,
    metadata: { vulnerabilities: { ...counts, total: severities.length }, dependencies },
  }
}

function judge(report: object | string, ignored: readonly string[] = []) {
  const list = join(folder, 'ignored')
  writeFileSync(list, `# entries\n\n${ignored.map((line) => `${line}\n`).join('')}`)
  const script = `${repositoryRoot}test/package/audit-judge.mjs`
  const input = typeof report === 'string' ? report : JSON.stringify(report)
  const { status, stdout, stderr } = spawnSync(process.execPath, [script, list, TODAY], {
    input,
    encoding: 'utf8',
  })
  return { status, lines: stdout.trimEnd().split('\n'), stderr }
}

const all: readonly Severity[] = ['info', 'low', 'moderate', 'high', 'critical']

describe('the audit', () => {
  test('is content without advisories', () => {
    expect(judge(reportOf([]))).toMatchObject({
      status: 0,
      lines: ['0 open advisories of severity high or critical'],
    })
  })

  test.each(['info', 'low', 'moderate'] as const)('lets an advisory of severity %s pass', (severity) => {
    expect(judge(reportOf([severity]))).toMatchObject({ status: 0 })
  })

  test.each(['high', 'critical'] as const)('stops at one of severity %s, and says which', (severity) => {
    const { status, lines } = judge(reportOf([severity]))
    expect(status).toBe(1)
    expect(lines).toEqual([
      `OPEN ${ids[severity]} ${severity} sorry-${severity}: A ${severity} mistake in sorry-${severity}`,
      '1 open advisory of severity high or critical',
    ])
  })

  test('lets one pass that is ignored, and says why; the others not', () => {
    const entry = `${ids.high} 2026-06-15 it needs a file that we never open`
    const { status, lines } = judge(reportOf(all), [entry])
    expect(status).toBe(1)
    expect(lines.map((line) => line.split(' ').slice(0, 2).join(' '))).toEqual([
      `ignored ${ids.high}`,
      `OPEN ${ids.critical}`,
      '1 open',
    ])
    expect(lines[0]).toContain('(it needs a file that we never open)')
    const both = [entry, `${ids.critical} 2027-01-01 only on another system`]
    expect(judge(reportOf(all), both)).toMatchObject({ status: 0 })
  })

  test('does not ignore what was ignored until yesterday', () => {
    const { status, lines } = judge(reportOf(['high']), [`${ids.high} 2026-06-14 not reachable`])
    expect(status).toBe(1)
    expect(lines[0]).toContain('(ignored until 2026-06-14)')
  })

  test('says which entries are of no use any more', () => {
    const { status, lines } = judge(reportOf([]), [`${ids.low} 2027-01-01 gone`])
    expect(status).toBe(0)
    expect(lines[0]).toBe(`not there any more: ${ids.low}; take it out of the list`)
  })

  test('does not take an entry without a reason, or with another form of day, for one', () => {
    for (const line of [`${ids.high} 2027-01-01`, `${ids.high} soon because`, 'GHSA-1 2027-01-01 because']) {
      const { status, stderr } = judge(reportOf(['high']), [line])
      expect(status).toBe(2)
      expect(stderr).toContain(line)
    }
  })

  test('stops at a severity that it does not know', () => {
    const text = JSON.stringify(reportOf(['low'])).replaceAll('"low"', '"unheard-of"')
    expect(judge(text).status).toBe(1)
  })

  test('says so where nobody answered, and reads no other version', () => {
    const error = {
      code: 'ENOAUDIT',
      summary: 'Your configured registry does not support audit requests.',
      detail: '',
    }
    for (const text of [
      '',
      'not json',
      JSON.stringify({ error }),
      JSON.stringify({ message: 'request failed' }),
    ])
      expect(judge(text)).toMatchObject({
        status: 3,
        lines: ['skipped: no registry answers audit questions here'],
      })
    expect(judge({ auditReportVersion: 3, vulnerabilities: {} })).toMatchObject({ status: 2 })
  })
})
