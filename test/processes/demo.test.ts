import { afterEach, describe, expect, test } from 'vitest'
import { type CliProcess, type JsonEvent, Processes } from '../support/processes.ts'

const processes = new Processes()

afterEach(() => processes.endAll())

function demo(...args: string[]): CliProcess {
  return processes.cli(['demo', '--interface', '127.0.0.1', ...args])
}

const isStats = ({ event }: JsonEvent): boolean => event === 'stats'

function members(stats: JsonEvent): { pid: number; role: string; seq: number }[] {
  return stats.members as { pid: number; role: string; seq: number }[]
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}

describe('amoebacast demo', () => {
  test('two at once do not meet, and both end well', async () => {
    const both = [
      demo('--seconds', '2', '--json', '--no-kill'),
      demo('--seconds', '2', '--json', '--no-kill', '--members', '2', '--transport', 'unicast'),
    ]
    const verdicts = await Promise.all(
      both.map(async (one) => {
        await one.exitsWith(0)
        return one.events.at(-1)!
      }),
    )
    expect(verdicts).toMatchObject([
      { event: 'verdict', ok: true, members: 3, resetMs: null },
      { event: 'verdict', ok: true, members: 2, resetMs: null },
    ])
    for (const { messages, digest } of verdicts) {
      expect(messages).toBeGreaterThan(100)
      expect(digest).toMatch(/^[0-9a-f]{64}$/)
    }
    const stats = both[0]!.events.find(isStats)!
    expect(members(stats).map(({ role }) => role)).toEqual(['sequencer', 'member', 'member'])
    expect(members(stats).filter(({ pid }) => isAlive(pid))).toEqual([])
  })

  test.each([
    ['three members', []],
    ['five, by unicast', ['--members', '5', '--transport', 'unicast']],
  ])('the sequencer is killed half-way, and nothing is lost: %s', async (_name, options) => {
    const killing = demo('--json', '--seconds', '4', ...options)
    await killing.exitsWith(0)
    const { events } = killing
    const kill = events.find(({ event }) => event === 'kill')!
    const reset = events.find(({ event }) => event === 'reset')!
    const verdict = events.at(-1)!
    const before = events.filter((event, i) => isStats(event) && i < events.indexOf(kill)).at(-1)!
    expect(members(before).find(({ role }) => role === 'sequencer')!.pid).toBe(kill.pid)
    expect(verdict).toMatchObject({ event: 'verdict', ok: true })
    expect(verdict.survivors).toBe((verdict.members as number) - 1)
    expect(verdict.resetMs).toBe(reset.resetMs)
    expect(verdict.resetMs).toBeGreaterThan(0)
    expect(verdict.resetMs).toBeLessThan(5000)
    expect(verdict.digest).toMatch(/^[0-9a-f]{64}$/)
    expect(reset).toMatchObject({ removed: [kill.memberId], lossPossible: false })
    // they go on sending after it
    const after = events.filter(isStats).at(-1)!
    expect(members(after).find(({ role }) => role === 'sequencer')!.pid).not.toBe(kill.pid)
    expect(Number(verdict.messages)).toBeGreaterThan(Math.max(...members(before).map(({ seq }) => seq)))
    expect(members(after).filter(({ pid }) => isAlive(pid))).toEqual([])
  })

  test('refuses to kill where the survivors could not go on', async () => {
    const refused = demo('--members', '2')
    await refused.exitsWith(2)
    expect(refused.stderr).toMatch(
      /^amoebacast: --kill [^\n]*--members 3 [^\n]*--min-members 1[^\n]*--no-kill\n$/,
    )
    expect(refused.lines).toEqual([])
    const alone = demo('--members', '2', '--min-members', '1', '--seconds', '2', '--json')
    await alone.exitsWith(0)
    expect(alone.events.at(-1)).toMatchObject({ ok: true, members: 2, survivors: 1 })
  })

  test('Ctrl-C ends it in order, with a verdict', async () => {
    const long = demo('--seconds', '600', '--json')
    const stats = await long.waitForEvent('stats', isStats)
    long.kill('SIGINT')
    await long.exitsWith(0)
    expect(long.events.at(-1)).toMatchObject({ event: 'verdict', ok: true, members: 3 })
    expect(members(stats).filter(({ pid }) => isAlive(pid))).toEqual([])
  })

  test('a member that is killed makes the verdict fail, and it is named', async () => {
    const hurt = demo('--seconds', '600', '--json')
    const stats = await hurt.waitForEvent('stats', isStats)
    const victim = members(stats).find(({ role }) => role === 'member')!
    process.kill(victim.pid, 'SIGKILL')
    await hurt.exitsWith(1)
    const verdict = hurt.events.at(-1)!
    expect(verdict).toMatchObject({ event: 'verdict', ok: false })
    expect(String(verdict.problems)).toContain(`pid ${victim.pid}`)
    expect(members(stats).filter(({ pid }) => isAlive(pid))).toEqual([])
  })

  test('without a terminal it prints plain lines and the verdict', async () => {
    const plain = demo('--seconds', '2', '--members', '1', '--no-kill')
    await plain.exitsWith(0)
    expect(plain.lines[0]).toMatch(/^[\d.]+ s, [\d.]+ s left \| m1\* seq \d+ \d+\/s p50 .* total \d+ msg\/s$/)
    expect(plain.lines.at(-2)).toMatch(/^OK: \d+ messages in the same order at all 1 members, none lost$/)
    expect(plain.lines.at(-1)).toMatch(/^sha256 [0-9a-f]{64}$/)
    expect(plain.stderr).toBe('')
  })
})
