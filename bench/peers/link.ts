/** What a client of a peer has to be able to do, to be measured as members are. */

/** What a server keeps at most. Readers are never so far behind: what is on its way is bounded. */
export const KEPT_BYTES = 256 * 2 ** 20

export interface PeerLink {
  /** A send resolves when the server has acknowledged it; without, it resolves at once. */
  readonly isAcknowledged: boolean
  /** A fresh stream, the same at all clients for the same `run`; messages go to `deliver` in their order. */
  begin(run: number, deliver: (body: Uint8Array) => void): Promise<void>
  /** `body` is left unchanged until this has resolved. */
  send(body: Uint8Array): Promise<void>
  /** Nothing of this run is delivered any more. */
  end(): Promise<void>
  close(): Promise<void>
}

export interface LinkOrder {
  /** `host:port` of the servers. */
  readonly servers: readonly string[]
  /** Of this client. The first makes and removes streams. */
  readonly index: number
}
