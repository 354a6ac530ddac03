/** What fuzzing, and thinking like it, has found; each as small as it can be said. */
import { describe, expect, test } from 'vitest'
import { decodeJoinAnswer, encodeJoinAnswer } from '../../kernel/answers.ts'
import { Assembly, AssemblyStore } from '../../kernel/assembly.ts'
import { BLOCK_HEADER_BYTES, BlockKind, writeBlockHeader } from '../../kernel/block.ts'
import { Counters } from '../../kernel/counters.ts'
import { History } from '../../kernel/history.ts'
import { ownVersions } from '../../kernel/meeting-packets.ts'
import { Outbox } from '../../kernel/outbox.ts'
import { HEADER_BYTES, PacketKind } from '../../kernel/packet.ts'
import {
  DATA_HEAD_BYTES,
  ENTRY_REFERENCE,
  gapBytes,
  ORDER_HEAD_BYTES,
  writeData,
  writeGap,
  writeOrderHead,
} from '../../kernel/packets.ts'
import { Prng } from '../../kernel/prng.ts'
import { encodeExpelled, encodeInvite, encodeRefusal, RefusalReason } from '../../kernel/recovery-packets.ts'
import { RoundTrips } from '../../kernel/rtt.ts'
import { drawKey, siphash } from '../../kernel/siphash.ts'
import { Streams } from '../../kernel/streams.ts'
import { Timers } from '../../kernel/timers.ts'
import { decodeVote, encodeVote, type Vote } from '../../recovery/vote.ts'
import { Challenge } from '../../sequencer/challenge.ts'
import type { WaitingChanges } from '../../sequencer/changes.ts'
import type { Sequencer } from '../../sequencer/sequencer.ts'
import { GroupOf, type Seat } from '../protocol/group-of.ts'
import { inside } from '../protocol/recovery-scene.ts'
import { namesFor, packetOf } from '../support/packets.ts'
import { fuzzLiars } from './liar.ts'

const NO_BYTES = new Uint8Array(0)

/** A packet under the names of the group that `target` is in. */
function forged(
  target: Seat,
  kind: PacketKind,
  body: Uint8Array,
  sender: number,
  nonce = 0x9999n,
): Uint8Array {
  const window = 1024 * 1024
  return packetOf(kind, { ...namesFor(target), sender, senderNonce: nonce, window }, body)
}

function give(target: Seat, packet: Uint8Array, from = '10.9.9.9:9'): void {
  target.input({ kind: 'packet', from, bytes: packet })
}

describe('nobody outside speaks for the group', () => {
  test('ordered packets of one who claims to have joined since are not taken', () => {
    const group = GroupOf.open(3)
    const target = group.seats[2]!
    const { state } = inside(target)
    const body = new Uint8Array(ORDER_HEAD_BYTES)
    const before = state.highest
    const packet = forged(target, PacketKind.repair, body, state.nextMemberId)
    writeOrderHead(packet, {
      highest: before + 1000,
      accepted: 0,
      stable: 0,
      firstSeq: 0,
      entries: 0,
      ackers: 0,
    })
    give(target, packet)
    expect(state.highest).toBe(before)
    expect(target.machine.counters.rejected.stranger).toBe(1)
  })

  test('one who has left, or was never there, expels nobody', () => {
    const group = GroupOf.open(3)
    const [first, second, third] = group.seats as [Seat, Seat, Seat]
    second.leave()
    group.settle()
    const { results } = inside(third).state
    const ballot = { ...results[0]!.ballot, incarnation: results[0]!.ballot.incarnation + 1 }
    const body = encodeExpelled([...results, { ballot, seq: 100 }])
    give(third, forged(third, PacketKind.expelled, body, second.memberId, second.machine.options.nonce))
    give(third, forged(third, PacketKind.expelled, body, 0))
    expect(third.isOver).toBe(false)
    // the same word of a member is believed: it can only come from a later view
    give(third, forged(third, PacketKind.expelled, body, first.memberId, first.machine.options.nonce))
    expect(third.isOver).toBe(true)
  })

  test('a stranger’s refusal does not use up the numbers of attempts', () => {
    const group = GroupOf.open(3)
    const target = group.seats[1]!
    const ballot = inside(target).recovery.promise
    const promise = { ...ballot, incarnation: Number.MAX_SAFE_INTEGER - 2 ** 32 }
    const body = encodeRefusal({ reason: RefusalReason.promised, refused: ballot, promise })
    give(target, forged(target, PacketKind.refusal, body, 77))
    // and a member's moves them a bounded step at most
    give(target, forged(target, PacketKind.refusal, body, 1, group.first.machine.options.nonce))
    const reset = target.reset()
    group.until(() => reset.size === 3, 'the group is rebuilt')
    expect(target.view.incarnation).toBeLessThan(2 ** 33)
  })

  test('an invitation far ahead of all others is not voted on', () => {
    const group = GroupOf.open(3)
    const target = group.seats[1]!
    const { state, recovery } = inside(target)
    const ballot = { ...recovery.promise, incarnation: 2 ** 52, coordinator: 1 }
    const body = encodeInvite({ ballot, viewSeq: state.view.seq, results: state.results })
    give(target, forged(target, PacketKind.invite, body, 1, group.first.machine.options.nonce))
    expect(recovery.isBound).toBe(false)
    expect(target.machine.counters.limited.attempts).toBe(1)
    expect(target.machine.counters.rejected.overflow).toBe(1)
  })
})

