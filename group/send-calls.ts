/**
 * The sending half of a group at the program's side (paper, section 3: SendToGroup): what has been handed to
 * the machine and is not answered yet. Tokens rise by one per message, and the machine answers a member's
 * sends in order, save for cancelled and refused ones; so the calls lie in a queue by token, an answer is
 * nearly always for the front, and any other is found by bisection.
 *
 * BOUNDED by the program's own outstanding calls: answered entries behind an unanswered front are cleared
 * out when they become the greater part.
 */
import { Channel } from '../kernel/block.ts'
import { Deque } from '../kernel/deque.ts'
import { ErrorCode, GroupError } from '../kernel/errors.ts'
import type { Micros, Seq } from '../kernel/identity.ts'
import type { Call, Token } from '../kernel/port.ts'
import { aborted, doNothing, rejected, watchSignal } from './abort.ts'

export interface SendCallsOptions {
  call(call: Call): void
  now(): Micros
  /** How long the first message of an answered run took; for the histogram of send times. */
  observe(seconds: number): void
}

/**
 * A sendMany that did not go through whole. `code` is that of its first failure; `outcome` is `'refused'`
 * if every message without a seq never was and never will be ordered, else `'unknown'`.
 */
export class SendManyError extends GroupError {
  /** For each body its seq, or undefined where it failed. */
  readonly seqs: readonly (Seq | undefined)[]

  constructor(first: GroupError, outcome: 'refused' | 'unknown', seqs: readonly (Seq | undefined)[]) {
    super(first.code, first.message, { outcome, cause: first })
    this.seqs = seqs
  }
}

const UNANSWERED = -1

class Entry {
  readonly token: Token
  readonly count: number
  readonly startedAt: Micros
  readonly signal: AbortSignal | undefined
  /** Messages of this call that are not answered yet. */
  left: number
  /** Seqs of a sendMany, UNANSWERED at first; a single send needs none. */
  readonly seqs: (Seq | undefined)[] | undefined
  failure: GroupError | undefined
  isInDoubt = false
  stopWatching: (() => void) | undefined
  readonly promise: Promise<Seq | (Seq | undefined)[]>
  private resolve!: (value: Seq | (Seq | undefined)[]) => void
  private reject!: (error: GroupError) => void

  constructor(
    token: Token,
    count: number,
    startedAt: Micros,
    isMany: boolean,
    signal: AbortSignal | undefined,
  ) {
    this.token = token
    this.count = this.left = count
    this.startedAt = startedAt
    this.signal = signal
    this.seqs = isMany ? new Array<Seq | undefined>(count).fill(UNANSWERED) : undefined
    this.promise = new Promise((resolve, reject) => {
      this.resolve = resolve
      this.reject = reject
    })
  }

  /** Every message is answered; the last one by `seq`, if it was ordered. */
  settle(seq: Seq): void {
    this.stopWatching?.()
    const { seqs } = this
    const failure = this.wholeFailure()
    if (failure === undefined) {
      this.resolve(seqs ?? seq)
      return
    }
    // Only here, because it costs: a program that waits for nothing must not be ended by a rejection.
    this.promise.catch(doNothing)
    this.reject(seqs === undefined ? failure : new SendManyError(failure, failure.outcome ?? 'unknown', seqs))
  }

  private wholeFailure(): GroupError | undefined {
    const { failure, isInDoubt } = this
    if (failure === undefined || !isInDoubt || failure.outcome === 'unknown') return failure
    return new GroupError(failure.code, failure.message, { outcome: 'unknown', cause: failure })
  }
}

export class SendCalls {
  private readonly options: SendCallsOptions
  private entries = new Deque<Entry>()
  private nextToken: Token = 1
  /** Entries in the queue that are answered, behind one that is not. */
  private answered = 0
  private ended: GroupError | undefined
  /** Why new sends are refused, while those before them are still being answered. */
  private refusing: GroupError | undefined

  constructor(options: SendCallsOptions) {
    this.options = options
  }

  /** Calls that wait for an answer. */
  get outstanding(): number {
    return this.entries.length - this.answered
  }

  send(header: Uint8Array, body: Uint8Array, signal: AbortSignal | undefined): Promise<Seq> {
    const refusal = this.refusal(signal)
    if (refusal !== undefined) return rejected(refusal)
    const entry = this.add(1, false, signal)
    this.options.call({ call: 'send', token: entry.token, channel: Channel.program, header, body })
    return entry.promise as Promise<Seq>
  }

  sendMany(bodies: readonly Uint8Array[], signal: AbortSignal | undefined): Promise<Seq[]> {
    const refusal = this.refusal(signal)
    if (refusal !== undefined) return rejected(refusal)
    if (bodies.length === 0) return Promise.resolve([])
    const entry = this.add(bodies.length, true, signal)
    this.options.call({ call: 'sendMany', token: entry.token, channel: Channel.program, bodies })
    return entry.promise as Promise<Seq[]>
  }

