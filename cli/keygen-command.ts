/**
 * `amoebacast keygen`: a new group key, or a token that stands for less than one, to a file that only its owner may read, or
 * to standard output.
 */
import { open, rm, stat } from 'node:fs/promises'
import type { RightName } from '../kernel/identity.ts'
import { drawKey, parseKeys, readKeyFile } from '../kernel/node/secure/group-key.ts'
import { keyText } from '../kernel/settings.ts'
import type { Command, CommandContext } from './command.ts'
import { CommandError, ExitStatus, UsageError } from './errors.ts'
import type { OptionValues } from './options.ts'

const OWNER_ONLY = 0o600

export const keygenCommand: Command = {
  name: 'keygen',
  describe: 'Make a new group key, or from a group key a token that gives less than all rights',
  options: {
    rights: {
      kind: 'choice',
      choices: ['send', 'receive'],
      describe: 'Make no key but a token, to send and receive or only to receive',
    },
    'key-file': {
      kind: 'text',
      placeholder: 'FILE',
      describe: 'With --rights: the key that the token is made from; of several, the newest. It is only read',
    },
    out: {
      kind: 'text',
      placeholder: 'FILE',
      describe:
        'Write it to this file, for its owner only; one that exists is not overwritten [default: standard output]',
    },
  },
  examples: [
    [
      'amoebacast keygen --out group.key',
      "a key; it is copied to every machine of the group: 'amoebacast node --key-file group.key …'",
    ],
    [
      'amoebacast keygen --rights receive --key-file group.key --out reader.key',
      'a token for processes that are only to receive; it is given to them as their --key-file',
    ],
    [
      'amoebacast keygen --out new.key',
      'the next key of a group that lives: it goes before the old one in each file (deploy/README.md)',
    ],
  ],
  run: runKeygen,
}

async function runKeygen({ options, output }: CommandContext): Promise<number> {
  const path = options.text('out')
  const right = options.text('rights') as RightName | undefined
  const entry = right === undefined ? newKey(options) : newToken(right, options.text('key-file'))
  if (path === undefined) {
    output.line(entry)
    return ExitStatus.success
  }
  await writeKey(path, entry)
  const id = keyText(parseKeys(path, entry)[0]!.id)
  output.line(
    right === undefined
      ? `${path} holds a new group key, ${id}; copy it to every machine of the group, and to nobody else`
      : `${path} holds a token for the right to ${right === 'send' ? 'send and receive' : 'receive'}, under the key ${id}; give it to those processes as their key file`,
  )
  return ExitStatus.success
}

/** A key file from the environment is for other commands. */
function newKey(options: OptionValues): string {
  const keyFile = options.text('key-file')
  if (keyFile !== undefined && options.isOnLine('key-file'))
    throw new UsageError(
      `--key-file ${keyFile} is read to make a token, and never written: give --rights send or --rights receive with it; a new key is made by 'amoebacast keygen --out FILE'`,
    )
  return drawKey()
}

function newToken(right: RightName, keyFile: string | undefined): string {
  if (keyFile === undefined) throw new UsageError('--rights makes a token from a group key: give --key-file')
  const [newest] = readKeyFile(keyFile)
  const token = newest!.token(right)
  if (token === undefined)
    throw new CommandError(
      `${keyFile} holds a token for less than '${right}' (for '${newest!.rights.right}'); make this one from the group key`,
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
    } catch (error) {
      // half a key is none, and would be in the way of the next try
      await rm(path, { force: true })
      throw error
    } finally {
      await file.close()
    }
  } catch (error) {
    const { code = 'error' } = error as NodeJS.ErrnoException
    if (code === 'EEXIST' && (await isDirectory(path)))
      throw new CommandError(`${path} is a directory; name a new file in it`)
    if (code === 'EEXIST')
      throw new CommandError(`${path} exists and is not overwritten; choose another file, or remove it first`)
    throw new CommandError(`${path} cannot be written (${code}); choose another place`)
  }
}

/** False too for a link that leads nowhere. */
async function isDirectory(path: string): Promise<boolean> {
  return stat(path).then(
    (found) => found.isDirectory(),
    () => false,
  )
}
