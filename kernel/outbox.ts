/**
 * Where packets are put together: the common header with its piggybacked numbers is written once here. Bound
 * to the sink and the time of the step that runs.
 */
import { assert } from './assert.ts'
import { writeU53, writeU64 } from './bytes.ts'
import type { Counters } from './counters.ts'
import type { Address, GroupId, Incarnation, MemberId, Micros, Nonce } from './identity.ts'
import type { Sink } from './machine.ts'
import type { OrderState } from './order-state.ts'
import {
  DESTINATION_AT,
  FLAGS_AT,
  HEADER_BYTES,
  KIND_AT,
  PacketKind,
  RECEIVED_AT,
  TAKEN_AT,
  writeHeader,
} from './packet.ts'
import { PacketPool } from './packet-pool.ts'
import type { Output } from './port.ts'
import type { Member } from './view.ts'

export interface OutboxOptions {
  readonly nonce: Nonce
  readonly address: Address
  readonly window: number
  readonly transport: 'multicast' | 'unicast'
  readonly packetSize: number
}

/** Under which names packets leave; a process that is no member yet uses zeros. */
export interface Identity {
  groupId: GroupId
  incarnation: Incarnation
  coordinator: MemberId
  memberId: MemberId
}

export class Outbox {
  now: Micros = 0
  readonly identity: Identity = { groupId: 0n, incarnation: 0, coordinator: 0, memberId: 0 }
  /** What has been handed to the program; written by the receiver. */
  delivered = 0
  private wanted = 0
  private isClosed = false
  private sink: Sink | undefined
  private readonly options: OutboxOptions
  private readonly counters: Counters
  private readonly state: () => OrderState | undefined
  private readonly pool: PacketPool
  private readonly header = new Uint8Array(HEADER_BYTES)
  /** Whose names are in it; nobody's at first. */
  private readonly written: Identity = { groupId: 0n, incarnation: -1, coordinator: 0, memberId: 0 }

  constructor(options: OutboxOptions, counters: Counters, state: () => OrderState | undefined) {
    this.options = options
    this.counters = counters
    this.state = state
    this.pool = new PacketPool(options.packetSize)
  }

  /** What the program has taken; see reports. A leaver takes everything, but nothing before it is delivered. */
  get taken(): number {
    return Math.min(this.wanted, this.delivered)
  }

  set taken(seq: number) {
    this.wanted = seq
  }

  begin(now: Micros, sink: Sink): void {
    assert(this.sink === undefined, 'a machine is never re-entered')
    assert(now >= this.now, 'time does not go backwards', now, this.now)
    this.now = now
    this.sink = sink
  }

  end(): void {
    this.sink = undefined
  }

  /** A packet with its header written and `bodyBytes` bytes of body, every one of which is to be filled in. */
  packet(kind: PacketKind, flags: number, destination: Nonce, bodyBytes: number): Uint8Array {
    const bytes = this.pool.take(HEADER_BYTES + bodyBytes)
    this.fillHeader(bytes, kind, flags, destination)
    return bytes
  }

  /** A packet around a body that is written already. */
  packetOf(kind: PacketKind, flags: number, destination: Nonce, body: Uint8Array): Uint8Array {
    const bytes = this.packet(kind, flags, destination, body.length)
    bytes.set(body, HEADER_BYTES)
    return bytes
  }

  fillHeader(bytes: Uint8Array, kind: PacketKind, flags: number, destination: Nonce): void {
    const received = this.state()?.history.received ?? 0
    bytes.set(this.names())
    bytes[KIND_AT] = kind
    bytes[FLAGS_AT] = flags
    if (destination !== 0n) writeU64(bytes, DESTINATION_AT, destination)
    writeU53(bytes, RECEIVED_AT, received)
    writeU53(bytes, TAKEN_AT, Math.min(this.taken, received))
  }

  /** A header with all that stays the same from packet to packet, written once for each identity. */
  private names(): Uint8Array {
    const { identity, written, options } = this
    const { groupId, incarnation, coordinator, memberId } = identity
    const isWritten =
      written.groupId === groupId &&
      written.incarnation === incarnation &&
      written.coordinator === coordinator &&
      written.memberId === memberId
    if (isWritten) return this.header
    Object.assign(written, identity)
    writeHeader(this.header, {
      kind: PacketKind.state,
      flags: 0,
      groupId,
      incarnation,
      coordinator,
      sender: memberId,
      senderNonce: options.nonce,
      destination: 0n,
      received: 0,
      taken: 0,
      window: options.window,
    })
    return this.header
  }

  unicast(to: Address, packet: Uint8Array): void {
    this.counters.packet('out', packet[2]!, packet.length)
    this.current().unicast(to, packet)
  }

  multicast(packet: Uint8Array): void {
    this.counters.packet('out', packet[2]!, packet.length)
    this.current().multicast(packet)
  }

  /**
   * To all of `members` but this one: one multicast, or a copy to each address where there is no multicast
   * (the paper's simulated broadcast, section 4).
   */
  broadcast(packet: Uint8Array, members: Iterable<Member>): void {
    if (this.options.transport === 'multicast') {
      this.multicast(packet)
      return
    }
    const addresses = new Set<Address>()
    for (const member of members) if (member.nonce !== this.options.nonce) addresses.add(member.address)
    for (const address of addresses) this.unicast(address, packet)
  }

  /** A packet that was sent may be overwritten. */
  release(packet: Uint8Array): void {
    this.pool.give(packet)
  }

  /** Has the operating system asked whether anybody listens there still. */
  check(address: Address): void {
    this.current().check?.(address)
  }

  /** Under other names than those that count now: for answers to members of an older view. */
  under(identity: Pick<Identity, 'incarnation' | 'coordinator'>, send: () => void): void {
    const { incarnation, coordinator } = this.identity
    Object.assign(this.identity, { incarnation: identity.incarnation, coordinator: identity.coordinator })
    send()
    Object.assign(this.identity, { incarnation, coordinator })
  }

  /** The life is over: whatever a step under way still has to say is said to nobody. */
  close(): void {
    this.isClosed = true
  }

  output(output: Output): void {
    if (this.isClosed) return
    this.current().output(output)
  }

  trace(mark: string, detail: Readonly<Record<string, number | string | boolean>> = {}): void {
    this.current().trace?.({ mark, detail })
  }

  private current(): Sink {
    assert(this.sink !== undefined, 'effects are recorded within a step only')
    return this.sink
  }
}
