/**
 * The network between nodes: loses (for each receiver by itself), repeats, delays, reorders, damages, and
 * overruns receive buffers. Every copy of a packet is accounted for.
 */
import { Buffer } from 'node:buffer'
import { crc32 } from 'node:zlib'
import { readU32, writeU32 } from '../../kernel/bytes.ts'
import type { Address, Micros } from '../../kernel/identity.ts'
import {
  CHECKSUM_AT,
  HEADER_BYTES,
  MAGIC,
  PACKET_BYTES_MAX,
  PacketKind,
  sealKeyOf,
  WIRE_VERSION,
  writeSealKey,
} from '../../kernel/packet.ts'
import type { Prng } from '../../kernel/prng.ts'
import { Violation } from './checkers/checker.ts'
import type { EventQueue } from './event-queue.ts'
import type { RunOptions } from './options.ts'
import { describePacket, type Trace } from './trace.ts'

export type DropReason = 'loss' | 'corrupt' | 'overrun' | 'nobody' | 'partition' | 'silent' | 'key'

/** Where packets arrive: a socket's receive buffer. */
export interface Endpoint {
  readonly address: Address
  /** Undefined: taken into the buffer. */
  arrive(from: Address, bytes: Uint8Array): DropReason | undefined
  /** Packets in the buffer. */
  readonly queued: number
  /** Ids of the group keys that its process holds; none where packets are not sealed. */
  readonly keys: readonly number[]
}

/**
 * Told of each packet by whoever aims faults at them; `before`: false if whoever sends or receives it is no
 * more, so that nothing comes of it.
 */
export interface PacketWatch {
  before(side: 'sent' | 'received', kind: number, at: Address): boolean
  after(side: 'sent' | 'received', kind: number, at: Address): void
}

export interface NetworkCounts {
  /** Copies: one for each receiver, repeated and made-up ones included. */
  sent: number
  bytes: number
  /** Handed to a machine. */
  delivered: number
  dropped: Record<DropReason, number>
}

export class Network {
  readonly counts: NetworkCounts = {
    sent: 0,
    bytes: 0,
    delivered: 0,
    dropped: noDrops(),
  }
  watch: PacketWatch | undefined
  /** What lets nothing through from one to another. BOUNDED by the partitions of a run. */
  private readonly cuts = new Set<(from: Address, to: Address) => boolean>()
  private readonly endpoints = new Map<Address, Endpoint>()
  /** When the last packet of a link arrives; for links that keep order. BOUNDED by pairs of nodes. */
  private readonly lastArrival = new Map<string, Micros>()
  private onTheWay = 0
  private isHealed = false
  private readonly queue: EventQueue
  private readonly prng: Prng
  private readonly options: RunOptions
  private readonly trace: Trace | undefined

  constructor(parts: { queue: EventQueue; prng: Prng; options: RunOptions; trace: Trace | undefined }) {
    this.queue = parts.queue
    this.prng = parts.prng
    this.options = parts.options
    this.trace = parts.trace
  }

  attach(endpoint: Endpoint): void {
    this.endpoints.set(endpoint.address, endpoint)
  }

  /** From now on nothing is lost on the way, repeated, damaged or cut off; delays stay. */
  heal(): void {
    this.isHealed = true
    this.cuts.clear()
  }

  /** Nothing gets through where `isCut` says so, until `join`; what is on the way is lost too. */
  cut(isCut: (from: Address, to: Address) => boolean): void {
    if (!this.isHealed) this.cuts.add(isCut)
  }

  join(isCut: (from: Address, to: Address) => boolean): void {
    this.cuts.delete(isCut)
  }

  private isCut(from: Address, to: Address): boolean {
    for (const isCut of this.cuts) if (isCut(from, to)) return true
    return false
  }

  unicast(from: Address, to: Address, packet: Uint8Array): void {
    if (this.watch?.before('sent', packet[2]!, from) === false) return
    this.unicastNow(from, to, packet)
    this.watch?.after('sent', packet[2]!, from)
  }

