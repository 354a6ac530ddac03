/**
 * Waiting for names among the peers. Who asks for a port before the names are answered asks nobody, and would
 * say that a group is not there, or create a second one. So the call waits until each name is answered, but
 * not longer than `waitMs`, and not if the port is found meanwhile by multicast or by the peers known so far.
 */
import { ErrorCode, GroupError } from '../kernel/errors.ts'
import type { PeerWatch } from '../kernel/node/peers.ts'
import { doNothing } from './abort.ts'
import type { ControlCalls } from './control-calls.ts'

export interface PeerNames {
  readonly watch: Pick<PeerWatch, 'isWaiting' | 'need' | 'onChange' | 'unresolved'>
  readonly waitMs: number
}

/** Resolves if somebody answers for the port; rejects if not, and soon after the signal has fired. */
export type Probe = (signal: AbortSignal) => Promise<unknown>

/**
 * Resolves when there is no more to wait for. Rejects as `controls` do: with what ends them, or when `signal`
 * fires and they are told to cancel.
 */
export async function waitForNames(
  { watch, waitMs }: PeerNames,
  controls: ControlCalls,
  probe: Probe,
  signal: AbortSignal | undefined,
): Promise<void> {
  if (!watch.isWaiting) return
  const probing = new AbortController()
  let probes: Promise<void> = Promise.resolve()
  let token = 0
  const proceed = (): void => controls.answer(token, undefined)
  let isProbeDue = false
  const probeOnce = async (): Promise<void> => {
    isProbeDue = false
    if (probing.signal.aborted) return
    await probe(probing.signal)
    proceed()
  }
  const look = (): void => {
    if (!watch.isWaiting) proceed()
    if (!watch.isWaiting || isProbeDue) return
    // One after the other: each asks the peers that are known when it begins.
    isProbeDue = true
    probes = probes.then(probeOnce).catch(doNothing)
  }
  // Keeps the process alive, unlike the timers of the names: somebody waits for this.
  const timer = setTimeout(proceed, waitMs)
  let stopWatching: (() => void) | undefined
  try {
    await controls.start<void>((given) => {
      token = given
      stopWatching = watch.onChange(look)
      look()
    }, signal)
  } finally {
    clearTimeout(timer)
    stopWatching?.()
    probing.abort()
    await probes
  }
}

/** The same failure, saying also which names did not resolve, where that may be why nobody was found. */
export function namingUnresolved(error: unknown, { watch }: PeerNames): unknown {
  if (!(error instanceof GroupError) || error.code !== ErrorCode.notFound) return error
  const names = watch.unresolved().map(({ name, reason }) => `${name} (${reason})`)
  if (names.length === 0) return error
  const message = `${error.message}; names among the peers that did not resolve: ${names.join(', ')}`
  return new GroupError(error.code, message, { cause: error })
}
