/**
 * ChaCha20-Poly1305 (RFC 8439) of libsodium, compiled to WebAssembly. Packets are copied into its memory and out again; nothing
 * is allocated for one but the buffer of what was opened. Loaded when a process has a key, in a few hundredths of a second.
 *
 * It is used once it has given, byte for byte, what it should. Where it cannot be loaded (WebAssembly switched off), everything goes
 * through node:crypto, and only the time that a small packet takes is another. Where node:crypto lacks ChaCha20-Poly1305 (as
 * OpenSSL's FIPS provider does), everything is sealed under AES, and WebAssembly opens what others send under the other; a process
 * that had neither could not read what they send, so it is not let begin.
 */
import { assert } from '../../assert.ts'
import { ErrorCode, GroupError } from '../../errors.ts'
import { type Aead, CipherKey, type Ciphers, systemCiphers } from './ciphers.ts'
import { Cipher, KEY_BYTES, NONCE_BYTES, SEAL_OVERHEAD, SEALED_AT, TAG_BYTES } from './envelope.ts'

/** What is faster this way: of 1,400 bytes everything, of 2,048 about the half, of 4,096 nothing any more (README). */
const SMALL_MAX = 2048

/** An envelope is a UDP packet. */
const ENVELOPE_BYTES_MAX = 65_535

/** What must come out of sealing the 80 bytes in isRight. */
const PROOF =
  '000b16212c37424d58636e79848f9aa5b0bbc6d1dce7f2fd08131e29343f4a55debd04e6a037115fc50c9d3a6f2ef6bb' +
  'ef437412b9e4f5649109e56bc149775611f18b2e5648c899ca2410a8c36301e8aa2d7366151ad3648a39793a8406eac6' +
  '4a7617dc5b5b7f09b4338f4911b537069e1342d156ee7880e18e31f7a7c49b03'

/** The functions of libsodium that are used, as they are in C: places in its memory, lengths in two words of 32 bits. */
interface Sodium {
  /** Another array when the memory has grown. */
  readonly HEAPU8: Uint8Array
  _malloc(bytes: number): number
  _crypto_aead_chacha20poly1305_ietf_encrypt(
    into: number,
    lengthInto: number,
    message: number,
    messageLow: number,
    messageHigh: number,
    data: number,
    dataLow: number,
    dataHigh: number,
    noSecretNonce: number,
    nonce: number,
    key: number,
  ): number
  _crypto_aead_chacha20poly1305_ietf_decrypt(
    into: number,
    lengthInto: number,
    noSecretNonce: number,
    sealed: number,
    sealedLow: number,
    sealedHigh: number,
    data: number,
    dataLow: number,
    dataHigh: number,
    nonce: number,
    key: number,
  ): number
}

export interface LoadedCiphers extends Ciphers {
  /** Why small packets take longer here than they need to; undefined where they do not. */
  readonly slowBecause?: string
}

let loading: Promise<LoadedCiphers> | undefined

/**
 * The ciphers that are fastest here; the same for all kernels of a process, which seal and open in turns.
 * ERR_INVALID_ARGUMENT if there is no ChaCha20-Poly1305 at all.
 */
export function loadCiphers(): Promise<LoadedCiphers> {
  loading ??= chooseCiphers(loadSodium, systemCiphers.aeads)
  return loading
}

/** Given what there may be. */
export async function chooseCiphers(
  loadFast: () => Promise<Aead>,
  system: Ciphers['aeads'],
): Promise<LoadedCiphers> {
  const slow = system[Cipher.chaCha20]
  const isSlowHere = isRight(slow)
  let slowBecause = 'libsodium does not give what it should'
  try {
    const fast = await loadFast()
    if (isRight(fast)) {
      // (where node:crypto is kept from it, that is somebody's will: nothing is sealed in another way than by node:crypto)
      if (!isSlowHere) return { smallMax: 0, aeads: { ...system, [Cipher.chaCha20]: fast } }
      return { smallMax: SMALL_MAX, aeads: { ...system, [Cipher.chaCha20]: bySize(fast, slow) } }
    }
  } catch (error) {
    slowBecause = String(error)
  }
  if (isSlowHere) return { ...systemCiphers, aeads: system, slowBecause }
  throw new GroupError(
    ErrorCode.invalid,
    'a group key needs ChaCha20-Poly1305, and this process has it neither by WebAssembly ' +
      `(${slowBecause}) nor by node:crypto; let Node have WebAssembly, or leave the key out`,
  )
}

