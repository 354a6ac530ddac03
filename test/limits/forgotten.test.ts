/**
 * What is kept for those who are no members, or are so many, has an end, and the oldest is forgotten for the newest. Each test
 * goes one beyond the bound of a row in SECURITY.md, and sees that it was one.
 */
import { describe, expect, test } from 'vitest'
import { Introductions, type Invitation } from '../../group/member/introductions.ts'
import type { Address, Nonce } from '../../kernel/identity.ts'
import {
  decodeHereIs,
  decodeJoinRefused,
  encodeInspect,
  encodeJoinRequest,
  encodeLocate,
  JoinRefusal,
  LocatePurpose,
} from '../../kernel/meeting-packets.ts'
import type { Outbox } from '../../kernel/outbox.ts'
import { HEADER_BYTES, PacketKind, readHeader } from '../../kernel/packet.ts'
import { completeParameters } from '../../kernel/parameters.ts'
import { Allotments } from '../../sequencer/allotments.ts'
import { DECIDING_MAX } from '../../sequencer/authorization.ts'
import { GroupOf, Seat } from '../protocol/group-of.ts'
import { watch } from '../protocol/sent-packets.ts'
import { namesFor, packetOf } from '../support/packets.ts'

const PORT = 'group-of'
const STRANGER = '198.51.100.1:7'
const NO_BYTES = new Uint8Array(0)

function give(target: Seat, from: Address, bytes: Uint8Array): void {
  target.input({ kind: 'packet', from, bytes })
}

// ---- inviters that say they have joined since -----------------------------------------------------------

class Probing {
  readonly introductions: Introductions
  private probed: Uint8Array = NO_BYTES

  constructor() {
    const outbox = {
      now: 0,
      under: (_: unknown, send: () => void) => send(),
      packetOf: (kind: PacketKind, _: number, destination: Nonce, body: Uint8Array) =>
        packetOf(kind, { destination }, body),
      unicast: (_: Address, packet: Uint8Array) => {
        this.probed = packet
      },
      trace: () => {},
    }
    this.introductions = new Introductions(outbox as unknown as Outbox, () => ({ words: [1, 2, 3, 4] }))
  }

  invitation(number: number): Invitation {
    const packet = packetOf(PacketKind.invite, { senderNonce: BigInt(number) })
    const header = readHeader(packet) as Invitation['header']
    const ballot = { incarnation: 2, endIncarnation: 1, endSeq: 1, coordinator: 9 }
    const invite = { ballot, viewSeq: 1, results: [] } as unknown as Invitation['invite']
    return { from: `10.0.0.1:${number}`, header, invite, bytes: packet.length }
  }

  /** Probes it; the answer that it owes, if it is there. */
  probe(number: number): Uint8Array {
    this.introductions.probe(this.invitation(number))
    return packetOf(PacketKind.probeAnswer, {}, this.probed.slice(HEADER_BYTES))
  }

  answer(number: number, packet: Uint8Array): Invitation | boolean {
    const { from, header } = this.invitation(number)
    return this.introductions.onAnswer(from, header, packet)
  }
}

describe('inviters that say they have joined since', () => {
  test('16 invitations wait; what comes back for one that is forgotten makes its inviter known, and no vote', () => {
    const probing = new Probing()
    const answers = Array.from({ length: 17 }, (_, i) => probing.probe(i + 1))
    expect(probing.answer(1, answers[0]!)).toBe(true)
    expect(probing.introductions.isKnown(probing.invitation(1))).toBe(true)
    expect(probing.answer(2, answers[1]!)).toMatchObject({ from: '10.0.0.1:2' })
  })

  test('64 that have answered are known; the one before them is asked again', () => {
    const probing = new Probing()
    for (let i = 1; i <= 65; i++) probing.answer(i, probing.probe(i))
    const known = (number: number) => probing.introductions.isKnown(probing.invitation(number))
    expect([known(1), known(2), known(65)]).toEqual([false, true, true])
  })
})

// ---- repair -----------------------------------------------------------------------------------------------

test('the allotments of 2,048 members are remembered', () => {
  const allotments = new Allotments()
  const whole = allotments.leftFor(1n, 0)
  for (let nonce = 1n; nonce <= 2049n; nonce++) allotments.use(nonce, 0, 1000)
  expect(allotments.leftFor(1n, 0)).toBe(whole)
  expect(allotments.leftFor(2n, 0)).toBe(whole - 1000)
})

// ---- other starters ---------------------------------------------------------------------------------------

function starting(minStarters: number): { group: GroupOf; seat: Seat } {
  const group = new GroupOf()
  const seat = new Seat(group, 0, { peers: [] })
  const open = { call: 'open', token: 1, parameters: completeParameters(), header: NO_BYTES } as const
  seat.call({ ...open, how: 'joinOrCreate', port: PORT, minStarters })
  return { group, seat }
}

