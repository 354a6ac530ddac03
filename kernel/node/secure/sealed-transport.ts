/**
 * A transport over another one that seals whatever goes out and opens whatever comes in. Driver and machines see
 * plain packets and know nothing of it; everything that is not sealed with a group key ends here.
 */
import type { Address } from '../../identity.ts'
import type { Clock } from '../clock.ts'
import type { PacketHandler, RefusedHandler, Transport, TransportMode, TransportStats } from '../transport.ts'
import { SEAL_OVERHEAD } from './envelope.ts'
import type { GroupKey } from './group-key.ts'
import { Opener, type SealFault, sealFaults } from './opener.ts'
import { SealBuffers } from './seal-buffers.ts'
import { Sealer } from './sealer.ts'

/** Packets that were not opened, by reason. Only rise. */
export type SealCounters = Record<SealFault, number>

export interface SealedTransportOptions {
  /** The newest first: that one seals, all of them open. */
  readonly keys: readonly GroupKey[]
  readonly clock: Clock
  /** Told of each packet that is not opened. */
  readonly onFault?: (from: Address, fault: SealFault) => void
}

export class SealedTransport implements Transport {
  readonly mode: TransportMode
  readonly window: number
  readonly packetSizeMax: number
  readonly packetSizeDefault: number
  readonly staysInMemory = true
  readonly isAuthentic = true
  readonly faults = Object.fromEntries(sealFaults.map((fault) => [fault, 0])) as SealCounters
  private readonly inner: Transport
  private readonly sealer: Sealer
  private readonly opener: Opener
  private readonly buffers: SealBuffers
  private readonly clock: Clock
  private readonly onFault: (from: Address, fault: SealFault) => void
  /** The packet sealed last, and what became of it: a fan-out hands over the same one for each member. */
  private lastPacket: Uint8Array | undefined
  private lastSealed: Uint8Array | undefined
  private isPreparing = false
  /** Where the last packet went first: there again it is repeated, and needs a counter of its own. */
  private lastTo: Address | undefined

  constructor(inner: Transport, { keys, clock, onFault = () => {} }: SealedTransportOptions) {
    this.inner = inner
    this.clock = clock
    this.onFault = onFault
    this.sealer = new Sealer(keys[0]!)
    this.opener = new Opener(keys)
    this.buffers = new SealBuffers(() => inner.isIdle)
    this.mode = inner.mode
    this.packetSizeMax = inner.packetSizeMax - SEAL_OVERHEAD
    this.packetSizeDefault = inner.packetSizeDefault - SEAL_OVERHEAD
    this.window = Math.floor((inner.window * this.packetSizeDefault) / inner.packetSizeDefault)
  }

  get address(): Address {
    return this.inner.address
  }

  get stats(): TransportStats {
    return this.inner.stats
  }

  /** A packet has been read when it is sealed. From this answer on it may be written to, so it is forgotten. */
  get isIdle(): boolean {
    this.lastPacket = undefined
    this.lastSealed = undefined
    return true
  }

  isOwn(to: Address): boolean {
    return this.inner.isOwn(to)
  }

  send(to: Address, packet: Uint8Array): void {
    this.inner.send(to, this.seal(packet, to))
    this.sealer.prepare()
  }

  multicast(port: string, packet: Uint8Array): void {
    if (this.mode !== 'multicast') return
    this.inner.multicast(port, this.seal(packet, undefined))
    this.sealer.prepare()
  }

  check(to: Address, refused: RefusedHandler): void {
    this.inner.check?.(to, refused)
  }

  listen(port: string): Promise<void> {
    return this.inner.listen(port)
  }

  unlisten(port: string): void {
    this.inner.unlisten(port)
  }

  onPacket(handler: PacketHandler): void {
    this.inner.onPacket((from, sealed) => {
      const packet = this.open(from, sealed)
      if (packet === undefined) return
      handler(from, packet)
      // Later in this turn of the loop: the program's code, which hears of the packet, goes first.
      if (this.isPreparing) return
      this.isPreparing = true
      setImmediate(this.prepareOpener)
    })
  }

  hold(keep: boolean): void {
    this.inner.hold(keep)
  }

  flush(): Promise<void> {
    return this.inner.flush()
  }

  close(): Promise<void> {
    return this.inner.close()
  }

  private readonly prepareOpener = (): void => {
    this.isPreparing = false
    this.opener.prepare()
  }

  private seal(packet: Uint8Array, to: Address | undefined): Uint8Array {
    if (this.lastSealed !== undefined && packet === this.lastPacket && to !== this.lastTo)
      return this.lastSealed
    const buffer = this.buffers.take(packet.length + SEAL_OVERHEAD)
    const sealed = buffer.subarray(0, this.sealer.seal(packet, buffer))
    this.lastPacket = packet
    this.lastSealed = sealed
    this.lastTo = to
    return sealed
  }

  private open(from: Address, sealed: Uint8Array): Uint8Array | undefined {
    if (sealed.length >= SEAL_OVERHEAD && this.sealer.isOwn(sealed)) {
      this.stats.echoes++
      return undefined
    }
    const opened = this.opener.open(sealed, this.clock())
    if (typeof opened !== 'string') return opened
    this.faults[opened]++
    this.onFault(from, opened)
    return undefined
  }
}
