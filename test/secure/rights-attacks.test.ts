/** Those that hold less than they ask for, changes of keys while somebody joins, and a sequencer that nobody can succeed. */
import { describe, expect, test } from 'vitest'
import type { MemberOptions } from '../../group/member/options.ts'
import type { Credentials } from '../../kernel/credentials.ts'
import { type Nonce, Right, type RightName } from '../../kernel/identity.ts'
import { encodeJoinRequest, JoinRefusal, ownVersions } from '../../kernel/meeting-packets.ts'
import { drawKey } from '../../kernel/node/secure/group-key.ts'
import { KeyRing } from '../../kernel/node/secure/key-ring.ts'
import { HEADER_BYTES, PacketKind, writeSealKey } from '../../kernel/packet.ts'
import type { Sequencer } from '../../sequencer/sequencer.ts'
import { GroupOf, type GroupOfOptions, type Seat } from '../protocol/group-of.ts'
import { namesFor, packetOf } from '../support/packets.ts'
import { keysOf, tokenOf } from './key-texts.ts'

/** What a process with these entries in its key file brings with it. */
function holding(...texts: readonly string[]): Partial<MemberOptions> {
  const ring = new KeyRing(keysOf(...texts))
  return { credentials: ring.credentials, keys: ring.ids }
}

/** A group with a member for each right, in that order; the first creates it. */
function groupOf(
  rights: readonly RightName[],
  options: GroupOfOptions = {},
): { group: GroupOf; key: string } {
  const key = drawKey()
  const group = new GroupOf(options)
  for (const right of rights) group.add(holding(right === 'all' ? key : tokenOf(key, right)))
  group.settle()
  return { group, key }
}

function sequencerOf(seat: Seat): Sequencer {
  return (seat.machine as unknown as { membership: { sequencer: Sequencer } }).membership.sequencer
}

describe('a right that somebody else has', () => {
  test('is not got by handing the own challenge on to one who has it', () => {
    const { group, key } = groupOf(['all', 'all'])
    const { view, machine } = group.first
    const [keyId] = holding(key).keys!
    const victim = { nonce: 77n, address: 'victim:1' }
    const thief = 'thief:1'
    // The thief asks under the nonce of the victim, and says to the victim that this is the group's challenge.
    const challenge = sequencerOf(group.first).changes.currentChallenge({
      address: thief,
      nonce: victim.nonce,
    })
    const credentials = new KeyRing(keysOf(key)).credentials!
    const proof = credentials.prove({ groupId: view.groupId, challenge, ...victim }, keyId!)
    const body = encodeJoinRequest({
      port: machine.info().port,
      challenge,
      name: 'thief',
      address: thief,
      role: 0,
      right: Right.all,
      lastRequest: 0,
      header: new Uint8Array(0),
      proof,
      token: new Uint8Array(0),
      versions: ownVersions,
    })
    group.first.input({
      kind: 'packet',
      from: thief,
      bytes: joinPacket(group.first, victim.nonce, keyId!, body),
    })
    group.settle()
    expect(machine.counters.rejected.right).toBe(1)
    expect(group.first.view.members).toHaveLength(2)
  })

  function joinPacket(to: Seat, senderNonce: Nonce, keyId: number, body: Uint8Array): Uint8Array {
    const names = { ...namesFor(to), destination: 0n, senderNonce, newestKey: keyId }
    const packet = packetOf(PacketKind.joinRequest, names, body)
    writeSealKey(packet, keyId)
    return packet
  }
})

