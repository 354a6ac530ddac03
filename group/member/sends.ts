/** A block of sends that go together, on its way to the sequencer, or ordered and not official yet (sender.ts). */
import type { Micros, RequestNumber, Seq } from '../../kernel/identity.ts'
import type { Token } from '../../kernel/port.ts'

/** A block on its way, from its first packet until its messages are official. */
export class Outstanding {
  readonly block: Uint8Array
  readonly firstRequest: RequestNumber
  readonly count: number
  readonly token: Token
  readonly isLeave: boolean
  /** Too large for one packet. */
  readonly isLarge: boolean
  firstSentAt: Micros
  lastSentAt: Micros
  tries = 0
  /** The sequencer has told that it holds this request. */
  held = false
  /** Its place, once it has one. */
  seq: Seq = 0

  constructor(of: {
    block: Uint8Array
    firstRequest: RequestNumber
    count: number
    token: Token
    isLeave: boolean
    isLarge: boolean
    now: Micros
  }) {
    this.block = of.block
    this.firstRequest = of.firstRequest
    this.count = of.count
    this.token = of.token
    this.isLeave = of.isLeave
    this.isLarge = of.isLarge
    this.firstSentAt = this.lastSentAt = of.now
  }

  covers(token: Token): boolean {
    return token >= this.token && token < this.token + this.count
  }
}
