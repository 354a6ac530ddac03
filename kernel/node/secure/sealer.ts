/**
 * Seals what this process sends, under its salt and its counter. Each packet takes a cipher object of its own: there is no
 * other way in node:crypto, and nothing is gained by making it ahead (README).
 */
import { type CipherGCM, createCipheriv, type KeyObject, randomBytes } from 'node:crypto'
import { assert } from '../../assert.ts'
import { readU32, writeU32, writeU53 } from '../../bytes.ts'
import {
  CIPHER,
  COUNTER_AT,
  KEY_ID_AT,
  NONCE_BYTES,
  NONCE_COUNTER_AT,
  SALT_AT,
  SALT_BYTES,
  SEAL_MAGIC,
  SEAL_OVERHEAD,
  SEAL_VERSION,
  SEALED_AT,
} from './envelope.ts'
import type { GroupKey } from './group-key.ts'

/**
 * Packets under one salt. AES-GCM keeps its promises for far more data than this under one key (TLS stops at 2^24.5
 * records, QUIC at 2^23 packets); a new salt costs nothing, so it is drawn as early as there. The counter goes on.
 */
const PACKETS_A_SALT = 2 ** 23

export class Sealer {
  private readonly groupKey: GroupKey
  private readonly packetsASalt: number
  private readonly head = new Uint8Array(SEALED_AT)
  private readonly nonce = new Uint8Array(NONCE_BYTES)
  private key: KeyObject
  /** Every salt that this process has sealed under, as far back as packets are about. BOUNDED: 2. */
  private salts: Buffer[] = []
  /** Never reset while the process lives. */
  private counter = 0
  private left: number

  constructor(groupKey: GroupKey, packetsASalt = PACKETS_A_SALT) {
    this.groupKey = groupKey
    this.packetsASalt = packetsASalt
    this.head[0] = SEAL_MAGIC
    this.head[1] = SEAL_VERSION
    writeU32(this.head, KEY_ID_AT, groupKey.id)
    this.key = this.drawSalt()
    this.left = packetsASalt
  }

  /** Whether this process has sealed it: its own packet, come back. */
  isOwn(sealed: Uint8Array): boolean {
    const word = readU32(sealed, SALT_AT)
    for (const salt of this.salts) {
      if (readU32(salt, 0) === word && salt.compare(sealed, SALT_AT, SALT_AT + SALT_BYTES) === 0) return true
    }
    return false
  }

  /** Writes the sealed packet to the beginning of `into`, and gives its length. */
  seal(packet: Uint8Array, into: Uint8Array): number {
    const length = packet.length + SEAL_OVERHEAD
    assert(into.length >= length, 'a sealed packet fits into its buffer')
    const cipher = this.nextCipher()
    into.set(this.head, 0)
    into.set(cipher.update(packet), SEALED_AT)
    cipher.final()
    into.set(cipher.getAuthTag(), SEALED_AT + packet.length)
    return length
  }

  /** The counter is raised here and nowhere else: each object has a nonce of its own. */
  private nextCipher(): CipherGCM {
    if (this.left-- === 0) {
      this.key = this.drawSalt()
      this.left = this.packetsASalt - 1
    }
    assert(this.counter < Number.MAX_SAFE_INTEGER, 'a process has sealed as many packets as it may')
    this.counter++
    writeU53(this.head, COUNTER_AT, this.counter)
    writeU53(this.nonce, NONCE_COUNTER_AT, this.counter)
    const cipher = createCipheriv(CIPHER, this.key, this.nonce)
    cipher.setAAD(this.head)
    return cipher
  }

  private drawSalt(): KeyObject {
    const salt = randomBytes(SALT_BYTES)
    this.salts = [salt, ...this.salts.slice(0, 1)]
    this.head.set(salt, SALT_AT)
    return this.groupKey.sealKey(salt)
  }
}
