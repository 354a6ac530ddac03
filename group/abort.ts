/** AbortSignals beside calls: one listener for each waiting call, taken off again when the call settles. */
import { ErrorCode, GroupError, invalidArgument, type Outcome } from '../kernel/errors.ts'

export function aborted(signal: AbortSignal, outcome?: Outcome): GroupError {
  return new GroupError(ErrorCode.aborted, "the caller's signal gave up the call", {
    outcome,
    cause: signal.reason,
  })
}

export function checkSignal(signal: AbortSignal | undefined): void {
  if (signal !== undefined && !(signal instanceof AbortSignal)) {
    throw invalidArgument('signal', signal, 'an AbortSignal')
  }
}

/**
 * What is to be called when a signal fires. One listener a signal, however many calls share it: Node warns of
 * a leak from the eleventh listener on. BOUNDED by the calls that wait.
 */
const watched = new WeakMap<
  AbortSignal,
  { readonly callbacks: Set<() => void>; readonly listener: () => void }
>()

/** Calls `onAbort` when the signal fires; the function given back takes it off again. */
export function watchSignal(signal: AbortSignal | undefined, onAbort: () => void): (() => void) | undefined {
  if (signal === undefined) return undefined
  const { callbacks, listener } = watched.get(signal) ?? watch(signal)
  callbacks.add(onAbort)
  return () => {
    if (!callbacks.delete(onAbort) || callbacks.size > 0) return
    signal.removeEventListener('abort', listener)
    watched.delete(signal)
  }
}

function watch(signal: AbortSignal): { callbacks: Set<() => void>; listener: () => void } {
  const callbacks = new Set<() => void>()
  const listener = (): void => {
    watched.delete(signal)
    for (const callback of callbacks) callback()
  }
  const watching = { callbacks, listener }
  watched.set(signal, watching)
  signal.addEventListener('abort', listener, { once: true })
  return watching
}

export function doNothing(): void {}

/** A rejected promise that is no unhandled rejection when nobody waits for it. */
export function rejected<T>(error: unknown): Promise<T> {
  const promise = Promise.reject<T>(error)
  promise.catch(doNothing)
  return promise
}