describe('while keys change', () => {
  const [older, newer] = [drawKey(), drawKey()]
  const oldId = keysOf(older)[0]!.id
  const newId = keysOf(newer)[0]!.id

  /** Both members have both keys, and the group has changed to the newer one. */
  function changed(): GroupOf {
    const group = new GroupOf()
    for (let i = 0; i < 2; i++) group.add(holding(newer, older))
    group.settle()
    expect(group.first.machine.info().settings.keyId).toBe(newId)
    return group
  }

  /** Holds both keys; the group goes by the older one until `change`. */
  function changing(first: Partial<MemberOptions> = {}): { group: GroupOf; change: () => void } {
    const group = new GroupOf()
    group.add({ ...holding(newer, older), keys: [oldId], ...first })
    group.settle()
    const change = () => {
      group.first.call({ call: 'keys', keys: [newId, oldId] })
      group.until(
        () => group.first.machine.info().settings.keyId === newId,
        'the group goes by the newer key',
      )
    }
    return { group, change }
  }

  test('a former key, which members still hold, gives no right any more', () => {
    const group = changed()
    const former: Credentials = new KeyRing(keysOf(older)).credentials!
    const reader = holding(tokenOf(newer, 'receive'))
    const seat = group.begin({ ...reader, credentials: former })
    group.until(() => seat.openFailed !== undefined || seat.memberId !== 0, 'it has an answer')
    expect(seat.openFailed).toMatch(/^ERR_NOT_AUTHORIZED: .*key or token/)
    expect(group.first.view.members).toHaveLength(2)
  })

  test('who has found the group before the change, and asks after it, joins', () => {
    const { group, change } = changing()
    let isHeld = true
    group.isLost = ({ kind }) => isHeld && kind === 'joinRequest'
    const joiner = group.begin(holding(newer, older))
    group.advance(50)
    change()
    isHeld = false
    group.until(() => joiner.memberId !== 0, 'it has joined')
    expect(group.first.machine.counters.rejected.right).toBe(0)
  })

  test('a joiner about whom the program decides meanwhile joins, and the program is asked once', () => {
    const { group, change } = changing({ asksProgram: true })
    const joiner = group.begin({ ...holding(newer, older), keys: [oldId] })
    group.until(() => group.first.applicants.length === 1, 'the program is asked')
    joiner.call({ call: 'keys', keys: [newId, oldId] })
    change()
    group.first.authorize(group.first.applicants[0]!, true)
    group.until(() => joiner.memberId !== 0, 'it has joined')
    expect(group.first.applicants).toHaveLength(1)
  })
})

describe('a sequencer that leaves', () => {
  test.each([
    ['a reader has crashed, and no other one may number', ['all', 'receive', 'receive'], 2],
    ['the only other one that may number has crashed', ['all', 'receive', 'all'], 2],
  ] as const)('goes where %s', (_, rights, dead) => {
    const { group } = groupOf(rights)
    group.seats[dead]!.crash()
    group.first.leave()
    group.until(() => group.first.hasLeft, 'it has left', 10_000)
    expect(group.first.events.at(-1)).toMatchObject({
      event: 'closed',
      reason: expect.stringContaining('nobody else answers that may rebuild the group'),
    })
  })

  test('has left in order where its successor has crashed, and the others hold the leave', () => {
    const { group } = groupOf(['all', 'receive', 'send', 'all'])
    group.seats[3]!.crash()
    group.first.leave()
    group.until(() => group.first.hasLeft, 'it has left', 10_000)
    expect(group.first.events.at(-1)).toMatchObject({ event: 'closed', reason: 'left' })
  })
})

// a group of one that lets in a process which is gone stands still for good
describe('a joiner about whom the program decides', () => {
  function deciding(): { group: GroupOf; joiner: Seat; marks: string[] } {
    const marks: string[] = []
    const group = new GroupOf()
    group.add({ asksProgram: true }).onMark = (mark) => marks.push(mark)
    const joiner = group.begin()
    group.until(() => group.first.applicants.length === 1, 'the program is asked')
    return { group, joiner, marks }
  }

  /** The kernel at an address says that the joiner lives no more. */
  function sayGone(group: GroupOf, joiner: Seat, from: string): void {
    const senderNonce = joiner.machine.options.nonce
    const packet = packetOf(PacketKind.gone, { ...namesFor(group.first), destination: 0n, senderNonce })
    group.first.input({ kind: 'packet', from, bytes: packet })
  }

  test('is not let in if it has just given up, in silence', () => {
    const { group, joiner, marks } = deciding()
    joiner.crash()
    group.first.authorize(group.first.applicants[0]!, true)
    group.advance(5_000)
    expect(marks).not.toContain('join-numbered')
  })

  test('is forgotten when its kernel says that it is gone', () => {
    const { group, joiner } = deciding()
    sayGone(group, joiner, joiner.address)
    group.until(() => group.first.applicants.length === 2, 'it is asked about anew where it lives after all')
  })

  test('is not forgotten when another address says so, and the program is asked once', () => {
    const { group, joiner } = deciding()
    sayGone(group, joiner, 'other:1')
    group.advance(1_000)
    group.first.authorize(group.first.applicants[0]!, true)
    group.until(() => joiner.memberId !== 0, 'it has joined')
    expect(group.first.applicants).toHaveLength(1)
  })

  test('comes in by its next question, too, where the word that it may is lost', () => {
    const { group, joiner } = deciding()
    group.isLost = ({ kind, bytes }) => kind === 'joinRefused' && bytes[HEADER_BYTES] === JoinRefusal.decided
    group.first.authorize(group.first.applicants[0]!, true)
    group.until(() => joiner.memberId !== 0, 'it has joined')
    expect(group.first.applicants).toHaveLength(1)
  })
})
