/** What the demo shows while it runs: a table that is redrawn in place, plain lines, or JSON lines. */
import { createLogUpdate } from 'log-update'
import type { ResetSeen } from './demo-messages.ts'
import type { Verdict } from './demo-verdict.ts'
import type { Output } from './output.ts'

const BAR_CELLS = 20

export interface MemberRow {
  readonly name: string
  readonly pid: number
  readonly memberId: number | undefined
  readonly isSequencer: boolean
  readonly state: 'starting' | 'running' | 'killed' | 'ended'
  readonly seq: number
  /** Messages a second that this member's sends returned for. */
  readonly rate: number
  readonly p50Us: number | null
  readonly p99Us: number | null
}

export interface DemoState {
  readonly port: string
  readonly seconds: number
  readonly totalSeconds: number
  readonly rows: readonly MemberRow[]
}

export interface DemoScreen {
  /** How often the screen wants news, in milliseconds. */
  readonly everyMs: number
  /** The sequencer's process has been killed. */
  killed(row: MemberRow): void
  /** All survivors have delivered the reset. */
  reset(reset: ResetSeen, resetMs: number): void
  show(state: DemoState): void
  verdict(verdict: Verdict): void
}

export function jsonScreen(output: Output): DemoScreen {
  return {
    everyMs: 1000,
    killed({ name, memberId, pid }) {
      output.json({ event: 'kill', member: name, memberId: memberId ?? null, pid })
    },
    reset({ sequencer, members, removed, lossPossible }, resetMs) {
      output.json({ event: 'reset', resetMs, sequencer, members, removed, lossPossible })
    },
    show({ seconds, rows }) {
      output.json({
        event: 'stats',
        seconds,
        rate: totalRate(rows),
        members: rows.map(({ name, pid, memberId, isSequencer, state, seq, rate, p50Us, p99Us }) => ({
          name,
          pid,
          memberId: memberId ?? null,
          role: state === 'killed' ? state : isSequencer ? 'sequencer' : 'member',
          seq,
          rate,
          p50Us,
          p99Us,
        })),
      })
    },
    verdict({ problems, ...verdict }) {
      output.json({ event: 'verdict', ...verdict, ...(problems.length === 0 ? {} : { problems }) })
    },
  }
}

/** For pipes and files: a line a second, nothing overwritten. */
export function plainScreen(output: Output): DemoScreen {
  return {
    everyMs: 1000,
    killed: (row) => output.line(killedLine(row)),
    reset: (reset, resetMs) => output.line(resetLine(reset, resetMs)),
    show({ seconds, totalSeconds, rows }) {
      const left = Math.max(0, Math.round(totalSeconds - seconds))
      const cells = rows.map((row) => {
        if (row.state === 'killed') return `${row.name} killed`
        const mark = row.isSequencer ? '*' : ''
        return `${row.name}${mark} seq ${row.seq} ${row.rate}/s p50 ${time(row.p50Us)} p99 ${time(row.p99Us)}`
      })
      output.line(`${seconds} s, ${left} s left | ${cells.join(' | ')} | total ${totalRate(rows)} msg/s`)
    },
    verdict(verdict) {
      for (const line of verdictLines(verdict)) output.line(line)
    },
  }
}

/** For a terminal: redrawn in place several times a second. */
export function liveScreen(output: Output, stream: NodeJS.WriteStream): DemoScreen {
  const update = createLogUpdate(stream)
  // What stood there stays above, and the table goes on below it.
  const note = (text: string): void => {
    update.clear()
    stream.write(`${text}\n`)
  }
  return {
    everyMs: 250,
    killed: (row) => note(killedLine(row)),
    reset: (reset, resetMs) => note(resetLine(reset, resetMs)),
    show: (state) => update(drawTable(state)),
    verdict(verdict) {
      update.done()
      for (const line of verdictLines(verdict)) output.line(line)
    },
  }
}

export function drawTable({ port, seconds, totalSeconds, rows }: DemoState): string {
  const head = ['member', 'id', 'pid', 'role', 'seq', 'msg/s', 'p50', 'p99']
  const cells = rows.map((row) => [
    row.name,
    row.memberId === undefined ? '-' : String(row.memberId),
    String(row.pid),
    row.state === 'running' ? (row.isSequencer ? 'sequencer' : 'member') : row.state,
    String(row.seq),
    String(row.rate),
    time(row.p50Us),
    time(row.p99Us),
  ])
  cells.push(['total', '', '', '', '', String(totalRate(rows)), '', ''])
  const widths = head.map((title, i) => Math.max(title.length, ...cells.map((line) => line[i]!.length)))
  const draw = (line: readonly string[]): string =>
    line
      .map((cell, i) => (i === 0 || i === 3 ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!)))
      .join('  ')
      .trimEnd()
  return [
    `group ${port}  ${bar(seconds, totalSeconds)} (Ctrl-C ends it)`,
    draw(head),
    ...cells.map(draw),
  ].join('\n')
}

/** How much of the time has passed, and how much is left. */
function bar(seconds: number, totalSeconds: number): string {
  const share = Math.min(1, seconds / totalSeconds)
  const filled = Math.round(share * BAR_CELLS)
  const left = Math.max(0, Math.round(totalSeconds - seconds))
  const percent = Math.round(share * 100)
  return `${'█'.repeat(filled)}${'░'.repeat(BAR_CELLS - filled)} ${percent} %, ${left} s left`
}

function killedLine({ name, memberId, pid }: MemberRow): string {
  return `killed ${name}, the sequencer (member ${memberId ?? '-'}, pid ${pid})`
}

function resetLine({ sequencer, members, lossPossible }: ResetSeen, resetMs: number): string {
  const loss = lossPossible ? '; more were lost than the resilience degree covers' : ''
  return `reset after ${Math.round(resetMs)} ms: ${members.length} members, sequencer ${sequencer}${loss}`
}

export function verdictLines(verdict: Verdict): string[] {
  const { ok, members, survivors, messages, digest, resetMs, problems } = verdict
  if (!ok) return ['NOT OK', ...problems.map((problem) => `  ${problem}`)]
  const all = survivors === members ? `${members} members` : `${survivors} survivors`
  const reset = resetMs === null ? '' : `, reset after ${Math.round(resetMs)} ms`
  return [`OK: ${messages} messages in the same order at all ${all}, none lost${reset}`, `sha256 ${digest}`]
}

function totalRate(rows: readonly MemberRow[]): number {
  return rows.reduce((sum, { rate }) => sum + rate, 0)
}

function time(micros: number | null): string {
  if (micros === null) return '-'
  return micros < 10_000 ? `${Math.round(micros)} µs` : `${(micros / 1000).toFixed(1)} ms`
}
