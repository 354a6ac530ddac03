/**
 * One packet of each kind, with every field different, as this version writes it. `node dist/test/wire/record.js` puts them
 * into a folder for a version that is released; from then on only reading.test.ts matters for that folder.
 */
import { encodeInspection, encodeJoinAnswer } from '../../kernel/answers.ts'
import type { Ballot, ResultName } from '../../kernel/ballot.ts'
import { BLOCK_HEADER_BYTES } from '../../kernel/block.ts'
import { writeU32 } from '../../kernel/bytes.ts'
import {
  encodeHereIs,
  encodeIncompatible,
  encodeInspect,
  encodeJoinRefused,
  encodeJoinRequest,
  encodeLocate,
  JoinRefusal,
  LocatePurpose,
} from '../../kernel/meeting-packets.ts'
import { encodeJoin, encodeLeave, LeaveReason } from '../../kernel/membership.ts'
import { HEADER_BYTES, PacketKind, type PacketKindName, writeHeader } from '../../kernel/packet.ts'
import {
  DATA_FLAG_ACK,
  DATA_HEAD_BYTES,
  ENTRY_INLINE,
  ENTRY_REFERENCE,
  encodeDataAck,
  encodeDataGap,
  encodeLeft,
  encodeSlow,
  gapBytes,
  ORDER_FLAG_REPORT,
  ORDER_HEAD_BYTES,
  REQUEST_ACK_BYTES,
  STATE_FLAG_RESULT,
  STREAM_ACK_BYTES,
  STREAM_HEAD_BYTES,
  StreamPurpose,
  writeData,
  writeGap,
  writeOrderHead,
  writeRequestAck,
  writeStreamFragment,
} from '../../kernel/packets.ts'
import { parameterDefaults } from '../../kernel/parameters.ts'
import {
  encodeExpelled,
  encodeInquiry,
  encodeInvite,
  encodeProbe,
  encodeRefusal,
  encodeTestimony,
  INVITE_FLAG_AUTOMATIC,
  RefusalReason,
} from '../../kernel/recovery-packets.ts'
import { encodeResult } from '../../kernel/result.ts'
import { encodeSettings } from '../../kernel/settings.ts'
import type { Member, View } from '../../kernel/view.ts'
import { encodeVote } from '../../recovery/vote.ts'
import { reseal } from '../fuzz/mutate.ts'
import { messageBlock } from '../support/blocks.ts'

const versions = { lowest: 1, highest: 1 }
const text = (words: string): Uint8Array => new TextEncoder().encode(words)

const ballot: Ballot = { incarnation: 12, endIncarnation: 10, endSeq: 290, coordinator: 3 }
const founding: ResultName = {
  ballot: { incarnation: 1, endIncarnation: 0, endSeq: 0, coordinator: 1 },
  seq: 1,
}
const results: readonly ResultName[] = [
  founding,
  { ballot: { incarnation: 10, endIncarnation: 1, endSeq: 200, coordinator: 2 }, seq: 201 },
]
const members: readonly Member[] = [
  { id: 2, nonce: 0x2222222222222222n, name: 'bea', address: '192.0.2.2:4002', role: 0, right: 1, versions },
  {
    id: 3,
    nonce: 0x3333333333333333n,
    name: 'cäsar',
    address: '[2001:db8::3]:4003',
    role: 0,
    right: 0,
    versions: { lowest: 1, highest: 3 },
  },
]
const view: View = {
  groupId: 0x0123456789abcdefn,
  incarnation: 10,
  coordinator: 2,
  seq: 201,
  sequencer: 2,
  members: [...members],
}
const requests = new Map([
  [2, 77],
  [3, 2 ** 40],
])
const parameters = { ...parameterDefaults, resilience: 1, slowMember: { expelAfterMs: 9000 } }

/** Two messages of member 2, with a header and without one. */
function messages(): Uint8Array {
  return messageBlock(2, 78, [{ header: text('hd'), body: text('hello') }, { body: text('you!') }])
}

const join = encodeJoin({ member: { ...members[1]!, id: 4 }, header: text('hi'), lastRequest: 0 })
const leave = encodeLeave({
  member: 2,
  request: 80,
  header: text('bye'),
  successor: 3,
  reason: LeaveReason.wish,
})

const settings = encodeSettings(2, { version: 1, keyId: 0x55667788 })

