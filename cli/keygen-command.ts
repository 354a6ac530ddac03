/** `amoebacast keygen`: a new group key, to a file that only its owner may read, or to standard output. */
import { open } from 'node:fs/promises'
import { drawKey } from '../kernel/node/secure/group-key.ts'
import type { Command, CommandContext } from './command.ts'
import { CommandError, ExitStatus } from './errors.ts'

const OWNER_ONLY = 0o600

export const keygenCommand: Command = {
  name: 'keygen',
  describe: 'Make a group key: packets are encrypted and authenticated with it',
  options: {
    out: {
      kind: 'text',
      placeholder: 'FILE',
      describe: 'Write it to this new file, for its owner only [default: standard output]',
    },
  },
  examples: [
    ['amoebacast keygen --out group.key', 'make a key; it is copied to every machine of the group'],
    ['amoebacast keygen >> group.key', 'a second key below the first, for a change of keys'],
  ],
  run: runKeygen,
}

async function runKeygen({ options, output }: CommandContext): Promise<number> {
  const path = options.text('out')
  if (path === undefined) {
    output.line(drawKey())
    return ExitStatus.success
  }
  await writeKey(path, drawKey())
  output.line(`${path} holds a new group key; copy it to every machine of the group, and to nobody else`)
  return ExitStatus.success
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
