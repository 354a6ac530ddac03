/**
 * Group keys: 32 random bytes that all processes of a group's network share; and tokens, which stand for a key wherever
 * one is asked for and give less: what packets are sealed with, and the secret of one right. As text both have a prefix,
 * by which they are known in a file or in a log that they should not be in, and four check bytes, so that a slip while
 * copying is told from a wrong key. Never put into a message.
 */
import { createHash, createSecretKey, hkdfSync, type KeyObject, randomBytes } from 'node:crypto'
import { ErrorCode, GroupError } from '../../errors.ts'
import { Right, type RightName } from '../../identity.ts'
import { readSmallFile } from '../small-file.ts'
import { CipherKey, SealKeys } from './ciphers.ts'
import { KEY_BYTES as CIPHER_KEY_BYTES, Cipher } from './envelope.ts'
import { labelOf, RightSecret, rights, SECRET_BYTES } from './rights.ts'

export const KEY_PREFIX = 'amoebacast-key-1:'
export const TOKEN_PREFIX = 'amoebacast-token-1:'
const KEY_BYTES = 32
const CHECK_BYTES = 4
/** The right, what packets are sealed from, and the secret of the right. */
const TOKEN_BYTES = 1 + KEY_BYTES + SECRET_BYTES
/** Keys that one process may hold: a change of keys needs two. */
export const KEYS_MAX = 8

/** Labels of what is derived; another purpose or another version has another label, and so another key. */
const ROOT_LABEL = 'amoebacast 1 packets'
const ID_LABEL = 'amoebacast 1 key id'
const SEAL_LABELS = {
  [Cipher.aes256Gcm]: 'amoebacast 1 seal aes-256-gcm',
  [Cipher.chaCha20]: 'amoebacast 1 seal chacha20-poly1305',
}

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
  /** What its holder may be let in as. */
  readonly rights: RightSecret

  /** From the 32 bytes of a key, or from what a token holds. */
  constructor(material: Uint8Array | TokenParts) {
    const { root, rights } = material instanceof Uint8Array ? partsOf(material) : material
    this.root = createSecretKey(root)
    this.rights = rights
    this.id = new DataView(hkdfSync('sha256', this.root, NO_SALT, ID_LABEL, 4)).getUint32(0)
  }

  /** A token for `right`, as text; undefined if this is a token itself, for less. */
  token(right: RightName): string | undefined {
    const lower = this.rights.lower(right)
    if (lower === undefined) return undefined
    const bytes = Buffer.concat([Buffer.of(Right[right]), this.root.export(), lower.toBytes()])
    return format(TOKEN_PREFIX, bytes)
  }

  /** The keys under which the process that drew `salt` seals; about 15 µs for each. `salt` must not change. */
  sealKeys(salt: Uint8Array): SealKeys {
    return new SealKeys((cipher) => {
      const bytes = hkdfSync('sha256', this.root, salt, SEAL_LABELS[cipher], CIPHER_KEY_BYTES)
      return new CipherKey(new Uint8Array(bytes))
    })
  }
}

/** A new key, as text. */
export function drawKey(): string {
  return formatKey(randomBytes(KEY_BYTES))
}

export function formatKey(secret: Uint8Array): string {
  return format(KEY_PREFIX, secret)
}

/** What a token gives its holder. */
interface TokenParts {
  readonly root: Uint8Array
  readonly rights: RightSecret
}

function partsOf(secret: Uint8Array): TokenParts {
  const derive = (label: string) => new Uint8Array(hkdfSync('sha256', secret, NO_SALT, label, KEY_BYTES))
  return { root: derive(ROOT_LABEL), rights: new RightSecret('all', derive(labelOf('all'))) }
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
  // (of a file that is another one it is said what its first entry is not)
  if (entries.length > KEYS_MAX && entries.every(isMarked))
    throw invalid(`${source} holds ${entries.length} keys, and may hold ${KEYS_MAX}; take the oldest out`)
  const keys = entries.map((entry, i) => {
    const place = entries.length === 1 ? `the key in ${source}` : `key ${i + 1} in ${source}`
    return decode(place, entry)
  })
  const held = new Set(keys.map(({ rights: { right } }) => right))
  if (held.size > 1)
    throw invalid(
      `${source} holds entries with different rights (${[...held].join(', ')}); a process has one right: give it those of one kind`,
    )
  keys.forEach((key, i) => {
    const twin = keys.findIndex(({ id }) => id === key.id)
    if (twin < i)
      throw invalid(`keys ${twin + 1} and ${i + 1} in ${source} are the same; take one of them out`)
  })
  return keys
}

/** What a key file holds. ERR_INVALID_ARGUMENT names the file, never what is in it. */
export function readKeyFile(path: string): GroupKey[] {
  const text = readSmallFile('the key file', path, `; 'amoebacast keygen --out ${path}' makes it`)
  return parseKeys(`the key file ${path}`, text)
}

function isMarked(entry: string): boolean {
  return entry.startsWith(KEY_PREFIX) || entry.startsWith(TOKEN_PREFIX)
}

function decode(place: string, entry: string): GroupKey {
  if (entry.startsWith(KEY_PREFIX)) return new GroupKey(decodeDigits(place, entry, KEY_PREFIX, KEY_BYTES))
  if (!entry.startsWith(TOKEN_PREFIX))
    throw invalid(`${place} does not begin with ${KEY_PREFIX} or ${TOKEN_PREFIX}; ${HOW_TO_MAKE}`)
  const bytes = decodeDigits(place, entry, TOKEN_PREFIX, TOKEN_BYTES)
  const right = rights.find((name) => Right[name] === bytes[0])
  if (right === undefined)
    throw invalid(`${place} is a token for a right that this version does not know; make another token`)
  const root = bytes.subarray(1, 1 + KEY_BYTES)
  return new GroupKey({ root, rights: new RightSecret(right, bytes.subarray(1 + KEY_BYTES)) })
}

function decodeDigits(place: string, entry: string, prefix: string, length: number): Uint8Array {
  const digits = entry.slice(prefix.length)
  const bytes = Buffer.from(digits, 'base64url')
  const wanted = ((length + CHECK_BYTES) * 4) / 3
  if (digits.length !== wanted || bytes.toString('base64url') !== digits) {
    throw invalid(
      `${place} has ${digits.length} characters behind its prefix, and must have ${wanted} of A-Z, a-z, 0-9, - and _; copy it again, whole`,
    )
  }
  const secret = bytes.subarray(0, length)
  if (!checkOf(prefix, secret).equals(bytes.subarray(length)))
    throw invalid(`${place} is damaged: its check digits do not fit; copy it again, whole`)
  return secret
}

function format(prefix: string, secret: Uint8Array): string {
  return prefix + Buffer.concat([secret, checkOf(prefix, secret)]).toString('base64url')
}

function checkOf(prefix: string, secret: Uint8Array): Buffer {
  return createHash('sha256').update(prefix).update(secret).digest().subarray(0, CHECK_BYTES)
}

function invalid(message: string): GroupError {
  return new GroupError(ErrorCode.invalid, message)
}
