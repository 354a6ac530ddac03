/** Rights, at the machines and in virtual time: who is let in as what, and what each may do then. */
import { describe, expect, test } from 'vitest'
import type { MemberOptions } from '../../group/member/options.ts'
import { ErrorCode } from '../../kernel/errors.ts'
import { Right, type RightName } from '../../kernel/identity.ts'
import { decodeJoinRequest, encodeJoinRequest, type JoinRequest } from '../../kernel/meeting-packets.ts'
import { HEADER_BYTES, PacketKind, writeHeader } from '../../kernel/packet.ts'
import { completeParameters } from '../../kernel/parameters.ts'
import { encodeInvite } from '../../kernel/recovery-packets.ts'
import { withoutMember } from '../../kernel/view.ts'
import { DECIDING_MAX, DECISION_LIMIT } from '../../sequencer/authorization.ts'
import type { Sequencer } from '../../sequencer/sequencer.ts'
import { credentialsFor } from '../simulator/credentials.ts'
import { GroupOf, type GroupOfOptions, Seat } from './group-of.ts'
import { inside } from './recovery-scene.ts'

const as = (right: RightName, key = 1): Partial<MemberOptions> => ({
  credentials: credentialsFor(right, key),
})

/** A group with a member for each right, in that order; the first creates it. */
function groupOf(rights: readonly RightName[], options: GroupOfOptions = {}): GroupOf {
  const group = new GroupOf(options)
  for (const right of rights) group.add(as(right))
  group.settle()
  return group
}

function sequencerOf(seat: Seat): Sequencer {
  return (seat.machine as unknown as { membership: { sequencer: Sequencer } }).membership.sequencer
}

const closedBy = (seat: Seat) => seat.events.find((event) => event.event === 'closed')
const rightsIn = (seat: Seat) => seat.view.members.map(({ right }) => right)

describe('who is let in', () => {
  test('as what it has shown', () => {
    const group = groupOf(['all', 'send', 'receive', 'all'])
    for (const seat of group.seats) expect(rightsIn(seat)).toEqual([0, 1, 2, 0])
    expect(group.seats.map((seat) => seat.machine.info().right)).toEqual(['all', 'send', 'receive', 'all'])
  })

  test('without keys everybody has every right', () => {
    const group = GroupOf.open(3)
    expect(rightsIn(group.first)).toEqual([0, 0, 0])
  })

  test.each([
    ['another key', credentialsFor('all', 2)],
    ['a lower right than it claims', { ...credentialsFor('receive'), right: Right.all }],
    ['no proof', { ...credentialsFor('all'), prove: () => new Uint8Array(0) }],
    ['no key', undefined],
  ])('who has %s is refused', (_, credentials) => {
    const group = groupOf(['all', 'all'])
    const seat = group.begin({ credentials })
    group.until(() => seat.openFailed !== undefined, 'the joiner is refused')
    expect(seat.openFailed).toMatch(/^ERR_NOT_AUTHORIZED: .*key or token/)
    expect(group.first.machine.counters.rejected.right).toBeGreaterThan(0)
    expect(group.first.view.members).toHaveLength(2)
  })

  test('a proof that was heard is worth nothing to another life, and to the same one at another time', () => {
    const group = groupOf(['all', 'all'])
    let heard: JoinRequest | undefined
    group.isLost = ({ kind, bytes }) => {
      if (kind === 'joinRequest') heard = decodeJoinRequest(bytes)
      return kind === 'joinRequest'
    }
    const victim = group.begin(as('all'))
    group.until(() => heard !== undefined, 'the joiner has asked')
    victim.crash()
    group.isLost = () => false
    const { changes } = sequencerOf(group.first)
    const { rejected } = group.first.machine.counters
    const steal = (nonce: bigint, challenge: bigint) => {
      const body = encodeJoinRequest({ ...heard!, challenge, address: 'thief:1' })
      const packet = new Uint8Array(HEADER_BYTES + body.length)
      const { groupId, incarnation, coordinator } = group.first.view
      const rest = { sender: 0, destination: 0n, received: 0, taken: 0, window: 0, flags: 0 }
      const kind = PacketKind.joinRequest
      writeHeader(packet, { ...rest, kind, groupId, incarnation, coordinator, senderNonce: nonce })
      packet.set(body, HEADER_BYTES)
      group.first.input({ kind: 'packet', from: 'thief:1', bytes: packet })
      group.settle()
    }
    const { nonce } = victim.machine.options
    steal(nonce, heard!.challenge)
    // the challenge is for another address: nothing is looked at
    expect(rejected.right).toBe(0)
    steal(nonce, changes.currentChallenge({ address: 'thief:1', nonce }))
    steal(99n, changes.currentChallenge({ address: 'thief:1', nonce: 99n }))
    expect(rejected.right).toBe(2)
    expect(group.first.view.members).toHaveLength(2)
  })
})

