/** Seals what this process sends, under its salt and its counter. */
import { randomBytes } from 'node:crypto'
import { assert } from '../../assert.ts'
import { readU32, writeU32, writeU53 } from '../../bytes.ts'
import { type Ciphers, type SealKeys, systemCiphers } from './ciphers.ts'
import {
  CIPHER_AT,
  Cipher,
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
  private readonly ciphers: Ciphers
  private keys: SealKeys
  /** Every salt that this process has sealed under, as far back as packets are about. BOUNDED: 2. */
  private salts: Buffer[] = []
  /** Never reset while the process lives. */
  private counter = 0
  private left: number

  constructor(groupKey: GroupKey, ciphers = systemCiphers, packetsASalt = PACKETS_A_SALT) {
    this.groupKey = groupKey
    this.ciphers = ciphers
    this.packetsASalt = packetsASalt
    this.head[0] = SEAL_MAGIC
    this.head[1] = SEAL_VERSION
    writeU32(this.head, KEY_ID_AT, groupKey.id)
    this.keys = this.drawSalt()
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
    this.nextNonce()
    const { smallMax, aeads } = this.ciphers
    const cipher = packet.length <= smallMax ? Cipher.chaCha20 : Cipher.aes256Gcm
    this.head[CIPHER_AT] = cipher
    aeads[cipher].seal(this.keys.of(cipher), this.nonce, this.head, packet, into)
    return length
  }

  /** The counter is raised here and nowhere else: each packet has a nonce of its own. */
  private nextNonce(): void {
    if (this.left-- === 0) {
      this.keys = this.drawSalt()
      this.left = this.packetsASalt - 1
    }
    assert(this.counter < Number.MAX_SAFE_INTEGER, 'a process has sealed as many packets as it may')
    this.counter++
    writeU53(this.head, COUNTER_AT, this.counter)
    writeU53(this.nonce, NONCE_COUNTER_AT, this.counter)
  }

  private drawSalt(): SealKeys {
    const salt = randomBytes(SALT_BYTES)
    this.salts = [salt, ...this.salts.slice(0, 1)]
    this.head.set(salt, SALT_AT)
    return this.groupKey.sealKeys(salt)
  }
}
