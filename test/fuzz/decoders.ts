/** Every function that reads bytes from outside. None may throw, hang, or give something larger than the bytes pay for. */
import { decodeInspection, decodeJoinAnswer } from '../../kernel/answers.ts'
import { isWellFormed, RecordCursor, readBlockHeader } from '../../kernel/block.ts'
import { decodeJoin, decodeLeave } from '../../kernel/membership.ts'
import { HEADER_BYTES, readHeader, readRoute } from '../../kernel/packet.ts'
import {
  decodeDataAck,
  decodeDataGap,
  decodeHereIs,
  decodeInspect,
  decodeJoinRefused,
  decodeJoinRequest,
  decodeLeft,
  decodeLocate,
  decodeSlow,
  readData,
  readEntries,
  readGap,
  readOrderHead,
  readRequestAck,
  readRequestBlocks,
  readStreamAck,
  readStreamFragment,
} from '../../kernel/packets.ts'
import {
  decodeExpelled,
  decodeInquiry,
  decodeInvite,
  decodeProbe,
  decodeRefusal,
  decodeTestimony,
} from '../../kernel/recovery-packets.ts'
import { decodeResult } from '../../kernel/result.ts'
import { decodeSettings } from '../../kernel/settings.ts'
import { decodeText } from '../../kernel/wire.ts'
import { decodeVote } from '../../recovery/vote.ts'

/** Takes a whole packet. */
export const packetDecoders: Readonly<Record<string, (packet: Uint8Array) => unknown>> = {
  readHeader,
  readOrderHead,
  readEntries: (packet) => readEntries(packet, readOrderHead(packet)?.entries ?? 3),
  readRequestBlocks,
  readRequestAck,
  readGap,
  readData,
  decodeDataGap,
  decodeDataAck,
  decodeLocate,
  decodeHereIs,
  decodeJoinRequest,
  decodeJoinRefused,
  readStreamFragment,
  readStreamAck,
  decodeLeft,
  decodeSlow,
  decodeInspect,
  decodeInvite,
  decodeRefusal,
  decodeInquiry,
  decodeTestimony,
  decodeProbe,
  decodeExpelled,
  readRoute: (packet) => (packet.length < HEADER_BYTES ? undefined : readRoute(packet)),
}

/** Takes what a stream or a block carries. */
export const payloadDecoders: Readonly<Record<string, (bytes: Uint8Array) => unknown>> = {
  decodeJoinAnswer,
  decodeInspection,
  decodeVote,
  decodeResult,
  decodeJoin,
  decodeLeave,
  decodeSettings,
  decodeText,
  isWellFormed,
  readBlockHeader: (bytes) => readBlockHeader(bytes, 0),
  records: (bytes) => {
    const head = readBlockHeader(bytes, 0)
    if (head === undefined || head.length !== bytes.length) return undefined
    const cursor = new RecordCursor(bytes)
    let records = 0
    while (cursor.next()) if (++records > head.count) throw new Error('more records than the header says')
    return records
  },
}

/** Things that a decoder has made: bytes cannot name more of them than they have room for. */
export function thingsIn(value: unknown): number {
  if (typeof value !== 'object' || value === null) return 1
  if (value instanceof Uint8Array) return 1
  let things = 1
  const children = value instanceof Map ? [...value.values()] : Object.values(value)
  for (const child of children) things += thingsIn(child)
  return things
}
