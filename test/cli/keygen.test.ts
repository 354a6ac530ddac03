/** `amoebacast keygen` as somebody meets it who has not read about it; and the token that a shell member shows. */
import { mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { startKernel } from '../../group/index.ts'
import { drawKey, readKeyFile } from '../../kernel/node/secure/group-key.ts'
import { keyText } from '../../kernel/settings.ts'
import { Processes } from '../support/processes.ts'

const processes = new Processes()
let folder = ''

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'amoebacast-keygen-'))
})

afterEach(async () => {
  await processes.endAll()
  await rm(folder, { recursive: true, force: true })
})

async function run(args: readonly string[], environment: NodeJS.ProcessEnv = {}) {
  const started = processes.cli(args, { environment })
  started.child.stdin!.end()
  const { code } = await started.exit
  return { code, stdout: started.lines.join('\n'), stderr: started.stderr }
}

const idIn = (path: string): string => keyText(readKeyFile(path)[0]!.id)

describe('a key file without --rights', () => {
  test.each(['that exists', 'that does not'])(
    '%s: nothing is made, and both commands are named',
    async (which) => {
      const keyFile = join(folder, 'group.key')
      const text = `${drawKey()}\n`
      if (which === 'that exists') await writeFile(keyFile, text)
      for (const more of [[], ['--out', join(folder, 'new.key')]]) {
        const { code, stdout, stderr } = await run(['keygen', '--key-file', keyFile, ...more])
        expect([code, stdout]).toEqual([2, ''])
        expect(stderr).toMatch(/^amoebacast: [^\n]+\n$/)
        expect(stderr).toContain('--rights send or --rights receive')
        expect(stderr).toContain("'amoebacast keygen --out FILE'")
      }
      expect(await readdir(folder)).toEqual(which === 'that exists' ? ['group.key'] : [])
      if (which === 'that exists') expect(await readFile(keyFile, 'utf8')).toBe(text)
    },
  )

  test('from the environment is meant for other commands', async () => {
    const [keyFile, fresh] = [join(folder, 'group.key'), join(folder, 'new.key')]
    await writeFile(keyFile, `${drawKey()}\n`)
    const environment = { AMOEBACAST_KEY_FILE: keyFile }
    const { code, stdout } = await run(['keygen', '--out', fresh], environment)
    expect([code, stdout]).toEqual([0, expect.stringContaining(`a new group key, ${idIn(fresh)};`)])
    expect(idIn(fresh)).not.toBe(idIn(keyFile))
    const token = join(folder, 'reader.key')
    const made = await run(['keygen', '--rights', 'receive', '--out', token], environment)
    expect([made.code, made.stdout]).toEqual([0, expect.stringContaining(`under the key ${idIn(keyFile)};`)])
    expect(readKeyFile(token)[0]!.rights.right).toBe('receive')
  })
})

test('of several keys in a file the token is for the newest, which is named', async () => {
  const [keyFile, token] = [join(folder, 'group.key'), join(folder, 'sender.key')]
  await writeFile(keyFile, `${drawKey()}\n${drawKey()}\n`)
  const { stdout } = await run(['keygen', '--rights', 'send', '--key-file', keyFile, '--out', token])
  expect(stdout).toContain(`under the key ${idIn(keyFile)};`)
  expect(idIn(token)).toBe(idIn(keyFile))
})

test('--help has its options in one list, with an example of each use', async () => {
  const { code, stdout } = await run(['keygen', '--help'])
  expect(code).toBe(0)
  expect(stdout).not.toContain('Network:')
  for (const word of ['--out group.key', '--rights receive', 'not overwritten', 'next key', 'only read'])
    expect(stdout.replace(/\s+/g, ' ')).toContain(word)
})

test('what is no key file, or no new file, is called what it is', async () => {
  const other = join(folder, 'notes.txt')
  await writeFile(other, 'not a key\n'.repeat(20))
  const wrong = await run(['keygen', '--rights', 'send', '--key-file', other])
  expect([wrong.code, wrong.stderr]).toEqual([
    2,
    expect.stringContaining('does not begin with amoebacast-key-1:'),
  ])
  const inside = await run(['keygen', '--out', folder])
  expect([inside.code, inside.stderr]).toEqual([
    1,
    expect.stringContaining('is a directory; name a new file in it'),
  ])
  const link = join(folder, 'link')
  await symlink(join(folder, 'nowhere'), link)
  const linked = await run(['keygen', '--out', link])
  expect([linked.code, linked.stderr]).toEqual([1, expect.stringContaining('exists and is not overwritten')])
  expect(linked.stderr).toMatch(/^amoebacast: [^\n]+\n$/)
  expect((await readdir(folder)).sort()).toEqual(['link', 'notes.txt'])
})

describe('the token of a member in a shell', () => {
  test('is what a program looks at that decides about joiners', async () => {
    const port = `shown tokens ${process.pid} ${Math.random()}`
    const kernel = await startKernel({ logLevel: 'silent' })
    const seen: string[] = []
    try {
      await kernel.createGroup(port, {
        authorize: (_, token) => {
          seen.push(Buffer.from(token).toString())
          return seen.at(-1) === 'let me in'
        },
      })
      const tokenFile = join(folder, 'token')
      const node = ['node', '--group', port, '--join']
      await writeFile(tokenFile, 'let me in\nwhatever\n')
      expect(await run([...node, '--join-token-file', tokenFile])).toMatchObject({ code: 0 })
      const without = await run(node)
      expect([without.code, without.stderr]).toEqual([1, expect.stringContaining('ERR_NOT_AUTHORIZED')])
      expect(seen).toEqual(['let me in', ''])
      await writeFile(tokenFile, '\nlet me in\n')
      const empty = await run([...node, '--join-token-file', tokenFile])
      expect([empty.code, empty.stderr]).toEqual([1, expect.stringContaining('begins with an empty line')])
      const none = await run([...node, '--join-token-file', join(folder, 'none')])
      expect([none.code, none.stderr]).toEqual([2, expect.stringContaining('cannot be read (ENOENT)')])
    } finally {
      await kernel.close()
    }
  })
})
