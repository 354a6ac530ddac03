/**
 * The token that the HTTP listeners ask for beyond loopback: what counts as one, where a request has it, and the
 * comparison. Shared by everything that listens (the pages of `http.ts`, the gateway). Never in a message or a log.
 */
import { createHash, timingSafeEqual } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import { ErrorCode, GroupError } from '../errors.ts'
import { readSmallFile } from './small-file.ts'

/** Characters; nobody guesses what is as long as this and drawn at random. */
export const TOKEN_MIN = 16
export const TOKEN_MAX = 1024

/** Whether they are the same, in a time that tells nothing about where they differ, or how long `expected` is. */
export function isSameToken(given: string | undefined, expected: string): boolean {
  return timingSafeEqual(digest(given ?? ''), digest(expected)) && given !== undefined
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest()
}

/** What stands behind `Authorization: Bearer`; undefined if that is not there. */
export function bearerToken({ headers }: Pick<IncomingMessage, 'headers'>): string | undefined {
  return /^Bearer +(\S+) *$/i.exec(headers.authorization ?? '')?.[1]
}

/** ERR_INVALID_ARGUMENT if `token` cannot be one; says what is wrong with it without showing it. */
export function checkToken(field: string, token: unknown): asserts token is string {
  const problem =
    typeof token !== 'string'
      ? 'is no string'
      : !/^[\x21-\x7e]*$/.test(token)
        ? 'has characters that no header can carry (use printable ASCII without spaces)'
        : token.length < TOKEN_MIN || token.length > TOKEN_MAX
          ? `has ${token.length} characters, and must have ${TOKEN_MIN} to ${TOKEN_MAX}`
          : undefined
  if (problem === undefined) return
  throw new GroupError(ErrorCode.invalid, `${field} ${problem}; openssl rand -hex 32 makes a good one`)
}

/** The first line of a file, which must be a token. ERR_INVALID_ARGUMENT names the file, never what is in it. */
export function readTokenFile(path: string): string {
  const text = readSmallFile('the token file', path)
  const token = text.split('\n', 1)[0]!.trim()
  checkToken(`the token in ${path}`, token)
  return token
}