function ordered(blocks: readonly { type: number; bytes: Uint8Array }[]): Uint8Array {
  const length = blocks.reduce((sum, { bytes }) => sum + 1 + bytes.length, ORDER_HEAD_BYTES)
  const packet = new Uint8Array(HEADER_BYTES + length)
  const entries = blocks.length
  writeOrderHead(packet, { highest: 305, accepted: 303, stable: 250, firstSeq: 304, entries, ackers: 1 })
  let at = HEADER_BYTES + ORDER_HEAD_BYTES
  for (const { type, bytes } of blocks) {
    packet[at] = type
    packet.set(bytes, at + 1)
    at += 1 + bytes.length
  }
  return packet.subarray(HEADER_BYTES)
}

/** A body that is written where it lies in its packet. */
function body(bytes: number, write: (packet: Uint8Array) => void): Uint8Array {
  const packet = new Uint8Array(HEADER_BYTES + bytes)
  write(packet)
  return packet.subarray(HEADER_BYTES)
}

function stream(purpose: number, bytes: Uint8Array): Uint8Array {
  const fragment = { stream: 9, purpose, total: bytes.length, offset: 0, bytes }
  return body(STREAM_HEAD_BYTES + bytes.length, (packet) => writeStreamFragment(packet, fragment))
}

export interface Sample {
  /** What its file is called; the kind, and more where a kind has several faces. */
  readonly name: string
  readonly kind: PacketKindName
  readonly flags?: number
  readonly body: Uint8Array
}

const NONE = new Uint8Array(0)
const gap = {
  budget: 65_536,
  ranges: [
    { from: 251, to: 253 },
    { from: 300, to: 300 },
  ],
}
const fragment = { member: 2, request: 78, total: 100, offset: 20, bytes: text('twenty bytes of it..') }
const missing = [{ from: 40, to: 60 }]

