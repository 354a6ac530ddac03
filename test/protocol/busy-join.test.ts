/** A joiner that the group has no room for at the moment: it waits, and what it says in the end is true. */
import { describe, expect, test } from 'vitest'
import { detectionPresets } from '../../group/member/options.ts'
import { encodeJoinRefused, JoinRefusal } from '../../kernel/meeting-packets.ts'
import { HEADER_BYTES, PacketKind, writeHeader } from '../../kernel/packet.ts'
import { DECIDING_MAX } from '../../sequencer/authorization.ts'
import { GroupOf, type Seat } from './group-of.ts'

/** To all of the joiner's requests the sequencer says that it has to wait, as long as `isBusy`. */
function answerBusy(
  group: GroupOf,
  joiner: Seat,
  isBusy: () => boolean,
  reason: (asked: number) => JoinRefusal = () => JoinRefusal.busy,
): { asked: number } {
  const count = { asked: 0 }
  group.isLost = ({ from, kind, header }) => {
    if (from !== joiner || kind !== 'joinRequest' || !isBusy()) return false
    count.asked++
    const { groupId, incarnation, coordinator, senderNonce: destination } = header
    const agreed = { version: 1, keyId: 0 }
    const body = encodeJoinRefused({ reason: reason(count.asked), challenge: 0n, agreed })
    const answer = new Uint8Array(HEADER_BYTES + body.length)
    const names = { groupId, incarnation, coordinator, sender: group.first.memberId, destination, flags: 0 }
    const { nonce: senderNonce } = group.first.machine.options
    const marks = { received: 0, taken: 0, window: 0 }
    writeHeader(answer, { ...names, ...marks, kind: PacketKind.joinRefused, senderNonce })
    answer.set(body, HEADER_BYTES)
    group.queue.after(group.delay, () =>
      joiner.input({ kind: 'packet', from: group.first.address, bytes: answer }),
    )
    return true
  }
  return count
}

test('a group that is busy for a while is waited for', () => {
  const group = GroupOf.open(1)
  const joiner = group.begin()
  answerBusy(group, joiner, () => group.queue.now < 10_000_000)
  group.until(() => joiner.memberId !== 0, 'it is let in')
  expect(joiner.openFailed).toBeUndefined()
})

test('a group that stays busy is said to be there, and why it may be so', () => {
  const group = GroupOf.open(1)
  const joiner = group.begin()
  const count = answerBusy(group, joiner, () => true)
  const waited = group.until(() => joiner.openFailed !== undefined, 'it gives up')
  expect(joiner.openFailed).toMatch(/^ERR_GROUP_BUSY: the group is alive, .*at once.*authorize.*try again/)
  expect(joiner.openFailed).not.toContain('does not answer')
  expect(waited).toBeGreaterThan(20_000)
  // ever more seldom
  expect(count.asked).toBeLessThan(100)
})

test('where packets take long the turn of a joiner may, too', () => {
  const group = GroupOf.open(1, { delayMs: 100, member: { detection: detectionPresets.wan } })
  const joiner = group.begin()
  answerBusy(group, joiner, () => group.queue.now < 90_000_000)
  group.until(() => joiner.memberId !== 0 || joiner.openFailed !== undefined, 'it has an answer', 200_000)
  expect(joiner.openFailed).toBeUndefined()
})

test('members that did not answer once, and others much later, are not one thing to wait for', () => {
  const group = GroupOf.open(1)
  const joiner = group.begin()
  const isSilent = () => group.queue.now < 2_000_000 || group.queue.now > 16_000_000
  const reason = () => (isSilent() ? JoinRefusal.heldUp : JoinRefusal.busy)
  answerBusy(group, joiner, () => group.queue.now < 18_000_000, reason)
  group.until(() => joiner.memberId !== 0 || joiner.openFailed !== undefined, 'it has an answer')
  expect(joiner.openFailed).toBeUndefined()
})

test('a sequencer that falls silent is no busy one', () => {
  const group = GroupOf.open(1)
  const joiner = group.begin()
  answerBusy(group, joiner, () => group.queue.now < 3_000_000)
  group.until(() => group.queue.now >= 3_000_000, 'it was busy')
  group.isLost = ({ from }) => from === group.first
  group.until(() => joiner.openFailed !== undefined, 'it gives up')
  expect(joiner.openFailed).toMatch(
    /^ERR_MEMBER_FAILED: a group was heard of on port "group-of", and its sequencer, at m0:1, does not answer/,
  )
})

