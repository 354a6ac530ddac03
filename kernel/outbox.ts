/**
 * Where packets are put together: the common header with its piggybacked numbers is written once here. Bound
 * to the sink and the time of the step that runs.
 */

import { assert } from './assert.ts'
import { writeU53, writeU64 } from './bytes.ts'
import type { Counters } from './counters.ts'
import type { Address, GroupId, Incarnation, MemberId, Micros, Nonce, Seq } from './identity.ts'
import { keepNewest } from './keep-newest.ts'
import type { Sink } from './machine.ts'
import { hasVersion, ownVersions, type Versions } from './meeting-packets.ts'
import type { OrderState } from './order-state.ts'
import {
  DESTINATION_AT,
  FLAGS_AT,
  HEADER_BYTES,
  KIND_AT,
  PacketKind,
  RECEIVED_AT,
  sealKeyOf,
  TAKEN_AT,
  VERSION_AT,
  writeHeader,
  writeSealKey,
} from './packet.ts'
import { PacketPool } from './packet-pool.ts'
import type { Output } from './port.ts'
import type { Agreed, Settings } from './settings.ts'
import type { Member } from './view.ts'

export interface OutboxOptions {
  readonly nonce: Nonce
  readonly address: Address
  /** Bytes that the own socket can buffer. */
  readonly window: number
  readonly transport: 'multicast' | 'unicast'
  /** Bytes of the largest packet. */
  readonly packetSize: number
  /** What this process reads and writes; of tests only other than this build's. */
  readonly versions?: Versions
  /** Ids of the group keys that this process holds, the newest first. */
  readonly keys?: readonly number[]
}

/** Others that write or seal otherwise than the group does by now, and are answered likewise. */
const OTHER_WAYS_MAX = 256

/**
 * Kinds that go out under each key held: who asks does not know what the one asked holds, because it is in no group yet,
 * or may have missed what the group has agreed upon.
 */
