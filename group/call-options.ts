/** Options of a group's calls, and the names of the fields that each call knows. */

export interface SendOptions {
  /** A small message beside the body, handed out with it; at most 1,024 bytes. */
  readonly header?: Uint8Array
  /** Gives up the send; ERR_ABORTED says by its `outcome` whether the message may still be ordered. */
  readonly signal?: AbortSignal
}

export interface ReceiveOptions {
  /** Gives up waiting; nothing is lost, the next call receives it. */
  readonly signal?: AbortSignal
}

export interface ReceiveBatchOptions extends ReceiveOptions {
  /** Deliveries at most, 1 to 2^24. Default 1,024. */
  readonly max?: number
}

export interface ResetOptions {
  /**
   * Delivered with the reset to all members of the new group; at most 1,024 bytes. Where several members call at
   * once, that of the one who coordinates.
   */
  readonly header?: Uint8Array
  /** Gives up waiting. The reset itself goes on: others may have promised to take part. */
  readonly signal?: AbortSignal
}

/** Where a call is made without options: nothing is made for it, and nothing checked. */
export const NONE: Record<string, never> = Object.freeze({})
export const signalOnly = ['signal']
export const headerOnly = ['header']
export const headerAndSignal = ['header', 'signal']
export const batchFields = ['max', 'signal']
