/**
 * What a group needs of the machine's side: plain data both ways (kernel/port.ts), so that the machine can
 * live in another thread than a busy program. The kernel makes one over the driver; tests make fakes.
 */
import type { MemberId, Micros } from '../kernel/identity.ts'
import type { Call, MemberInfo, Output } from '../kernel/port.ts'

export interface MemberPort {
  /** Hands a call to the machine; its answers come as outputs, perhaps before this returns. */
  call(call: Call): void
  info(): MemberInfo
  /** The machine's clock; for send times. */
  now(): Micros
  /** Releases the machine without a word to the group, as a crash would. May be called more than once. */
  close(): void
}

/** Where a machine's outputs go. */
export type OutputHandler = (output: Output) => void

/** What a group measures and notices; the log and all other metrics are kept where the machine's outputs pass. */
export interface Observer {
  /** Seconds from a send to its answer; one call for each answered run of messages. */
  sendAnswered(seconds: number): void
  /** The program's codec, by its name, could not decode a body from this member. */
  undecodable(sender: MemberId, codec: string): void
}
