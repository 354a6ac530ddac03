/**
 * The machines' trace, for whoever listens on a diagnostics channel of this process:
 *
 *   import { subscribe } from 'node:diagnostics_channel'
 *   subscribe('amoebacast:trace', (message) => console.error(message))
 *
 * Without a listener a turning point costs one comparison.
 */
import { channel } from 'node:diagnostics_channel'
import type { Micros, Nonce } from '../identity.ts'
import type { TraceEvent } from '../trace.ts'

export const TRACE_CHANNEL = 'amoebacast:trace'

export interface TraceMessage extends TraceEvent {
  readonly at: Micros
  readonly port: string
  readonly nonce: Nonce
}

const traces = channel(TRACE_CHANNEL)

export function publishTrace(at: Micros, port: string, nonce: Nonce, event: TraceEvent): void {
  if (traces.hasSubscribers) traces.publish({ at, port, nonce, ...event } satisfies TraceMessage)
}
