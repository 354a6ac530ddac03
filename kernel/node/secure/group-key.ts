/**
 * Group keys: 32 random bytes that all processes of a group's network share. As text a key has a prefix, by which
 * it is known in a file or in a log that it should not be in, and four check bytes, so that a slip while copying is
 * told from a wrong key. Never put into a message.
 */
import { createHash, createSecretKey, hkdfSync, type KeyObject, randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { ErrorCode, GroupError } from '../../errors.ts'

export const KEY_PREFIX = 'amoebacast-key-1:'
const KEY_BYTES = 32
const CHECK_BYTES = 4
/** Keys that one process may hold: a change of keys needs two. */
export const KEYS_MAX = 8
const FILE_BYTES_MAX = 65_536

/** Labels of what is derived; another purpose or another version has another label, and so another key. */
const ROOT_LABEL = 'amoebacast 1 packets'
const ID_LABEL = 'amoebacast 1 key id'
const SEAL_LABEL = 'amoebacast 1 seal aes-256-gcm'

const HOW_TO_MAKE = "'amoebacast keygen' makes one"
const NO_SALT = new Uint8Array(0)

export class GroupKey {
  /** Names the key on the wire, 32 bits; derived, so it tells nothing of the key. */
  readonly id: number
  /**
   * What packets are sealed from: not the group key itself, so that it can be given to who is to read and write packets
   * and is not to have all that the group key gives (rights.ts).
   */
  private readonly root: KeyObject
  private readonly secret: KeyObject

  constructor(secret: Uint8Array) {
    this.secret = createSecretKey(secret)
    this.root = createSecretKey(this.derive(ROOT_LABEL))
    this.id = new DataView(hkdfSync('sha256', this.root, NO_SALT, ID_LABEL, 4)).getUint32(0)
  }

  /** 32 bytes for another purpose, named by its label. */
  derive(label: string): Buffer {
    return Buffer.from(hkdfSync('sha256', this.secret, NO_SALT, label, KEY_BYTES))
  }

  /** The key under which the process that drew `salt` seals. About 15 µs. */
  sealKey(salt: Uint8Array): KeyObject {
    return createSecretKey(Buffer.from(hkdfSync('sha256', this.root, salt, SEAL_LABEL, KEY_BYTES)))
  }
}

/** A new key, as text. */
export function drawKey(): string {
  return formatKey(randomBytes(KEY_BYTES))
}

export function formatKey(secret: Uint8Array): string {
  return KEY_PREFIX + Buffer.concat([secret, checkOf(secret)]).toString('base64url')
}

/**
 * The keys in a text, one a line or divided by commas, the newest first; lines that begin with # say nothing.
 * ERR_INVALID_ARGUMENT names `source` and the place, never what stands there.
 */
export function parseKeys(source: string, text: string): GroupKey[] {
  const entries = text
    .split('\n')
    .filter((line) => !line.trimStart().startsWith('#'))
    .flatMap((line) => line.split(','))
    .map((entry) => entry.trim())
    .filter((entry) => entry !== '')
  if (entries.length === 0) throw invalid(`${source} holds no key; ${HOW_TO_MAKE}`)
  if (entries.length > KEYS_MAX)
    throw invalid(`${source} holds ${entries.length} keys, and may hold ${KEYS_MAX}; take the oldest out`)
  const keys = entries.map((entry, i) => {
    const place = entries.length === 1 ? `the key in ${source}` : `key ${i + 1} in ${source}`
    return new GroupKey(decode(place, entry))
  })
  keys.forEach((key, i) => {
    const twin = keys.findIndex(({ id }) => id === key.id)
    if (twin < i)
      throw invalid(`keys ${twin + 1} and ${i + 1} in ${source} are the same; take one of them out`)
  })
  return keys
}

/** What a key file holds. ERR_INVALID_ARGUMENT names the file, never what is in it. */
export function readKeyFile(path: string): GroupKey[] {
  let text: string
  try {
    text = readFileSync(path, 'utf8')
  } catch (error) {
    const { code = 'error' } = error as NodeJS.ErrnoException
    const advice = code === 'ENOENT' ? `; 'amoebacast keygen --out ${path}' makes it` : ''
    throw new GroupError(ErrorCode.invalid, `the key file ${path} cannot be read (${code})${advice}`, {
      cause: error,
    })
  }
  if (text.length > FILE_BYTES_MAX) throw invalid(`the key file ${path} is no key file; ${HOW_TO_MAKE}`)
  return parseKeys(`the key file ${path}`, text)
}

function decode(place: string, entry: string): Uint8Array {
  if (!entry.startsWith(KEY_PREFIX))
    throw invalid(`${place} does not begin with ${KEY_PREFIX}; ${HOW_TO_MAKE}`)
  const digits = entry.slice(KEY_PREFIX.length)
  const bytes = Buffer.from(digits, 'base64url')
  const wanted = ((KEY_BYTES + CHECK_BYTES) * 4) / 3
  if (digits.length !== wanted || bytes.toString('base64url') !== digits) {
    throw invalid(
      `${place} has ${digits.length} characters behind its prefix, and must have ${wanted} of A-Z, a-z, 0-9, - and _; copy it again, whole`,
    )
  }
  const secret = bytes.subarray(0, KEY_BYTES)
  if (!checkOf(secret).equals(bytes.subarray(KEY_BYTES)))
    throw invalid(`${place} is damaged: its check digits do not fit; copy it again, whole`)
  return secret
}

function checkOf(secret: Uint8Array): Buffer {
  return createHash('sha256').update(KEY_PREFIX).update(secret).digest().subarray(0, CHECK_BYTES)
}

function invalid(message: string): GroupError {
  return new GroupError(ErrorCode.invalid, message)
}
