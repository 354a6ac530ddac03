/**
 * An address in a packet, or above it, is only said: a joiner can name another's as its own, and whoever has heard the group
 * can write as a member from wherever it likes. What is sent for that goes to members, or is no larger than what was asked,
 * until somebody has answered from there. (amplification.test.ts tries packets of every kind, one by one; here each is a story.)
 */
import { describe, expect, test } from 'vitest'
import {
  decodeHereIs,
  decodeJoinRefused,
  encodeHereIs,
  encodeJoinRequest,
  encodeLocate,
  LocatePurpose,
  ownVersions,
} from '../../kernel/meeting-packets.ts'
import { HEADER_BYTES, PacketKind, readHeader } from '../../kernel/packet.ts'
import {
  DATA_FLAG_ACK,
  DATA_HEAD_BYTES,
  encodeDataGap,
  gapBytes,
  writeData,
  writeGap,
} from '../../kernel/packets.ts'
import { encodeInvite, encodeProbe } from '../../kernel/recovery-packets.ts'
import { BUDGET_MAX } from '../../sequencer/repair.ts'
import { GroupOf, type Seat } from '../protocol/group-of.ts'
import { inside } from '../protocol/recovery-scene.ts'
import { type Sent, watch } from '../protocol/sent-packets.ts'
import { namesFor, packetOf } from '../support/packets.ts'

const VICTIM = '203.0.113.9:9999'
const ATTACKER = '198.51.100.1:7'
const NONCE = 0xabcdn
const PORT = 'group-of'
const NO_BYTES = new Uint8Array(0)
/** Of all repairs to one member at once: what it may have, and the last answer's last packet. */
const REPAIR_AT_ONCE = 4 * BUDGET_MAX + 8192
const REPAIR_A_MS = (64 * 1024 * 1024) / 1000

function bytesTo(address: string, sent: readonly Sent[]): number {
  return sent.reduce((sum, { to, bytes }) => sum + (to === address ? bytes.length : 0), 0)
}

function give(target: Seat, from: string, bytes: Uint8Array): number {
  target.input({ kind: 'packet', from, bytes })
  return bytes.length
}

// ---- a joiner's address ---------------------------------------------------------------------------------

function joinRequest(target: Seat, challenge: bigint, address: string): Uint8Array {
  const nothing = { header: NO_BYTES, proof: NO_BYTES, token: NO_BYTES }
  const wish = { port: PORT, challenge, name: 'x', address, role: 0, right: 0, lastRequest: 0 } as const
  const names = { ...namesFor(target), senderNonce: NONCE }
  return packetOf(PacketKind.joinRequest, names, encodeJoinRequest({ ...wish, ...nothing }))
}

/** What the sequencer challenges the attacker with, at its own address. */
function ownChallenge(target: Seat, sent: readonly Sent[]): bigint {
  const body = encodeLocate({ port: PORT, purpose: LocatePurpose.join })
  give(target, ATTACKER, packetOf(PacketKind.locate, { senderNonce: NONCE }, body))
  return decodeHereIs(sent.find(({ to }) => to === ATTACKER)!.bytes)!.challenge
}

describe('a joiner that names another address than its packets come from', () => {
  test('is not let in before it has shown that it receives there', () => {
    const group = GroupOf.open(3)
    const { first } = group
    const sent = watch(group)
    const challenge = ownChallenge(first, sent)
    let asked = 0
    for (let i = 0; i < 20; i++) {
      asked += give(first, ATTACKER, joinRequest(first, challenge, VICTIM))
      group.advance(50)
      expect(bytesTo(VICTIM, sent)).toBeLessThanOrEqual(asked)
    }
    expect(first.view.members).toHaveLength(3)
    expect(sent.filter(({ to }) => to === VICTIM).map(({ kind }) => kind)).toEqual(
      Array(20).fill('joinRefused'),
    )
    // what was sent to the one is worth nothing for the other
    const challenged = decodeJoinRefused(sent.find(({ to }) => to === VICTIM)!.bytes)!.challenge
    give(first, ATTACKER, joinRequest(first, challenged, ATTACKER))
    group.advance(50)
    expect(first.view.members).toHaveLength(3)
    // and opens the door where it was sent
    give(first, ATTACKER, joinRequest(first, challenged, VICTIM))
    group.until(() => first.view.members.length === 4, 'it is let in')
    expect(first.view.members.at(-1)!.address).toBe(VICTIM)
  })

  test('is let in behind address translation, or with several addresses, and told everything there', () => {
    const group = GroupOf.open(2)
    const { first } = group
    const sent = watch(group)
    const joiner = group.begin({ address: 'advertised:1' })
    ;(joiner as { address: string }).address = 'advertised:1'
    // packets of the joiner come from elsewhere, and what goes there reaches it
    const input = first.input.bind(first)
    first.input = (given) =>
      input(given.kind === 'packet' && given.from === 'advertised:1' ? { ...given, from: 'inner:1' } : given)
    const unicast = group.unicast.bind(group)
    group.unicast = (from, to, bytes) => unicast(from, to === 'inner:1' ? 'advertised:1' : to, bytes)
    group.until(() => joiner.memberId !== 0, 'it is a member')
    joiner.send(10)
    group.until(() => joiner.unanswered === 0, 'its send has returned')
    expect(first.view.members.at(-1)!.address).toBe('advertised:1')
    const told = sent.filter(({ kind }) => kind === 'streamData')
    expect(told.length).toBeGreaterThan(0)
    expect(new Set(told.map(({ to }) => to))).toEqual(new Set(['advertised:1']))
  })
})