function starter(seat: Seat, number: number, bytesLess = 0): void {
  const body = encodeLocate({ port: PORT, purpose: LocatePurpose.candidate })
  const names = { senderNonce: BigInt(number + 1000), destination: seat.machine.options.nonce }
  const packet = packetOf(PacketKind.locate, names, body)
  give(seat, `10.0.0.1:${number}`, packet.subarray(0, packet.length - bytesLess))
}

describe('other starters', () => {
  test.each([
    [1025, true],
    [1026, false],
  ])('1,024 are remembered: %i together, and it is %s that they create', (minStarters, creates) => {
    const { group, seat } = starting(minStarters)
    for (let i = 0; i < 1100; i++) starter(seat, i)
    group.advance(2000)
    expect(seat.memberId !== 0).toBe(creates)
  })

  test('one whose question is shorter than the answer gets none', () => {
    const { group, seat } = starting(5)
    const sent = watch(group)
    starter(seat, 1, 1)
    expect(sent).toEqual([])
    starter(seat, 1)
    expect(sent.map(({ to, kind }) => [to, kind])).toEqual([['10.0.0.1:1', 'locate']])
  })
})

// ---- strangers ----------------------------------------------------------------------------------------------

test('questions from 1,024 addresses count until they pay for a notice', () => {
  const group = GroupOf.open(2)
  const { first } = group
  const sent = watch(group)
  const ask = (number: number) => {
    const names = { ...namesFor(first), incarnation: 4711, sender: 99, senderNonce: BigInt(number + 1000) }
    give(first, `10.0.0.1:${number}`, packetOf(PacketKind.state, names))
  }
  const notices = (number: number) => sent.filter(({ to }) => to === `10.0.0.1:${number}`).length
  const questionsFor = (number: number) => {
    let count = 0
    for (; notices(number) === 0 && count < 10; count++) ask(number)
    return count
  }
  const price = questionsFor(1)
  expect(price).toBeGreaterThan(1)
  ask(2)
  for (let i = 0; i < 1023; i++) ask(100 + i)
  expect(questionsFor(2)).toBe(price - 1)
  ask(3)
  for (let i = 0; i < 1024; i++) ask(2000 + i)
  expect(questionsFor(3)).toBe(price)
})

test('32 inspections go on at once', () => {
  const group = GroupOf.open(1)
  const { first } = group
  const sent = watch(group)
  for (let i = 0; i < 40; i++) {
    const [from, names] = [`${STRANGER}${i}`, { senderNonce: BigInt(i + 1000) }]
    const locate = encodeLocate({ port: PORT, purpose: LocatePurpose.inspect })
    give(first, from, packetOf(PacketKind.locate, names, locate))
    const { challenge } = decodeHereIs(sent.find(({ to }) => to === from)!.bytes)!
    const body = encodeInspect(PORT, challenge)
    give(first, from, packetOf(PacketKind.inspect, { ...names, ...namesFor(first), sender: 0 }, body))
  }
  group.advance(1)
  const told = new Set(sent.filter(({ kind }) => kind === 'streamData').map(({ to }) => to))
  expect(told.size).toBe(32)
  expect(first.machine.counters.limited.inspections).toBe(8)
  expect(first.machine.counters.rejected.overflow).toBe(8)
})

test('the program is asked about 64 joiners at once, and who comes beyond hears that it is busy', () => {
  const group = new GroupOf({ parameters: { maxMembers: 200 } })
  const first = group.add({ asksProgram: true })
  const sent = watch(group)
  const last = (address: Address) => decodeJoinRefused(sent.findLast(({ to }) => to === address)!.bytes)!
  const ask = (i: number, challenge: bigint) => {
    const nothing = { header: NO_BYTES, proof: NO_BYTES, token: NO_BYTES }
    const address = `10.0.0.1:${i + 1}`
    const wish = { port: PORT, challenge, name: 'x', address, role: 0, right: 0, lastRequest: 0 } as const
    const names = { ...namesFor(first), senderNonce: BigInt(i + 1000) }
    give(first, address, packetOf(PacketKind.joinRequest, names, encodeJoinRequest({ ...wish, ...nothing })))
    return last(address)
  }
  const answers = Array.from({ length: DECIDING_MAX + 6 }, (_, i) => ask(i, ask(i, 5n).challenge).reason)
  expect(first.applicants).toHaveLength(DECIDING_MAX)
  expect(answers).toEqual([
    ...Array(DECIDING_MAX).fill(JoinRefusal.deciding),
    ...Array(6).fill(JoinRefusal.busy),
  ])
})
