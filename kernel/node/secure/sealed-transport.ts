/**
 * A transport over another one that seals whatever goes out and opens whatever comes in. Driver and machines see
 * plain packets; everything that is not sealed with a group key ends here.
 *
 * Which key a packet is sealed with stands in the packet (sealKeyOf): that of its group, or of the question that it answers;
 * or none, for a question that goes out under each key held. What is handed in says under which key it came. So
 * nothing here knows of groups, and a change of keys takes effect with the packet that is written next.
 */
import { readU32 } from '../../bytes.ts'
import type { Address } from '../../identity.ts'
import { sealKeyOf, writeSealKey } from '../../packet.ts'
import type { Clock } from '../clock.ts'
import { freeBuffer } from '../free-buffer.ts'
import type { PacketHandler, RefusedHandler, Transport, TransportMode, TransportStats } from '../transport.ts'
import { type Ciphers, systemCiphers } from './ciphers.ts'
import { KEY_ID_AT, SEAL_OVERHEAD } from './envelope.ts'
import type { GroupKey } from './group-key.ts'
import { Opener, type SealFault, sealFaults } from './opener.ts'
import { SealBuffers } from './seal-buffers.ts'
import { Sealer } from './sealer.ts'
import { Senders } from './senders.ts'

/** Packets that were not opened, by reason. Only rise. */
export type SealCounters = Record<SealFault, number>

export interface SealedTransportOptions {
  /** The newest first. All of them open; which one seals, the packet says. */
  readonly keys: readonly GroupKey[]
  readonly clock: Clock
  /** Those of loadCiphers; without them everything goes through node:crypto. */
  readonly ciphers?: Ciphers
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
  /**
   * One for each key, made when it first seals, with a salt and a counter of its own. One that was taken away stays
   * here: if its key comes back, the counter goes on. BOUNDED by the keys that this process is ever given, of which each
   * costs an operator a step.
   */
  private readonly sealers: { readonly keyId: number; readonly sealer: Sealer }[] = []
  private keys: readonly GroupKey[]
  /** That of the packet sealed last. */
  private sealer: Sealer | undefined
  private sealerId = 0
  private readonly opener: Opener
  private readonly buffers: SealBuffers
  private readonly clock: Clock
  private readonly ciphers: Ciphers
  private readonly onFault: (from: Address, fault: SealFault) => void
  /** The packet sealed last, and what became of it: a fan-out hands over the same one for each member. */
  private lastPacket: Uint8Array | undefined
  private lastSealed: Uint8Array | undefined
  /** Where the last packet went first: there again it is repeated, and needs a counter of its own. */
  private lastTo: Address | undefined

  constructor(
    inner: Transport,
    { keys, clock, ciphers = systemCiphers, onFault = () => {} }: SealedTransportOptions,
  ) {
    this.inner = inner
    this.clock = clock
    this.ciphers = ciphers
    this.onFault = onFault
    this.keys = keys
    this.opener = new Opener(keys, new Senders(), ciphers)
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

  /** Senders forgotten because too many others were heard later. */
  get evictions(): number {
    return this.opener.senders.evictions
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

  /** Seals and opens with these from now on, the newest first. */
  setKeys(keys: readonly GroupKey[]): void {
    this.keys = keys
    this.opener.setKeys(keys)
    this.lastPacket = undefined
    this.lastSealed = undefined
    this.sealer = undefined
    this.sealerId = 0
  }

  send(to: Address, packet: Uint8Array): void {
    const keyId = sealKeyOf(packet)
    if (keyId === 0) {
      for (const { id } of this.keys) this.inner.send(to, this.sealAlone(packet, id))
      return
    }
    const sealer = this.sealerFor(keyId)
    if (sealer === undefined) return
    this.inner.send(to, this.seal(packet, to, sealer))
  }

  multicast(port: string, packet: Uint8Array): void {
    if (this.mode !== 'multicast') return
    const keyId = sealKeyOf(packet)
    if (keyId === 0) {
      for (const { id } of this.keys) this.inner.multicast(port, this.sealAlone(packet, id))
      return
    }
    const sealer = this.sealerFor(keyId)
    if (sealer === undefined) return
    this.inner.multicast(port, this.seal(packet, undefined, sealer))
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
      // what was opened is in a buffer of its own, for which the envelope's was counted; what was not is of no use
      freeBuffer(sealed)
      if (packet !== undefined) handler(from, packet)
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

  /** Undefined for a key that is not held any more: the packet counts as lost. */
  private sealerFor(keyId: number): Sealer | undefined {
    if (this.sealerId === keyId) return this.sealer
    const key = this.keys.find(({ id }) => id === keyId)
    if (key === undefined) {
      const { lostSends } = this.stats
      lostSends.set('key', (lostSends.get('key') ?? 0) + 1)
      return undefined
    }
    let sealer = this.sealers.find((one) => one.keyId === keyId)?.sealer
    if (sealer === undefined) {
      sealer = new Sealer(key, this.ciphers)
      this.sealers.push({ keyId, sealer })
    }
    this.sealer = sealer
    this.sealerId = keyId
    return sealer
  }

  /** Of a packet that goes out under several keys. */
  private sealAlone(packet: Uint8Array, keyId: number): Uint8Array {
    const sealer = this.sealerFor(keyId)!
    const buffer = this.buffers.take(packet.length + SEAL_OVERHEAD)
    return buffer.subarray(0, sealer.seal(packet, buffer))
  }

  private seal(packet: Uint8Array, to: Address | undefined, sealer: Sealer): Uint8Array {
    if (this.lastSealed !== undefined && packet === this.lastPacket && to !== this.lastTo)
      return this.lastSealed
    const buffer = this.buffers.take(packet.length + SEAL_OVERHEAD)
    const sealed = buffer.subarray(0, sealer.seal(packet, buffer))
    this.lastPacket = packet
    this.lastSealed = sealed
    this.lastTo = to
    return sealed
  }

  private isOwnSeal(sealed: Uint8Array): boolean {
    for (let i = 0; i < this.sealers.length; i++) if (this.sealers[i]!.sealer.isOwn(sealed)) return true
    return false
  }

  private open(from: Address, sealed: Uint8Array): Uint8Array | undefined {
    if (sealed.length >= SEAL_OVERHEAD && this.isOwnSeal(sealed)) {
      this.stats.echoes++
      return undefined
    }
    const opened = this.opener.open(sealed, this.clock())
    if (typeof opened !== 'string') {
      writeSealKey(opened, readU32(sealed, KEY_ID_AT))
      return opened
    }
    this.faults[opened]++
    this.onFault(from, opened)
    return undefined
  }
}
