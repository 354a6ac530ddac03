/**
 * The bodies of packets by which processes find a group and join it, and the versions of the format that they read. The
 * header is in packet.ts, the other bodies in packets.ts.
 */
import { type Address, type MemberId, type Nonce, type RequestNumber, Right, Role } from './identity.ts'
import { HEADER_BYTES, KIND_AT, PacketKind, WIRE_VERSION, WIRE_VERSION_LOWEST } from './packet.ts'
import { parameterLimits } from './parameters.ts'
import { type Agreed, readAgreed, writeAgreed } from './settings.ts'
import { Reader, Writer } from './wire.ts'

/** Versions of the wire format, both included. */
export interface Versions {
  readonly lowest: number
  readonly highest: number
}

export const ownVersions: Versions = { lowest: WIRE_VERSION_LOWEST, highest: WIRE_VERSION }

export function hasVersion({ lowest, highest }: Versions, version: number): boolean {
  return lowest <= version && version <= highest
}

/** The highest that both have; undefined if there is none. */
export function commonVersion(a: Versions, b: Versions): number | undefined {
  const highest = Math.min(a.highest, b.highest)
  return highest >= Math.max(a.lowest, b.lowest) ? highest : undefined
}

/** "version 1", "versions 1 to 3", for people. */
export function versionsText({ lowest, highest }: Versions): string {
  return lowest === highest ? `version ${lowest}` : `versions ${lowest} to ${highest}`
}

export function writeVersions(writer: Writer, { lowest, highest }: Versions): Writer {
  return writer.u8(lowest).u8(highest)
}

/** A range that nobody can have makes the reader bad. */
export function readVersions(reader: Reader): Versions {
  const versions = { lowest: reader.u8(), highest: reader.u8() }
  if (versions.lowest < 1 || versions.lowest > versions.highest) reader.bad = true
  return versions
}

/**
 * Zeros behind a question of one who has not shown yet that it receives where it says it is: no answer to it is larger,
 * so nobody gains by questions in another's name. The answer's port is the question's; the rest fits in here.
 */
const QUESTION_PADDING = 160

/** `incompatible`: the versions that are read here. In every version the first two bytes of its body. */
export function encodeIncompatible(versions: Versions): Uint8Array {
  return writeVersions(new Writer(), versions).finish()
}

/** Of a packet of whatever version; undefined for another kind. */
export function decodeIncompatible(packet: Uint8Array): Versions | undefined {
  if (packet.length < HEADER_BYTES + 2 || packet[KIND_AT] !== PacketKind.incompatible) return undefined
  const versions = { lowest: packet[HEADER_BYTES]!, highest: packet[HEADER_BYTES + 1]! }
  return versions.lowest >= 1 && versions.lowest <= versions.highest ? versions : undefined
}

/** The port that a `locate` of whatever version asks for: its body begins with it in every one. */
export function portAskedFor(packet: Uint8Array): string | undefined {
  const reader = new Reader(packet, HEADER_BYTES)
  const port = reader.text()
  return reader.bad ? undefined : port
}

/** What is written where the versions are this process's own. */
type Asked<T> = Omit<T, 'versions'> & { readonly versions?: Versions }

export const LocatePurpose = { create: 1, join: 2, candidate: 3, inspect: 4 } as const
export type LocatePurpose = (typeof LocatePurpose)[keyof typeof LocatePurpose]

export interface Locate {
  readonly port: string
  readonly purpose: LocatePurpose
  /** Of the asker. */
  readonly versions: Versions
}

export function encodeLocate({ port, purpose, versions = ownVersions }: Asked<Locate>): Uint8Array {
  const writer = new Writer(512).text(port).u8(purpose)
  return writeVersions(writer, versions).zeros(QUESTION_PADDING).finish()
}

export function decodeLocate(packet: Uint8Array): Locate | undefined {
  const reader = new Reader(packet, HEADER_BYTES)
  const port = reader.text()
  const purpose = reader.u8()
  const versions = readVersions(reader)
  if (!reader.isPadded || purpose < 1 || purpose > 4) return undefined
  return { port, purpose: purpose as LocatePurpose, versions }
}

/** A member's answer to a question for its port. The header names group, incarnation and coordinator. */
export interface HereIs {
  readonly port: string
  readonly sequencer: MemberId
  readonly sequencerNonce: Nonce
  readonly sequencerAddress: Address
  readonly members: number
  readonly maxMembers: number
  /** To be repeated in the join request, so that only who receives here can join (0 from others than the sequencer). */
  readonly challenge: bigint
  /** Of who answers. */
  readonly versions: Versions
  /** What the group has agreed upon, as far as who answers has heard. */
  readonly agreed: Agreed
}

/** Flag of a here-is: its sender's group stands still, because it is being rebuilt or waits for that. */
export const HERE_IS_FLAG_STANDS_STILL = 1

export function encodeHereIs(hereIs: Asked<HereIs>): Uint8Array {
  const writer = new Writer()
    .text(hereIs.port)
    .u53(hereIs.sequencer)
    .u64(hereIs.sequencerNonce)
    .text(hereIs.sequencerAddress)
    .u16(hereIs.members)
    .u16(hereIs.maxMembers)
    .u64(hereIs.challenge)
  return writeAgreed(writeVersions(writer, hereIs.versions ?? ownVersions), hereIs.agreed).finish()
}