describe('who may not create', () => {
  test.each(['send', 'receive'] as const)('%s: neither creates nor founds', (right) => {
    const group = new GroupOf()
    for (const how of ['create', 'joinOrCreate'] as const) {
      const seat = new Seat(group, group.seats.length, as(right))
      group.seats.push(seat)
      seat.open(how, completeParameters())
      group.until(() => seat.openFailed !== undefined, `${how} has failed`)
      expect(seat.openFailed).toMatch(/^ERR_NOT_AUTHORIZED: .*may not create "group-of": its token/)
    }
  })

  test('joinOrCreate joins a group that is there, and is no starter that others wait for', () => {
    const group = new GroupOf()
    const seats = (['receive', 'all'] as const).map((right, i) => {
      const seat = new Seat(group, i, { ...as(right), peers: [] })
      group.seats.push(seat)
      return seat
    })
    const [reader, founder] = seats as [Seat, Seat]
    founder.open('joinOrCreate', completeParameters())
    group.advance(100)
    reader.open('joinOrCreate', completeParameters())
    group.until(() => reader.memberId !== 0, 'the reader has joined')
    expect(founder.view.sequencer).toBe(founder.memberId)
  })
})

describe('what a member may do', () => {
  test('who may only receive receives, and neither sends nor resets', () => {
    const group = groupOf(['all', 'receive'])
    const [first, reader] = group.seats as [Seat, Seat]
    const sent = first.send(10)
    group.until(() => reader.messages.length === 1, 'it has received')
    const own = reader.send(10)
    const reset = reader.reset()
    group.settle()
    expect(sent.seq).toBeDefined()
    expect(own.failed).toMatchObject({ code: ErrorCode.notAuthorized, outcome: 'refused' })
    expect(own.failed!.message).toContain('may only receive')
    expect(reset.failed).toBe(ErrorCode.notAuthorized)
  })

  test('who may send sends, and does not reset', () => {
    const group = groupOf(['all', 'send'])
    const sender = group.seats[1]!
    const sent = sender.send(10)
    const large = sender.send(100_000)
    group.until(() => sent.seq !== undefined && large.seq !== undefined, 'both are ordered')
    const reset = sender.reset()
    group.settle()
    expect(reset.failed).toBe(ErrorCode.notAuthorized)
  })

  test.each([10, 100_000])(
    'a request of %i bytes of one who may only receive is dropped and counted',
    (size) => {
      const group = groupOf(['all', 'all', 'receive'])
      const reader = group.seats[2]!
      // a program that has rewritten its member
      const { membership } = reader.machine as unknown as { membership: { sender: Seat['machine'] } }
      const { sender } = membership as unknown as {
        sender: {
          send(token: number, channel: number, header: Uint8Array, bodies: readonly Uint8Array[]): void
        }
      }
      reader.onMark = undefined
      // (one alone would go at once, and no step runs here)
      sender.send(77, 0, new Uint8Array(0), [new Uint8Array(size), new Uint8Array(size)])
      reader.input({ kind: 'tick' })
      group.advance(500)
      expect(group.first.machine.counters.rejected.right).toBeGreaterThan(0)
      for (const seat of group.seats) expect(seat.messages).toHaveLength(0)
      // the others are not held up
      const sent = group.seats[1]!.send(10)
      group.until(() => sent.seq !== undefined, 'another send returns')
    },
  )

  test.each(['send', 'receive'] as const)('%s: it leaves in order', (right) => {
    const group = groupOf(['all', 'all', right])
    const leaver = group.seats[2]!
    leaver.leave()
    group.until(() => leaver.hasLeft, 'it has left')
    group.settle()
    expect(group.first.view.members).toHaveLength(2)
  })
})