export const samples: readonly Sample[] = [
  {
    name: 'locate',
    kind: 'locate',
    body: encodeLocate({ port: 'pört', purpose: LocatePurpose.candidate, versions }),
  },
  {
    name: 'hereIs',
    kind: 'hereIs',
    body: encodeHereIs({
      port: 'pört',
      sequencer: 2,
      sequencerNonce: members[0]!.nonce,
      sequencerAddress: members[0]!.address,
      members: 2,
      maxMembers: 64,
      challenge: 0xfedcba9876543210n,
      versions,
      agreed: { version: 1, keyId: 0x11223344 },
    }),
  },
  {
    name: 'joinRequest',
    kind: 'joinRequest',
    body: encodeJoinRequest({
      port: 'pört',
      challenge: 0xfedcba9876543210n,
      name: 'dora',
      address: '192.0.2.4:4004',
      role: 0,
      right: 2,
      lastRequest: 5,
      header: text('hi'),
      proof: text('sixteen bytes...'),
      token: text('let me in'),
      versions,
    }),
  },
  {
    name: 'joinRefused',
    kind: 'joinRefused',
    body: encodeJoinRefused({
      reason: JoinRefusal.challenge,
      challenge: 17n,
      agreed: { version: 1, keyId: 0x11223344 },
    }),
  },
  { name: 'request', kind: 'request', body: messages() },
  { name: 'request-leave', kind: 'request', body: leave },
  {
    name: 'order',
    kind: 'order',
    flags: ORDER_FLAG_REPORT,
    body: ordered([
      { type: ENTRY_INLINE, bytes: messages() },
      { type: ENTRY_REFERENCE, bytes: messages().subarray(0, BLOCK_HEADER_BYTES) },
    ]),
  },
  { name: 'order-empty', kind: 'order', body: ordered([]) },
  { name: 'order-settings', kind: 'order', body: ordered([{ type: ENTRY_INLINE, bytes: settings }]) },
  {
    name: 'repair',
    kind: 'repair',
    body: ordered([
      { type: ENTRY_INLINE, bytes: join },
      { type: ENTRY_INLINE, bytes: leave },
    ]),
  },
  {
    name: 'data',
    kind: 'data',
    flags: DATA_FLAG_ACK,
    body: body(DATA_HEAD_BYTES + fragment.bytes.length, (packet) => writeData(packet, fragment)),
  },
  { name: 'state', kind: 'state', flags: STATE_FLAG_RESULT, body: NONE },
  { name: 'gap', kind: 'gap', body: body(gapBytes(2), (packet) => writeGap(packet, gap)) },
  {
    name: 'requestAck',
    kind: 'requestAck',
    body: body(REQUEST_ACK_BYTES, (packet) => writeRequestAck(packet, 79)),
  },
  {
    name: 'streamData-joinAnswer',
    kind: 'streamData',
    body: stream(
      StreamPurpose.joinAnswer,
      encodeJoinAnswer({
        memberId: 3,
        baseline: {
          parameters,
          before: view,
          view,
          results,
          seq: 300,
          stable: 250,
          accepted: 299,
          requests,
          nextMemberId: 5,
          settings: { seq: 280, version: 1, keyId: 0x11223344 },
        },
      }),
    ),
  },
  {
    name: 'streamData-inspection',
    kind: 'streamData',
    body: stream(
      StreamPurpose.inspection,
      encodeInspection({
        port: 'pört',
        parameters,
        view,
        seq: 300,
        accepted: 299,
        stable: 250,
        historyMessages: 50,
        historyBytes: 4096,
        lags: [{ id: 3, messages: 7 }],
        settings: { seq: 280, version: 1, keyId: 0x11223344 },
        newestKeys: [{ id: 3, keyId: 0x55667788 }],
      }),
    ),
  },
  {
    name: 'streamData-vote',
    kind: 'streamData',
    body: stream(
      StreamPurpose.vote,
      encodeVote({
        ballot,
        log: { results, end: 302 },
        stable: 250,
        accepted: 300,
        views: [view],
        minMembers: 2,
        nextMemberId: 5,
      }),
    ),
  },
  {
    name: 'streamData-result',
    kind: 'streamData',
    body: stream(
      StreamPurpose.result,
      encodeResult({
        ballot,
        view: { ...view, incarnation: 12, coordinator: 3, sequencer: 3, seq: 303 },
        witnesses: [members[0]!],
        results,
        stable: 250,
        requests,
        nextMemberId: 5,
        removed: [1],
        lossPossible: true,
        header: text('why'),
      }),
    ),
  },
  {
    name: 'streamAck',
    kind: 'streamAck',
    body: body(STREAM_ACK_BYTES, (packet) => {
      writeU32(packet, HEADER_BYTES, 9)
      writeU32(packet, HEADER_BYTES + 4, 1300)
    }),
  },
  { name: 'gone', kind: 'gone', body: NONE },
  { name: 'left', kind: 'left', body: encodeLeft(299) },
  { name: 'inspect', kind: 'inspect', body: encodeInspect('pört', 0xfedcba9876543210n) },
  { name: 'dataGap', kind: 'dataGap', body: encodeDataGap({ seq: 304, budget: 4096, ranges: missing }) },
  { name: 'dataAck', kind: 'dataAck', body: encodeDataAck({ request: 78, contiguous: 40, missing }) },
  {
    name: 'invite',
    kind: 'invite',
    flags: INVITE_FLAG_AUTOMATIC,
    body: encodeInvite({ ballot, viewSeq: 201, results }),
  },
  {
    name: 'refusal',
    kind: 'refusal',
    body: encodeRefusal({
      reason: RefusalReason.promised,
      refused: ballot,
      promise: { ...ballot, incarnation: 13 },
    }),
  },
  {
    name: 'refusalTooFew',
    kind: 'refusal',
    body: encodeRefusal({
      reason: RefusalReason.tooFew,
      refused: ballot,
      promise: ballot,
      lack: { have: 2, need: 9, askedBy: 4 },
    }),
  },
  { name: 'inquiry', kind: 'inquiry', body: encodeInquiry(2) },
  { name: 'testimony', kind: 'testimony', body: encodeTestimony({ about: 2, isAlive: true }) },
  { name: 'probe', kind: 'probe', body: encodeProbe(0xdeadbeef) },
  { name: 'probeAnswer', kind: 'probeAnswer', body: encodeProbe(0xdeadbeef) },
  { name: 'expelled', kind: 'expelled', body: encodeExpelled(results) },
  { name: 'slow', kind: 'slow', body: encodeSlow({ taken: 250, lagMessages: 55, members: [3] }) },
  { name: 'incompatible', kind: 'incompatible', body: encodeIncompatible({ lowest: 1, highest: 3 }) },
]

/** The whole packet, with its checksum. */
export function packetOf({ kind, flags = 0, body }: Sample): Uint8Array {
  const packet = new Uint8Array(HEADER_BYTES + body.length)
  writeHeader(packet, {
    kind: PacketKind[kind],
    flags,
    groupId: view.groupId,
    incarnation: view.incarnation,
    coordinator: view.coordinator,
    sender: 3,
    senderNonce: members[1]!.nonce,
    destination: members[0]!.nonce,
    received: 2 ** 33 + 5,
    taken: 2 ** 33,
    window: 262_144,
    newestKey: 0x55667788,
  })
  packet.set(body, HEADER_BYTES)
  return reseal(packet)
}