export function decodeHereIs(packet: Uint8Array): HereIs | undefined {
  const reader = new Reader(packet, HEADER_BYTES)
  const hereIs = {
    port: reader.text(),
    sequencer: reader.u53(),
    sequencerNonce: reader.u64(),
    sequencerAddress: reader.text(),
    members: reader.u16(),
    maxMembers: reader.u16(),
    challenge: reader.u64(),
    versions: readVersions(reader),
    agreed: readAgreed(reader),
  }
  return reader.done ? hereIs : undefined
}

/** A member that begins to count here still has four thousand million requests before the numbers end. */
export const LAST_REQUEST_MAX = Number.MAX_SAFE_INTEGER - 2 ** 32
/** Characters of a member's name and of its address. */
const NAME_MAX = 255
const ADDRESS_MAX = 255
/** Bytes of the proof of a right. */
export const PROOF_BYTES = 16

export interface JoinRequest {
  readonly port: string
  readonly challenge: bigint
  readonly name: string
  readonly address: Address
  readonly role: Role
  /** What the joiner wants to be let in as. */
  readonly right: Right
  /** The request number before the joiner's first. */
  readonly lastRequest: RequestNumber
  readonly header: Uint8Array
  /** That the joiner holds the right, over group, nonce, challenge and address; empty where no key says who may what. */
  readonly proof: Uint8Array
  /** For the program of who admits; empty without one. */
  readonly token: Uint8Array
  /** Of the joiner. */
  readonly versions: Versions
}

export function encodeJoinRequest(request: Asked<JoinRequest>): Uint8Array {
  const writer = new Writer(512)
    .text(request.port)
    .u64(request.challenge)
    .text(request.name)
    .text(request.address)
    .u8(request.role)
    .u8(request.right)
    .u53(request.lastRequest)
    .blob(request.header)
    .blob(request.proof)
    .blob(request.token)
  return writeVersions(writer, request.versions ?? ownVersions)
    .zeros(QUESTION_PADDING)
    .finish()
}

export function decodeJoinRequest(packet: Uint8Array): JoinRequest | undefined {
  const reader = new Reader(packet, HEADER_BYTES)
  const request = {
    port: reader.text(),
    challenge: reader.u64(),
    name: reader.text(),
    address: reader.text(),
    role: reader.u8() as Role,
    right: reader.u8() as Right,
    lastRequest: reader.u53(),
    header: reader.blob(),
    proof: reader.blob(),
    token: reader.blob(),
    versions: readVersions(reader),
  }
  if (!reader.isPadded || request.role !== Role.full || request.lastRequest > LAST_REQUEST_MAX)
    return undefined
  const { header, name, address, right, proof, token } = request
  if (right > Right.receive || (proof.length !== 0 && proof.length !== PROOF_BYTES)) return undefined
  if (token.length > parameterLimits.tokenBytes || header.length > parameterLimits.headerBytes)
    return undefined
  return name.length > NAME_MAX || address.length > ADDRESS_MAX ? undefined : request
}

/** Why a join is refused. Append only. */
export const JoinRefusal = {
  full: 1,
  challenge: 2,
  notSequencer: 3,
  busy: 4,
  version: 5,
  /** The proof does not show the right asked for, or the program of who admits does not want the joiner. */
  notAuthorized: 6,
  /** The joiner does not hold the group's key. */
  key: 7,
  /** The program of who admits has been asked, and has not answered yet. */
  deciding: 8,
  /** It has been decided that the joiner may come in: it shows by another question, at once, that it is still there. */
  decided: 9,
  /** The join waits for its place, and cannot have it as long as members that are gone or suspect do not answer. */
  heldUp: 10,
} as const
export type JoinRefusal = (typeof JoinRefusal)[keyof typeof JoinRefusal]

export interface JoinRefused {
  readonly reason: JoinRefusal
  readonly challenge: bigint
  /** What the joiner has to go by. */
  readonly agreed: Agreed
}

export function encodeJoinRefused({ reason, challenge, agreed }: JoinRefused): Uint8Array {
  return writeAgreed(new Writer().u8(reason).u64(challenge), agreed).finish()
}

export function decodeJoinRefused(packet: Uint8Array): JoinRefused | undefined {
  const reader = new Reader(packet, HEADER_BYTES)
  const reason = reader.u8() as JoinRefusal
  const challenge = reader.u64()
  const agreed = readAgreed(reader)
  const isOne = reader.done && reason >= 1 && reason <= JoinRefusal.heldUp
  return isOne ? { reason, challenge, agreed } : undefined
}

/** `inspect`: the port, and the challenge of the sequencer that is asked. */
export function encodeInspect(port: string, challenge: bigint): Uint8Array {
  return new Writer(512).text(port).u64(challenge).zeros(QUESTION_PADDING).finish()
}

export function decodeInspect(packet: Uint8Array): { port: string; challenge: bigint } | undefined {
  const reader = new Reader(packet, HEADER_BYTES)
  const inspect = { port: reader.text(), challenge: reader.u64() }
  return reader.isPadded ? inspect : undefined
}
