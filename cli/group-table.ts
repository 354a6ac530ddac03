/** A group's report as people read it, for `info` and `top`: pure, from the report to lines. */
import stringWidth from 'string-width'
import type { GroupReport } from '../group/index.ts'
import { bodyText } from './output.ts'

export const sortKeys = ['id', 'lag', 'name'] as const
export type SortKey = (typeof sortKeys)[number]

export interface MemberRow {
  readonly id: number
  readonly name: string
  readonly address: string
  readonly duty: string
  /** Place up to which it has taken everything, and how many messages it is behind; undefined if not known. */
  readonly taken: number | undefined
  readonly behind: number | undefined
}

const memberWords = { all: 'member', send: 'member, no reset', receive: 'receives only' } as const

/** The members of the report; `taken` is what follows from the seq and the lag as the sequencer told them. */
export function memberRows({ view, seq, lags }: GroupReport, sort: SortKey): MemberRow[] {
  const lagOf = new Map(lags.map(({ id, messages }) => [id, messages]))
  const rows = view.members.map(({ id, name, address, role, right }): MemberRow => {
    const behind = lagOf.get(id)
    return {
      id,
      // names come from the network, and must not move anybody's cursor
      name: bodyText(name),
      address: bodyText(address),
      duty: id === view.sequencer ? 'sequencer *' : role === 'full' ? memberWords[right] : role,
      taken: behind === undefined ? undefined : seq - behind,
      behind,
    }
  })
  return rows.sort(
    (a, b) =>
      (sort === 'lag' ? (b.behind ?? -1) - (a.behind ?? -1) : 0) ||
      (sort === 'name' ? a.name.localeCompare(b.name) : 0) ||
      a.id - b.id,
  )
}

/** Columns as wide as what is in them; the last ones are numbers, and end at the same place. */
export function drawMembers(rows: readonly MemberRow[]): string[] {
  const known = (value: number | undefined): string => (value === undefined ? '?' : String(value))
  const head = ['id', 'name', 'address', 'role', 'taken', 'behind']
  const cells = rows.map(({ id, name, address, duty, taken, behind }) => {
    return [String(id), name, address, duty, known(taken), known(behind)]
  })
  const widths = head.map((title, i) => Math.max(title.length, ...cells.map((line) => stringWidth(line[i]!))))
  return [head, ...cells].map((line) =>
    line
      .map((cell, i) => pad(cell, widths[i]!, i === 0 || i > 3))
      .join('  ')
      .trimEnd(),
  )
}

export function historyLine({ historyMessages, historySize, historyBytes, parameters }: GroupReport): string {
  const share = Math.round((100 * historyMessages) / Math.max(1, historySize))
  const bytes = Math.round((100 * historyBytes) / Math.max(1, parameters.historyBytes))
  return (
    `history ${historyMessages} of ${historySize} messages (${share} %), ` +
    `${bytesText(historyBytes)} of ${bytesText(parameters.historyBytes)} (${bytes} %)`
  )
}

export function bytesText(bytes: number): string {
  if (bytes < 1024) return `${bytes} bytes`
  if (bytes < 1024 * 1024) return `${round(bytes / 1024)} KiB`
  return `${round(bytes / 1024 / 1024)} MiB`
}

function round(value: number): string {
  return value >= 100 || Number.isInteger(value) ? String(Math.round(value)) : value.toFixed(1)
}

/** By what a terminal makes of it: some characters are two cells wide. */
function pad(cell: string, width: number, isNumber: boolean): string {
  const space = ' '.repeat(Math.max(0, width - stringWidth(cell)))
  return isNumber ? space + cell : cell + space
}

/** What fits into so many cells. */
export function cut(line: string, columns: number): string {
  if (stringWidth(line) <= columns) return line
  let short = ''
  for (const character of line) {
    if (stringWidth(short + character) > columns - 1) break
    short += character
  }
  return `${short}…`
}
