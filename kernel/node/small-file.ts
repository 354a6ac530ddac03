/**
 * Reads a small file that an operator names: keys, tokens. Files of those are read while a group is at work, so nothing is
 * read that may never come to an end, or never begin: a pipe that nobody writes to, a device, a log by mistake.
 */
import { closeSync, constants, openSync, readSync, type Stats, statSync } from 'node:fs'
import { ErrorCode, GroupError } from '../errors.ts'

/** Bytes; far more than all the keys and tokens that one process may hold. */
export const SMALL_FILE_BYTES_MAX = 65_536

/**
 * The file's text. `what` names it, as in "the key file". ERR_INVALID_ARGUMENT names the file, and says what it is instead or
 * why it cannot be read, never what is in it; `ifMissing` is added where there is none.
 */
export function readSmallFile(what: string, path: string, ifMissing = ''): string {
  const name = `${what} ${path}`
  let bytes: Uint8Array
  try {
    const kind = otherKind(statSync(path))
    if (kind !== undefined) throw invalid(`${name} is ${kind}; give a regular file`)
    bytes = readStart(path)
  } catch (error) {
    if (error instanceof GroupError) throw error
    const { code = 'error' } = error as NodeJS.ErrnoException
    throw invalid(`${name} cannot be read (${code})${code === 'ENOENT' ? ifMissing : ''}`, error)
  }
  if (bytes.length > SMALL_FILE_BYTES_MAX)
    throw invalid(
      `${name} has more than ${SMALL_FILE_BYTES_MAX / 1024} KiB, so it is another file; check the path`,
    )
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('utf8')
}

/** What it is, if it is no regular file. */
function otherKind(stats: Stats): string | undefined {
  if (stats.isFile()) return undefined
  if (stats.isDirectory()) return 'a directory'
  if (stats.isFIFO()) return 'a pipe'
  if (stats.isSocket()) return 'a socket'
  return 'a device'
}

/** One byte more than is allowed, at most. Waits for nobody, whatever has taken the file's place since it was looked at. */
function readStart(path: string): Uint8Array {
  const bytes = new Uint8Array(SMALL_FILE_BYTES_MAX + 1)
  // Windows has no such flag, nor such pipes
  const file = openSync(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0))
  try {
    let length = 0
    while (length < bytes.length) {
      const count = readSync(file, bytes, length, bytes.length - length, null)
      if (count === 0) break
      length += count
    }
    return bytes.subarray(0, length)
  } finally {
    closeSync(file)
  }
}

function invalid(message: string, cause?: unknown): GroupError {
  return new GroupError(ErrorCode.invalid, message, cause === undefined ? {} : { cause })
}
