/** Two that have no version of the wire format in common: each is told, nobody creates a second group on the port. */
import { describe, expect, test } from 'vitest'
import {
  decodeIncompatible,
  encodeIncompatible,
  encodeJoinRefused,
  encodeLocate,
  JoinRefusal,
  LocatePurpose,
} from '../../kernel/meeting-packets.ts'
import { Driver } from '../../kernel/node/driver.ts'
import { PacketKind, WIRE_VERSION } from '../../kernel/packet.ts'
import { completeParameters } from '../../kernel/parameters.ts'
import { reseal } from '../fuzz/mutate.ts'
import { FakeMachine, FakeTransport, packet } from '../node/support.ts'
import { GroupOf, Seat } from '../protocol/group-of.ts'
import { packetOf } from '../support/packets.ts'

const ASKER = '10.0.0.9:9'
const NONCE = 0x77n

function question(port: string, version: number): Uint8Array {
  const body = encodeLocate({ port, purpose: LocatePurpose.join, versions: { lowest: 2, highest: version } })
  const bytes = packet({ kind: PacketKind.locate, senderNonce: NONCE, body })
  bytes[1] = version
  return reseal(bytes)
}

describe('a question in another version', () => {
  async function hosting(hasGroup: boolean): Promise<FakeTransport> {
    const transport = new FakeTransport()
    const driver = new Driver({ transport })
    const machine = new FakeMachine((_now, _input, sink) => {
      sink.multicast(packet({ groupId: hasGroup ? 5n : 0n, senderNonce: 1n }))
    })
    const handle = await driver.attach(machine, { port: 'here', nonce: 1n })
    handle.call({ call: 'cancel', token: 0 })
    transport.sent.length = 0
    return transport
  }

  test('for the port of a group here is answered with the versions that are read, in no more bytes', async () => {
    const transport = await hosting(true)
    const asked = question('here', 9)
    transport.arrive(ASKER, asked)
    const [answer] = transport.sent
    expect(answer?.to).toBe(ASKER)
    expect(decodeIncompatible(answer!.packet)).toEqual({ lowest: 1, highest: WIRE_VERSION })
    expect(answer!.packet.length).toBeLessThan(asked.length)
  })

  test('for another port, or where nobody is a member yet, is not answered', async () => {
    const transport = await hosting(true)
    transport.arrive(ASKER, question('elsewhere', 9))
    expect(transport.sent).toEqual([])
    const opening = await hosting(false)
    opening.arrive(ASKER, question('here', 9))
    expect(opening.sent).toEqual([])
  })

  test('a flood of them is answered seldom', async () => {
    const transport = await hosting(true)
    for (let i = 0; i < 5000; i++) transport.arrive(ASKER, question('here', 9))
    expect(transport.sent.length).toBeLessThan(1000)
  })
})

/** What somebody of versions 4 to 6 says to who opens. */
function refusal(seat: Seat): Uint8Array {
  const body = encodeIncompatible({ lowest: 4, highest: 6 })
  const destination = seat.machine.options.nonce
  const bytes = packet({ kind: PacketKind.incompatible, senderNonce: 3n, destination, body })
  bytes[1] = 6
  return reseal(bytes)
}

describe('one who opens', () => {
  test.each(['create', 'join', 'joinOrCreate'] as const)(
    'to %s hears both versions, and creates nothing',
    (how) => {
      const group = new GroupOf()
      const seat = new Seat(group, 0, {})
      group.seats.push(seat)
      seat.open(how, completeParameters())
      seat.input({ kind: 'packet', from: ASKER, bytes: refusal(seat) })
      group.until(() => seat.openFailed !== undefined, 'it has failed')
      expect(seat.openFailed).toMatch(/^ERR_INCOMPATIBLE: /)
      expect(seat.openFailed).toContain('versions 4 to 6')
      expect(seat.openFailed).toContain('this process version 1')
      expect(seat.memberId).toBe(0)
    },
  )

  test('joins all the same if a member that it can talk to answers', () => {
    const group = GroupOf.open(1)
    const seat = group.begin()
    seat.input({ kind: 'packet', from: ASKER, bytes: refusal(seat) })
    group.until(() => seat.memberId !== 0, 'it is a member')
    expect(seat.view.members).toHaveLength(2)
  })

  test('is refused by name of both versions, where the group’s is none of its own', () => {
    const group = GroupOf.open(1)
    const sequencer = group.first
    group.isLost = ({ kind, from, to, header }) => {
      if (kind !== 'joinRequest') return false
      expect(to).toBe(sequencer)
      const body = encodeJoinRefused({
        reason: JoinRefusal.version,
        challenge: 1n,
        agreed: { version: 9, keyId: 0 },
      })
      const senderNonce = sequencer.machine.options.nonce
      const { groupId, incarnation, coordinator } = header
      const names = { groupId, incarnation, coordinator, senderNonce, destination: header.senderNonce }
      const answer = packetOf(PacketKind.joinRefused, names, body)
      group.queue.after(10, () => from.input({ kind: 'packet', from: sequencer.address, bytes: answer }))
      return true
    }
    const seat = group.begin()
    group.until(() => seat.openFailed !== undefined, 'it has failed')
    expect(seat.openFailed).toMatch(/^ERR_INCOMPATIBLE: .*speaks version 9 .*this process version 1/)
  })

  test('in versions that the group’s is not among, is refused by its sequencer', () => {
    const group = GroupOf.open(1)
    const kinds: number[] = []
    group.isLost = ({ kind, bytes, header }) => {
      // the two version bytes lie before the zeros at the end
      if (kind === 'joinRequest') bytes.set([2, 3], bytes.length - 162)
      kinds.push(header.kind)
      return false
    }
    const seat = group.begin()
    group.until(() => seat.openFailed !== undefined, 'it has failed')
    expect(kinds).toContain(PacketKind.joinRefused)
    expect(seat.openFailed).toMatch(/^ERR_INCOMPATIBLE/)
    expect(group.first.view.members).toHaveLength(1)
  })
})