describe('a challenge', () => {
  test('is the hash that SipHash-2-4 gives for its test vectors', () => {
    const key = { words: [0x03020100, 0x07060504, 0x0b0a0908, 0x0f0e0d0c] } as const
    const bytes = Uint8Array.from({ length: 15 }, (_, i) => i)
    expect(siphash(key, bytes)).toBe(0xa129ca6149be45e5n)
    expect(siphash(key, bytes.subarray(0, 0))).toBe(0x726fdb47dd0e0e31n)
    expect(siphash(key, bytes.subarray(0, 8))).toBe(0x93f5f5799a932462n)
  })

  test('is worth nothing at another address, for another nonce, or later', () => {
    const challenge = new Challenge(drawKey(new Prng(1)), 0)
    const asker = { address: '10.0.0.1:1', nonce: 5n }
    const given = challenge.current(1000, asker)
    expect(challenge.isValid(given, 10_500_000, asker)).toBe(true)
    expect(challenge.isValid(given, 20_500_000, asker)).toBe(false)
    expect(challenge.isValid(given, 1000, { ...asker, address: '10.0.0.2:1' })).toBe(false)
    expect(challenge.isValid(given, 1000, { ...asker, nonce: 6n })).toBe(false)
  })

  test('that was heard on the wire lets no ghost in', () => {
    const group = GroupOf.open(2)
    let request: Uint8Array | undefined
    group.isLost = ({ kind, bytes }) => {
      if (kind === 'joinRequest') request = bytes.slice()
      return false
    }
    group.add()
    group.settle()
    const ghost = request!.slice()
    ghost.set([1, 2, 3, 4, 5, 6, 7, 8], 40)
    give(group.first, ghost)
    group.settle()
    expect(group.first.view.members).toHaveLength(3)
  })
})

describe('joins', () => {
  test('wait so many at once and no more, counted, and all come in in the end', () => {
    const group = GroupOf.open(1, { parameters: { maxMembers: 1024 } })
    const first = group.first
    const refused = new Set<bigint>()
    group.isLost = ({ kind, from, header, bytes }) => {
      // reason busy
      if (kind === 'joinRefused' && from === first && bytes[HEADER_BYTES] === 4)
        refused.add(header.destination)
      return false
    }
    const joiners = Array.from({ length: 120 }, () => group.begin())
    group.until(() => joiners.every(({ memberId }) => memberId !== 0), 'all are members')
    // at most 64 wait at a time, whatever the rate
    expect(refused.size).toBeGreaterThan(0)
    expect(first.machine.counters.limited.waitingJoins).toBeGreaterThan(0)
    expect(first.machine.counters.rejected.overflow).toBeGreaterThanOrEqual(refused.size)
  })

  test('begin at a bounded rate', () => {
    const taken: bigint[] = []
    const group = GroupOf.open(1, { parameters: { maxMembers: 1024 } })
    const { sequencer } = (group.first.machine as unknown as { membership: { sequencer: Sequencer } })
      .membership
    const { changes } = sequencer
    const { outbox } = changes as unknown as { outbox: Outbox }
    const sent: number[] = []
    outbox.begin(outbox.now, {
      unicast: (_to, packet) => sent.push(packet[2]!),
      multicast: () => {},
      output: () => {},
    })
    for (let i = 0; i < 1000; i++) {
      const nonce = BigInt(1000 + i)
      const address = `10.0.0.1:${1000 + i}`
      const challenge = changes.currentChallenge({ address, nonce })
      changes.onJoinRequest(address, nonce, {
        port: 'group-of',
        challenge,
        name: 'x',
        address,
        role: 0,
        right: 0,
        lastRequest: 0,
        header: NO_BYTES,
        proof: NO_BYTES,
        token: NO_BYTES,
        versions: ownVersions,
      })
      // the line is served meanwhile
      const { waiting } = changes as unknown as { waiting: WaitingChanges }
      if (waiting.takeFirst(() => true) !== undefined) taken.push(nonce)
    }
    outbox.end()
    expect(taken.length).toBeGreaterThan(250)
    expect(taken.length).toBeLessThanOrEqual(256)
    expect(sent.filter((kind) => kind === PacketKind.joinRefused)).toHaveLength(1000 - taken.length)
    expect(group.first.machine.counters.limited.newJoins).toBe(1000 - taken.length)
  })
})

