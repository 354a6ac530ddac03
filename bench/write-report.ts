/** The files of a bench: figures for programs, a page for people, plots for documents. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Machine } from './machine.ts'
import { drawPlot } from './report/chart.ts'
import { htmlPage, type Page } from './report/page.ts'
import type { Result } from './results.ts'

export interface Report extends Omit<Page, 'title'> {
  readonly results: readonly Result[]
  readonly machine: Machine
}

const TITLE = 'amoebacast: what ordered group communication costs'

/** Writes `report.html`, `results.json`, `machine.json` and plots into `directory`, which is made if it is not there. */
export function writeReport(directory: string, { results, machine, facts, sections }: Report): void {
  mkdirSync(directory, { recursive: true })
  const write = (name: string, content: string): void => writeFileSync(join(directory, name), content)
  write('results.json', json(results))
  write('machine.json', json(machine))
  write('report.html', htmlPage({ title: TITLE, facts, sections }))
  for (const { name, plot } of sections.flatMap(({ figures }) => figures)) {
    const svg = drawPlot(plot, true)
    if (svg !== '') write(`${name}.svg`, svg)
  }
}

function json(value: unknown): string {
  return `${JSON.stringify(value, undefined, 2)}\n`
}
