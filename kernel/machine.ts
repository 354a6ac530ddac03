/**
 * The contract between a pure state machine and whatever drives it: the UDP driver, the simulator, a test.
 *
 * - `step` is the only way in. It does no I/O, reads no clock and rolls no dice; the same state and the same
 *   inputs give the same outputs. `now` never goes backwards.
 * - The sink only *records*. The driver carries the effects out after `step` has returned, because an output
 *   runs the program's code, which calls back into `step`; a machine is never re-entered, and asserts it.
 * - After every step the driver asks `nextDeadline()` and arms its one timer. A deadline that is not later
 *   than `now` means "as soon as you have handed me everything that is already waiting": that is how a busy
 *   machine fills packets while a lone message still goes out at once.
 * - A buffer given to the sink is not written to by the machine again, unless the driver gives it back (`release`); the
 *   driver writes nothing to it but its checksum and the flag for it, since a block may lie in it that the machine goes
 *   on reading. Received packets belong to the machine: the driver never writes to them again.
 */
import type { Address, Micros } from './identity.ts'
import type { Call, Output } from './port.ts'
import type { TraceEvent } from './trace.ts'

export type Input =
  | { readonly kind: 'packet'; readonly from: Address; readonly bytes: Uint8Array }
  /** The operating system says that nobody listens at this address any more; asked for by `Sink.check`. */
  | { readonly kind: 'refused'; readonly address: Address }
  | { readonly kind: 'call'; readonly call: Call }
  | { readonly kind: 'tick' }

export interface Sink {
  unicast(to: Address, packet: Uint8Array): void
  /** To every process that listens to the group's multicast address, the sender's siblings included. */
  multicast(packet: Uint8Array): void
  /**
   * Nothing has come from this address for a while: if the operating system can tell that nobody listens
   * there, a `refused` input says so. A hint that need not come; a sink that cannot tell leaves it out.
   */
  check?(address: Address): void
  /** To the program, through the port. */
  output(output: Output): void
  /** For people and checkers; a sink that does not want them leaves it out. */
  trace?(event: TraceEvent): void
}

export interface Machine {
  step(now: Micros, input: Input, sink: Sink): void
  nextDeadline(): Micros | undefined
  /**
   * Takes note of a call that is news for the next step, and asks for none of its own; not while a step runs. False if
   * the call wants a step, and nothing has been noted. A driver may hand in every call without asking.
   */
  note?(call: Call): boolean
  /**
   * A buffer that a step has given to the sink has been read by everybody it was for: the machine may write the
   * next packet into it, and says whether it is going to. A driver that cannot tell never calls this.
   */
  release?(packet: Uint8Array): boolean
}
