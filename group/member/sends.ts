/**
 * A send, or a block of sends that go together, at each stop of its way (sender.ts): waiting for room, on its way to
 * the sequencer, ordered and not official yet.
 */
import type { Micros, RequestNumber, Seq } from '../../kernel/identity.ts'
import type { Token } from '../../kernel/port.ts'

export interface Waiting {
  readonly token: Token
  readonly channel: number
  readonly header: Uint8Array
  readonly body: Uint8Array
  readonly bytes: number
  /** The member's leave goes in line behind its messages. */
  readonly isLeave: boolean
}

export interface Outstanding {
  readonly block: Uint8Array
  readonly firstRequest: RequestNumber
  readonly count: number
  readonly token: Token
  readonly isLeave: boolean
  /** Too large for one packet. */
  readonly isLarge: boolean
  firstSentAt: Micros
  lastSentAt: Micros
  tries: number
  /** The sequencer has told that it holds this request. */
  held: boolean
}

export interface Ordered extends Outstanding {
  readonly seq: Seq
}