  /** The machine's `sent`: a run of tokens, which may span several calls and begin or end inside one. */
  sent(token: Token, count: number, seq: Seq): void {
    let isFirst = true
    while (count > 0) {
      const entry = this.find(token)
      const offset = entry === undefined ? 0 : token - entry.token
      const run = entry === undefined ? 1 : Math.min(count, entry.count - offset)
      // A cancelled send whose outcome was unknown may turn out to be ordered: it has been answered already.
      if (entry !== undefined && entry.left > 0) {
        if (isFirst) this.options.observe((this.options.now() - entry.startedAt) / 1e6)
        isFirst = false
        this.answer(entry, note(entry, offset, run, seq), seq)
        this.tidy()
      }
      token += run
      seq += run
      count -= run
    }
  }

  /** The machine's `failed` for one message; whether the token was a send's. */
  failed(token: Token, error: GroupError): boolean {
    const entry = this.find(token)
    if (entry === undefined || entry.left === 0) return false
    if (note(entry, token - entry.token, 1, undefined) > 0) this.fail(entry, error, 1)
    this.tidy()
    return true
  }

  /** No send goes out any more: new ones are refused. Those on their way are still answered. */
  refuse(error: GroupError): void {
    this.refusing ??= error
  }

  /** The member's life is over: what is not answered by now cannot be known. */
  end(error: GroupError): void {
    this.ended = error
    const inDoubt = new GroupError(error.code, error.message, { outcome: 'unknown', cause: error })
    for (const entry of this.entries) {
      if (entry.left === 0) continue
      for (let i = 0; i < entry.count; i++) note(entry, i, 1, undefined)
      this.fail(entry, inDoubt, entry.left)
    }
    this.entries.clear()
    this.answered = 0
  }

  private refusal(signal: AbortSignal | undefined): GroupError | undefined {
    if (signal?.aborted) return aborted(signal, 'refused')
    const reason = this.ended ?? this.refusing
    if (reason === undefined) return undefined
    return new GroupError(reason.code, reason.message, { outcome: 'refused', cause: reason })
  }

  private add(count: number, isMany: boolean, signal: AbortSignal | undefined): Entry {
    const entry = new Entry(this.nextToken, count, this.options.now(), isMany, signal)
    this.nextToken += count
    this.entries.push(entry)
    entry.stopWatching = watchSignal(signal, () => this.cancel(entry))
    return entry
  }

  /** The machine alone knows how far each message has come; its `sent` or `failed` settles the call. */
  private cancel(entry: Entry): void {
    for (let i = 0; i < entry.count && entry.left > 0; i++) {
      this.options.call({ call: 'cancel', token: entry.token + i })
    }
  }

  private fail(entry: Entry, error: GroupError, messages: number): void {
    const { signal } = entry
    const isOwnAbort = error.code === ErrorCode.aborted && signal !== undefined
    entry.failure ??= isOwnAbort ? aborted(signal, error.outcome ?? 'unknown') : error
    if (error.outcome !== 'refused') entry.isInDoubt = true
    this.answer(entry, messages, 0)
  }

  private answer(entry: Entry, messages: number, seq: Seq): void {
    entry.left -= messages
    if (messages === 0 || entry.left > 0) return
    this.answered++
    entry.settle(seq)
  }

  private tidy(): void {
    while (this.entries.first()?.left === 0) {
      this.entries.shift()
      this.answered--
    }
    if (this.answered > 32 && this.answered * 2 > this.entries.length) {
      const unanswered = new Deque<Entry>()
      for (const entry of this.entries) if (entry.left > 0) unanswered.push(entry)
      this.entries = unanswered
      this.answered = 0
    }
  }

  private find(token: Token): Entry | undefined {
    const { entries } = this
    let low = 0
    let high = entries.length - 1
    // Answers come in order, so the first look is at the front.
    let middle = 0
    while (low <= high) {
      const entry = entries.at(middle)!
      if (token < entry.token) high = middle - 1
      else if (token >= entry.token + entry.count) low = middle + 1
      else return entry
      middle = (low + high) >>> 1
    }
    return undefined
  }
}

/** Notes the seqs of a run of a call's messages, undefined for failed ones; how many were not answered before. */
function note({ seqs }: Entry, offset: number, run: number, seq: Seq | undefined): number {
  if (seqs === undefined) return run
  let fresh = 0
  for (let i = 0; i < run; i++) {
    if (seqs[offset + i] !== UNANSWERED) continue
    seqs[offset + i] = seq === undefined ? undefined : seq + i
    fresh++
  }
  return fresh
}
