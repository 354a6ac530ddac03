/** One kernel's door to the test network. */
import type { Address } from '../../kernel/identity.ts'
import type { PacketHandler, Transport, TransportMode, TransportStats } from '../../kernel/node/transport.ts'

/** What carries packets between the doors. */
export interface Carrier {
  unicast(from: MemoryTransport, to: Address, packet: Uint8Array): void
  multicast(from: MemoryTransport, port: string, packet: Uint8Array): void
  closed(transport: MemoryTransport): void
}

export class MemoryTransport implements Transport {
  readonly address: Address
  readonly mode: TransportMode
  readonly window = 4 * 1024 * 1024
  readonly packetSizeMax = 65_507
  readonly packetSizeDefault = 8192
  readonly stats: TransportStats = { lostSends: new Map(), tooLarge: 0, echoes: 0 }
  /** The carrier has copied whatever was handed in: buffers are used again here as they are over sockets. */
  readonly isIdle = true
  readonly staysInMemory = false
  private readonly carrier: Carrier
  private handler: PacketHandler | undefined
  private isClosed = false
  /** Ports listened to, each so many times. BOUNDED by the memberships of the kernel. */
  private readonly ports = new Map<string, number>()

  constructor(address: Address, mode: TransportMode, carrier: Carrier) {
    this.address = address
    this.mode = mode
    this.carrier = carrier
  }

  isOwn(to: Address): boolean {
    return to === this.address
  }

  send(to: Address, packet: Uint8Array): void {
    if (!this.isClosed) this.carrier.unicast(this, to, packet)
  }

  multicast(port: string, packet: Uint8Array): void {
    if (!this.isClosed && this.mode === 'multicast') this.carrier.multicast(this, port, packet)
  }

  async listen(port: string): Promise<void> {
    this.ports.set(port, (this.ports.get(port) ?? 0) + 1)
  }

  unlisten(port: string): void {
    const left = (this.ports.get(port) ?? 1) - 1
    if (left > 0) this.ports.set(port, left)
    else this.ports.delete(port)
  }

  listensTo(port: string): boolean {
    return this.mode === 'multicast' && this.ports.has(port)
  }

  onPacket(handler: PacketHandler): void {
    this.handler = handler
  }

  /** For the carrier: a packet arrives. */
  arrive(from: Address, packet: Uint8Array): void {
    if (!this.isClosed) this.handler?.(from, packet)
  }

  hold(): void {}

  async flush(): Promise<void> {}

  async close(): Promise<void> {
    this.isClosed = true
    this.carrier.closed(this)
  }
}
