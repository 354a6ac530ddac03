/** Files of keys and tokens: what is none is named, and nobody waits for it. */
import { execFileSync, spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startKernel } from '../../group/index.ts'
import { drawKey, readKeyFile } from '../../kernel/node/secure/group-key.ts'
import { readSmallFile, SMALL_FILE_BYTES_MAX } from '../../kernel/node/small-file.ts'
import { readTokenFile } from '../../kernel/node/token.ts'
import { cliScript } from '../support/files.ts'

let folder = ''
const inFolder = (name: string): string => join(folder, name)

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'amoebacast-files-'))
  mkdirSync(inFolder('folder'))
  if (process.platform !== 'win32') execFileSync('mkfifo', [inFolder('pipe')])
})

afterAll(() => rmSync(folder, { recursive: true, force: true }))

const read = (path: string): string => readSmallFile('the key file', path, '; make it')

test('a regular file is read, through a link as well', () => {
  writeFileSync(inFolder('plain'), 'grün\n')
  symlinkSync(inFolder('plain'), inFolder('link'))
  expect([read(inFolder('plain')), read(inFolder('link'))]).toEqual(['grün\n', 'grün\n'])
  writeFileSync(inFolder('full'), 'x'.repeat(SMALL_FILE_BYTES_MAX))
  expect(read(inFolder('full'))).toHaveLength(SMALL_FILE_BYTES_MAX)
})

test('what is too large is another file, and one that is missing may be made', () => {
  const path = inFolder('large')
  writeFileSync(path, 'x'.repeat(SMALL_FILE_BYTES_MAX + 1))
  expect(() => read(path)).toThrow(`the key file ${path} has more than 64 KiB`)
  expect(() => read(inFolder('none'))).toThrow(
    `the key file ${inFolder('none')} cannot be read (ENOENT); make it`,
  )
})

describe.skipIf(process.platform === 'win32')('what is no regular file', () => {
  const kinds = [
    ['a pipe', () => inFolder('pipe')],
    ['a directory', () => inFolder('folder')],
    ['a device', () => '/dev/zero'],
  ] as const

  test.each(kinds)('%s: is named, and never read', (kind, path) => {
    for (const reading of [read, readKeyFile, readTokenFile]) {
      expect(() => reading(path())).toThrow(`${path()} is ${kind}; give a regular file`)
    }
  })

  test('a socket', async () => {
    const server = createServer().listen(inFolder('socket'))
    await new Promise((resolve) => server.once('listening', resolve))
    expect(() => read(inFolder('socket'))).toThrow('is a socket; give a regular file')
    await new Promise((resolve) => server.close(resolve))
  })

  test.each([
    ['--key-file', ['info', '--group', 'x']],
    ['--http-token-file', ['gateway', '--listen', '127.0.0.1:0']],
    ['--join-token-file', ['node', '--group', 'x']],
  ])('%s: a command ends at once, and says why', (option, command) => {
    const args = [cliScript, ...command, option, inFolder('pipe')]
    const { status, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8', timeout: 60_000 })
    expect([status === null, stderr]).toEqual([false, expect.stringContaining('is a pipe; give a regular')])
    expect(status).not.toBe(0)
  })

  test('a key file that becomes a pipe takes away no keys, and holds up nobody', async () => {
    const keyFile = inFolder('group.key')
    writeFileSync(keyFile, `${drawKey()}\n`)
    await using kernel = await startKernel({ logLevel: 'silent', keyFile })
    const group = await kernel.createGroup<string>(`files ${process.pid}`)
    rmSync(keyFile)
    execFileSync('mkfifo', [keyFile])
    expect(() => kernel.reloadKeys()).toThrow(`the key file ${keyFile} is a pipe`)
    await group.sendToGroup('still here')
  })
})
