import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, expect, test } from 'vitest'
import { bearerToken, checkToken, isSameToken, readTokenFile } from '../../kernel/node/token.ts'

const GOOD = '0123456789abcdef'
let folder: string | undefined

afterEach(() => {
  if (folder !== undefined) rmSync(folder, { recursive: true })
  folder = undefined
})

function fileWith(text: string): string {
  folder ??= mkdtempSync(join(tmpdir(), 'amoebacast-token-'))
  const path = join(folder, 'token')
  writeFileSync(path, text)
  return path
}

describe('tokens', () => {
  test('are the same, or not', () => {
    expect(isSameToken(GOOD, GOOD)).toBe(true)
    for (const other of [undefined, '', GOOD.slice(1), `${GOOD}0`, GOOD.toUpperCase()]) {
      expect(isSameToken(other, GOOD)).toBe(false)
    }
    expect(isSameToken(undefined, '')).toBe(false)
  })

  test('are read from a header', () => {
    expect(bearerToken({ headers: { authorization: `Bearer ${GOOD}` } })).toBe(GOOD)
    expect(bearerToken({ headers: { authorization: `bearer  ${GOOD} ` } })).toBe(GOOD)
    for (const authorization of [undefined, '', 'Bearer', `Basic ${GOOD}`, `Bearer ${GOOD} ${GOOD}`]) {
      expect(bearerToken({ headers: { authorization } })).toBeUndefined()
    }
  })

  test.each([
    undefined,
    7,
    '',
    'short',
    `${GOOD} with spaces`,
    `${GOOD}\n`,
    'ü'.repeat(20),
    'x'.repeat(1025),
  ])('cannot be %j, and the error does not show it', (token) => {
    let message = ''
    try {
      checkToken('httpToken', token)
    } catch (error) {
      message = (error as Error).message
    }
    expect(message).toMatch(/^httpToken (is|has) /)
    if (typeof token === 'string' && token.length > 5) expect(message).not.toContain(token)
  })

  test('are the first line of a file', () => {
    expect(readTokenFile(fileWith(`${GOOD}\n`))).toBe(GOOD)
    expect(readTokenFile(fileWith(`  ${GOOD}\r\nand a remark\n`))).toBe(GOOD)
    const path = fileWith('secret word\n')
    expect(() => readTokenFile(path)).toThrow(`the token in ${path} has characters`)
    expect(() => readTokenFile(path)).not.toThrow('secret')
    expect(() => readTokenFile(`${path}-is-missing`)).toThrow('cannot be read (ENOENT)')
  })
})
