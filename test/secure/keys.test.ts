/** Keys as text, in files, and by the command that makes them. */

import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { inspect } from 'node:util'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { checkKernelOptions } from '../../group/options.ts'
import { Cipher } from '../../kernel/node/secure/envelope.ts'
import {
  drawKey,
  formatKey,
  KEY_PREFIX,
  parseKeys,
  readKeyFile,
  TOKEN_PREFIX,
} from '../../kernel/node/secure/group-key.ts'
import { Processes } from '../support/processes.ts'

const processes = new Processes()
let folder = ''

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'amoebacast-keys-'))
})

afterEach(async () => {
  await processes.endAll()
  await rm(folder, { recursive: true })
})

async function run(args: readonly string[]) {
  const started = processes.cli(args, {})
  started.child.stdin!.end()
  const { code } = await started.exit
  return { code, stdout: started.lines.join('\n'), stderr: started.stderr }
}

describe('a key as text', () => {
  test('is the same key when it is read again, and another one each time it is drawn', () => {
    const texts = Array.from({ length: 20 }, drawKey)
    expect(new Set(texts).size).toBe(20)
    expect(new Set(texts.map((text) => parseKeys('x', text)[0]!.id)).size).toBe(20)
    for (const text of texts) expect(parseKeys('x', text)[0]!.id).toBe(parseKeys('x', ` ${text}\n`)[0]!.id)
    expect(formatKey(new Uint8Array(32))).toMatch(/^amoebacast-key-1:[\w-]{48}$/)
  })

  test('a slip of one character is always noticed', () => {
    const text = drawKey()
    for (let at = 0; at < text.length; at++) {
      const other = text[at] === 'A' ? 'B' : 'A'
      expect(() => parseKeys('x', text.slice(0, at) + other + text.slice(at + 1))).toThrow(/the key in x/)
    }
  })

  test('several stand one a line, or behind commas, the newest first; remarks are left out', () => {
    const [a, b, c] = [drawKey(), drawKey(), drawKey()]
    const keys = parseKeys('x', `# of June\n${a}\n\n  ${b}, ${c}\r\n`)
    expect(keys.map(({ id }) => id)).toEqual([a, b, c].map((text) => parseKeys('x', text)[0]!.id))
  })

  const damaged = `${KEY_PREFIX}${'A'.repeat(48)}`
  const twice = drawKey()
  test.each([
    ['', 'x holds no key; '],
    ['# nothing', "'amoebacast keygen' makes one"],
    ['hunter2', 'does not begin with amoebacast-key-1:'],
    [`${KEY_PREFIX}abc`, 'has 3 characters behind its prefix, and must have 48'],
    [damaged, 'its check digits do not fit; copy it again'],
    [`${twice}\n${twice}`, 'keys 1 and 2 in x are the same'],
    [Array.from({ length: 9 }, drawKey).join('\n'), 'holds 9 keys, and may hold 8'],
  ])('%s: what is wrong is said, and never shown', (text, says) => {
    let message = ''
    try {
      parseKeys('x', text)
    } catch (error) {
      expect(error).toMatchObject({ code: 'ERR_INVALID_ARGUMENT' })
      message = (error as Error).message
    }
    expect(message).toContain(says)
    for (const part of text.split(/[\n:]/).filter((part) => part.length > 2 && !/key-1$|^#/.test(part)))
      expect(message).not.toContain(part)
  })
})

describe('a token as text', () => {
  const text = drawKey()
  const key = parseKeys('x', text)[0]!
  const asked = { groupId: 1n, nonce: 2n, challenge: 3n, address: '127.0.0.1:1' }
  const salt = new Uint8Array(16)

  test.each(['send', 'receive'] as const)(
    '%s: seals and opens like the key, and proves its right',
    (right) => {
      const token = key.token(right)!
      expect(token).toMatch(/^amoebacast-token-1:[\w-]{92}$/)
      const read = parseKeys('x', token)[0]!
      expect([read.id, read.rights.right]).toEqual([key.id, right])
      for (const cipher of Object.values(Cipher))
        expect(read.sealKeys(salt).of(cipher).bytes).toEqual(key.sealKeys(salt).of(cipher).bytes)
      expect(key.rights.verify(right, asked, read.rights.prove(asked))).toBe(true)
      expect(read.rights.lower('all')).toBeUndefined()
      expect(key.token(right)).toBe(token)
    },
  )

  test('from a token, one for less, and none for more', () => {
    const sender = parseKeys('x', key.token('send')!)[0]!
    expect(sender.token('receive')).toBe(key.token('receive'))
    expect(parseKeys('x', key.token('receive')!)[0]!.token('send')).toBeUndefined()
  })

  test('a slip of one character is always noticed', () => {
    const token = key.token('receive')!
    for (let at = 0; at < token.length; at++) {
      const other = token[at] === 'A' ? 'B' : 'A'
      expect(() => parseKeys('x', token.slice(0, at) + other + token.slice(at + 1))).toThrow(/the key in x/)
    }
  })

  test('it tells nothing of the key, and no way of printing shows it', () => {
    const token = key.token('send')!
    const secret = Buffer.from(text.slice(KEY_PREFIX.length), 'base64url').subarray(0, 32)
    expect(Buffer.from(token.slice(TOKEN_PREFIX.length), 'base64url').includes(secret)).toBe(false)
    const shown = inspect(key, { depth: 9, showHidden: true }) + JSON.stringify(key)
    for (const hidden of [secret, key.rights.toBytes()])
      for (const form of ['hex', 'base64url'] as const)
        expect(shown).not.toContain(Buffer.from(hidden).toString(form).slice(0, 20))
  })

  test('a process has one right: a file with different ones is refused', () => {
    const other = parseKeys('x', drawKey())[0]!
    expect(() => parseKeys('x', `${text}\n${other.token('receive')}`)).toThrow(
      'x holds entries with different rights (all, receive)',
    )
    expect(parseKeys('x', `${key.token('receive')}\n${other.token('receive')}`)).toHaveLength(2)
    expect(() => parseKeys('x', `${text}\n${key.token('send')}`)).toThrow('different rights (all, send)')
  })
})

describe('the options', () => {
  test('key and keyFile', async () => {
    const path = join(folder, 'group.key')
    const [a, b] = [drawKey(), drawKey()]
    await writeFile(path, `${a}\n${b}\n`)
    const ids = parseKeys('x', `${a},${b}`).map(({ id }) => id)
    expect(checkKernelOptions({}).keys).toEqual([])
    expect(checkKernelOptions({ keyFile: path }).keys.map(({ id }) => id)).toEqual(ids)
    expect(checkKernelOptions({ key: [a, b] }).keys.map(({ id }) => id)).toEqual(ids)
    expect(JSON.stringify(checkKernelOptions({ key: a }))).not.toContain(a.slice(-20))
    expect(() => checkKernelOptions({ key: a, keyFile: path })).toThrow('exclude each other')
    expect(() => checkKernelOptions({ keyFile: '' })).toThrow('keyFile is ""; it must be the path of a file')
    expect(() => checkKernelOptions({ key: 7 as never })).toThrow("as 'amoebacast keygen' writes it")
    expect(() => checkKernelOptions({ insecure: 1 as never })).toThrow(
      'insecure is 1; it must be true or false',
    )
    expect(() => readKeyFile(join(folder, 'none'))).toThrow(
      /cannot be read \(ENOENT\); 'amoebacast keygen --out/,
    )
    expect(() => readKeyFile(folder)).toThrow(/is a directory; give a regular file/)
  })
})

describe('amoebacast keygen', () => {
  test('prints a key', async () => {
    const { code, stdout } = await run(['keygen'])
    expect(code).toBe(0)
    expect(parseKeys('x', stdout)).toHaveLength(1)
  })

  test('writes it for its owner only, and over nothing', async () => {
    const path = join(folder, 'group.key')
    const { code, stdout } = await run(['keygen', '--out', path])
    expect(code).toBe(0)
    expect(stdout).toContain('holds a new group key')
    expect(stdout).not.toContain(KEY_PREFIX)
    expect((await stat(path)).mode & 0o777).toBe(0o600)
    const text = await readFile(path, 'utf8')
    expect(readKeyFile(path)).toHaveLength(1)
    const again = await run(['keygen', '--out', path])
    expect([again.code, again.stderr]).toEqual([1, expect.stringContaining('exists and is not overwritten')])
    expect(await readFile(path, 'utf8')).toBe(text)
    const nowhere = await run(['keygen', '--out', join(folder, 'none', 'x')])
    expect([nowhere.code, nowhere.stderr]).toEqual([1, expect.stringContaining('(ENOENT)')])
  })

  test('--rights makes a token from a key file, and from a token one for less', async () => {
    const [keyFile, tokenFile] = [join(folder, 'group.key'), join(folder, 'sender.key')]
    await writeFile(keyFile, `${drawKey()}\n`)
    const [key] = readKeyFile(keyFile)
    const printed = await run(['keygen', '--rights', 'receive', '--key-file', keyFile])
    expect([printed.code, printed.stdout]).toEqual([0, key!.token('receive')])
    const written = await run(['keygen', '--rights', 'send', '--key-file', keyFile, '--out', tokenFile])
    expect(written.stdout).toContain('holds a token for the right to send and receive')
    expect((await stat(tokenFile)).mode & 0o777).toBe(0o600)
    expect(readKeyFile(tokenFile)[0]!.rights.right).toBe('send')
    const lower = await run(['keygen', '--rights', 'receive', '--key-file', tokenFile])
    expect(lower.stdout).toBe(key!.token('receive'))
  })

  test('--rights without a key file, or from a token for less, says what is wrong', async () => {
    const tokenFile = join(folder, 'reader.key')
    await writeFile(tokenFile, `${parseKeys('x', drawKey())[0]!.token('receive')}\n`)
    const without = await run(['keygen', '--rights', 'send'])
    expect([without.code, without.stderr]).toEqual([2, expect.stringContaining('give --key-file')])
    const more = await run(['keygen', '--rights', 'send', '--key-file', tokenFile])
    expect([more.code, more.stderr]).toEqual([
      1,
      expect.stringContaining("holds a token for less than 'send'"),
    ])
  })

  test('a process with a token for less cannot create a group, and says so', async () => {
    const tokenFile = join(folder, 'reader.key')
    await writeFile(tokenFile, `${parseKeys('x', drawKey())[0]!.token('receive')}\n`)
    const { code, stderr } = await run(['node', '--group', 'x', '--create', '--key-file', tokenFile])
    expect([code, stderr]).toEqual([1, expect.stringContaining('its token does not give every right')])
  })

  test('a bad key file is wrong usage, and says so in one line', async () => {
    const path = join(folder, 'bad.key')
    await writeFile(path, 'hunter2\n')
    const { code, stderr } = await run(['node', '--group', 'x', '--key-file', path])
    expect(code).toBe(2)
    expect(stderr).toContain(`the key in the key file ${path} does not begin with amoebacast-key-1:`)
    expect(stderr).not.toContain('hunter2')
  })
})
