import { spawnSync } from 'node:child_process'
import { afterEach, describe, expect, test } from 'vitest'
import { cliScript } from '../support/files.ts'
import { type CliProcess, Processes } from '../support/processes.ts'

const processes = new Processes()

afterEach(() => processes.endAll())

/** util-linux has a command that runs another one on a terminal of its own. */
const hasScript =
  spawnSync('script', ['--version'], { encoding: 'utf8' }).stdout?.includes('util-linux') === true
if (!hasScript) console.warn('top is not tried on a terminal: the command script of util-linux is missing')

let counter = 0
const freshPort = (): string => `top-${process.pid}-${++counter}`

async function member(port: string, name: string, ...more: readonly string[]): Promise<CliProcess> {
  const fixed = [
    'node',
    '--group',
    port,
    '--interface',
    '127.0.0.1',
    '--json',
    '--stay',
    '--member-name',
    name,
  ]
  const started = processes.cli([...fixed, ...more])
  await started.waitForEvent('ready', ({ event }) => event === 'ready')
  return started
}

describe('top without a terminal', () => {
  test('prints an object a line, says that a group is gone, and waits for it', async () => {
    const port = freshPort()
    const args = ['top', '--group', port, '--interface', '127.0.0.1', '--interval', '100', '--json']
    const top = processes.cli(args)
    await top.waitForEvent('gone', ({ event }) => event === 'gone')
    const first = await member(port, 'one', '--create')
    const seen = await top.waitForEvent('the group', ({ event }) => event === 'top')
    expect(seen).toMatchObject({ port, view: { sequencer: 1, members: [{ id: 1, name: 'one' }] } })
    first.child.stdin!.write('a\nb\n')
    await top.waitForEvent('both lines', ({ seq }) => seq === 2)
    await top.waitForEvent('a rate', ({ rate }) => typeof rate === 'number' && rate >= 0)
    first.kill('SIGKILL')
    let isBack = false
    await top.waitForEvent('gone again', ({ event }) => {
      isBack ||= event === 'top'
      return isBack && event === 'gone'
    })
    top.kill('SIGINT')
    await top.exitsWith(0)
    expect(top.stderr).toBe('')
  })

  test('prints plain lines, as many as are asked for', async () => {
    const port = freshPort()
    await member(port, 'one', '--create')
    await member(port, 'two', '--join')
    const args = ['--group', port, '--interface', '127.0.0.1', '--interval', '100']
    const top = processes.cli(['top', ...args, '--count', '3', '--sort', 'name'])
    await top.exitsWith(0)
    expect(top.lines).toHaveLength(3)
    for (const line of top.lines) {
      expect(line).toMatch(/^\d\d:\d\d:\d\d seq 1 .* \| 1 one\* 0 behind \| 2 two 0 behind$/)
    }
  })
})

describe.skipIf(!hasScript)('top on a terminal', () => {
  async function onTerminal(port: string): Promise<CliProcess> {
    const line = [
      process.execPath,
      cliScript,
      'top',
      '--group',
      port,
      '--interval',
      '100',
      '--interface',
      '127.0.0.1',
    ]
    const quoted = line.map((word) => `'${word}'`).join(' ')
    const command = `stty rows 30 cols 100; ${quoted}; echo "ended with $?"; stty -a | grep -o -e '-\\?icanon'`
    const top = processes.add('top', 'script', ['-qec', command, '/dev/null'], {
      TERM: 'xterm',
      SHELL: '/bin/sh',
    })
    await top.waitUntil('the table', () => textOf(top).includes('sorted by id'))
    return top
  }

  const textOf = (top: CliProcess): string => top.lines.join('\n')

  test.each([
    ['q', 'q'],
    ['Ctrl-C', '\u0003'],
  ])('is sorted by keys and ended by %s, and leaves the terminal as it was', async (_name, key) => {
    const port = freshPort()
    await member(port, 'zoe', '--create')
    await member(port, 'adam', '--join')
    const top = await onTerminal(port)
    top.child.stdin!.write('n')
    await top.waitUntil('sorted by name', () => textOf(top).includes('sorted by name'))
    const last = textOf(top).slice(textOf(top).lastIndexOf('sequencer 1'))
    expect(last.indexOf('adam')).toBeLessThan(last.indexOf('zoe'))
    top.child.stdin!.write('l')
    await top.waitUntil('sorted by lag', () => textOf(top).includes('sorted by lag'))
    top.child.stdin!.write(key)
    await top.exitsWith(0)
    const text = textOf(top)
    // in and out of the terminal's other screen, and the cursor is there again
    expect(text.split('\u001b[?1049h')).toHaveLength(2)
    expect(text.split('\u001b[?1049l')).toHaveLength(2)
    expect(text.lastIndexOf('\u001b[?25h')).toBeGreaterThan(text.lastIndexOf('\u001b[?25l'))
    expect(text).toMatch(/ended with 0\s+icanon/)
  })
})
