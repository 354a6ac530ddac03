/**
 * Calls other than sends that wait for the machine: opening, leaving, resetting. Their tokens fall from −1,
 * so that those of sends can rise without a gap. BOUNDED by the program's own outstanding calls.
 */
import { ErrorCode, type GroupError } from '../kernel/errors.ts'
import type { Token } from '../kernel/port.ts'
import { aborted, doNothing, rejected, watchSignal } from './abort.ts'

interface Waiting {
  resolve(value: unknown): void
  reject(error: GroupError): void
}

export class ControlCalls {
  private readonly waiting = new Map<Token, Waiting>()
  private readonly cancel: (token: Token) => void
  private nextToken: Token = -1
  private ended: GroupError | undefined

  constructor(cancel: (token: Token) => void) {
    this.cancel = cancel
  }

  /**
   * Starts a call under a token of its own; it settles by `answer`, `fail` or `end`. If the signal fires, the
   * machine is told to cancel and its answer settles the call; for what the machine cannot take back,
   * `onlyWait` gives up the waiting.
   */
  start<R>(begin: (token: Token) => void, signal?: AbortSignal, onlyWait = false): Promise<R> {
    if (signal?.aborted) return rejected(aborted(signal))
    if (this.ended !== undefined) return rejected(this.ended)
    const token = this.nextToken--
    const promise = new Promise<R>((resolve, reject) => {
      const stopWatching = watchSignal(signal, () => {
        if (onlyWait) this.fail(token, aborted(signal!))
        else this.cancel(token)
      })
      this.waiting.set(token, {
        resolve: (value) => {
          stopWatching?.()
          resolve(value as R)
        },
        reject: (error) => {
          stopWatching?.()
          reject(error.code === ErrorCode.aborted && signal?.aborted ? aborted(signal, error.outcome) : error)
        },
      })
      begin(token)
    })
    promise.catch(doNothing)
    return promise
  }

  answer(token: Token, value: unknown): void {
    this.take(token)?.resolve(value)
  }

  fail(token: Token, error: GroupError): void {
    this.take(token)?.reject(error)
  }

  end(error: GroupError): void {
    this.ended = error
    for (const waiting of this.waiting.values()) waiting.reject(error)
    this.waiting.clear()
  }

  private take(token: Token): Waiting | undefined {
    const waiting = this.waiting.get(token)
    this.waiting.delete(token)
    return waiting
  }
}
