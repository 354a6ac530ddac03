/**
 * Whoever asks in another's name must gain nothing by it: nothing that a process sends to one who has not shown that it receives
 * at its address is larger than what was asked. Every kind that is answered to one who is no member is asked here.
 */
import { describe, expect, test } from 'vitest'
import { HEADER_BYTES, PacketKind, writeHeader } from '../../kernel/packet.ts'
import { encodeInspect, encodeJoinRequest, encodeLocate, LocatePurpose } from '../../kernel/packets.ts'
import { parameterLimits } from '../../kernel/parameters.ts'
import { GroupOf, type Seat } from '../protocol/group-of.ts'

const VICTIM = '203.0.113.9:9999'
const NO_BYTES = new Uint8Array(0)
const PORT = 'group-of'

interface Question {
  readonly kind: PacketKind
  readonly body: Uint8Array
  readonly groupId?: bigint
  readonly incarnation?: number
  readonly sender?: number
  readonly nonce?: bigint
  readonly destination?: bigint
}

function packetOf(target: Seat, question: Question): Uint8Array {
  const { view, machine } = target
  const { kind, body, groupId = view.groupId, incarnation = view.incarnation, sender = 0 } = question
  const { nonce = 0x9999n, destination = machine.options.nonce } = question
  const packet = new Uint8Array(HEADER_BYTES + body.length)
  const { coordinator } = view
  const names = { groupId, incarnation, coordinator, sender, senderNonce: nonce, destination }
  writeHeader(packet, { kind, flags: 0, ...names, received: 0, taken: 0, window: 0 })
  packet.set(body, HEADER_BYTES)
  return packet
}

/** All packets that go to the victim from now on, in bytes. */
function watch(group: GroupOf): { readonly bytes: number[] } {
  const seen = { bytes: [] as number[] }
  const unicast = group.unicast.bind(group)
  group.unicast = (from, to, bytes) => {
    if (to === VICTIM) seen.bytes.push(bytes.length)
    unicast(from, to, bytes)
  }
  return seen
}

/** Three members of which one is not the sequencer, and one who has left. */
function scene(): { group: GroupOf; sequencer: Seat; other: Seat; former: Seat } {
  const group = GroupOf.open(4)
  const [sequencer, other, former] = group.seats as [Seat, Seat, Seat]
  former.leave()
  group.settle()
  return { group, sequencer, other, former }
}

const joining = {
  port: PORT,
  challenge: 12_345n,
  name: 'x',
  address: VICTIM,
  role: 0 as const,
  lastRequest: 0,
  header: NO_BYTES,
}
const located = (purpose: LocatePurpose): Question => ({
  kind: PacketKind.locate,
  body: encodeLocate({ port: PORT, purpose }),
  groupId: 0n,
  destination: 0n,
})

const questions: Readonly<Record<string, (former: Seat) => Question>> = {
  'locate to create': () => located(LocatePurpose.create),
  'locate to join': () => located(LocatePurpose.join),
  'locate of a candidate': () => located(LocatePurpose.candidate),
  'locate to inspect': () => located(LocatePurpose.inspect),
  'inspect with a wrong challenge': () => ({ kind: PacketKind.inspect, body: encodeInspect(PORT, 5n) }),
  'join request with a wrong challenge': () => ({
    kind: PacketKind.joinRequest,
    body: encodeJoinRequest(joining),
  }),
  'join request in the name of one who has left': (former) => ({
    kind: PacketKind.joinRequest,
    body: encodeJoinRequest(joining),
    nonce: former.machine.options.nonce,
  }),
  'report of one who has left': (former) => ({
    kind: PacketKind.state,
    body: NO_BYTES,
    sender: former.memberId,
    nonce: former.machine.options.nonce,
  }),
  'report of one who has left, in an older view': (former) => ({
    kind: PacketKind.state,
    body: NO_BYTES,
    incarnation: 4711,
    sender: former.memberId,
    nonce: former.machine.options.nonce,
  }),
  'report of a stranger': () => ({ kind: PacketKind.state, body: NO_BYTES, sender: 99 }),
  'gap of a stranger': () => ({ kind: PacketKind.gap, body: new Uint8Array(22), sender: 99 }),
  'probe of a stranger': () => ({ kind: PacketKind.probe, body: new Uint8Array(4), sender: 99 }),
  'stream of a stranger': () => ({ kind: PacketKind.streamData, body: new Uint8Array(40), sender: 99 }),
}