// ---- an invitation of one who has joined since ----------------------------------------------------------

/** By one that claims to have joined while `target` missed it; its results are the target's own. */
function invitation(target: Seat, sender: number, step = 1): Uint8Array {
  const { view } = target
  const incarnation = view.incarnation + step
  const { results } = inside(target).state
  const ballot = { incarnation, endIncarnation: 99, endSeq: 99, coordinator: sender }
  const names = { ...namesFor(target), sender, senderNonce: NONCE, incarnation, coordinator: sender }
  const body = encodeInvite({ ballot, viewSeq: view.seq + 50, results })
  return packetOf(PacketKind.invite, names, body)
}

function probeAnswer(target: Seat, sender: number, body: Uint8Array): Uint8Array {
  const names = { ...namesFor(target), sender, senderNonce: NONCE, coordinator: sender }
  return packetOf(PacketKind.probeAnswer, names, body)
}

describe('an invitation of one who says that it has joined since', () => {
  test.each([3, 12, 40])('in a group of %i is answered by a probe, and binds nobody', (size) => {
    const group = GroupOf.open(size)
    const sent = watch(group)
    const target = group.seats[1]!
    const asked = give(target, VICTIM, invitation(target, size + 5))
    group.advance(3000)
    expect(sent.filter(({ to }) => to === VICTIM).map(({ kind }) => kind)).toEqual(['probe'])
    expect(bytesTo(VICTIM, sent)).toBeLessThan(asked)
    expect(target.machine.info().phase).toBe('member')
  })

  test('is voted on when the probe is answered, from there and with its number', () => {
    const group = GroupOf.open(3)
    const sent = watch(group)
    const target = group.seats[1]!
    group.first.crash()
    group.advance(2000)
    const sender = 99
    give(target, ATTACKER, invitation(target, sender, 20))
    const probe = sent.find(({ to }) => to === ATTACKER)!
    expect(probe.kind).toBe('probe')
    // it comes under the ballot of the one that invites: that one hears nothing else
    expect(readHeader(probe.bytes)).toMatchObject({ coordinator: sender, destination: NONCE })
    const cookie = probe.bytes.subarray(HEADER_BYTES)
    const votes = () => sent.filter(({ to, kind }) => kind === 'streamData' && !to.startsWith('m'))
    give(target, VICTIM, probeAnswer(target, sender, cookie))
    give(target, ATTACKER, probeAnswer(target, sender, encodeProbe(12_345)))
    group.advance(1)
    expect(votes()).toEqual([])
    give(target, ATTACKER, probeAnswer(target, sender, cookie))
    group.advance(1)
    expect(new Set(votes().map(({ to }) => to))).toEqual(new Set([ATTACKER]))
    // once shown, it is not asked again, but anybody else in its name is
    sent.length = 0
    give(target, ATTACKER, invitation(target, sender, 21))
    give(target, VICTIM, invitation(target, sender, 22))
    group.advance(1)
    expect(new Set(votes().map(({ to }) => to))).toEqual(new Set([ATTACKER]))
    expect(sent.filter(({ to }) => to === VICTIM).map(({ kind }) => kind)).toEqual(['probe'])
  })

  test('a flood of them is remembered in part, and the one that answers gets its vote at its next word', () => {
    const group = GroupOf.open(3)
    const sent = watch(group)
    const target = group.seats[1]!
    group.first.crash()
    group.advance(2000)
    give(target, ATTACKER, invitation(target, 99, 20))
    const cookie = sent.find(({ to }) => to === ATTACKER)!.bytes.slice(HEADER_BYTES)
    for (let i = 0; i < 200; i++) {
      const forged = invitation(target, 99, 20)
      forged[47] = i
      give(target, VICTIM, forged)
    }
    give(target, ATTACKER, probeAnswer(target, 99, cookie))
    give(target, ATTACKER, invitation(target, 99, 20))
    group.advance(1)
    expect(sent.some(({ to, kind }) => to === ATTACKER && kind === 'streamData')).toBe(true)
  })
})

// ---- the sequencer of another group ---------------------------------------------------------------------

