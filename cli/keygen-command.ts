/**
 * `amoebacast keygen`: a new group key, or a token that stands for less than one, to a file that only its owner may read, or
 * to standard output.
 */
import { open } from 'node:fs/promises'
import type { RightName } from '../kernel/identity.ts'
import { drawKey, readKeyFile } from '../kernel/node/secure/group-key.ts'
import type { Command, CommandContext } from './command.ts'
import { CommandError, ExitStatus, UsageError } from './errors.ts'

const OWNER_ONLY = 0o600

export const keygenCommand: Command = {
  name: 'keygen',
  describe: 'Make a group key, or a token for less: packets are encrypted and authenticated with it',
  options: {
    rights: {
      kind: 'choice',
      choices: ['send', 'receive'],
      describe: 'Make no key, but a token from --key-file: to send and receive, or only to receive',
    },
    'key-file': {
      kind: 'text',
      placeholder: 'FILE',
      describe: 'The group key that the token is made from; of several, the newest',
    },
    out: {
      kind: 'text',
      placeholder: 'FILE',
      describe: 'Write it to this new file, for its owner only [default: standard output]',
    },
  },
  examples: [
    ['amoebacast keygen --out group.key', 'make a key; it is copied to every machine of the group'],
    [
      'amoebacast keygen --rights receive --key-file group.key --out reader.key',
      'a token for processes that are only to receive; it is given to them as their --key-file',
    ],
    [
      'amoebacast keygen --out new.key',
      'a second key, for a change of keys: it goes before the first in each file',
    ],
  ],
  run: runKeygen,
}

async function runKeygen({ options, output }: CommandContext): Promise<number> {
  const path = options.text('out')
  const right = options.text('rights') as RightName | undefined
  const entry = entryFor(right, options.text('key-file'))
  if (path === undefined) {
    output.line(entry)
    return ExitStatus.success
  }
  await writeKey(path, entry)
  output.line(
    right === undefined
      ? `${path} holds a new group key; copy it to every machine of the group, and to nobody else`
      : `${path} holds a token for the right to ${right === 'send' ? 'send and receive' : 'receive'}; give it to those processes as their key file`,
  )
  return ExitStatus.success
}

/** The key file is read, from the environment, too, only where a token is asked for. */
function entryFor(right: RightName | undefined, keyFile: string | undefined): string {
  if (right === undefined) return drawKey()
  if (keyFile === undefined) throw new UsageError('--rights makes a token from a group key: give --key-file')
  const token = readKeyFile(keyFile)[0]!.token(right)
  if (token === undefined)
    throw new CommandError(
      `${keyFile} holds a token for less than '${right}'; make this one from the group key`,
    )
  return token
}

/** Never over a file that is there: the group that uses it would be cut off from its key for good. */
async function writeKey(path: string, key: string): Promise<void> {
  try {
    const file = await open(path, 'wx', OWNER_ONLY)
    try {
      await file.writeFile(`${key}\n`)
      await file.sync()
    } finally {
      await file.close()
    }
  } catch (error) {
    const { code = 'error' } = error as NodeJS.ErrnoException
    if (code === 'EEXIST')
      throw new CommandError(`${path} exists and is not overwritten; choose another file, or remove it first`)
    throw new CommandError(`${path} cannot be written (${code}); choose another place`)
  }
}