describe('an answer to one who is no member', () => {
  test.each(Object.keys(questions))('%s: no larger than the question, once', (name) => {
    const { group, sequencer, other, former } = scene()
    const seen = watch(group)
    for (const target of [sequencer, other]) {
      const packet = packetOf(target, questions[name]!(former))
      seen.bytes.length = 0
      target.input({ kind: 'packet', from: VICTIM, bytes: packet })
      group.advance(5000)
      expect(seen.bytes.length).toBeLessThanOrEqual(1)
      for (const bytes of seen.bytes) expect(bytes).toBeLessThanOrEqual(packet.length)
    }
  })

  test('the questions that find a group are answered', () => {
    const { group, sequencer } = scene()
    const seen = watch(group)
    sequencer.input({ kind: 'packet', from: VICTIM, bytes: packetOf(sequencer, located(LocatePurpose.join)) })
    sequencer.input({
      kind: 'packet',
      from: VICTIM,
      bytes: packetOf(sequencer, { kind: PacketKind.inspect, body: encodeInspect(PORT, 5n) }),
    })
    expect(seen.bytes).toHaveLength(2)
  })

  test('one that names a sequencer with a very long address is not given, and counted', () => {
    const group = new GroupOf()
    const long = group.add({ address: `${'x'.repeat(200)}:1` })
    const seen = watch(group)
    long.input({ kind: 'packet', from: VICTIM, bytes: packetOf(long, located(LocatePurpose.join)) })
    expect(seen.bytes).toEqual([])
    expect(long.machine.counters.rejected.overflow).toBe(1)
  })

  test('the longest port leaves room for it', () => {
    const port = 'p'.repeat(parameterLimits.portBytes)
    const question = encodeLocate({ port, purpose: LocatePurpose.join }).length
    const short = encodeLocate({ port: 'p', purpose: LocatePurpose.join }).length
    expect(question - short).toBe(parameterLimits.portBytes - 1)
  })

  test('a notice of expulsion to strangers may be larger, and is given seldom', () => {
    const { group, sequencer } = scene()
    const seen = watch(group)
    for (let i = 0; i < 10_000; i++) {
      const question: Question = {
        kind: PacketKind.state,
        body: NO_BYTES,
        incarnation: 4711,
        sender: 99,
        nonce: BigInt(i + 1000),
      }
      sequencer.input({ kind: 'packet', from: VICTIM, bytes: packetOf(sequencer, question) })
      if (i % 10 === 0) group.advance(1)
    }
    // 64 at once, and ten a second
    expect(seen.bytes.length).toBeLessThanOrEqual(64 + 11)
    expect(sequencer.machine.counters.rejected.overflow).toBeGreaterThan(9000)
  })

  test('a joiner’s answer goes to where its challenge was given, whatever address it names', () => {
    const { group } = scene()
    const streams: string[] = []
    const unicast = group.unicast.bind(group)
    group.unicast = (from, to, bytes) => {
      if (bytes[2] === PacketKind.streamData) streams.push(to)
      unicast(from, to, bytes)
    }
    const joiner = group.begin({ address: VICTIM })
    ;(joiner as { address: string }).address = 'joiner:1'
    group.until(() => joiner.machine.counters.packets.in[PacketKind.streamData]! > 0, 'its answer has come')
    expect(new Set(streams)).toEqual(new Set(['joiner:1']))
  })
})
