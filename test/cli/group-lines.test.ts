import { describe, expect, test } from 'vitest'
import { cut, drawMembers, memberRows } from '../../cli/group-table.ts'
import { infoLines } from '../../cli/info-lines.ts'
import { type TopState, topJson, topLine, topScreen } from '../../cli/top-lines.ts'
import { type GroupReport, parameterDefaults } from '../../group/index.ts'

function reportOf(names: readonly string[], lags: Readonly<Record<number, number>> = {}): GroupReport {
  return {
    port: 'x',
    view: {
      groupId: '00000000000000ff',
      incarnation: 2,
      coordinator: 1,
      seq: 7,
      sequencer: 1,
      members: names.map((name, i) => ({
        id: i + 1,
        name,
        address: `127.0.0.1:400${i}`,
        role: 'full',
        right: 'all',
      })),
    },
    parameters: { ...parameterDefaults, resilience: 1, slowMember: { expelAfterMs: 500 } },
    seq: 90,
    accepted: 89,
    stable: 80,
    historyMessages: 512,
    historySize: 1024,
    historyBytes: 1536,
    lags: Object.entries(lags).map(([id, messages]) => ({ id: Number(id), messages })),
    wireVersion: 1,
    keyId: undefined,
    abilities: names.map((_, i) => ({
      id: i + 1,
      lowestVersion: 1,
      highestVersion: 1,
      newestKey: undefined,
    })),
  }
}

test('info for people: everything that the group says about itself', () => {
  expect(infoLines(reportOf(['a', 'bee'], { 1: 0, 2: 4 }))).toEqual([
    'group x, id 00000000000000ff',
    'view of 2 members since seq 7: incarnation 2 by member 1, sequencer 1',
    'seq 90, accepted 89, stable 80',
    'history 512 of 1024 messages (50 %), 1.5 KiB of 32 MiB (0 %)',
    '',
    'id  name  address         role         taken  behind',
    ' 1  a     127.0.0.1:4000  sequencer *     90       0',
    ' 2  bee   127.0.0.1:4001  member          86       4',
    '',
    'resilience 1, minimum majority, at most 64 members, recovery auto',
    'messages up to 1 MiB, slow member: expel it after 500 ms',
    'wire version 1, no group key',
  ])
})

test('info for people: whom a change of key or version waits for', () => {
  const report = reportOf(['a', 'bee', 'c'])
  const able = (id: number, newestKey: string, highestVersion: number) => {
    return { id, lowestVersion: 1, highestVersion, newestKey }
  }
  const abilities = [able(1, '00000002', 2), able(2, '00000001', 2), able(3, '00000002', 1)]
  const lines = infoLines({ ...report, keyId: '00000001', abilities })
  expect(lines.slice(-3)).toEqual([
    'wire version 1, group key 00000001',
    'the key 00000002 waits for member 2 (bee): it is not the first in their key files yet',
    'wire version 2 waits for member 3 (c): they read up to 1',
  ])
})

describe('members', () => {
  const report = reportOf(['b', 'c', 'a'], { 1: 3, 2: 9 })

  test('are sorted by id, lag or name; one of whom nothing is known comes last by lag', () => {
    const ids = (sort: 'id' | 'lag' | 'name') => memberRows(report, sort).map(({ id }) => id)
    expect([ids('id'), ids('lag'), ids('name')]).toEqual([
      [1, 2, 3],
      [2, 1, 3],
      [3, 1, 2],
    ])
    expect(drawMembers(memberRows(report, 'id')).at(-1)).toMatch(/member +\? +\?$/)
  })

  test('cannot move the cursor by their names, and wide ones stay in their column', () => {
    const rows = drawMembers(memberRows(reportOf(['\u001b[2J\r\n', '名前']), 'id'))
    // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for.
    expect(rows.join('')).not.toMatch(/[\u0000-\u001f]/)
    const column = rows.map((row) => row.search(/127\.|address/))
    expect(column[1]! - column[2]!).toBe(2)
    expect(column[0]).toBe(column[1])
  })

  test('lines are cut to what fits', () => {
    expect(cut('abcdef', 6)).toBe('abcdef')
    expect(cut('abcdef', 5)).toBe('abcd…')
    expect(cut('名前名前', 6)).toBe('名前…')
  })
})

describe('top', () => {
  const report = reportOf(
    Array.from({ length: 50 }, (_, i) => `member-${i}`),
    { 3: 7 },
  )
  const at = Date.UTC(2030, 0, 1)
  const live: TopState = { port: 'x', at, report, rate: 12.4, goneSince: undefined }
  const gone: TopState = { ...live, rate: undefined, goneSince: at - 5_000 }

  test('is no wider and no higher than the terminal', () => {
    for (const size of [
      { columns: 80, rows: 24 },
      { columns: 30, rows: 12 },
      { columns: 200, rows: 100 },
    ]) {
      for (const state of [live, gone]) {
        const lines = topScreen(state, 'id', size).split('\n')
        expect(lines.length).toBeLessThan(size.rows)
        for (const line of lines) expect(line.length).toBeLessThanOrEqual(size.columns)
      }
    }
    const small = topScreen(live, 'lag', { columns: 80, rows: 24 })
    expect(small).toMatch(/\n… \d+ more\n/)
    expect(small).toContain('seq 90 (12/s), accepted 89, stable 80 (10 behind)')
    // the one that is behind stands first
    expect(small.split('\n')[6]).toMatch(/^ 3 +member-2 /)
  })

  test('says plainly that a group is gone, and what was last known of it', () => {
    const screen = topScreen(gone, 'id', { columns: 100, rows: 40 })
    expect(screen).toContain('NO ANSWER from group x for 5 s; waiting for it\nwhat was last known:')
    expect(screen).toContain('member-7')
    const never = { ...gone, report: undefined }
    expect(topScreen(never, 'id', { columns: 100, rows: 40 })).toContain('NO ANSWER from group x')
    expect(topLine(gone, 'id')).toMatch(/^\d\d:\d\d:\d\d NO ANSWER from group x for 5 s; waiting for it$/)
    expect(topJson(gone)).toEqual({
      event: 'gone',
      port: 'x',
      at: '2030-01-01T00:00:00.000Z',
      since: '2029-12-31T23:59:55.000Z',
    })
  })

  test('is one line, or one object, a refresh elsewhere', () => {
    const two = { ...live, report: reportOf(['a', 'b'], { 1: 0, 2: 4 }) }
    expect(topLine(two, 'lag')).toMatch(
      /^\d\d:\d\d:\d\d seq 90 \(12\/s\) stable 80 history 512\/1024 incarnation 2 \| 2 b 4 behind \| 1 a\* 0 behind$/,
    )
    expect(topJson(two)).toMatchObject({ event: 'top', rate: 12.4, seq: 90, view: { sequencer: 1 } })
    expect(topJson({ ...two, rate: undefined })).toMatchObject({ rate: null })
  })
})
