/**
 * The sending half of the gateway's membership: messages that wait to be ordered, and for those with a key, what the
 * order says about it. Their answer waits until their own place has been delivered here: only then is it known
 * whether another gateway was faster.
 */

import { watchSignal } from '../../group/abort.ts'
import type { Group, Seq } from '../../group/index.ts'
import { ErrorCode, GroupError } from '../../kernel/errors.ts'
import { writeEnvelope } from './envelope.ts'
import { GatewayCode, GatewayError } from './errors.ts'
import { contentDigest, type FirstMessage, type KeyWindow } from './key-window.ts'
import { SharedCall } from './shared-call.ts'

export interface OutgoingMessage {
  readonly body: Uint8Array
  readonly contentType: string | undefined
  readonly key: string | undefined
}

type KeyedMessage = OutgoingMessage & { readonly key: string }

export interface Ordered {
  /** The place of the message; of the first one with the same key where this is a repeat. */
  readonly seq: Seq
  /** Whether the message had been ordered before, under the same key. */
  readonly repeat: boolean
}

interface Waiter {
  readonly resolve: () => void
  readonly reject: (error: GroupError) => void
}

export class Sends {
  private readonly group: Pick<Group<Uint8Array>, 'sendToGroup'>
  private readonly keys: KeyWindow
  private readonly sendMs: number
  /** How each send that is on its way is given up. BOUNDED by maxWaiting, as all here. */
  private readonly sending = new Set<() => void>()
  /** Messages with a key that are on their way. */
  private readonly pending = new Map<
    string,
    { readonly digest: string; readonly call: SharedCall<Ordered> }
  >()
  /** By place: those that have been ordered, and not delivered here. */
  private readonly waiters = new Map<Seq, Waiter>()
  private lastDelivered: Seq

  /** `since`: the place of the own join. */
  constructor(group: Pick<Group<Uint8Array>, 'sendToGroup'>, keys: KeyWindow, sendMs: number, since: Seq) {
    this.group = group
    this.keys = keys
    this.sendMs = sendMs
    this.lastDelivered = since
  }

  /** See HostedGroup. */
  send(message: OutgoingMessage, signal: AbortSignal): Promise<Ordered> {
    const { key } = message
    return key === undefined ? this.sendNow(message, signal) : this.sendOnce({ ...message, key }, signal)
  }

  /** What stands at this place is in the key window. */
  delivered(seq: Seq): void {
    this.lastDelivered = seq
    if (this.waiters.size === 0) return
    this.waiters.get(seq)?.resolve()
    this.waiters.delete(seq)
  }

  /** Places that were waited for will not be delivered here. */
  missed(reason: string): void {
    const message = `${reason}; send it again with the same Idempotency-Key to learn what became of it`
    const error = new GroupError(ErrorCode.expelled, message, { outcome: 'unknown' })
    for (const { reject } of this.waiters.values()) reject(error)
    this.waiters.clear()
  }

  /** Gives up what waits to be ordered. */
  giveUp(): void {
    for (const abort of [...this.sending]) abort()
  }

  private async sendNow({ body, contentType, key }: OutgoingMessage, signal: AbortSignal): Promise<Ordered> {
    const header = writeEnvelope({ contentType, key, sentAt: Date.now() })
    const giveUp = new AbortController()
    const abort = (): void => giveUp.abort()
    const timer = setTimeout(abort, this.sendMs)
    const stopWatching = watchSignal(signal, abort)
    this.sending.add(abort)
    if (signal.aborted) abort()
    try {
      const seq = await this.group.sendToGroup(body, { header, signal: giveUp.signal })
      return { seq, repeat: false }
    } catch (error) {
      throw signal.aborted ? error : explainTimeout(error, this.sendMs)
    } finally {
      clearTimeout(timer)
      stopWatching?.()
      this.sending.delete(abort)
    }
  }

  private async sendOnce(message: KeyedMessage, signal: AbortSignal): Promise<Ordered> {
    const { key, contentType, body } = message
    const digest = contentDigest(contentType, body)
    const known = this.keys.find(key, this.lastDelivered + 1, Date.now())
    if (known !== undefined) return repeatOf(known, key, digest, 'refused')
    const waiting = this.pending.get(key)
    if (waiting !== undefined && !waiting.call.isGivenUp) {
      if (waiting.digest !== digest) throw keyReused(key, 'it is on its way', 'refused')
      return { ...(await waiting.call.join(signal)), repeat: true }
    }
    const call = new SharedCall((shared) => this.sendAndLook(message, digest, shared))
    const entry = { digest, call }
    this.pending.set(key, entry)
    void call.settled.then(() => {
      if (this.pending.get(key) === entry) this.pending.delete(key)
    })
    return call.join(signal)
  }

  /** Sends, and looks in the order whether another gateway was faster with the same key. */
  private async sendAndLook(message: KeyedMessage, digest: string, signal: AbortSignal): Promise<Ordered> {
    const sent = await this.sendNow(message, signal)
    const { seq } = sent
    if (this.lastDelivered < seq) {
      await new Promise<void>((resolve, reject) => this.waiters.set(seq, { resolve, reject }))
    }
    const first = this.keys.firstOf(message.key)
    return first === undefined || first.seq >= seq ? sent : repeatOf(first, message.key, digest)
  }
}

function repeatOf(first: FirstMessage, key: string, digest: string, outcome?: 'refused'): Ordered {
  if (first.digest === digest) return { seq: first.seq, repeat: true }
  throw keyReused(key, `it was ordered at seq ${first.seq}`, outcome)
}

function keyReused(key: string, where: string, outcome?: 'refused'): GatewayError {
  const message = `the idempotency key ${JSON.stringify(key)} has come with another content (${where}); use a new key for a new message`
  return new GatewayError(GatewayCode.keyReused, message, outcome)
}

function explainTimeout(error: unknown, ms: number): unknown {
  if (!(error instanceof GroupError) || error.code !== ErrorCode.aborted) return error
  const { outcome } = error
  const advice =
    outcome === 'refused'
      ? 'the group is full or has stopped, and the message was not sent; send it again'
      : 'it may be ordered yet; send it again with the same Idempotency-Key to learn'
  return new GroupError(ErrorCode.aborted, `not ordered within ${ms} ms: ${advice}`, {
    outcome,
    cause: error,
  })
}
