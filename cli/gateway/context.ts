/** What the routes of one gateway share. */
import type { Access } from './access.ts'
import { GatewayCode, GatewayError } from './errors.ts'
import type { GatewayKernel, Groups } from './groups.ts'
import type { GatewayLimits, GatewayLog } from './options.ts'

/** How long a client may take to send its whole request. */
export const REQUEST_MS = 60_000

export interface GatewayContext {
  readonly groups: Groups
  readonly kernel: GatewayKernel
  readonly access: Access
  readonly limits: GatewayLimits
  readonly log: GatewayLog
  readonly streams: Streams
  /** Undefined while the gateway takes requests; else why it does not. */
  refusal(): GatewayError | undefined
  /** Undefined if the gateway is ready; else what is missing. */
  unreadiness(): string | undefined
}

/** Counts event streams and WebSockets. */
export class Streams {
  private readonly max: number
  private open = 0

  constructor(max: number) {
    this.max = max
  }

  get count(): number {
    return this.open
  }

  /** Throws ERR_BUSY; else gives the function that leaves, to be called once or more. */
  enter(): () => void {
    if (this.open >= this.max) {
      throw new GatewayError(GatewayCode.busy, `${this.open} readers are connected already; come again later`)
    }
    this.open++
    let hasLeft = false
    return () => {
      if (!hasLeft) this.open--
      hasLeft = true
    }
  }
}
