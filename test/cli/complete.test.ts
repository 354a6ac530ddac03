import { describe, expect, test } from 'vitest'
import { commands } from '../../cli/commands.ts'
import { complete } from '../../cli/complete.ts'
import { parse } from '../../cli/parse.ts'

const names = commands.map(({ name }) => name)

describe('what could stand under the cursor', () => {
  test('commands', () => {
    expect(complete(commands, [''])).toEqual(names)
    expect(complete(commands, ['no'])).toEqual(['node'])
    expect(complete(commands, ['--'])).toEqual(['--help', '--version'])
    expect(complete(commands, ['nothing', ''])).toEqual([])
  })

  test('options of the command that are not there yet', () => {
    expect(complete(commands, ['top', ''])).toContain('--interval')
    expect(complete(commands, ['top', '--int'])).toEqual(['--interval', '--interface'])
    expect(complete(commands, ['top', '--group', 'x', '--gr'])).toEqual([])
    expect(complete(commands, ['top', '--json', '--js'])).toEqual([])
  })

  test('values where there is a choice; the rest is for people and the shell', () => {
    expect(complete(commands, ['node', '--transport', ''])).toEqual(['multicast', 'unicast'])
    expect(complete(commands, ['node', '--transport', 'u'])).toEqual(['unicast'])
    expect(complete(commands, ['node', '--transport', '=', 'u'])).toEqual(['unicast'])
    expect(complete(commands, ['node', '--transport=u'])).toEqual(['unicast'])
    expect(complete(commands, ['node', '--resilience', 'm'])).toEqual(['majority'])
    expect(complete(commands, ['node', '--group', ''])).toEqual([])
    expect(complete(commands, ['node', '--http-token-file', ''])).toEqual([])
    expect(complete(commands, ['node', '--stay', '--'])).toContain('--group')
  })

  test('no option is offered that the command would refuse', async () => {
    for (const command of commands) {
      for (const option of complete(commands, [command.name, '--'])) {
        const spec = command.options[option.slice(2)]
        if (option === '--help') continue
        expect(spec, `${command.name} ${option}`).toBeDefined()
      }
    }
  })

  test('the shell asks through the command itself', async () => {
    const answer = await parse(['--get-yargs-completions', 'amoebacast', 'inf'], {})
    expect(answer).toEqual({ kind: 'text', text: 'info' })
  })
})

describe('the examples of the help', () => {
  const examples = commands.flatMap(({ name, examples: lines }) =>
    lines.map(([line]): [string, string] => [name, line]),
  )

  test('every command has some', () => {
    expect(new Set(examples.map(([name]) => name))).toEqual(new Set(names))
  })

  const own = examples.filter(([, line]) => /(^|\| )amoebacast /.test(line))

  test.each(own)('%s: %s', async (name, line) => {
    const words = line
      .replace(/^.*\| (?=amoebacast )/, '')
      .replace(/ (>>?|\||&&?) .*$/, '')
      .split(' ')
      .slice(1)
    const parsed = await parse(words, {})
    expect(parsed.kind === 'run' && parsed.command.name).toBe(name)
  })

  test('most lines are ours', () => {
    expect(own.length).toBeGreaterThan(examples.length / 2)
  })
})