  private unicastNow(from: Address, to: Address, packet: Uint8Array): void {
    const hash = this.examine(from, packet)
    this.trace?.add(this.queue.now, from, `-> ${to} ${describePacket(packet)}`)
    const endpoint = this.endpoints.get(to)
    if (endpoint === undefined) {
      this.counts.sent++
      this.drop('nobody', from, to, packet)
    } else {
      for (const key of this.keysFor(from, packet)) this.transmit(from, endpoint, packet, hash, key)
    }
  }

  multicast(from: Address, packet: Uint8Array): void {
    if (this.watch?.before('sent', packet[2]!, from) === false) return
    const hash = this.examine(from, packet)
    this.trace?.add(this.queue.now, from, `=> all ${describePacket(packet)}`)
    for (const key of this.keysFor(from, packet))
      for (const endpoint of this.endpoints.values())
        if (endpoint.address !== from) this.transmit(from, endpoint, packet, hash, key)
    this.watch?.after('sent', packet[2]!, from)
  }

  /** Under which keys a rim that seals would send it: that which the packet names, or each that the process holds. */
  private keysFor(from: Address, packet: Uint8Array): readonly number[] {
    const keys = this.endpoints.get(from)?.keys ?? []
    const key = sealKeyOf(packet)
    return key !== 0 ? [key] : keys.length > 0 ? keys : [0]
  }

  /** What every packet must be when it leaves; gives its hash. */
  private examine(from: Address, packet: Uint8Array): number {
    if (packet.length < HEADER_BYTES || packet.length > PACKET_BYTES_MAX) {
      throw new Violation('packets', `a packet of ${packet.length} bytes is sent`)
    }
    const key = sealKeyOf(packet)
    const { keys } = this.endpoints.get(from)!
    if (key !== 0 && keys.length === 0)
      throw new Violation('packets', 'a machine leaves the checksum to the rim')
    if (key !== 0 && !keys.includes(key))
      throw new Violation(
        'settings',
        `${from} seals with a key that it does not hold: ${describePacket(packet)}`,
      )
    if (packet.length > this.options.packetSize) {
      throw new Violation(
        'I10',
        `a packet of ${packet.length} bytes is sent, and packetSize is ${this.options.packetSize}: ${describePacket(packet)}`,
      )
    }
    return crc32(packet)
  }

  private transmit(from: Address, to: Endpoint, packet: Uint8Array, hash: number, key: number): void {
    const { prng, options, isHealed } = this
    this.copy(from, to, packet, hash, key)
    if (isHealed) return
    if (options.duplication > 0 && prng.unit() < options.duplication) this.copy(from, to, packet, hash, key)
    if (options.garbage > 0 && prng.unit() < options.garbage)
      this.schedule(from, to, makeGarbage(prng, packet))
  }

  private copy(from: Address, to: Endpoint, packet: Uint8Array, hash: number, key: number): void {
    const { prng, options, isHealed } = this
    this.counts.sent++
    this.counts.bytes += packet.length
    if (this.isCut(from, to.address)) return this.drop('partition', from, to.address, packet)
    if (!isHealed && options.loss > 0 && prng.unit() < options.loss)
      return this.drop('loss', from, to.address, packet)
    const isDamaged = !isHealed && options.corruption > 0 && prng.unit() < options.corruption
    this.onTheWay++
    this.queue.at(this.arrival(from, to.address), () => {
      this.onTheWay--
      if (crc32(packet) !== hash)
        throw new Violation('packets', 'a machine has written into a packet that it had sent')
      const received = packet.slice()
      writeU32(received, CHECKSUM_AT, 0)
      writeU32(received, CHECKSUM_AT, key === 0 ? hash : crc32(received))
      this.arrive(from, to, isDamaged ? damage(prng, received) : received, key)
    })
  }

  /** Something that no machine has sent, but with a checksum that matches. */
  private schedule(from: Address, to: Endpoint, bytes: Uint8Array): void {
    this.counts.sent++
    this.onTheWay++
    this.queue.at(this.arrival(from, to.address), () => {
      this.onTheWay--
      this.arrive(from, to, bytes)
    })
  }