describe('answers go where members are', () => {
  /** As `member` would ask `target` for one place. */
  function gapOf({ memberId, machine }: Seat, target: Seat, seq: number): Uint8Array {
    const body = new Uint8Array(gapBytes(1))
    const packet = forged(target, PacketKind.gap, body, memberId, machine.options.nonce)
    writeGap(packet, { budget: 60_000, ranges: [{ from: seq, to: seq }] })
    return packet
  }

  test('a gap asked for in a member’s name from elsewhere is answered at the member’s address', () => {
    const group = GroupOf.open(3)
    for (const seat of group.seats) seat.holds = true
    const [first, second] = group.seats as [Seat, Seat]
    const { seq } = sentAndDelivered(group, first)
    const sent: string[] = []
    group.isLost = ({ kind, to }) => {
      if (kind === 'repair') sent.push(to.name)
      return false
    }
    const packet = gapOf(second, first, seq)
    give(first, packet, group.seats[2]!.address)
    expect(sent).toEqual([second.name])
  })

  test('one who has left is told nothing of what came after', () => {
    const group = GroupOf.open(3)
    const [first, second, third] = group.seats as [Seat, Seat, Seat]
    second.leave()
    group.settle()
    third.holds = true
    const { seq } = sentAndDelivered(group, first)
    const before = first.machine.counters.retransmissions.repair
    const packet = gapOf(second, first, seq)
    give(first, packet, second.address)
    expect(first.machine.counters.retransmissions.repair).toBe(before)
  })
})

function sentAndDelivered(group: GroupOf, seat: Seat): { seq: number } {
  const sent = seat.send(100)
  group.until(
    () => sent.seq !== undefined && group.living.every(({ messages }) => messages.length > 0),
    'it is delivered',
  )
  return { seq: sent.seq! }
}

describe('what members can make others keep', () => {
  test('streams of one sender leave room for those of others, and are not kept when they are whole', () => {
    const options = { nonce: 1n, address: 'a:1', window: 1, transport: 'unicast', packetSize: 1400 } as const
    const outbox = new Outbox(options, new Counters(), () => undefined)
    const met = { streams: 0, allStreams: 0 }
    const roundTrips = new RoundTrips(1000, 1000, 1000)
    const noRepeat = (): void => {}
    const streams = new Streams(outbox, new Timers(), 1400, roundTrips, noRepeat, (limit) => met[limit]++)
    outbox.begin(1, { unicast: () => {}, multicast: () => {}, output: () => {} })
    const { incoming } = streams as unknown as { incoming: { from: bigint }[] }
    expect(incoming).toEqual([])
    const bytes = new Uint8Array(1000)
    for (let stream = 0; stream < 5000; stream++)
      streams.onFragment('b:1', 2n, { stream, purpose: 3, total: 1024 * 1024, offset: 0, bytes })
    const whole = { stream: 1, purpose: 3, total: 1000, offset: 0, bytes }
    expect(streams.onFragment('c:1', 3n, whole)).toEqual(bytes)
    const kept = streams as unknown as { incoming: { from: bigint }[]; incomingBytes: number }
    expect(kept.incoming.filter(({ from }) => from === 2n)).toHaveLength(4)
    expect(kept.incomingBytes).toBe(4 * 1024 * 1024)
    // told of again, it is only acknowledged
    expect(streams.onFragment('c:1', 3n, whole)).toBeUndefined()
    expect(met).toEqual({ streams: 4996, allStreams: 0 })
    // one stream of each of many senders, and room for 64 of them
    for (let sender = 10; sender < 75; sender++)
      streams.onFragment('b:1', BigInt(sender), {
        stream: 1,
        purpose: 3,
        total: 1024 * 1024,
        offset: 0,
        bytes,
      })
    expect(kept.incomingBytes).toBe(64 * 1024 * 1024)
    expect(met.allStreams).toBe(5)
    // those that are whole hold no bytes, and do not keep a new one out
    for (let sender = 80; sender < 90; sender++) streams.onFragment('b:1', BigInt(sender), whole)
    streams.onFragment('d:1', 99n, { stream: 1, purpose: 3, total: 1024 * 1024, offset: 0, bytes })
    expect(kept.incoming.at(-1)!.from).toBe(99n)
    expect(kept.incomingBytes).toBeLessThanOrEqual(64 * 1024 * 1024)
    streams.onFragment('e:1', 4n, { stream: 1, purpose: 3, total: 1024 * 1024 + 1, offset: 0, bytes })
    expect(met.streams).toBe(4997)
  })

  test('a block in pieces of single bytes is not taken apart without end', () => {
    const assembly = new Assembly(100_000)
    const byte = new Uint8Array(1)
    let taken = 0
    for (let offset = 1; offset < 100_000; offset += 2) if (assembly.add(offset, byte)) taken++
    expect(taken).toBe(2048)
    // what is missing from the start is always taken
    expect(assembly.add(0, new Uint8Array(50))).toBe(true)
    expect(assembly.add(50, new Uint8Array(99_950))).toBe(true)
    expect(assembly.block?.length).toBe(100_000)
  })

  test('blocks of one byte each count for what they cost', () => {
    const store = new AssemblyStore(64 * 1024, 1024)
    let opened = 0
    for (let request = 1; request <= 10_000; request++)
      if (store.open(1, request, 1, false) !== undefined) opened++
    expect(opened).toBeLessThan(600)
    store.release(1, 10_000)
    expect(store.bytes).toBe(0)
  })

  test('places are kept for as many bytes as an honest sequencer numbers', () => {
    const history = new History(0, 1000, 100_000)
    const kind = BlockKind.messages
    let placed = 0
    for (let seq = 2; seq <= 900; seq++)
      if (history.place({ seq, count: 1, kind, member: 1, firstRequest: seq, length: 10_000 })) placed++
    expect(placed).toBe(10)
    // the next one always has room, so that the order can go on
    expect(history.place({ seq: 1, count: 1, kind, member: 1, firstRequest: 1, length: 10_000 })).toBe(true)
  })
})

