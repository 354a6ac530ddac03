/**
 * The packet: one page that tells the whole format. Every packet begins with this header; what follows
 * depends on the kind and is described beside its functions in packets.ts. Numbers are big-endian; a
 * "u53" is 8 bytes of which the upper 11 bits must be zero; flag bits that are not known are ignored.
 *
 *    0       1       2       3       4
 *    +-------+-------+-------+-------+---------------+
 *    | magic |version| kind  | flags |   checksum    |  checksum: CRC-32 of the packet with these 4 bytes 0,
 *    +-------+-------+-------+-------+---------------+  written and checked by the rim (kernel/node); with
 *                                                       flag 0x80 of the header only (on loopback). Under a
 *                                                       seal there is none, and nothing of it is on the wire:
 *                                                       see sealKeyOf
 *  8 |                   group id                    |  u64; 0 before a group is known
 * 16 |                  incarnation                  |  u53
 * 24 |                  coordinator                  |  u53, member id
 * 32 |                    sender                     |  u53, member id; 0 for a process that is no member yet
 * 40 |                 sender nonce                  |  u64
 * 48 |               destination nonce               |  u64; 0: every member of the group
 * 56 |                   received                    |  u53: highest contiguous seq that the sender holds
 * 64 |                     taken                     |  u53: highest seq that its program has taken
 * 72 |        window         |      newest key       |  u32 bytes that the sender's socket can buffer; u32 id
 *    +-----------------------+-----------------------+  of the newest group key that it holds, 0 without one
 * 80 body
 *
 * "Received" and "taken" are the acknowledgements that the paper piggybacks on every packet to the
 * sequencer (section 4.1): the first serves repair and resilience, the second stability and flow.
 */
import { readU32, readU53, readU64, writeU32, writeU53, writeU64 } from './bytes.ts'
import type { GroupId, Incarnation, MemberId, Nonce, Seq } from './identity.ts'

export const MAGIC = 0xa3
/**
 * The version that this process writes, and the lowest that it still reads. What stays the same in all versions, so that
 * two which have none in common can tell each other so, is in kernel/README.md.
 */
export const WIRE_VERSION = 1
export const WIRE_VERSION_LOWEST = 1
export const HEADER_BYTES = 80
export const VERSION_AT = 1
export const KIND_AT = 2
export const FLAGS_AT = 3
export const CHECKSUM_AT = 4
export const GROUP_AT = 8
const INCARNATION_AT = 16
const COORDINATOR_AT = 24
export const SENDER_AT = 32
export const SENDER_NONCE_AT = 40
export const DESTINATION_AT = 48
export const RECEIVED_AT = 56
export const TAKEN_AT = 64
const WINDOW_AT = 72
const NEWEST_KEY_AT = 76
/** The checksum covers the header only. Set and understood by the rim; kinds have the other seven flags. */
export const FLAG_HEADER_CHECKSUM = 0x80
/** The largest UDP payload over IPv4. */
export const PACKET_BYTES_MAX = 65_507
export const PACKET_BYTES_MIN = 512

/** Append only: these numbers are on the wire. */
export const PacketKind = {
  /** Is anybody there for this port? Multicast, or to the known peers. */
  locate: 1,
  /** The answer of a member: its group and where its sequencer is. */
  hereIs: 2,
  joinRequest: 3,
  joinRefused: 4,
  /** A member's blocks, to the sequencer (method 1). */
  request: 5,
  /** The sequencer's broadcast: ordered entries, the highest seq, what is accepted and stable. */
  order: 6,
  /** Ordered entries from somebody's history, to one who asked. */
  repair: 7,
  /** A block or a fragment of one, apart from its order (method 2, and large messages). */
  data: 8,
  /** A quiet member's report; the header says it all. */
  state: 9,
  /** Asks for what is missing: the paper's retransmission request. */
  gap: 10,
  /** The sequencer to a sender: up to which request number it holds everything. */
  requestAck: 11,
  streamData: 12,
  streamAck: 13,
  /** The nonce that you wrote to, here the sender's, lives no more. No body: never larger than the question. */
  gone: 14,
  /** To one whose leave is accepted and who may have missed it. */
  left: 15,
  /** Asks the sequencer to tell about its group; answered by a stream. */
  inspect: 16,
  /** Asks for bytes of a block whose place is known: one lost packet costs one packet's repair. */
  dataGap: 17,
  /** The sequencer to a sender: how far it has a block that comes in fragments. */
  dataAck: 18,
  /** Invites to a vote on a new view (recovery, phase 1), and shows that the coordinator is still there. */
  invite: 19,
  /** The answer to an invitation that is not voted on. */
  refusal: 20,
  /** Asks the others about a sequencer that does not answer. */
  inquiry: 21,
  testimony: 22,
  /** Asks for nothing but an answer. */
  probe: 23,
  probeAnswer: 24,
  /** To one who is not in the view any more, and may not know it. */
  expelled: 25,
  /** The sequencer to all, while the group stands still: whom it waits for. */
  slow: 26,
  /** To one who asks for a port in a version that nobody here reads: which ones are read. The same in all versions. */
  incompatible: 27,
} as const
export type PacketKind = (typeof PacketKind)[keyof typeof PacketKind]
export type PacketKindName = keyof typeof PacketKind

export const packetKindNames: readonly (PacketKindName | undefined)[] = (() => {
  const names: (PacketKindName | undefined)[] = []
  for (const [name, kind] of Object.entries(PacketKind)) names[kind] = name as PacketKindName
  return names
})()