describe('who numbers', () => {
  test('a leaving sequencer hands over to the oldest member with every right', () => {
    const group = groupOf(['all', 'receive', 'send', 'all', 'all'])
    group.first.leave()
    group.until(() => group.first.hasLeft, 'the first has left')
    group.settle()
    for (const seat of group.living) expect(seat.view.sequencer).toBe(4)
    const sent = group.seats[2]!.send(10)
    group.until(() => sent.seq !== undefined, 'the new sequencer numbers')
  })

  test('a successor that may not number, or is not there, is none: not even a sequencer that lies makes one', () => {
    const group = groupOf(['all', 'receive', 'all'])
    const { view } = group.first
    const after = (successor: number) => withoutMember(view, 1, view.seq + 1, successor).sequencer
    expect([2, 3, 9, 0].map(after)).toEqual([0, 3, 0, 0])
    expect(withoutMember(view, 2, view.seq + 1, 0).sequencer).toBe(1)
  })

  test('when the last one leaves that may, the group ends for all, and says why', () => {
    const group = groupOf(['all', 'receive', 'send'])
    const [first, reader, sender] = group.seats as [Seat, Seat, Seat]
    const sent = sender.send(10)
    group.until(() => reader.messages.length === 1, 'something was sent')
    first.leave()
    const took = group.until(() => reader.isOver && sender.isOver, 'the others have ended')
    expect(took).toBeLessThan(500)
    group.until(() => first.hasLeft, 'the first has left')
    expect([sent.seq, first.hasLeft]).toEqual([expect.any(Number), true])
    for (const seat of [reader, sender]) {
      expect(seat.delivered.at(-1)).toMatchObject({ kind: 'leave', sender: 1 })
      expect(closedBy(seat)).toMatchObject({ code: ErrorCode.resetFailed })
      expect(closedBy(seat)).toMatchObject({
        reason: expect.stringContaining('the last member with every right has left'),
      })
    }
  })

  test('the sequencer dies: another one with every right rebuilds the group, and nobody else', () => {
    const group = groupOf(['all', 'receive', 'send', 'all', 'receive'])
    const marks: string[] = []
    for (const seat of group.seats) seat.onMark = (mark) => marks.push(`${seat.name} ${mark}`)
    const waiting = group.seats[2]!
    group.first.crash()
    const sent = waiting.send(10)
    group.until(() => sent.seq !== undefined, 'the send returns')
    for (const seat of group.living) {
      expect(seat.view).toMatchObject({ sequencer: 4, coordinator: 4 })
      expect(rightsIn(seat)).toEqual([2, 1, 0, 2])
    }
    expect(marks.filter((mark) => mark.endsWith(' inviting')).map((mark) => mark.slice(0, 2))).toEqual(['m3'])
  })

  test('with nobody left who may, the group stops, and says why', () => {
    const group = groupOf(['all', 'receive', 'send', 'send'])
    group.isRefusing = true
    const sender = group.seats[2]!
    group.first.crash()
    const sent = sender.send(10)
    group.until(() => group.living.length === 0, 'the others have ended')
    expect(sent.failed).toMatchObject({ code: ErrorCode.resetFailed })
    expect(sent.failed!.message).toContain('every member with every right is gone')
    for (const seat of group.seats.slice(1))
      expect(closedBy(seat)).toMatchObject({ code: ErrorCode.resetFailed })
  })

  test('while it is not known that they are gone the others wait, and go on when the partition heals', () => {
    const group = groupOf(['all', 'receive', 'receive'])
    let isCut = true
    group.isLost = ({ from, to }) => isCut && (from === group.first) !== (to === group.first)
    const lost = group.first.send(10)
    group.advance(60_000)
    expect(group.living).toHaveLength(3)
    isCut = false
    group.until(() => lost.seq !== undefined, 'the send returns')
    expect(group.living).toHaveLength(3)
    const sent = group.first.send(10)
    group.until(() => group.seats.every(({ delivered }) => delivered.at(-1)?.seq === sent.seq), 'all have it')
  })

  test('a leaver need not wait for that', () => {
    const group = groupOf(['all', 'receive', 'send'])
    group.first.crash()
    group.advance(2000)
    const leaver = group.seats[1]!
    leaver.leave()
    group.until(() => leaver.hasLeft, 'it has left')
  })

  test('of those with every right the one that rebuilds the group dies, too', () => {
    const group = groupOf(['all', 'send', 'all', 'all', 'receive', 'send', 'send'])
    const coordinator = group.seats[2]!
    for (const seat of [group.seats[2]!, group.seats[3]!])
      seat.onMark = (mark) => {
        if (mark === 'proposing' && group.living.length === 6) seat.crash()
      }
    group.first.crash()
    const sent = group.seats[1]!.send(10)
    group.until(() => sent.seq !== undefined, 'the send returns')
    expect(group.living).toHaveLength(5)
    const left = coordinator.isOver ? 4 : 3
    for (const seat of group.living) expect(seat.view.sequencer).toBe(left)
  })

  test('manual recovery: who may not reset is told who must', () => {
    const group = groupOf(['all', 'send', 'all'], { parameters: { recovery: 'manual' } })
    const [first, sender, other] = group.seats as [Seat, Seat, Seat]
    first.crash()
    const sent = sender.send(10)
    group.until(() => sent.failed !== undefined, 'the send fails')
    expect(sent.failed!.message).toContain('a member with every right must call resetGroup')
    expect(sender.reset().failed).toBe(ErrorCode.notAuthorized)
    group.advance(60_000)
    expect(sender.isOver).toBe(false)
    // more than there are: the attempt fails, and who took part in it is told so once
    const tooMuch = other.reset(3)
    group.until(() => tooMuch.failed !== undefined, 'too few answer')
    group.advance(60_000)
    const told = sender.events.filter(({ event }) => event === 'stopped')
    expect(told).toMatchObject([
      {
        reason: expect.stringContaining('a member with every right must call resetGroup'),
        present: 2,
        needed: 3,
      },
    ])
    const reset = other.reset()
    group.until(() => reset.size === 2, 'the group is one again')
  })

  test('an invitation of one who may not is refused and counted', () => {
    const group = groupOf(['all', 'send', 'all'])
    const [, sender, voter] = group.seats as [Seat, Seat, Seat]
    const { state, recovery } = inside(voter)
    const { groupId, incarnation, coordinator, seq } = voter.view
    const ballot = { ...recovery.promise, incarnation: incarnation + 1, coordinator: 2 }
    const body = encodeInvite({ ballot, viewSeq: seq, results: state.results })
    const packet = new Uint8Array(HEADER_BYTES + body.length)
    const rest = { destination: 0n, received: 0, taken: 0, window: 0, flags: 0, kind: PacketKind.invite }
    const { nonce } = sender.machine.options
    writeHeader(packet, { ...rest, groupId, incarnation, coordinator, sender: 2, senderNonce: nonce })
    packet.set(body, HEADER_BYTES)
    voter.input({ kind: 'packet', from: sender.address, bytes: packet })
    expect(voter.machine.counters.rejected.right).toBe(1)
    expect(recovery.isBound).toBe(false)
  })
})

