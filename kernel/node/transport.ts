/**
 * What the driver needs of a network. UdpTransport is the real one; an in-memory one stands in for tests.
 *
 * - `send` and `multicast` never throw and promise nothing: a packet that could not be sent is a lost packet,
 *   and counted. The buffer may be read after the call returns; nobody writes to it before `isIdle`.
 * - A handed-in buffer belongs to whoever gets it; a transport never reuses it.
 * - A packet that this transport multicast does not come back to it. (The driver hands copies to the
 *   machines of its own process.)
 */
import type { Address } from '../identity.ts'

export type TransportMode = 'multicast' | 'unicast'

export type PacketHandler = (from: Address, bytes: Uint8Array) => void

/** Told that nobody listens at the address; one function for each who asks, so that it is told once. */
export type RefusedHandler = (address: Address) => void

/** Packets that the transport lost by itself. Only rise. */
export interface TransportStats {
  /** Sends that the system refused for the moment, by error code (EPERM, ENOBUFS, …), and `queue` for a full queue. */
  readonly lostSends: Map<string, number>
  /** Packets larger than the way takes. A fault: the packet size is set too high. */
  tooLarge: number
  /** Own multicasts that came back, and were dropped. */
  echoes: number
}

export interface Transport {
  /** Where unicast reaches this process, as others are to be told. */
  readonly address: Address
  readonly mode: TransportMode
  /** Bytes of full packets that a socket of this transport can buffer unread. */
  readonly window: number
  /** Bytes of the largest packet that can be sent at all, and of one that is wise to send. */
  readonly packetSizeMax: number
  readonly packetSizeDefault: number
  readonly stats: TransportStats
  /** No packet handed in waits to be read any more. */
  readonly isIdle: boolean
  /** Packets never leave this machine's memory: nothing damages them, and checksums cover their headers only. */
  readonly staysInMemory: boolean
  /** Every byte of what it hands in was authenticated: a checksum would say nothing more, and is left out. */
  readonly isAuthentic?: boolean

  /** Whether packets sent to `to` come to this very process. */
  isOwn(to: Address): boolean
  send(to: Address, packet: Uint8Array): void
  /** To everybody who listens to `port`, the group's name. Nothing in unicast mode. */
  multicast(port: string, packet: Uint8Array): void
  /**
   * Asks the system whether anybody listens at `to`. If it says that nobody does, `refused` is called: later,
   * never from within this call. A hint that need not come; a transport that cannot tell leaves it out.
   */
  check?(to: Address, refused: RefusedHandler): void
  /** Begins to receive multicasts for `port`; counted, so it may be called more than once. Nothing in unicast mode. */
  listen(port: string): Promise<void>
  unlisten(port: string): void
  /** The one handler; packets that come before it is set are dropped. */
  onPacket(handler: PacketHandler): void
  /** Whether open sockets are to keep the process alive. */
  hold(keep: boolean): void
  /** Resolves when everything sent so far has been given to the system. */
  flush(): Promise<void>
  /** Resolves when nothing of it is left open. May be called more than once. */
  close(): Promise<void>
}
