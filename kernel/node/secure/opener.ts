/**
 * Opens what arrives: says for each packet what it was, or why it counts for nothing. What is dropped is dropped
 * here, before anything of the protocol has seen it, and is never answered.
 */
import { readU32, readU53, writeU53 } from '../../bytes.ts'
import type { Micros } from '../../identity.ts'
import { HEADER_BYTES, MAGIC } from '../../packet.ts'
import { type Ciphers, systemCiphers } from './ciphers.ts'
import {
  type Cipher,
  COUNTER_AT,
  cipherOf,
  KEY_ID_AT,
  NONCE_BYTES,
  NONCE_COUNTER_AT,
  SEAL_MAGIC,
  SEAL_OVERHEAD,
  SEAL_VERSION,
} from './envelope.ts'
import type { GroupKey } from './group-key.ts'
import { type Sender, Senders } from './senders.ts'

/** Why a packet was not opened. A closed list: each has a counter. */
export const sealFaults = [
  /** No packet of this system, or too short for one. */
  'foreign',
  /** A packet that is not sealed: its sender has no key. */
  'plain',
  /** Of another version of the envelope, or under a cipher that is not known. */
  'version',
  /** Sealed with a key that is not here. */
  'key',
  /** Its tag does not fit: forged, or damaged on its way. */
  'forged',
  /** Opened before, or older than what is remembered of its sender. */
  'replayed',
  /** From a process not heard before, when too many such had come. */
  'hurried',
] as const
export type SealFault = (typeof sealFaults)[number]

export class Opener {
  readonly senders: Senders
  /** BOUNDED by the keys of the process. */
  private keys: ReadonlyMap<number, GroupKey> = new Map()
  private readonly nonce = new Uint8Array(NONCE_BYTES)

  private readonly ciphers: Ciphers

  constructor(keys: readonly GroupKey[], senders = new Senders(), ciphers = systemCiphers) {
    this.senders = senders
    this.ciphers = ciphers
    this.setKeys(keys)
  }

  /** What is sealed with others is not opened any more, whoever has sealed it. */
  setKeys(keys: readonly GroupKey[]): void {
    this.keys = new Map(keys.map((key) => [key.id, key]))
  }

  /** The packet, in a buffer of its own. `now` rations what strangers cost. */
  open(sealed: Uint8Array, now: Micros): Uint8Array | SealFault {
    if (sealed[0] === MAGIC) return 'plain'
    if (sealed[0] !== SEAL_MAGIC || sealed.length < SEAL_OVERHEAD + HEADER_BYTES) return 'foreign'
    const cipher = cipherOf(sealed)
    if (sealed[1] !== SEAL_VERSION || cipher === undefined) return 'version'
    const key = this.keys.get(readU32(sealed, KEY_ID_AT))
    if (key === undefined) return 'key'
    const counter = readU53(sealed, COUNTER_AT)
    if (counter <= 0) return 'forged'
    const known = this.senders.find(sealed)
    if (known !== undefined && !known.window.isNew(counter)) return 'replayed'
    const sender = known ?? this.senders.derive(sealed, key, now)
    if (sender === undefined) return 'hurried'
    const packet = this.decipher(sealed, cipher, sender, counter)
    if (packet === undefined) return 'forged'
    if (known === undefined) this.senders.add(sender)
    this.senders.hear(sender)
    sender.window.note(counter)
    return packet
  }

  private decipher(sealed: Uint8Array, cipher: Cipher, { keys }: Sender, counter: number) {
    writeU53(this.nonce, NONCE_COUNTER_AT, counter)
    return this.ciphers.aeads[cipher].open(keys.of(cipher), this.nonce, sealed)
  }
}