describe("the program's own word (authorize)", () => {
  const token = new TextEncoder().encode('let me in')
  const limitMs = DECISION_LIMIT / 1000
  const asking = { ...as('all'), asksProgram: true }
  const joining = (right: RightName = 'send') => ({ ...as(right), token })

  function asked(): GroupOf {
    const group = new GroupOf()
    group.add(asking)
    return group
  }

  test('yes: it is asked once, with what the joiner says of itself', () => {
    const group = asked()
    const seat = group.begin(joining())
    group.until(() => group.first.applicants.length === 1, 'the program is asked')
    // long enough for a joiner to take an unanswered sequencer for lost
    group.advance(limitMs - 500)
    expect([seat.openFailed, seat.memberId]).toEqual([undefined, 0])
    const { joiner, token: shown } = group.first.applicants[0]!
    expect(joiner).toMatchObject({ name: 'm1', address: 'm1:1', role: 0, right: Right.send })
    expect(new TextDecoder().decode(shown)).toBe('let me in')
    group.first.authorize(group.first.applicants[0]!, true)
    group.until(() => seat.memberId !== 0, 'it is a member')
    expect(group.first.applicants).toHaveLength(1)
  })

  test('no: the joiner is refused, also if the word is lost on its way', () => {
    const group = asked()
    let lost = 0
    group.isLost = ({ kind, bytes }) => kind === 'joinRefused' && bytes[HEADER_BYTES] === 6 && ++lost < 3
    group.first.onAuthorize = (question) => group.first.authorize(question, false)
    const seat = group.begin(joining())
    group.until(() => seat.openFailed !== undefined, 'it is refused')
    expect(seat.openFailed).toMatch(/^ERR_NOT_AUTHORIZED: .*authorize function/)
    expect([lost, group.first.applicants.length]).toEqual([3, 1])
  })

  test('nothing: that is a refusal, and a yes that comes later changes nothing', () => {
    const group = asked()
    const seat = group.begin(joining())
    const took = group.until(() => seat.openFailed !== undefined, 'it is refused')
    expect(took).toBeGreaterThanOrEqual(limitMs)
    expect(took).toBeLessThan(limitMs + 2000)
    expect(seat.openFailed).toMatch(/^ERR_NOT_AUTHORIZED/)
    group.first.authorize(group.first.applicants[0]!, true)
    group.settle()
    expect(group.first.view.members).toHaveLength(1)
  })

  test('a yes after the joiner has gone lets nobody in', () => {
    const group = asked()
    const seat = group.begin(joining())
    group.until(() => group.first.applicants.length === 1, 'the program is asked')
    seat.crash()
    group.advance(3000)
    group.first.authorize(group.first.applicants[0]!, true)
    group.settle()
    expect(group.first.view.members).toHaveLength(1)
    const next = group.begin(joining())
    group.until(() => group.first.applicants.length === 2, 'the program is asked about the next')
    group.first.authorize(group.first.applicants[1]!, true)
    group.until(() => next.memberId !== 0, 'the next is a member')
  })

  test('who has not shown its right is not asked about', () => {
    const group = asked()
    const seat = group.begin({ ...as('all', 2), token })
    group.until(() => seat.openFailed !== undefined, 'it is refused')
    expect(group.first.applicants).toHaveLength(0)
  })

  test('the decision holds for what was asked, not for what is repeated', () => {
    const group = asked()
    let requests = 0
    group.isLost = () => false
    const seat = group.begin(joining('receive'))
    group.until(() => group.first.applicants.length === 1, 'the program is asked')
    // from now on the same life asks for more, with a proof of it
    Object.assign(seat.machine.options, { credentials: credentialsFor('all') })
    const opening = (seat.machine as unknown as { opening: { joiner: { options: object } } }).opening
    Object.assign(opening.joiner.options, { credentials: credentialsFor('all') })
    group.isLost = ({ kind }) => {
      if (kind === 'joinRequest') requests++
      return false
    }
    group.until(() => requests >= 2, 'it has asked again')
    group.first.authorize(group.first.applicants[0]!, true)
    group.until(() => seat.memberId !== 0, 'it is a member')
    expect(rightsIn(group.first)).toEqual([0, 2])
  })

  test('after a change of sequencer the new one asks its own program', () => {
    const group = asked()
    const heir = group.begin(asking)
    group.first.onAuthorize = (question) =>
      question.joiner.name === 'm1' && group.first.authorize(question, true)
    group.until(() => heir.memberId !== 0, 'there is an heir')
    const seat = group.begin(joining())
    group.until(() => group.first.applicants.length === 2, 'the first is asked')
    group.first.leave()
    group.until(() => heir.applicants.length === 1, 'the heir is asked')
    heir.authorize(heir.applicants[0]!, true)
    group.until(() => seat.memberId !== 0, 'it is a member')
  })

  test('so many at once, and who comes beyond comes in later', () => {
    const group = new GroupOf({ parameters: { maxMembers: 200 } })
    group.add(asking)
    const seats = Array.from({ length: DECIDING_MAX + 3 }, () => group.begin(joining('receive')))
    group.until(() => group.first.machine.counters.limited.deciding > 0, 'some are told to wait')
    expect(group.first.applicants).toHaveLength(DECIDING_MAX)
    group.first.onAuthorize = (question) => group.first.authorize(question, true)
    for (const question of [...group.first.applicants]) group.first.authorize(question, true)
    group.until(() => seats.every(({ memberId }) => memberId !== 0), 'all are in')
    expect(group.first.applicants).toHaveLength(DECIDING_MAX + 3)
  })
})

test('a joiner that learns that its sequencer is gone rebuilds the group once it is a member, where only it may', () => {
  const group = groupOf(['all', 'receive'])
  const [creator, receiver] = group.seats as [Seat, Seat]
  group.isRefusing = true
  const joiner = group.begin(as('all'))
  // the joiner is let in, and hears neither its own join nor that it is accepted, but that its sequencer is gone
  group.isLost = ({ to, kind }) => to === joiner && (kind === 'order' || kind === 'repair')
  const isIn = () => receiver.delivered.some(({ kind, sender }) => kind === 'join' && sender === 3)
  group.until(isIn, 'the other member has delivered the join')
  creator.crash()
  const isSuspect = (seat: Seat) => seat.events.some(({ event }) => event === 'suspect')
  group.until(() => isSuspect(joiner), 'the joiner knows that its sequencer is gone')
  expect(joiner.memberId).toBe(0)
  group.isLost = () => false
  group.until(() => group.living.every(({ view }) => view?.members.length === 2), 'the two have a view')
  expect(joiner.machine.info().isSequencer).toBe(true)
})
