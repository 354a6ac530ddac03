/**
 * Where packets are put together: the common header with its piggybacked numbers is written once here. Bound
 * to the sink and the time of the step that runs.
 */
import { assert } from './assert.ts'
import type { Counters } from './counters.ts'
import type { Address, GroupId, Incarnation, MemberId, Micros, Nonce } from './identity.ts'
import type { Sink } from './machine.ts'
import type { OrderState } from './order-state.ts'
import { HEADER_BYTES, type PacketKind, writeHeader } from './packet.ts'
import type { Output } from './port.ts'
import type { Member } from './view.ts'

export interface OutboxOptions {
  readonly nonce: Nonce
  readonly address: Address
  readonly window: number
  readonly transport: 'multicast' | 'unicast'
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

  constructor(options: OutboxOptions, counters: Counters, state: () => OrderState | undefined) {
    this.options = options
    this.counters = counters
    this.state = state
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

  /** A packet with its header written and `bodyBytes` bytes of body to be filled in. */
  packet(kind: PacketKind, flags: number, destination: Nonce, bodyBytes: number): Uint8Array {
    const bytes = new Uint8Array(HEADER_BYTES + bodyBytes)
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
    const { identity, options } = this
    const received = this.state()?.history.received ?? 0
    writeHeader(bytes, {
      kind,
      flags,
      groupId: identity.groupId,
      incarnation: identity.incarnation,
      coordinator: identity.coordinator,
      sender: identity.memberId,
      senderNonce: options.nonce,
      destination,
      received,
      taken: Math.min(this.taken, received),
      window: options.window,
    })
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