test('another group’s sequencer, wherever it is said to be, is asked seldom', () => {
  const group = GroupOf.open(2)
  const sent = watch(group)
  const { first } = group
  const where = {
    port: PORT,
    sequencer: 1,
    sequencerNonce: 5n,
    sequencerAddress: VICTIM,
    challenge: 0n,
  } as const
  const more = { members: 2, maxMembers: 64, versions: ownVersions, agreed: { version: 1, keyId: 0 } }
  const tell = (count: number): void => {
    for (let i = 0; i < count; i++) {
      const names = { senderNonce: NONCE, groupId: BigInt(told++), destination: first.machine.options.nonce }
      give(first, ATTACKER, packetOf(PacketKind.hereIs, names, encodeHereIs({ ...where, ...more })))
    }
  }
  let told = 4711
  const asked = () => sent.filter(({ to }) => to === VICTIM).length
  // an answer to nothing that it has asked
  tell(100)
  expect(asked()).toBe(0)
  group.advance(31_000)
  tell(100)
  expect(asked()).toBe(4)
  expect(first.machine.counters.limited.groups).toBe(196)
  // those that were not asked are in the next round, when they answer again
  group.advance(31_000)
  told -= 16
  tell(16)
  expect(asked()).toBe(8)
  group.advance(31_000)
  tell(100)
  expect(asked()).toBe(12)
})

// ---- in a member's name ---------------------------------------------------------------------------------

/** A packet as `member` could have sent it. */
function inNameOf(member: Seat, target: Seat, kind: PacketKind, body: Uint8Array, flags = 0): Uint8Array {
  const names = { ...namesFor(target), sender: member.memberId, senderNonce: member.machine.options.nonce }
  return packetOf(kind, { ...names, flags }, body)
}

/** One of two members takes nothing, so that all is kept. */
function withHistory(): { group: GroupOf; asked: Seat; member: Seat } {
  const group = GroupOf.open(3)
  const [asked, member, slow] = group.seats as [Seat, Seat, Seat]
  slow.holds = true
  for (let i = 0; i < 40; i++) {
    for (let j = 0; j < 10; j++) asked.send(4000)
    group.advance(20)
  }
  group.until(() => asked.unanswered === 0, 'all is ordered')
  return { group, asked, member }
}

describe('packets in a member’s name that come from elsewhere', () => {
  test('data is acknowledged to the member, not to where it came from', () => {
    const group = GroupOf.open(3)
    const sent = watch(group)
    const { first } = group
    const member = group.seats[1]!
    const fragment = (offset: number): Uint8Array => {
      const packet = inNameOf(
        member,
        first,
        PacketKind.data,
        new Uint8Array(DATA_HEAD_BYTES + 1),
        DATA_FLAG_ACK,
      )
      writeData(packet, { member: member.memberId, request: 500, total: 60_000, offset, bytes: NO_BYTES })
      packet[packet.length - 1] = 1
      return packet
    }
    for (let i = 1; i < 80; i += 2) {
      give(first, VICTIM, fragment(i))
      group.advance(0.1)
    }
    expect(bytesTo(VICTIM, sent)).toBe(0)
    expect(sent.filter(({ to, kind }) => to === member.address && kind === 'dataAck').length).toBe(40)
  })

  const questions: Readonly<Record<string, (member: Seat, target: Seat) => Uint8Array>> = {
    gap: (member, target) => {
      const packet = inNameOf(member, target, PacketKind.gap, new Uint8Array(gapBytes(1)))
      writeGap(packet, { budget: 0xffff_ffff, ranges: [{ from: 1, to: 1e9 }] })
      return packet
    },
    dataGap: (member, target) => {
      const { history } = inside(target).state
      const { seq } = [...history.entriesFrom(history.stable + 1)][0]!
      const body = encodeDataGap({ seq, budget: 0xffff_ffff, ranges: [{ from: 0, to: 1e6 }] })
      return inNameOf(member, target, PacketKind.dataGap, body)
    },
  }

  test.each(Object.keys(questions))(
    '%s: repairs go to the member, and no more than its allotment',
    (name) => {
      const { group, asked, member } = withHistory()
      const sent = watch(group)
      const before = group.queue.now
      for (let i = 0; i < 1000; i++) {
        give(asked, VICTIM, questions[name]!(member, asked))
        group.advance(0.01)
      }
      const ms = (group.queue.now - before) / 1000
      expect(bytesTo(VICTIM, sent)).toBe(0)
      const repaired = sent.filter(({ to, kind }) => to === member.address && /repair|data/.test(kind!))
      const bytes = bytesTo(member.address, repaired)
      expect(bytes).toBeGreaterThan(BUDGET_MAX)
      // headers and overheads are not counted in the allotment
      expect(bytes).toBeLessThan((REPAIR_AT_ONCE + ms * REPAIR_A_MS) * 1.1)
      expect(asked.machine.counters.limited.repair).toBeGreaterThan(100)
    },
  )

  test('the allotment comes back with time, and is each member’s own', () => {
    const { group, asked, member } = withHistory()
    const third = group.seats[2]!
    const sent = watch(group)
    for (let i = 0; i < 50; i++) give(asked, VICTIM, questions.gap!(member, asked))
    const spent = bytesTo(member.address, sent)
    give(asked, VICTIM, questions.gap!(third, asked))
    expect(bytesTo(third.address, sent)).toBeGreaterThan(BUDGET_MAX / 2)
    group.advance(20)
    give(asked, VICTIM, questions.gap!(member, asked))
    expect(bytesTo(member.address, sent) - spent).toBeGreaterThan(BUDGET_MAX / 2)
  })
})
