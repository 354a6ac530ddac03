/**
 * `npm audit --json | node audit-judge.mjs IGNORED [YYYY-MM-DD]`: says of each advisory of severity high or critical whether it
 * is open or ignored. Exit code 0 if none is open, 1 if one is, 2 for a report or a list that cannot be read, 3 if there is
 * no report because no registry answered. The day is today if not given.
 */
import { readFileSync } from 'node:fs'

const ENTRY = /^(GHSA(?:-\w{4}){3}) (\d{4}-\d\d-\d\d) (\S.*)$/
const severities = ['info', 'low', 'moderate', 'high', 'critical']
const SEVERE = severities.indexOf('high')

function readIgnored(path, today) {
  const ignored = new Map()
  for (const line of readFileSync(path, 'utf8').split('\n')) {
    if (line === '' || line.startsWith('#')) continue
    const match = ENTRY.exec(line)
    if (match === null) throw new Error(`${path}: not an entry: ${line}`)
    const [, id, until, reason] = match
    ignored.set(id, { reason, isOver: until < today, until })
  }
  return ignored
}

/** By id; each once, however many packages have it. A `via` that is a name only points to another package's advisories. */
function advisoriesOf(report) {
  const advisories = new Map()
  for (const { via } of Object.values(report.vulnerabilities)) {
    for (const one of via) {
      if (typeof one === 'string') continue
      const rank = severities.indexOf(one.severity)
      // a severity that nobody knows here is looked at by people
      if (rank < 0 || rank >= SEVERE) advisories.set(one.url.split('/').at(-1), one)
    }
  }
  return advisories
}

function judge(report, ignored) {
  const advisories = advisoriesOf(report)
  let open = 0
  for (const [id, { name, severity, title }] of advisories) {
    const entry = ignored.get(id)
    const isIgnored = entry !== undefined && !entry.isOver
    if (!isIgnored) open++
    const why = isIgnored
      ? ` (${entry.reason})`
      : entry === undefined
        ? ''
        : ` (ignored until ${entry.until})`
    console.log(`${isIgnored ? 'ignored' : 'OPEN'} ${id} ${severity} ${name}: ${title}${why}`)
  }
  for (const id of ignored.keys())
    if (!advisories.has(id)) console.log(`not there any more: ${id}; take it out of the list`)
  console.log(`${open} open ${open === 1 ? 'advisory' : 'advisories'} of severity high or critical`)
  return open === 0 ? 0 : 1
}

function main([path, today = new Date().toISOString().slice(0, 10)]) {
  let report
  try {
    report = JSON.parse(readFileSync(0, 'utf8'))
  } catch {
    report = undefined
  }
  if (report === undefined || report.error !== undefined || report.auditReportVersion === undefined) {
    console.log('skipped: no registry answers audit questions here')
    return 3
  }
  try {
    if (report.auditReportVersion !== 2)
      throw new Error(`the report is of version ${report.auditReportVersion}; this script reads version 2`)
    return judge(report, readIgnored(path, today))
  } catch (error) {
    console.error(error.message)
    return 2
  }
}

process.exitCode = main(process.argv.slice(2))
