/**
 * Idempotency keys, recognised in the order. Every gateway (and every member that uses this class) feeds it the
 * messages as they are delivered. What it decides rests on the order and on what the messages carry alone, so all who
 * have been members since a key's first message, with the same window, decide the same.
 *
 * A message repeats the first one with its key if at most `messages` places lie between, and at most `ms` between the
 * times that their senders wrote into them. Beyond either bound the key is new again.
 *
 * Who joins later knows no keys from before its join (`knownFrom`), and takes a repeat of one for a first message.
 *
 * BOUNDED: by `messages` keys, some 400 bytes each.
 */
import { createHash } from 'node:crypto'
import { checkFields, wholeNumber } from '../../kernel/checks.ts'
import type { Seq } from '../../kernel/identity.ts'
import { readEnvelope } from './envelope.ts'

export interface KeyWindowOptions {
  /** Places in the order, of messages with and without keys. */
  readonly messages: number
  /** Milliseconds between the senders' times. */
  readonly ms: number
}

export interface FirstMessage {
  readonly seq: Seq
  /** Of content type and body: a key that comes with another content is a mistake of the client's. */
  readonly digest: string
}

interface Known extends FirstMessage {
  readonly sentAt: number
}

export const keyWindowDefaults: KeyWindowOptions = { messages: 65_536, ms: 3_600_000 }
/** At most: 2^20 places, and a day. */
export const keyWindowLimits: KeyWindowOptions = { messages: 2 ** 20, ms: 86_400_000 }

export class KeyWindow {
  readonly options: KeyWindowOptions
  /** In order of seq, since a key that is new again goes to the end. */
  private readonly keys = new Map<string, Known>()
  private since: Seq

  /** `since`: the place of the own join. ERR_INVALID_ARGUMENT names what is wrong. */
  constructor(since: Seq, options: KeyWindowOptions = keyWindowDefaults) {
    wholeNumber('since', since, 0, Number.MAX_SAFE_INTEGER)
    checkFields('KeyWindow', options, ['messages', 'ms'])
    wholeNumber('messages', options.messages, 1, keyWindowLimits.messages)
    wholeNumber('ms', options.ms, 1, keyWindowLimits.ms)
    this.since = since
    this.options = options
  }

  /** Keys of messages after this place are known. */
  get knownFrom(): Seq {
    return this.since
  }

  get size(): number {
    return this.keys.size
  }

  /**
   * Takes a delivered message into account; call it once for each, in order. Gives the first message with the same
   * key if this one repeats it, else undefined.
   */
  note(message: {
    readonly seq: Seq
    readonly header: Uint8Array
    readonly body: Uint8Array
  }): FirstMessage | undefined {
    const { seq, header, body } = message
    this.forget(seq)
    const { key, contentType, sentAt = 0 } = readEnvelope(header) ?? {}
    if (key === undefined) return undefined
    const first = this.find(key, seq, sentAt)
    if (first !== undefined) return first
    this.keys.delete(key)
    this.keys.set(key, { seq, sentAt, digest: contentDigest(contentType, body) })
    return undefined
  }

  /** The first message with this key, if one that is sent at `sentAt` and ordered at `seq` repeats it. */
  find(key: string, seq: Seq, sentAt: number): FirstMessage | undefined {
    const first = this.keys.get(key)
    if (first === undefined) return undefined
    const { messages, ms } = this.options
    return seq - first.seq <= messages && Math.abs(sentAt - first.sentAt) <= ms ? first : undefined
  }

  /** The first message with this key as far as it is known, whatever the time. */
  firstOf(key: string): FirstMessage | undefined {
    return this.keys.get(key)
  }

  /** Events were missed (an expulsion): what was known before says nothing about the order from here on. */
  restart(since: Seq): void {
    this.keys.clear()
    this.since = since
  }

  private forget(seq: Seq): void {
    for (const [key, first] of this.keys) {
      if (seq - first.seq <= this.options.messages) return
      this.keys.delete(key)
    }
  }
}

export function contentDigest(contentType: string | undefined, body: Uint8Array): string {
  return createHash('sha256')
    .update(`${contentType ?? ''}\n`)
    .update(body)
    .digest('base64')
}
