/**
 * Which machines of this process a packet is for, and the answer to one for a machine that lives no more.
 * It reads the four fields of a packet that say so, and knows nothing else of the protocol.
 */
import { Allowance } from '../allowance.ts'
import { readU32, readU64 } from '../bytes.ts'
import { Counters } from '../counters.ts'
import type { Address, Micros } from '../identity.ts'
import { encodeIncompatible, hasVersion, ownVersions, portAskedFor } from '../meeting-packets.ts'
import {
  DESTINATION_AT,
  GROUP_AT,
  HEADER_BYTES,
  KIND_AT,
  MAGIC,
  PacketKind,
  packetKindNames,
  type RejectReason,
  SENDER_AT,
  SENDER_NONCE_AT,
  sealKeyOf,
  VERSION_AT,
  writeHeader,
  writeSealKey,
} from '../packet.ts'
import { verify } from './checksum.ts'
import type { Hosted } from './hosted.ts'
import { isEnvelope } from './secure/envelope.ts'

/** Answers to the dead's mail: so many at once, and one more each so many microseconds. */
const ANSWERS_AT_ONCE = 64
const ANSWER_EVERY: Micros = 5_000

const NOBODY = {
  flags: 0,
  groupId: 0n,
  incarnation: 0,
  coordinator: 0,
  sender: 0,
  received: 0,
  taken: 0,
  window: 0,
} as const

export class Router {
  /** What is rejected and answered before a machine is found; machines count the rest. */
  readonly counters = new Counters()
  /** Bounded by the memberships of this process. */
  private readonly hosted: Hosted[] = []
  private readonly answers = new Allowance(ANSWERS_AT_ONCE, ANSWER_EVERY)

  get machines(): readonly Hosted[] {
    return this.hosted
  }

  add(hosted: Hosted): void {
    this.hosted.push(hosted)
  }

  remove(hosted: Hosted): void {
    const index = this.hosted.indexOf(hosted)
    if (index >= 0) this.hosted.splice(index, 1)
  }

  /**
   * What is owed for a packet that was not admitted: one who asks for the port of a group here in a version that is not read
   * hears which ones are. (Silence would tell it that the port is free.) No larger than its question.
   */
  incompatible(question: Uint8Array, now: Micros): Uint8Array | undefined {
    const isQuestion =
      question[0] === MAGIC &&
      !hasVersion(ownVersions, question[VERSION_AT]!) &&
      question[KIND_AT] === PacketKind.locate
    if (!isQuestion || question.length < HEADER_BYTES + 2) return undefined
    const port = portAskedFor(question)
    const asker = readU64(question, SENDER_NONCE_AT)
    const host = this.hosted.find((one) => one.port === port && !one.hasGroup(0, 0))
    if (host === undefined || asker === 0n || !this.mayAnswer(now)) return undefined
    const body = encodeIncompatible(ownVersions)
    const answer = new Uint8Array(HEADER_BYTES + body.length)
    writeHeader(answer, {
      ...NOBODY,
      kind: PacketKind.incompatible,
      senderNonce: host.nonce,
      destination: asker,
    })
    answer.set(body, HEADER_BYTES)
    answerAs(question, answer)
    this.counters.packet('out', PacketKind.incompatible, answer.length)
    return answer
  }

  /** Whether a packet from outside may be looked at; counts why not. */
  admit(bytes: Uint8Array, staysInMemory = false, isAuthentic = false): boolean {
    const fault = faultOf(bytes, staysInMemory, isAuthentic)
    if (fault === undefined) return true
    this.counters.rejected[fault]++
    return false
  }

  /**
   * Hands the packet to every machine that it is for. Returns the answer that its sender is owed, if the one
   * that it was for lives no more.
   */
  route(
    from: Address,
    bytes: Uint8Array,
    now: Micros,
    take: (hosted: Hosted, from: Address, bytes: Uint8Array) => void,
  ): Uint8Array | undefined {
    const high = readU32(bytes, DESTINATION_AT)
    const low = readU32(bytes, DESTINATION_AT + 4)
    if (high !== 0 || low !== 0) {
      for (const hosted of this.hosted) {
        if (!hosted.hasNonce(high, low)) continue
        take(hosted, from, bytes)
        return undefined
      }
      this.counters.rejected.destination++
      return this.gone(bytes, now)
    }
    const senderHigh = readU32(bytes, SENDER_NONCE_AT)
    const senderLow = readU32(bytes, SENDER_NONCE_AT + 4)
    const groupHigh = readU32(bytes, GROUP_AT)
    const groupLow = readU32(bytes, GROUP_AT + 4)
    const toAll = bytes[KIND_AT] === PacketKind.locate || (groupHigh === 0 && groupLow === 0)
    let found = toAll
    for (const hosted of this.hosted) {
      const own = hosted.hasNonce(senderHigh, senderLow)
      if (own || toAll || hosted.hasGroup(groupHigh, groupLow)) found = true
      else continue
      if (!own) take(hosted, from, bytes)
    }
    if (!found) this.counters.rejected.group++
    return undefined
  }

  /**
   * "The one you wrote to lives no more." It names group, incarnation and coordinator as the question did, so
   * that it passes the asker's checks. Never for a `gone` (two processes would answer each other for ever),
   * nor for one who is nobody, and never larger than the question, so that a forged source gains nothing.
   */
  private gone(question: Uint8Array, now: Micros): Uint8Array | undefined {
    const kind = question[KIND_AT]
    if (kind === PacketKind.gone || kind === PacketKind.locate) return undefined
    const asker = readU64(question, SENDER_NONCE_AT)
    if (asker === 0n || !this.mayAnswer(now)) return undefined
    const answer = new Uint8Array(HEADER_BYTES)
    const senderNonce = readU64(question, DESTINATION_AT)
    const version = question[VERSION_AT]!
    writeHeader(answer, { ...NOBODY, version, kind: PacketKind.gone, senderNonce, destination: asker })
    answer.set(question.subarray(GROUP_AT, SENDER_AT), GROUP_AT)
    answerAs(question, answer)
    this.counters.packet('out', PacketKind.gone, answer.length)
    return answer
  }

  private mayAnswer(now: Micros): boolean {
    if (this.answers.take(now)) return true
    this.counters.limited.gone++
    return false
  }
}

/** Sealed with the key of the question; where nothing is sealed the driver writes a checksum there. */
function answerAs(question: Uint8Array, answer: Uint8Array): void {
  writeSealKey(answer, sealKeyOf(question))
}

function faultOf(bytes: Uint8Array, staysInMemory: boolean, isAuthentic: boolean): RejectReason | undefined {
  if (bytes.length > 0 && bytes[0] !== MAGIC) return !isAuthentic && isEnvelope(bytes) ? 'sealed' : 'foreign'
  if (bytes.length < 2) return 'malformed'
  // one packet is the same in every version; the checksum's place is, too
  const isReadable = hasVersion(ownVersions, bytes[VERSION_AT]!) || bytes[KIND_AT] === PacketKind.incompatible
  if (!isReadable) return 'version'
  if (bytes.length < HEADER_BYTES) return 'malformed'
  if (!isAuthentic && !verify(bytes, staysInMemory)) return 'corrupt'
  return packetKindNames[bytes[KIND_AT]!] === undefined ? 'kind' : undefined
}