  private arrive(from: Address, to: Endpoint, bytes: Uint8Array, key = 0): void {
    if (this.isCut(from, to.address)) return this.drop('partition', from, to.address, bytes)
    if (!hasValidChecksum(bytes)) return this.drop('corrupt', from, to.address, bytes)
    if (key !== 0 && !to.keys.includes(key)) return this.drop('key', from, to.address, bytes)
    if (to.keys.length > 0) writeSealKey(bytes, key)
    const reason = to.arrive(from, bytes)
    if (reason !== undefined) this.drop(reason, from, to.address, bytes)
  }

  drop(reason: DropReason, from: Address, to: Address, bytes: Uint8Array): void {
    this.counts.dropped[reason]++
    this.trace?.add(this.queue.now, to, `drops (${reason}) from ${from}: ${describePacket(bytes)}`)
  }

  private arrival(from: Address, to: Address): Micros {
    const { prng, options, queue } = this
    const isLate = !this.isHealed && options.tail > 0 && prng.unit() < options.tail
    const delay = options.delay * (1 + options.jitter * prng.unit()) * (isLate ? 10 : 1)
    const at = queue.now + Math.round(delay)
    if (options.reorder) return at
    const link = `${from} ${to}`
    const inOrder = Math.max(at, this.lastArrival.get(link) ?? 0)
    this.lastArrival.set(link, inOrder)
    return inOrder
  }

  /** Every copy is somewhere. */
  checkAccounts(): void {
    const { sent, delivered, dropped } = this.counts
    let queued = 0
    for (const endpoint of this.endpoints.values()) queued += endpoint.queued
    const droppedInAll = Object.values(dropped).reduce((sum, count) => sum + count, 0)
    const found = delivered + droppedInAll + this.onTheWay + queued
    if (sent !== found) {
      throw new Violation(
        'packets',
        `${sent} packets were sent, and ${found} found: ${delivered} delivered, ${droppedInAll} dropped, ${this.onTheWay} on the way, ${queued} in buffers`,
      )
    }
  }
}

export function noDrops(): Record<DropReason, number> {
  return { loss: 0, corrupt: 0, overrun: 0, nobody: 0, partition: 0, silent: 0, key: 0 }
}

/** As the rim does it: over the packet with its checksum zero. */
function hasValidChecksum(bytes: Uint8Array): boolean {
  if (bytes.length < CHECKSUM_AT + 4) return false
  const found = readU32(bytes, CHECKSUM_AT)
  writeU32(bytes, CHECKSUM_AT, 0)
  const computed = crc32(bytes)
  writeU32(bytes, CHECKSUM_AT, found)
  return found === computed
}

function damage(prng: Prng, bytes: Uint8Array): Uint8Array {
  if (prng.chance(1, 3)) return bytes.subarray(0, prng.below(bytes.length))
  for (let i = prng.between(1, 8); i > 0; i--) bytes[prng.below(bytes.length)]! ^= prng.between(1, 255)
  return bytes
}

/**
 * Bytes for the decoder to refuse: random ones, random ones behind the right first bytes, or a real packet
 * cut short. (A whole header that lies is no garbage: no machine could tell. A fragment cut short would be
 * one too, so these are cut inside the header.)
 */
function makeGarbage(prng: Prng, packet: Uint8Array): Uint8Array {
  let bytes: Uint8Array
  const kind = packet[2]
  if (prng.chance(1, 2)) {
    const isFragment = kind === PacketKind.streamData || kind === PacketKind.data
    bytes = Buffer.from(packet.subarray(0, 8 + prng.below((isFragment ? HEADER_BYTES : packet.length) - 8)))
  } else {
    bytes = new Uint8Array(prng.between(8, 300))
    for (let i = 0; i < bytes.length; i++) bytes[i] = prng.u32() & 0xff
    if (prng.chance(3, 4)) {
      bytes[0] = MAGIC
      bytes[1] = WIRE_VERSION
      bytes[2] = prng.between(0, 20)
    }
  }
  writeU32(bytes, CHECKSUM_AT, 0)
  writeU32(bytes, CHECKSUM_AT, crc32(bytes))
  return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length)
}
