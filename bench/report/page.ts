/** The report as one page, which needs no network: plots with what they say, tables, settings and the machine. */
import { isNumeric } from '../table.ts'
import { drawPlot } from './chart.ts'
import type { BenchReport, Table } from './parts.ts'
import { escapeText, pageStyle, plotStyle } from './style.ts'

export interface Section extends BenchReport {
  readonly name: string
  readonly describe: string
  /** Why the bench did not come to its end; what is shown is what it had measured by then. */
  readonly failure?: string | undefined
  /** Why figures are not to be trusted, if they are not. */
  readonly warning?: string | undefined
}

export interface Page {
  readonly title: string
  /** Names and values: the machine, versions, settings. */
  readonly facts: readonly (readonly [name: string, value: string])[]
  readonly sections: readonly Section[]
}

/** What readers look for first; benches that are not named follow. */
const FIRST = ['resilience', 'latency', 'throughput', 'failover', 'scale', 'slow', 'soak']

const HOW_TO_READ = `Lines are medians of the runs, whiskers reach from the least to the most. Solid lines are the
library's; dashed grey ones are floors, the bare packet pattern over UDP sockets of the same processes, which keeps no
order and repairs nothing; dotted ones are other systems, measured in the same run. Every run of the library was
checked: all members but those that were expelled received all that was sent, in one order.`

export function htmlPage({ title, facts, sections }: Page): string {
  const rank = ({ name }: Section): number => (FIRST.includes(name) ? FIRST.indexOf(name) : FIRST.length)
  const sorted = [...sections].sort((a, b) => rank(a) - rank(b))
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escapeText(title)}</title>
<style>${pageStyle}${plotStyle}</style>
</head>
<body>
<h1>${escapeText(title)}</h1>
<p>${HOW_TO_READ}</p>
<dl>
${facts.map(([name, value]) => `<dt>${escapeText(name)}</dt><dd>${escapeText(value)}</dd>`).join('\n')}
</dl>
<nav>${sorted.map(({ name }) => `<a href="#${name}">${escapeText(name)}</a>`).join(' ')}</nav>
${sorted.map(htmlSection).join('\n')}
</body>
</html>
`
}

function htmlSection({ name, describe, failure, warning, figures, tables }: Section): string {
  const drawn = figures.map(({ plot, says }) => {
    const svg = drawPlot(plot, false)
    return svg === ''
      ? ''
      : `<figure>\n<div class="wide">${svg}</div>\n<figcaption>${unbroken(escapeText(says))}</figcaption>\n</figure>`
  })
  return `<section id="${name}">
<h2>${escapeText(name)}</h2>
<p class="soft">${escapeText(describe)}</p>
${failure === undefined ? '' : `<p><strong>This bench failed, and what follows is a part:</strong> ${escapeText(failure)}</p>\n`}${warning === undefined ? '' : `<p><strong>${escapeText(warning)}</strong></p>\n`}${drawn.join('\n')}
${tables.map(htmlTable).join('\n')}
</section>`
}

/** Figures stay with what they are figures of. */
function unbroken(text: string): string {
  return text
    .replace(/\br = (?=\d)/g, 'r\u00a0=\u00a0')
    .replace(/(\d) (?=%|(?:[kM]|µs|ms|B|KiB|MiB|times)\b)/g, '$1\u00a0')
}

function htmlTable({ title, headings, rows, note }: Table): string {
  const numeric = headings.map((_, i) => isNumeric(rows.map((row) => row[i]!)))
  const cell = (tag: 'th' | 'td', text: string, i: number): string =>
    `<${tag}${numeric[i] ? ' class="number"' : ''}>${escapeText(text)}</${tag}>`
  const row = (cells: readonly string[]): string =>
    `<tr>${cells.map((text, i) => cell('td', text, i)).join('')}</tr>`
  return `${title === undefined ? '' : `<h3>${escapeText(title)}</h3>\n`}<div class="wide"><table>
<thead><tr>${headings.map((text, i) => cell('th', text, i)).join('')}</tr></thead>
<tbody>
${rows.map(row).join('\n')}
</tbody>
</table></div>
${note === undefined ? '' : `<p class="soft">${escapeText(note)}</p>`}`
}
