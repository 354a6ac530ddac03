/** What reads the body of each kind of packet, and what streams carry: the one list, for recorded packets and for hostile ones. */
import { decodeInspection, decodeJoinAnswer } from '../../kernel/answers.ts'
import {
  decodeHereIs,
  decodeIncompatible,
  decodeInspect,
  decodeJoinRefused,
  decodeJoinRequest,
  decodeLocate,
} from '../../kernel/meeting-packets.ts'
import { PacketKind } from '../../kernel/packet.ts'
import {
  decodeDataAck,
  decodeDataGap,
  decodeLeft,
  decodeSlow,
  type OrderHead,
  type PlacedBlock,
  readData,
  readEntries,
  readGap,
  readOrderHead,
  readRequestAck,
  readRequestBlocks,
  readStreamAck,
  readStreamFragment,
  StreamPurpose,
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
import { decodeVote } from '../../recovery/vote.ts'

/** Gives undefined for what it cannot read. */
export type Decoder = (bytes: Uint8Array) => unknown

export function readOrdered(packet: Uint8Array): { head: OrderHead; entries: PlacedBlock[] } | undefined {
  const head = readOrderHead(packet)
  const entries = head && readEntries(packet, head.entries)
  return entries && { head, entries }
}

/** Of a kind that is a header and nothing else. */
export function readNothing(): null {
  return null
}

/** Of whole packets. Blocks and what streams carry are left as they lie there. */
export const bodyDecoders: Readonly<Record<PacketKind, Decoder>> = {
  [PacketKind.locate]: decodeLocate,
  [PacketKind.hereIs]: decodeHereIs,
  [PacketKind.joinRequest]: decodeJoinRequest,
  [PacketKind.joinRefused]: decodeJoinRefused,
  [PacketKind.request]: readRequestBlocks,
  [PacketKind.order]: readOrdered,
  [PacketKind.repair]: readOrdered,
  [PacketKind.data]: readData,
  [PacketKind.state]: readNothing,
  [PacketKind.gap]: readGap,
  [PacketKind.requestAck]: readRequestAck,
  [PacketKind.streamData]: readStreamFragment,
  [PacketKind.streamAck]: readStreamAck,
  [PacketKind.gone]: readNothing,
  [PacketKind.left]: decodeLeft,
  [PacketKind.inspect]: decodeInspect,
  [PacketKind.dataGap]: decodeDataGap,
  [PacketKind.dataAck]: decodeDataAck,
  [PacketKind.invite]: decodeInvite,
  [PacketKind.refusal]: decodeRefusal,
  [PacketKind.inquiry]: decodeInquiry,
  [PacketKind.testimony]: decodeTestimony,
  [PacketKind.probe]: decodeProbe,
  [PacketKind.probeAnswer]: decodeProbe,
  [PacketKind.expelled]: decodeExpelled,
  [PacketKind.slow]: decodeSlow,
  [PacketKind.incompatible]: decodeIncompatible,
}

/** Of what a stream carries, once it is whole; by its purpose. */
export const streamDecoders: Readonly<Record<number, Decoder>> = {
  [StreamPurpose.joinAnswer]: decodeJoinAnswer,
  [StreamPurpose.inspection]: decodeInspection,
  [StreamPurpose.vote]: decodeVote,
  [StreamPurpose.result]: decodeResult,
} satisfies Record<StreamPurpose, Decoder>