/** Large packets under ChaCha20-Poly1305 come from nobody but who wants them to take long. */
function bySize(fast: Aead, large: Aead): Aead {
  const smallMax = SMALL_MAX + SEAL_OVERHEAD
  return {
    seal: fast.seal,
    open: (key, nonce, envelope) => (envelope.length <= smallMax ? fast : large).open(key, nonce, envelope),
  }
}

async function loadSodium(): Promise<Aead> {
  const { default: wrappers } = await import('libsodium-wrappers')
  await wrappers.ready
  // (what the wrappers are around; their types leave it out)
  return sodiumAead((wrappers as unknown as { readonly libsodium: Sodium }).libsodium)
}

function sodiumAead(sodium: Sodium): Aead {
  const keyAt = sodium._malloc(KEY_BYTES)
  const nonceAt = sodium._malloc(NONCE_BYTES)
  const at = sodium._malloc(ENVELOPE_BYTES_MAX)
  assert(keyAt > 0 && nonceAt > 0 && at > 0, 'libsodium has memory')
  const packetAt = at + SEALED_AT
  const encrypt = sodium._crypto_aead_chacha20poly1305_ietf_encrypt
  const decrypt = sodium._crypto_aead_chacha20poly1305_ietf_decrypt
  return {
    seal({ bytes }, nonce, head, packet, into) {
      const { length } = packet
      assert(length + SEAL_OVERHEAD <= ENVELOPE_BYTES_MAX, 'an envelope is a UDP packet')
      const heap = sodium.HEAPU8
      heap.set(bytes, keyAt)
      heap.set(nonce, nonceAt)
      heap.set(head, at)
      heap.set(packet, packetAt)
      encrypt(packetAt, 0, packetAt, length, 0, at, SEALED_AT, 0, 0, nonceAt, keyAt)
      into.set(heap.subarray(at, at + length + SEAL_OVERHEAD), 0)
    },
    open({ bytes }, nonce, envelope) {
      if (envelope.length > ENVELOPE_BYTES_MAX) return undefined
      const heap = sodium.HEAPU8
      heap.set(bytes, keyAt)
      heap.set(nonce, nonceAt)
      heap.set(envelope, at)
      const rest = envelope.length - SEALED_AT
      const fault = decrypt(packetAt, 0, 0, packetAt, rest, 0, at, SEALED_AT, 0, nonceAt, keyAt)
      return fault === 0 ? heap.slice(packetAt, packetAt + rest - TAG_BYTES) : undefined
    },
  }
}

/** Whether it seals and opens as it should, and does not open what was damaged. */
function isRight(aead: Aead): boolean {
  const count = (length: number, step: number) => Uint8Array.from({ length }, (_, i) => step * i)
  const key = new CipherKey(count(KEY_BYTES, 1))
  const nonce = count(NONCE_BYTES, 7)
  const packet = count(80, 13)
  const sealed = Buffer.alloc(packet.length + SEAL_OVERHEAD)
  try {
    aead.seal(key, nonce, count(SEALED_AT, 11), packet, sealed)
    if (sealed.toString('hex') !== PROOF) return false
    const opened = aead.open(key, nonce, sealed)
    if (opened === undefined || Buffer.compare(opened, packet) !== 0) return false
    sealed[SEALED_AT]! ^= 1
    return aead.open(key, nonce, sealed) === undefined
  } catch {
    return false
  }
}
