/** What `top` shows at one moment: pure, from what is known to lines that fit. */
import type { GroupReport } from '../group/index.ts'
import { cut, drawMembers, historyLine, memberRows, type SortKey } from './group-table.ts'
import { bodyText } from './output.ts'

export interface TopState {
  readonly port: string
  /** Milliseconds since 1970. */
  readonly at: number
  /** The last answer; undefined before the first. */
  readonly report: GroupReport | undefined
  /** Messages a second between the last two answers; undefined where there were not two of one group. */
  readonly rate: number | undefined
  /** Since when nobody answers, in milliseconds since 1970; undefined while somebody does. */
  readonly goneSince: number | undefined
}

/** Redrawn in place, no wider and no higher than the terminal. */
export function topScreen(state: TopState, sort: SortKey, size: { columns: number; rows: number }): string {
  const { report } = state
  const lines = [...headLines(state)]
  const foot = `sorted by ${sort}; keys: i by id, l by lag, n by name, q to quit`
  if (report !== undefined) {
    const [head, ...rows] = drawMembers(memberRows(report, sort))
    const room = Math.max(1, size.rows - lines.length - 5)
    const shown = rows.length > room ? rows.slice(0, Math.max(1, room - 1)) : rows
    lines.push('', head!, ...shown)
    if (shown.length < rows.length) lines.push(`… ${rows.length - shown.length} more`)
  }
  lines.push('', foot)
  // the last row is the cursor's
  const fitting = lines.slice(0, Math.max(1, size.rows - 1))
  return fitting.map((line) => cut(line, size.columns)).join('\n')
}

function headLines(state: TopState): string[] {
  const { port, at, report, rate, goneSince } = state
  const title = `amoebacast top: ${bodyText(port)}   ${clock(at)}`
  if (report === undefined) return [title, goneText(state) ?? 'asking …']
  const { view, seq, accepted, stable } = report
  return [
    title,
    ...(goneSince === undefined ? [] : [goneText(state)!, 'what was last known:']),
    `${view.members.length} members, sequencer ${view.sequencer}, incarnation ${view.incarnation} by member ${view.coordinator}`,
    `seq ${seq} (${rateText(rate)}), accepted ${accepted}, stable ${stable} (${seq - stable} behind)`,
    historyLine(report),
  ]
}

/** One line a refresh, for pipes and files. */
export function topLine(state: TopState, sort: SortKey): string {
  const { at, report, rate, goneSince } = state
  if (report === undefined || goneSince !== undefined) return `${clock(at)} ${goneText(state) ?? 'asking'}`
  const { view, seq, stable, historyMessages, historySize } = report
  const members = memberRows(report, sort).map(
    ({ id, name, behind }) => `${id} ${name}${id === view.sequencer ? '*' : ''} ${behind ?? '?'} behind`,
  )
  return (
    `${clock(at)} seq ${seq} (${rateText(rate)}) stable ${stable} history ${historyMessages}/${historySize} ` +
    `incarnation ${view.incarnation} | ${members.join(' | ')}`
  )
}

/** One object a refresh. */
export function topJson({ port, at, report, rate, goneSince }: TopState): object {
  const time = new Date(at).toISOString()
  if (report === undefined || goneSince !== undefined) {
    return { event: 'gone', port, at: time, since: new Date(goneSince ?? at).toISOString() }
  }
  return { event: 'top', at: time, rate: rate ?? null, ...report }
}

function goneText({ port, at, goneSince }: TopState): string | undefined {
  if (goneSince === undefined) return undefined
  const seconds = Math.max(0, Math.round((at - goneSince) / 1000))
  return `NO ANSWER from group ${bodyText(port)} for ${seconds} s; waiting for it`
}

function rateText(rate: number | undefined): string {
  return rate === undefined ? '-/s' : `${Math.round(rate)}/s`
}

function clock(at: number): string {
  return new Date(at).toTimeString().slice(0, 8)
}
