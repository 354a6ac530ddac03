/** A joiner that the group has no room for at the moment: it waits, and what it says in the end is true. */
import { expect, test } from 'vitest'
import { encodeJoinRefused, JoinRefusal } from '../../kernel/meeting-packets.ts'
import { HEADER_BYTES, PacketKind, writeHeader } from '../../kernel/packet.ts'
import { DECIDING_MAX } from '../../sequencer/authorization.ts'
import { GroupOf, type Seat } from './group-of.ts'

/** To all of the joiner's requests the sequencer says that it is busy, as long as `isBusy`. */
function answerBusy(group: GroupOf, joiner: Seat, isBusy: () => boolean): { asked: number } {
  const count = { asked: 0 }
  group.isLost = ({ from, kind, header }) => {
    if (from !== joiner || kind !== 'joinRequest' || !isBusy()) return false
    count.asked++
    const { groupId, incarnation, coordinator, senderNonce: destination } = header
    const agreed = { version: 1, keyId: 0 }
    const body = encodeJoinRefused({ reason: JoinRefusal.busy, challenge: 0n, agreed })
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

test('a sequencer that falls silent is no busy one', () => {
  const group = GroupOf.open(1)
  const joiner = group.begin()
  answerBusy(group, joiner, () => group.queue.now < 3_000_000)
  group.until(() => group.queue.now >= 3_000_000, 'it was busy')
  group.isLost = ({ from }) => from === group.first
  group.until(() => joiner.openFailed !== undefined, 'it gives up')
  expect(joiner.openFailed).toMatch(/^ERR_GROUP_NOT_FOUND/)
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