test.each([
  ['deciding', () => JoinRefusal.deciding],
  ['decided, and then not', () => JoinRefusal.decided],
  [
    'now the one, now the other',
    (asked: number) => [JoinRefusal.busy, JoinRefusal.deciding, JoinRefusal.decided][asked % 3]!,
  ],
  ['held up, and busy', (asked: number) => [JoinRefusal.heldUp, JoinRefusal.busy][asked % 2]!],
])('a program that never decides is not waited for for ever: %s', (_, reason) => {
  const group = GroupOf.open(1)
  const joiner = group.begin()
  const count = answerBusy(group, joiner, () => true, reason)
  const waited = group.until(() => joiner.openFailed !== undefined, 'it gives up')
  expect(joiner.openFailed).toMatch(/^ERR_GROUP_BUSY: the group is alive, .*authorize.*try again/)
  expect(waited).toBeGreaterThan(20_000)
  expect(count.asked).toBeLessThan(150)
  // (one word or the other is the last)
  if (reason(1) === reason(2)) expect(joiner.openFailed).toContain('has not decided for 30 s')
})

test('a program that decides within its time is waited for', () => {
  const group = new GroupOf()
  group.add({ asksProgram: true })
  const joiner = group.begin()
  group.until(() => group.first.applicants.length === 1, 'the program is asked')
  group.advance(4900)
  expect([joiner.memberId, joiner.openFailed]).toEqual([0, undefined])
  group.first.authorize(group.first.applicants[0]!, true)
  group.until(() => joiner.memberId !== 0, 'it is let in')
})

describe('a joiner that waits behind those who do not answer', () => {
  /** Two members, and the second is dead: no join can be official. */
  function heldUp(): { group: GroupOf; joiner: Seat } {
    const group = GroupOf.open(2, { parameters: { recovery: 'manual', minMembers: 1 } })
    group.seats[1]!.crash()
    group.advance(2000)
    return { group, joiner: group.begin() }
  }

  test('is told that the group answers, and why it lets nobody in', () => {
    const { group, joiner } = heldUp()
    group.until(() => joiner.openFailed !== undefined, 'it gives up')
    expect(joiner.openFailed).toMatch(
      /^ERR_MEMBER_FAILED: the group on port "group-of" answers, and lets nobody in at present: .*waited for members that do not answer; .*reset/,
    )
    // whoever waits behind it hears the same
    const next = group.begin()
    group.until(() => next.openFailed !== undefined, 'it gives up')
    expect(next.openFailed).toBe(joiner.openFailed)
  })

  test('is let in when the group is reset in time', () => {
    const { group, joiner } = heldUp()
    group.advance(5000)
    expect(joiner.openFailed).toBeUndefined()
    const reset = group.first.reset(1)
    group.until(() => reset.size !== undefined, 'the group is reset')
    group.until(() => joiner.memberId !== 0, 'it is let in')
  })
})

test('a joiner whose turn has not come is told to wait, and does not take the sequencer for dead', () => {
  const group = GroupOf.open(2)
  const [first, second] = group.seats
  // the first join has its place, and is not official for a while
  const told: JoinRefusal[] = []
  let isHeld = true
  group.isLost = ({ from, to, kind, bytes }) => {
    if (kind === 'joinRefused' && to === joiners[1]) told.push(bytes[HEADER_BYTES] as JoinRefusal)
    return isHeld && from === second && to === first
  }
  const joiners = [group.begin(), group.begin()]
  group.advance(100)
  isHeld = false
  group.until(() => joiners.every(({ memberId }) => memberId !== 0), 'both are let in')
  expect(told.length).toBeGreaterThan(0)
  expect(new Set(told)).toEqual(new Set([JoinRefusal.busy]))
})

test('a joiner that hears of the group from others, while its sequencer is dead and nobody knows it, is told so', () => {
  const group = GroupOf.open(3, { member: { transport: 'unicast', detection: detectionPresets.wan } })
  group.first.crash()
  const joiner = group.begin({ detection: detectionPresets.fast })
  group.until(() => joiner.openFailed !== undefined, 'it gives up')
  expect(joiner.openFailed).toMatch(
    /^ERR_MEMBER_FAILED: a group was heard of on port "group-of", and its sequencer, at m0:1, does not answer/,
  )
  expect(group.living.flatMap(({ events }) => events)).toEqual([])
})

test('who comes while the program has enough to decide about is let in when it has decided', () => {
  const group = new GroupOf({ parameters: { maxMembers: 2 * DECIDING_MAX } })
  group.add({ asksProgram: true })
  const first = Array.from({ length: DECIDING_MAX }, () => group.begin())
  group.until(() => group.first.applicants.length === DECIDING_MAX, 'the program is asked about them')
  const late = group.begin()
  group.advance(3_000)
  expect([late.memberId, late.openFailed]).toEqual([0, undefined])
  group.first.onAuthorize = (question) => group.first.authorize(question, true)
  for (const question of group.first.applicants) group.first.authorize(question, true)
  group.until(() => [...first, late].every(({ memberId }) => memberId !== 0), 'all are let in')
})
