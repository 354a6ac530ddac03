/**
 * Without a key anybody can answer a question for a port, and say that the sequencer is wherever it likes. Who opens a group,
 * or asks about one, then writes to somebody who has never heard of it: a few times, and comes to an end, whatever goes on
 * being forged.
 */
import { describe, expect, test } from 'vitest'
import { Inspector } from '../../group/member/inspector.ts'
import type { Address } from '../../kernel/identity.ts'
import type { Sink } from '../../kernel/machine.ts'
import { encodeHereIs, encodeJoinRefused, JoinRefusal, ownVersions } from '../../kernel/meeting-packets.ts'
import { KIND_AT, PacketKind, packetKindNames } from '../../kernel/packet.ts'
import { GroupOf, type Seat } from '../protocol/group-of.ts'
import { packetOf } from '../support/packets.ts'

const VICTIM = '203.0.113.9:9999'
const ATTACKER = '198.51.100.1:7'
const PORT = 'group-of'
/** A joiner's own patience with whoever answers nothing, and with whoever always says that it has to wait. */
const SECONDS_MAX = 100
/** To an address that has never answered, with the default times. */
const QUESTIONS_MAX = 10
const agreed = { version: 1, keyId: 0 }

/** One that asks for a port where there is no group, and hears only what the test makes up. */
class Lone {
  readonly group = new GroupOf()
  readonly seat: Seat
  readonly sentTo = new Map<Address, number>()

  constructor() {
    const { group } = this
    group.unicast = (_, to, bytes) => {
      const kind = packetKindNames[bytes[KIND_AT]!]
      if (kind === 'joinRequest') this.sentTo.set(to, (this.sentTo.get(to) ?? 0) + 1)
      this.onQuestion(to)
    }
    this.seat = group.begin({}, 'join')
  }

  /** It has sent a unicast packet. */
  onQuestion: (to: Address) => void = () => {}

  hereIs(
    sequencerAddress: Address,
    sequencerNonce: bigint,
    from = ATTACKER,
    senderNonce = sequencerNonce,
  ): void {
    const names = { groupId: 7n, incarnation: 1, coordinator: 1, sender: 1, senderNonce }
    const where = { port: PORT, sequencer: 1, sequencerNonce, sequencerAddress, challenge: 1n }
    const body = encodeHereIs({ ...where, members: 1, maxMembers: 64, versions: ownVersions, agreed })
    this.give(from, packetOf(PacketKind.hereIs, { ...names, destination: this.nonce }, body))
  }

  refuse(reason: JoinRefusal, challenge = 1n, from = ATTACKER, senderNonce = 5n): void {
    const names = { groupId: 7n, incarnation: 1, coordinator: 1, sender: 1, senderNonce }
    const body = encodeJoinRefused({ reason, challenge, agreed })
    this.give(from, packetOf(PacketKind.joinRefused, { ...names, destination: this.nonce }, body))
  }

  get isOver(): boolean {
    return this.seat.openFailed !== undefined
  }

  get limited(): number {
    return this.seat.machine.counters.limited.joins
  }

  /** Every millisecond, until the call has failed. Gives the seconds that it took. */
  untilOver(forge: (i: number) => void): number {
    let i = 0
    for (; !this.isOver && i < 1000 * SECONDS_MAX; i++) {
      forge(i)
      this.group.advance(1)
    }
    expect(this.isOver).toBe(true)
    return i / 1000
  }

  private get nonce(): bigint {
    return this.seat.machine.options.nonce
  }

  private give(from: Address, bytes: Uint8Array): void {
    this.seat.input({ kind: 'packet', from, bytes })
  }
}

