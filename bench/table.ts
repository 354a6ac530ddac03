/** Tables as text: a heading for each column, numbers to the right, three figures where it is measured. */
import type { Table } from './report/parts.ts'

export function table({ title, headings, rows, note }: Table): string {
  const all = [headings, ...rows]
  // a rule of Markdown is a dash and a colon at least
  const widths = headings.map((_, i) => Math.max(2, ...all.map((row) => row[i]!.length)))
  const numeric = headings.map((_, i) => isNumeric(rows.map((row) => row[i]!)))
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell, i) => (numeric[i] ? cell.padStart(widths[i]!) : cell.padEnd(widths[i]!))).join(' | ')} |`
  const rule = `| ${widths.map((width, i) => (numeric[i] ? `${'-'.repeat(width - 1)}:` : '-'.repeat(width))).join(' | ')} |`
  const above = title === undefined ? [] : [title, '']
  const below = note === undefined ? [] : ['', note]
  return [...above, line(headings), rule, ...rows.map(line), ...below].join('\n')
}

/** Whether a column holds figures, which stand to the right. */
export function isNumeric(cells: readonly string[]): boolean {
  return cells.every((cell) => /^[-–\d.<]|^$/.test(cell))
}

/** Three figures, thousands as k, millions as M; a dash for what there is not. */
export function figure(value: number | undefined): string {
  if (value === undefined || !Number.isFinite(value)) return '–'
  if (value >= 999_500) return `${threeFigures(value / 1e6)} M`
  if (value >= 9_995) return `${threeFigures(value / 1e3)} k`
  return threeFigures(value)
}

function threeFigures(value: number): string {
  if (value === 0) return '0'
  const digits = Math.max(0, 2 - Math.floor(Math.log10(Math.abs(value))))
  return value.toFixed(Math.min(digits, 3))
}

export function range(result: { value: number; min: number; max: number } | undefined): string {
  if (result === undefined) return ''
  return `${figure(result.value)} (${figure(result.min)}–${figure(result.max)})`
}

export function ratio(value: number | undefined, floor: number | undefined): string {
  return value === undefined || floor === undefined || floor === 0 ? '' : (value / floor).toFixed(2)
}

export function bytes(size: number): string {
  if (size >= 2 ** 20 && size % 2 ** 20 === 0) return `${size / 2 ** 20} MiB`
  if (size >= 1024 && size % 1024 === 0) return `${size / 1024} KiB`
  return `${size} B`
}