const isUnderEachKey: readonly boolean[] = (() => {
  const kinds: boolean[] = []
  for (const kind of [PacketKind.locate, PacketKind.invite, PacketKind.inquiry, PacketKind.probe])
    kinds[kind] = true
  return kinds
})()

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
  readonly versions: Versions
  /** Ids of the group keys that this process holds, the newest first; none where packets are not sealed. */
  keys: readonly number[]
  /** What a process that is no member goes by: its own, or what it has heard of the group that it wants to join. */
  ownSettings: Settings
  /**
   * The key and version of those who go by other settings than this member, by nonce: they have not heard of a change yet,
   * or are out of the group. BOUNDED by OTHER_WAYS_MAX, the oldest goes first.
   */
  private readonly otherWays = new Map<Nonce, { readonly version: number; readonly keyId: number }>()
  /** How far this member was when it last announced a key that is not its newest any more. BOUNDED by the keys held. */
  private readonly announced = new Map<number, number>()
  private readonly header = new Uint8Array(HEADER_BYTES)
  private writtenSettings: Settings | undefined
  /** Whose names are in it; nobody's at first. */
  private readonly written: Identity = { groupId: 0n, incarnation: -1, coordinator: 0, memberId: 0 }

  constructor(options: OutboxOptions, counters: Counters, state: () => OrderState | undefined) {
    this.options = options
    this.counters = counters
    this.state = state
    this.pool = new PacketPool(options.packetSize)
    this.versions = options.versions ?? ownVersions
    this.keys = options.keys ?? []
    this.ownSettings = { seq: 0, version: this.versions.lowest, keyId: 0 }
  }

  // ---- what is agreed upon: settings.ts ---------------------------------------------------------------

  /** What packets are written and sealed by. */
  get settings(): Settings {
    return this.state()?.settings ?? this.ownSettings
  }

  /** Of the newest key that this process holds; 0 without one. */
  get newestKey(): number {
    return this.keys[0] ?? 0
  }

  /**
   * A process that is no member writes and seals from now on as the group does, which has told what that is. Where it
   * cannot, what it lacks, and nothing changes.
   */
  goBy({ version, keyId }: Agreed): 'version' | 'key' | undefined {
    if (!hasVersion(this.versions, version)) return 'version'
    if (keyId !== 0 && !this.keys.includes(keyId)) return 'key'
    this.ownSettings = { seq: 0, version, keyId }
    return undefined
  }

  /** The process's keys have changed. */
  setKeys(keys: readonly number[]): void {
    if (this.newestKey !== 0) this.announced.set(this.newestKey, this.state()?.history.received ?? 0)
    this.keys = keys
    this.writtenSettings = undefined
    for (const key of this.announced.keys()) if (!keys.includes(key)) this.announced.delete(key)
    for (const [nonce, { keyId }] of this.otherWays) if (!keys.includes(keyId)) this.otherWays.delete(nonce)
  }

  /**
   * How far this member was when it said last that `keyId` is its newest: without end while it is; undefined if it never
   * was.
   */
  announcedAt(keyId: number): Seq | undefined {
    return keyId === this.newestKey ? Number.POSITIVE_INFINITY : this.announced.get(keyId)
  }

  /** Somebody's packet has come, written in a version and under a key: so it is answered. */
  heard(nonce: Nonce, version: number, packet: Uint8Array): void {
    const settings = this.state()?.settings
    // who is no member asks in its own way, and answers nobody
    if (settings === undefined) return
    const keyId = this.keys.length === 0 ? 0 : sealKeyOf(packet)
    if (version === settings.version && (keyId === settings.keyId || keyId === 0)) {
      if (this.otherWays.size > 0) this.otherWays.delete(nonce)
      return
    }
    // (a key that was taken away while its packet waited here is none)
    const way = { version, keyId: this.keys.includes(keyId) ? keyId : settings.keyId }
    keepNewest(this.otherWays, nonce, way, OTHER_WAYS_MAX)
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

  /**
   * A packet for one who may have gone on to other keys than this member has heard of: it goes out under each key held.
   * (One that was cut off before a change of key asked its former companions under the old one, which they had let go of:
   * seed 40030208.)
   */
  packetUnderEachKey(kind: PacketKind, flags: number, destination: Nonce, bodyBytes: number): Uint8Array {
    const bytes = this.packet(kind, flags, destination, bodyBytes)
    if (this.keys.length > 1) writeSealKey(bytes, 0)
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
    if (destination !== 0n) {
      writeU64(bytes, DESTINATION_AT, destination)
      if (this.otherWays.size > 0) this.writeOtherWay(bytes, destination)
    }
    if (this.keys.length > 1 && isUnderEachKey[kind] === true) writeSealKey(bytes, 0)
    writeU53(bytes, RECEIVED_AT, received)
    writeU53(bytes, TAKEN_AT, Math.min(this.taken, received))
  }

  private writeOtherWay(bytes: Uint8Array, destination: Nonce): void {
    const way = this.otherWays.get(destination)
    if (way === undefined) return
    bytes[VERSION_AT] = way.version
    writeSealKey(bytes, way.keyId)
  }

  /** A header with all that stays the same from packet to packet, written once for each identity and settings. */
  private names(): Uint8Array {
    const { identity, written, options } = this
    const { groupId, incarnation, coordinator, memberId } = identity
    const { settings } = this
    const isWritten =
      this.writtenSettings === settings &&
      written.groupId === groupId &&
      written.incarnation === incarnation &&
      written.coordinator === coordinator &&
      written.memberId === memberId
    if (isWritten) return this.header
    Object.assign(written, identity)
    this.writtenSettings = settings
    const { version, keyId } = this.within(settings)
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
      version,
      newestKey: this.newestKey,
    })
    writeSealKey(this.header, keyId)
    return this.header
  }

  /**
   * What this process can do of what the group goes by. One that has left may hold a change that was agreed upon behind its leave,
   * and has to ack a reset as a witness: it seals with each key that it has. (It sealed with one that it did not have, and the
   * reset waited for its ack: seed 72007182.)
   */
  private within({ version, keyId }: Settings): Agreed {
    const isHeld = keyId === 0 || this.keys.includes(keyId)
    return { version: Math.min(version, this.versions.highest), keyId: isHeld ? keyId : 0 }
  }

  unicast(to: Address, packet: Uint8Array): void {
    this.counters.packet('out', packet[KIND_AT]!, packet.length)
    this.current().unicast(to, packet)
  }

  multicast(packet: Uint8Array): void {
    this.counters.packet('out', packet[KIND_AT]!, packet.length)
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

  /** A packet that was sent may be overwritten; whether it will be. */
  release(packet: Uint8Array): boolean {
    return this.pool.give(packet)
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
