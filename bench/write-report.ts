/**
 * The files of a bench: figures for programs, a page for people, plots for documents. The figures are written as they
 * come, and all else is made of them: by the run that measured, and again, as often as wanted, without one.
 */
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { UsageError } from '../cli/errors.ts'
import { benches } from './all.ts'
import type { Machine } from './machine.ts'
import { drawPlot } from './report/chart.ts'
import { htmlPage, type Section } from './report/page.ts'
import { say } from './report/series.ts'
import type { Result } from './results.ts'
import { figure } from './table.ts'

/** Names and values: the machine, versions, settings. */
export type Facts = readonly (readonly [name: string, value: string])[]

/** Where figures come from; beside them, in machine.json. */
export interface Origin extends Machine {
  readonly facts: Facts
  /** Benches that did not come to their end, and why; what they had measured by then counts. */
  readonly failures: Readonly<Record<string, string>>
}

const TITLE = 'amoebacast: what ordered group communication costs'
const RESULTS = 'results.json'
const ORIGIN = 'machine.json'
const PAGE = 'report.html'

/** Into `directory`, which is made if it is not there; never half a file. */
export function writeResults(directory: string, results: readonly Result[], origin: Origin): void {
  mkdirSync(directory, { recursive: true })
  write(directory, RESULTS, json(results))
  write(directory, ORIGIN, json(origin))
}

/** Writes `report.html` and a picture of each plot, of what `writeResults` has written. Gives the page's path. */
export function writeReport(directory: string, results: readonly Result[], origin: Origin): string {
  const sections = sectionsOf(results, origin.failures)
  for (const { name, plot } of sections.flatMap(({ figures }) => figures)) {
    const svg = drawPlot(plot, true)
    if (svg !== '') write(directory, `${name}.svg`, svg)
  }
  write(directory, PAGE, htmlPage({ title: TITLE, facts: origin.facts, sections }))
  return join(directory, PAGE)
}

/** What a bench wrote into `directory`. Throws a UsageError that says what is missing there. */
export function readResults(directory: string): { results: Result[]; origin: Origin } {
  const read = (name: string): unknown => {
    try {
      return JSON.parse(readFileSync(join(directory, name), 'utf8'))
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error)
      throw new UsageError(
        `${join(directory, name)} cannot be read: ${why}; --out names the folder of a bench`,
      )
    }
  }
  const results = read(RESULTS)
  const { facts = [], failures = {}, ...machine } = read(ORIGIN) as Machine & Partial<Origin>
  if (!Array.isArray(results))
    throw new UsageError(`${join(directory, RESULTS)} is not an array of results, as a bench writes it`)
  return { results: results as Result[], origin: { ...machine, facts, failures } }
}

/** The benches that have measured something, or failed. */
export function sectionsOf(results: readonly Result[], failures: Origin['failures']): Section[] {
  return benches.flatMap(({ name, describe, report }) => {
    const own = results.filter(({ bench }) => bench === name)
    const failure = failures[name]
    if (own.length === 0 && failure === undefined) return []
    if (own.length === 0) return { name, describe, failure, tables: [], figures: [] }
    return { name, describe, failure, warning: warningOf(own), ...report(own) }
  })
}

/** Per cent of the processors that other programs take on a machine that is left alone, and a little more. */
const OTHERS_MOST = 5

/** Of runs beside which other programs worked; the bench flood has a program of its own that does, and says so. */
function warningOf(results: readonly Result[]): string | undefined {
  const others = results.filter(({ metric, bench }) => metric === 'others' && bench !== 'flood')
  const busy = others.filter(({ value }) => value > OTHERS_MOST)
  if (busy.length === 0) return undefined
  const most = Math.max(...busy.map(({ value }) => value))
  return say(
    `Other programs took up to ${figure(most)} % of the processors meanwhile (more than ${OTHERS_MOST} % in ${busy.length} of ${others.length} settings).`,
    'Trust counts of packets and bytes; times and rates say little, and ratios not much more.',
  )
}

function write(directory: string, name: string, content: string): void {
  const path = join(directory, name)
  writeFileSync(`${path}.part`, content)
  renameSync(`${path}.part`, path)
}

function json(value: unknown): string {
  return `${JSON.stringify(value, undefined, 2)}\n`
}