/** Why a packet was dropped. A closed list: each has a counter. */
export const rejectReasons = [
  /** Shorter than a header, or a body that does not fit its kind. */
  'malformed',
  /** Not this protocol at all. */
  'foreign',
  /** Another version of the wire format. */
  'version',
  /** The checksum does not match. */
  'corrupt',
  /** Of a kind that this version does not know. */
  'kind',
  /** Of another group, or of another life of this port. */
  'group',
  /** Of another incarnation or coordinator. */
  'incarnation',
  /** From somebody who is not in the view. */
  'stranger',
  /** For a nonce that does not live here. */
  'destination',
  /** Right in itself, but not expected in this phase. */
  'phase',
  /** Beyond a bound: nothing is kept for it. */
  'overflow',
  /** From a member whose right does not go so far, or from a joiner that has not shown the right that it wants. */
  'right',
  /** Sealed with a group key, where this process has none. */
  'sealed',
] as const
export type RejectReason = (typeof rejectReasons)[number]

export interface PacketHeader {
  kind: PacketKind
  flags: number
  groupId: GroupId
  incarnation: Incarnation
  coordinator: MemberId
  sender: MemberId
  senderNonce: Nonce
  destination: Nonce
  received: Seq
  taken: Seq
  window: number
  /** Of the wire format, in which the packet is written. */
  version: number
  /** Id of the newest group key that the sender holds; 0 without keys. */
  newestKey: number
}

/** What a header is written from: in this process's version, and without a key, where nothing else is said. */
export type WrittenHeader = Omit<PacketHeader, 'version' | 'newestKey'> &
  Partial<Pick<PacketHeader, 'version' | 'newestKey'>>

/**
 * Between a machine and a rim that seals, the place of the checksum names the group key: under which a packet is to be
 * sealed (0: under each that the process holds), or under which it has come. So sealing needs no table of who seals with
 * what, and an answer can go under the key of its question. Without keys it is the checksum, and means nothing here.
 */
export function sealKeyOf(packet: Uint8Array): number {
  return readU32(packet, CHECKSUM_AT)
}

export function writeSealKey(packet: Uint8Array, keyId: number): void {
  writeU32(packet, CHECKSUM_AT, keyId)
}

/**
 * Reads the header; never throws. The checksum is the rim's business, because only the rim has a fast one.
 */
export function readHeader(
  bytes: Uint8Array,
  lowest = WIRE_VERSION_LOWEST,
  highest = WIRE_VERSION,
): PacketHeader | RejectReason {
  if (bytes.length < HEADER_BYTES) return bytes.length > 0 && bytes[0] !== MAGIC ? 'foreign' : 'malformed'
  if (bytes[0] !== MAGIC) return 'foreign'
  const version = bytes[VERSION_AT]!
  if (version < lowest || version > highest) return 'version'
  const kind = bytes[KIND_AT]!
  if (packetKindNames[kind] === undefined) return 'kind'
  const incarnation = readU53(bytes, INCARNATION_AT)
  const coordinator = readU53(bytes, COORDINATOR_AT)
  const sender = readU53(bytes, SENDER_AT)
  const received = readU53(bytes, RECEIVED_AT)
  const taken = readU53(bytes, TAKEN_AT)
  if (incarnation < 0 || coordinator < 0 || sender < 0 || received < 0 || taken < 0) return 'malformed'
  if (taken > received) return 'malformed'
  return {
    kind: kind as PacketKind,
    flags: bytes[FLAGS_AT]!,
    groupId: readU64(bytes, GROUP_AT),
    incarnation,
    coordinator,
    sender,
    senderNonce: readU64(bytes, SENDER_NONCE_AT),
    destination: readU64(bytes, DESTINATION_AT),
    received,
    taken,
    window: readU32(bytes, WINDOW_AT),
    version,
    newestKey: readU32(bytes, NEWEST_KEY_AT),
  }
}

/** Writes the header into the first 80 bytes; the checksum stays 0. */
export function writeHeader(bytes: Uint8Array, header: WrittenHeader): void {
  bytes[0] = MAGIC
  bytes[VERSION_AT] = header.version ?? WIRE_VERSION
  bytes[KIND_AT] = header.kind
  bytes[FLAGS_AT] = header.flags
  writeU32(bytes, CHECKSUM_AT, 0)
  writeU64(bytes, GROUP_AT, header.groupId)
  writeU53(bytes, INCARNATION_AT, header.incarnation)
  writeU53(bytes, COORDINATOR_AT, header.coordinator)
  writeU53(bytes, SENDER_AT, header.sender)
  writeU64(bytes, SENDER_NONCE_AT, header.senderNonce)
  writeU64(bytes, DESTINATION_AT, header.destination)
  writeU53(bytes, RECEIVED_AT, header.received)
  writeU53(bytes, TAKEN_AT, header.taken)
  writeU32(bytes, WINDOW_AT, header.window)
  writeU32(bytes, NEWEST_KEY_AT, header.newestKey ?? 0)
}

/** The few fields by which a rim routes a packet to the machines of its process. */
export function readRoute(bytes: Uint8Array): {
  kind: number
  groupId: GroupId
  sender: Nonce
  destination: Nonce
} {
  return {
    kind: bytes[KIND_AT]!,
    groupId: readU64(bytes, GROUP_AT),
    sender: readU64(bytes, SENDER_NONCE_AT),
    destination: readU64(bytes, DESTINATION_AT),
  }
}
