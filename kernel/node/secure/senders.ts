/**
 * The processes whose packets have been opened here, by key and salt: the keys derived for each, and which of its
 * counters have been seen.
 *
 * BOUNDED by SENDERS_MAX, the one not heard for longest goes first. Only who has sealed a packet with a group key
 * gets in, so strangers push nobody out. Deriving the keys of an unknown salt costs something before that is known,
 * so it is rationed; those who are in already are not touched by a flood of new salts.
 */
import { Allowance } from '../../allowance.ts'
import { readU32 } from '../../bytes.ts'
import type { Micros } from '../../identity.ts'
import type { SealKeys } from './ciphers.ts'
import { KEY_ID_AT, SALT_AT, SALT_BYTES } from './envelope.ts'
import type { GroupKey } from './group-key.ts'
import { ReplayWindow } from './replay-window.ts'

/** Twice the members that a group may have: as many may be joining, or be gone already. */
export const SENDERS_MAX = 2048
/** Unknown salts at once: a whole group that starts together; and one more each so many microseconds (500 a second). */
export const DERIVE_BURST = 1024
const DERIVE_EVERY: Micros = 2_000

export interface Sender {
  readonly keyId: number
  readonly salt: Uint8Array
  readonly keys: SealKeys
  readonly window: ReplayWindow
  /** When it was heard, in packets opened here. */
  heardAt: number
}

export class Senders {
  /** By the first word of the salt, which is random; those that share it, in a list. */
  private readonly bySalt = new Map<number, Sender[]>()
  private count = 0
  private heard = 0
  /** Senders forgotten because too many others were heard later. */
  evictions = 0
  private readonly max: number
  private readonly derivations = new Allowance(DERIVE_BURST, DERIVE_EVERY)

  constructor(max = SENDERS_MAX) {
    this.max = max
  }

  get size(): number {
    return this.count
  }

  /** Who sealed this packet, if it is known. */
  find(sealed: Uint8Array): Sender | undefined {
    const list = this.bySalt.get(readU32(sealed, SALT_AT))
    if (list === undefined) return undefined
    for (const sender of list) if (isOf(sender, sealed)) return sender
    return undefined
  }

  /** One that is not known yet; undefined when too many have been of late. It is not kept before `add`. */
  derive(sealed: Uint8Array, key: GroupKey, now: Micros): Sender | undefined {
    if (!this.derivations.take(now)) return undefined
    // a copy (`slice` of a Buffer is a view): it outlives the packet by far
    const salt = new Uint8Array(sealed.subarray(SALT_AT, SALT_AT + SALT_BYTES))
    const window = new ReplayWindow()
    return { keyId: key.id, salt, keys: key.sealKeys(salt), window, heardAt: 0 }
  }

  /** It has sealed a packet that is authentic. */
  add(sender: Sender): void {
    if (this.count >= this.max) this.removeQuietest()
    const word = readU32(sender.salt, 0)
    const list = this.bySalt.get(word)
    if (list === undefined) this.bySalt.set(word, [sender])
    else list.push(sender)
    this.count++
  }

  hear(sender: Sender): void {
    sender.heardAt = ++this.heard
  }

  private removeQuietest(): void {
    let quietest: Sender | undefined
    for (const list of this.bySalt.values())
      for (const sender of list)
        if (quietest === undefined || sender.heardAt < quietest.heardAt) quietest = sender
    if (quietest === undefined) return
    const word = readU32(quietest.salt, 0)
    const rest = this.bySalt.get(word)!.filter((one) => one !== quietest)
    if (rest.length > 0) this.bySalt.set(word, rest)
    else this.bySalt.delete(word)
    this.count--
    this.evictions++
  }
}

function isOf({ keyId, salt }: Sender, sealed: Uint8Array): boolean {
  if (readU32(sealed, KEY_ID_AT) !== keyId) return false
  for (let i = 0; i < SALT_BYTES; i++) if (salt[i] !== sealed[SALT_AT + i]) return false
  return true
}