describe('an answer to a joiner', () => {
  test('with parameters, ids or places that no group can have is none', () => {
    const seat = GroupOf.open(1).first
    const baseline = inside(seat).state.toBaseline()
    const answer = { memberId: 1, baseline }
    expect(decodeJoinAnswer(encodeJoinAnswer(answer))?.memberId).toBe(1)
    const parameters = { ...baseline.parameters, historySize: 0 }
    const lies = [{ parameters }, { nextMemberId: 1 }, { view: { ...baseline.view, seq: 99 } }]
    for (const lie of lies) {
      const lying = { memberId: 1, baseline: { ...baseline, ...lie } }
      expect(decodeJoinAnswer(encodeJoinAnswer(lying))).toBeUndefined()
    }
  })
})

describe('order by reference', () => {
  test('a block that is not what its place says does not take it', () => {
    const group = GroupOf.open(2)
    const target = group.seats[1]!
    const { state } = inside(target)
    const seq = state.history.received + 1
    const block = new Uint8Array(BLOCK_HEADER_BYTES + 4)
    const request = (state.requests.get(1) ?? 0) + 1
    const head = { count: 1, length: block.length, member: 1, firstRequest: request }
    const body = new Uint8Array(ORDER_HEAD_BYTES + 1 + BLOCK_HEADER_BYTES)
    body[ORDER_HEAD_BYTES] = ENTRY_REFERENCE
    // said to be a leave, which the member would read when it is official
    writeBlockHeader(body, ORDER_HEAD_BYTES + 1, { ...head, kind: BlockKind.leave })
    const nonce = group.first.machine.options.nonce
    const order = forged(target, PacketKind.order, body, 1, nonce)
    writeOrderHead(order, { highest: seq, accepted: seq, stable: 0, firstSeq: seq, entries: 1, ackers: 0 })
    give(target, order)
    writeBlockHeader(block, 0, { ...head, kind: BlockKind.messages })
    const data = forged(target, PacketKind.data, new Uint8Array(DATA_HEAD_BYTES + block.length), 1, nonce)
    writeData(data, { member: 1, request, total: block.length, offset: 0, bytes: block })
    give(target, data)
    expect(state.history.received).toBe(seq - 1)
  })
})

describe('votes', () => {
  const founding = { ballot: { incarnation: 1, endIncarnation: 0, endSeq: 0, coordinator: 1 }, seq: 1 }
  const view = { groupId: 7n, incarnation: 1, coordinator: 1, seq: 1, sequencer: 1, members: [] }
  const vote: Vote = {
    ballot: { ...founding.ballot, incarnation: 2 },
    log: { results: [founding], end: 9 },
    stable: 4,
    accepted: 8,
    views: [view, { ...view, seq: 9 }],
    minMembers: 0,
    nextMemberId: 3,
  }

  test('whose views or results cannot lie in one log are no votes', () => {
    expect(decodeVote(encodeVote(vote))).toEqual(vote)
    const backwards = { ...vote, views: [{ ...view, seq: 9 }, view] }
    expect(decodeVote(encodeVote(backwards))).toBeUndefined()
    const late = { ...vote, log: { results: [{ ...founding, seq: 6 }], end: 9 } }
    expect(decodeVote(encodeVote(late))).toBeUndefined()
  })
})

test('a block that begins before the place of a join and ends behind it does not stop the joiner', () => {
  expect(fuzzLiars(102, 1_100).groups).toBeGreaterThan(30)
})