describe('a process that joins', () => {
  test('asks one who never answers ten times, however often it is named', () => {
    const lone = new Lone()
    lone.untilOver(() => lone.hereIs(VICTIM, 5n))
    expect(lone.seat.openFailed).toMatch(/^ERR_MEMBER_FAILED: .*at 203.0.113.9:9999, does not answer/)
    expect([...lone.sentTo]).toEqual([[VICTIM, QUESTIONS_MAX]])
    expect(lone.limited).toBeGreaterThan(0)
  })

  test('asks eight addresses at most, though each redirects it to another', () => {
    const lone = new Lone()
    lone.untilOver((i) => lone.hereIs(`203.0.113.9:${1000 + i}`, BigInt(6 + i), ATTACKER, BigInt(5 + i)))
    expect(lone.sentTo.size).toBeGreaterThan(1)
    expect(lone.sentTo.size).toBeLessThanOrEqual(8)
    expect(Math.max(...lone.sentTo.values())).toBeLessThanOrEqual(QUESTIONS_MAX)
    expect(lone.limited).toBeGreaterThan(0)
  })

  test('is not sent to and fro between two', () => {
    const lone = new Lone()
    const addresses = [VICTIM, '203.0.113.10:1']
    lone.untilOver((i) => {
      for (const k of [0, 1])
        lone.hereIs(
          addresses[(i + k) % 2]!,
          BigInt(5 + ((i + k) % 2)),
          ATTACKER,
          BigInt(5 + ((i + k + 1) % 2)),
        )
    })
    expect(Math.max(...lone.sentTo.values())).toBeLessThanOrEqual(QUESTIONS_MAX)
  })

  test.each(Object.entries(JoinRefusal))(
    '%s, forged in the name of one who never answers: no more questions than that',
    (_, reason) => {
      const lone = new Lone()
      const seconds = lone.untilOver((i) => {
        lone.hereIs(VICTIM, 5n)
        lone.refuse(reason, BigInt(i + 2))
      })
      expect(lone.sentTo.get(VICTIM)).toBeLessThanOrEqual(QUESTIONS_MAX)
      expect(seconds).toBeLessThan(SECONDS_MAX)
    },
  )

  test.each(Object.entries(JoinRefusal))(
    '%s, forged with its address, too: seldom, and it ends',
    (_, reason) => {
      const lone = new Lone()
      const seconds = lone.untilOver((i) => {
        lone.hereIs(VICTIM, 5n, VICTIM)
        lone.refuse(reason, BigInt(i + 2), VICTIM)
      })
      expect(seconds).toBeLessThan(SECONDS_MAX)
      // what the timers and the ration give
      expect(lone.sentTo.get(VICTIM)).toBeLessThanOrEqual(40 + 4 * seconds)
    },
  )
})

test('a sequencer that answers from elsewhere than it says it is is asked there, for as long as it takes', () => {
  const group = new GroupOf()
  const first = group.add({ asksProgram: true })
  let isTranslated = 0
  const unicast = group.unicast.bind(group)
  group.unicast = (from, to, bytes) => {
    if (to === 'outer:1') isTranslated++
    unicast(from, to === 'outer:1' ? first.address : to, bytes)
  }
  const joiner = group.begin()
  const input = joiner.input.bind(joiner)
  joiner.input = (given) =>
    input(given.kind === 'packet' && given.from === first.address ? { ...given, from: 'outer:1' } : given)
  group.until(() => first.applicants.length === 1, 'the program is asked')
  group.advance(4900)
  first.authorize(first.applicants[0]!, true)
  group.until(() => joiner.memberId !== 0, 'it is let in')
  expect(isTranslated).toBeGreaterThan(0)
})

test('a process that asks about a group does not ask wherever forged answers say, either', () => {
  const { seat } = new Lone()
  const { options } = seat.machine
  const inspector = new Inspector({ ...options, peers: [], nonce: 99n })
  const sentTo = new Map<Address, number>()
  let failed = ''
  const sink = {
    unicast: (to: Address, bytes: Uint8Array) => {
      if (bytes[KIND_AT] === PacketKind.inspect) sentTo.set(to, (sentTo.get(to) ?? 0) + 1)
    },
    multicast: () => {},
    output: (output: { readonly output: string; readonly message?: string }) => {
      if (output.output === 'failed') failed = output.message!
    },
    trace: () => {},
    check: () => {},
  } as unknown as Sink
  inspector.step(0, { kind: 'call', call: { call: 'inspect', token: 1, port: PORT } }, sink)
  const names = { groupId: 7n, incarnation: 1, coordinator: 1, sender: 1, senderNonce: 5n, destination: 99n }
  const where = { port: PORT, sequencer: 1, sequencerNonce: 5n, sequencerAddress: VICTIM }
  const more = { members: 1, maxMembers: 64, versions: ownVersions, agreed }
  for (let ms = 1; ms < 1000 * SECONDS_MAX && failed === ''; ms++) {
    const body = encodeHereIs({ ...where, ...more, challenge: BigInt(ms) })
    inspector.step(
      1000 * ms,
      { kind: 'packet', from: ATTACKER, bytes: packetOf(PacketKind.hereIs, names, body) },
      sink,
    )
    if ((inspector.nextDeadline() ?? Number.POSITIVE_INFINITY) <= 1000 * ms)
      inspector.step(1000 * ms, { kind: 'tick' }, sink)
  }
  expect(failed).toContain('does not answer')
  // (where the answers have come from it may ask, too)
  expect([...sentTo.keys()].sort()).toEqual([ATTACKER, VICTIM])
  expect(sentTo.get(VICTIM)).toBeLessThanOrEqual(QUESTIONS_MAX)
  expect(inspector.counters.limited.joins).toBeGreaterThan(0)
})
