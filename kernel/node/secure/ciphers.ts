/**
 * The two ciphers that packets are sealed with. AES-256-GCM through node:crypto has hardware on its side, and sets up an
 * object for each packet, which costs several times what it takes to encipher a small one. So small packets go under
 * ChaCha20-Poly1305 in WebAssembly (sodium.ts), which sets up nothing. The envelope says which it was; each has a key of its
 * own, so neither can be made to open what the other has sealed. README of this folder: what was measured.
 */
import { createCipheriv, createDecipheriv, createSecretKey, type KeyObject } from 'node:crypto'
import { freeBuffer } from '../free-buffer.ts'
import { youngBuffers } from '../young-buffers.ts'
import { Cipher, SEALED_AT, TAG_BYTES } from './envelope.ts'

export class CipherKey {
  /** The same as the bytes, made once: with Node 24 a key in bytes takes node:crypto four times as long as all the rest. */
  readonly object: KeyObject
  // (nobody sees it who prints something that holds it)
  readonly #bytes: Uint8Array

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes
    this.object = createSecretKey(bytes)
  }

  get bytes(): Uint8Array {
    return this.#bytes
  }
}

/** The keys of one sender, for each cipher one, derived when it is first asked for. */
export class SealKeys {
  private readonly derive: (cipher: Cipher) => CipherKey
  private readonly derived: (CipherKey | undefined)[] = []

  constructor(derive: (cipher: Cipher) => CipherKey) {
    this.derive = derive
  }

  of(cipher: Cipher): CipherKey {
    let key = this.derived[cipher]
    if (key === undefined) {
      key = this.derive(cipher)
      this.derived[cipher] = key
    }
    return key
  }
}

/** Authenticated encryption of whole packets; the head of an envelope is its associated data. */
export interface Aead {
  /** Writes to `into` a whole envelope: `head`, the packet enciphered, the tag. */
  seal(key: CipherKey, nonce: Uint8Array, head: Uint8Array, packet: Uint8Array, into: Uint8Array): void
  /** The packet in `envelope`, in a buffer of its own; undefined if its tag does not fit. */
  open(key: CipherKey, nonce: Uint8Array, envelope: Uint8Array): Uint8Array | undefined
}

/** What a process seals and opens with. */
export interface Ciphers {
  /** Packets of so many bytes and less are sealed under ChaCha20-Poly1305. */
  readonly smallMax: number
  /** Every process opens both. */
  readonly aeads: Readonly<Record<Cipher, Aead>>
}

/** Both through node:crypto: small packets gain nothing there, so all are sealed under AES. */
export const systemCiphers: Ciphers = {
  smallMax: 0,
  aeads: {
    [Cipher.aes256Gcm]: systemAead('aes-256-gcm'),
    [Cipher.chaCha20]: systemAead('chacha20-poly1305'),
  },
}

/** An object for each packet: there is no other way in node:crypto, and nothing is gained by making it ahead (README). */
function systemAead(name: 'aes-256-gcm' | 'chacha20-poly1305'): Aead {
  const options = { authTagLength: TAG_BYTES }
  return {
    seal({ object }, nonce, head, packet, into) {
      const cipher = createCipheriv(name as 'aes-256-gcm', object, nonce, options)
      cipher.setAAD(head)
      into.set(head, 0)
      const enciphered = cipher.update(packet)
      into.set(enciphered, SEALED_AT)
      if (!freeBuffer(enciphered)) youngBuffers.note(packet.length)
      cipher.final()
      into.set(cipher.getAuthTag(), SEALED_AT + packet.length)
    },
    open({ object }, nonce, envelope) {
      const tagAt = envelope.length - TAG_BYTES
      // Forged packets come in floods, and the trace of an error costs more than the rest of it.
      const { stackTraceLimit } = Error
      const isOurs = Object.getOwnPropertyDescriptor(Error, 'stackTraceLimit')?.writable === true
      if (isOurs) Error.stackTraceLimit = 0
      try {
        const decipher = createDecipheriv(name as 'aes-256-gcm', object, nonce, options)
        decipher.setAAD(envelope.subarray(0, SEALED_AT))
        decipher.setAuthTag(envelope.subarray(tagAt))
        const packet = decipher.update(envelope.subarray(SEALED_AT, tagAt))
        decipher.final()
        return packet
      } catch {
        return undefined
      } finally {
        if (isOurs) Error.stackTraceLimit = stackTraceLimit
      }
    },
  }
}
