/** The completion scripts in the shells that they are for, as somebody presses the Tab key. */
import { execFileSync, spawnSync } from 'node:child_process'
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { cliScript } from '../support/files.ts'

const has = (shell: string): boolean => spawnSync(shell, ['--version']).status === 0
const hasBash = has('bash')
const hasZsh = has('zsh')
if (!hasBash || !hasZsh) console.warn('completion is tried only in those of bash and zsh that are installed')

let folder = ''
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'amoebacast-completion-'))
  const command = join(folder, 'amoebacast')
  writeFileSync(
    command,
    `#!/bin/sh\nexec ${JSON.stringify(process.execPath)} ${JSON.stringify(cliScript)} "$@"\n`,
  )
  chmodSync(command, 0o755)
})
afterAll(() => rmSync(folder, { recursive: true }))

function run(shell: string, args: readonly string[], script: string): string {
  const environment = { ...process.env, PATH: `${folder}:${process.env.PATH}`, SHELL: `/bin/${shell}` }
  return execFileSync(shell, [...args, '-c', script], { env: environment, encoding: 'utf8', timeout: 40_000 })
}

describe.skipIf(!hasBash)('bash', () => {
  test.each([
    ['amoebacast in', 'info'],
    ['amoebacast node --transport u', 'unicast'],
    ['amoebacast top --inter', '--interval --interface'],
  ])('%s', (line, expected) => {
    const words = line.split(' ')
    const quoted = words.map((word) => `'${word}'`).join(' ')
    const script = `
      source <(amoebacast completion)
      COMP_WORDS=(${quoted}); COMP_CWORD=${words.length - 1}
      _amoebacast_yargs_completions
      echo "\${COMPREPLY[@]}"`
    expect(run('bash', ['--norc', '--noprofile'], script).trim()).toBe(expected)
  })

  test('the script is registered for the command', () => {
    expect(run('bash', ['--norc'], 'source <(amoebacast completion); complete -p amoebacast')).toContain(
      '-F _amoebacast_yargs_completions amoebacast',
    )
  })
})

describe.skipIf(!hasZsh)('zsh', () => {
  test('offers what the command answers', () => {
    // what completes is only there while a key is pressed: it is stood in for, and says what it is handed
    const script = `
      compdef() { print registered $2 }
      _describe() { print offered \${reply[@]} }
      source <(amoebacast completion --shell zsh)
      words=(amoebacast node --transport '') CURRENT=4 BUFFER= CURSOR=0
      _amoebacast_yargs_completions`
    expect(run('zsh', ['-f'], script).trim().split('\n')).toEqual([
      'registered amoebacast',
      'offered multicast unicast',
    ])
  })
})
