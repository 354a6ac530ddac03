/**
 * What could stand where the cursor is, for a shell that asks. Values that only people know (a group's name, an
 * address) are left to them; files are left to the shell.
 */
import type { Command } from './command.ts'

/** How the scripts that yargs makes ask. */
export const COMPLETION_QUESTION = '--get-yargs-completions'

const always = ['--help']

/** `words`: those after the program's name, the one under the cursor last, empty if there is none yet. */
export function complete(commands: readonly Command[], words: readonly string[]): string[] {
  // shells take --name=value apart
  const given = words.flatMap((word) => (word === '=' ? [] : word.split(/(?<=^--[\w-]+)=/)))
  const current = given.at(-1) ?? ''
  const before = given.slice(0, -1)
  return candidates(commands, before, current).filter((word) => word.startsWith(current))
}

function candidates(commands: readonly Command[], before: readonly string[], current: string): string[] {
  const command = commands.find(({ name }) => name === before.find((word) => !word.startsWith('-')))
  if (command === undefined) {
    if (before.some((word) => !word.startsWith('-'))) return []
    return current.startsWith('-') ? [...always, '--version'] : commands.map(({ name }) => name)
  }
  const { options } = command
  const last = before.at(-1) ?? ''
  const asked = last.startsWith('--') ? options[last.slice(2)] : undefined
  if (asked !== undefined && asked.kind !== 'flag') {
    if (asked.kind === 'wholeOrMajority') return ['majority']
    return [...(asked.choices ?? [])]
  }
  const free = Object.keys(options).filter((name) => !before.includes(`--${name}`))
  return [...free.map((name) => `--${name}`), ...always]
}
