import { PassThrough } from 'node:stream'
import { describe, expect, test } from 'vitest'
import { type DemoScreen, type DemoState, drawTable, jsonScreen, plainScreen } from '../../cli/demo-screen.ts'
import { Output } from '../../cli/output.ts'

const state: DemoState = {
  port: 'demo-1',
  seconds: 2,
  totalSeconds: 10,
  rows: [
    {
      name: 'm1',
      pid: 11,
      memberId: 1,
      isSequencer: true,
      state: 'running',
      seq: 900,
      rate: 400,
      p50Us: 120,
      p99Us: 20_500,
    },
    {
      name: 'm2',
      pid: 12,
      memberId: 2,
      isSequencer: false,
      state: 'running',
      seq: 899,
      rate: 350,
      p50Us: null,
      p99Us: null,
    },
  ],
}

async function printed(show: (output: Output) => void): Promise<string[]> {
  const stream = new PassThrough()
  const output = new Output(stream, () => {})
  show(output)
  await output.end()
  return (stream.read() as Buffer).toString().trimEnd().split('\n')
}

describe('the demo shows', () => {
  test('a table on a terminal', () => {
    expect(drawTable(state).split('\n')).toEqual([
      'group demo-1  ████░░░░░░░░░░░░░░░░ 20 %, 8 s left (Ctrl-C ends it)',
      'member  id  pid  role       seq  msg/s     p50      p99',
      'm1       1   11  sequencer  900    400  120 µs  20.5 ms',
      'm2       2   12  member     899    350       -        -',
      'total                              750',
    ])
  })

  test('a plain line a second elsewhere', async () => {
    expect(await printed((output) => plainScreen(output).show(state))).toEqual([
      '2 s, 8 s left | m1* seq 900 400/s p50 120 µs p99 20.5 ms | m2 seq 899 350/s p50 - p99 - | total 750 msg/s',
    ])
  })

  test('who was killed, and the reset', async () => {
    const [first, second] = state.rows
    const killed = { ...first!, state: 'killed' as const, rate: 0 }
    const after = { ...state, rows: [killed, { ...second!, isSequencer: true }] }
    const reset = { at: 5, sequencer: 2, members: [2], removed: [1], lossPossible: true }
    const show = (screen: DemoScreen): void => {
      screen.killed(first!)
      screen.reset(reset, 43.21)
      screen.show(after)
    }
    expect(await printed((output) => show(plainScreen(output)))).toEqual([
      'killed m1, the sequencer (member 1, pid 11)',
      'reset after 43 ms: 1 members, sequencer 2; more were lost than the resilience degree covers',
      '2 s, 8 s left | m1 killed | m2* seq 899 350/s p50 - p99 - | total 350 msg/s',
    ])
    const lines = await printed((output) => show(jsonScreen(output)))
    expect(lines.slice(0, 2).map((line) => JSON.parse(line))).toEqual([
      { event: 'kill', member: 'm1', memberId: 1, pid: 11 },
      { event: 'reset', resetMs: 43.21, sequencer: 2, members: [2], removed: [1], lossPossible: true },
    ])
    expect(JSON.parse(lines[2]!).members.map(({ role }: { role: string }) => role)).toEqual([
      'killed',
      'sequencer',
    ])
    expect(drawTable(after).split('\n')[2]).toMatch(/^m1 +1 +11 +killed /)
  })

  test('JSON lines for programs', async () => {
    const [line] = await printed((output) => jsonScreen(output).show(state))
    expect(JSON.parse(line!)).toMatchObject({
      event: 'stats',
      rate: 750,
      members: [
        { memberId: 1, pid: 11, role: 'sequencer', seq: 900, rate: 400, p50Us: 120 },
        { memberId: 2, role: 'member', p50Us: null },
      ],
    })
  })
})
