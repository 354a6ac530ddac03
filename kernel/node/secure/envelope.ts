/**
 * The envelope of a sealed packet. It hides and authenticates a whole packet of kernel/packet.ts, header and all;
 * what stands in the clear is what an opener needs, and is authenticated too, as associated data.
 *
 *    0       1       2               4                               8
 *    +-------+-------+---------------+-------------------------------+
 *    | magic |version|cipher |   0   |            key id             |
 *    +-------+-------+---------------+-------------------------------+
 *  8 |                             salt                              |  16 random bytes of the process that sealed it
 * 16 |                                                               |
 * 24 |                            counter                            |  u53, 1 and up; never twice under one salt
 *    +---------------------------------------------------------------+
 * 32 the packet, enciphered; the nonce is 4 zero bytes and the counter, the associated data bytes 0 to 31
 *    +---------------------------------------------------------------+
 *    |                         tag, 16 bytes                         |
 *    +---------------------------------------------------------------+
 *
 * Why no nonce comes twice under one key. The cipher's key is derived from the group key, the salt and the cipher's name, so it is
 * enough that no two packets share group key, salt and counter. A counter is raised for each packet and starts only
 * with a new salt. A salt is drawn by one sealer, from the system's generator, when it is made, and never leaves the
 * process's memory to be used again; a process has one sealer for each key, so two keys share neither salt nor counter, and
 * a key that is taken out and put back goes on with its own: a restart, a rejoin after one, another worker or child process, a second
 * kernel in the process and a group created anew all have salts of their own. No clock and no file has a part in it,
 * so a clock set back and a disk restored from a copy change nothing. Two salts are equal with a chance of 2^-65 in
 * 2^32 processes. (What would repeat a nonce: a copy of the memory of a running process that is resumed beside it, as
 * by a cloned virtual machine. SECURITY.md says so.) Nobody seals under another's salt, so both directions between
 * two processes have keys of their own, and a packet thrown back at its sender is known by its salt.
 */
import { HEADER_BYTES } from '../../packet.ts'

export const SEAL_MAGIC = 0xa5
export const SEAL_VERSION = 1
export const CIPHER_AT = 2
export const KEY_ID_AT = 4
export const SALT_AT = 8
export const SALT_BYTES = 16
export const COUNTER_AT = 24
/** Where the enciphered packet begins; all before it is associated data. */
export const SEALED_AT = 32
export const TAG_BYTES = 16
/** What sealing adds to a packet. */
export const SEAL_OVERHEAD = SEALED_AT + TAG_BYTES

/** Whether it looks like an envelope with a packet in it, of this version or another, under whatever cipher. */
export function isEnvelope(bytes: Uint8Array): boolean {
  return bytes[0] === SEAL_MAGIC && bytes[3] === 0 && bytes.length >= SEAL_OVERHEAD + HEADER_BYTES
}

export const NONCE_BYTES = 12
export const NONCE_COUNTER_AT = 4

/** Of a cipher; both take as many. */
export const KEY_BYTES = 32

/** A closed list: numbers on the wire, never given again. A packet is sealed with the one that is faster for its size. */
export const Cipher = { aes256Gcm: 0, chaCha20: 1 } as const
export type Cipher = (typeof Cipher)[keyof typeof Cipher]

/** The one that an envelope of this version names; undefined if it is none that is known. */
export function cipherOf(envelope: Uint8Array): Cipher | undefined {
  if (envelope[3] !== 0) return undefined
  const cipher = envelope[CIPHER_AT]
  return cipher === Cipher.aes256Gcm || cipher === Cipher.chaCha20 ? cipher : undefined
}
