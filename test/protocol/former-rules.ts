/**
 * Schedules made by hand, as in recovery-rules.ts, for those who are members no more: what a sequencer that leaves still owes
 * to its successor, what a leaver's id would do to the next joiner, and what one that is out may ask of the others.
 */
import { readOrderHead } from '../../kernel/packets.ts'
import { check } from '../simulator/checkers/checker.ts'
import { JudgedGroup, LONG_MS, only, type Rule } from './recovery-judged.ts'

/**
 * Of two members the sequencer leaves, and the broadcast that says that its leave is accepted is lost. The other one acked
 * that leave and cannot know; alone it is no majority of the two, so that no reset makes up for it.
 */
function oldSequencerLingers(): void {
  const it = new JudgedGroup(2, {})
  const old = it.seat(1)
  const leaveSeq = old.machine.info().seq + 1
  const isFirstWord: Rule = ({ kind, fromId, bytes }) =>
    fromId === 1 && kind === 'order' && readOrderHead(bytes)!.accepted >= leaveSeq ? 'lose' : 'pass'
  it.lead(isFirstWord)
  old.leave()
  it.until(() => old.hasLeft || it.hasMarked(1, 'lingering'), 'the leave is accepted')
  it.advance(1)
  it.lead()
  const sent = it.send(2)
  it.watch(() => sent.seq !== undefined, 4 * LONG_MS)
  check(
    sent.seq !== undefined,
    'I9',
    () => 'the successor has never heard that it is one, and the old sequencer is gone',
  )
  it.finish()
}

/**
 * The last to join leaves, and another one joins. Member 2 gets both events at once: it would clear away what it knows of
 * the leaver when it knows the joiner already. When it is the sequencer, the joiner's requests are told from old ones by that.
 */
function idOfALeaver(): void {
  const it = new JudgedGroup(4, {})
  const isDeaf: Rule = ({ kind, toId }) =>
    toId === 2 && (kind === 'order' || kind === 'repair') ? 'lose' : 'pass'
  it.lead(isDeaf)
  const leaver = it.seat(4)
  leaver.leave()
  it.until(() => leaver.hasLeft, 'member 4 has left')
  const joiner = it.begin()
  it.until(() => joiner.memberId !== 0, 'another one has joined')
  it.lead()
  it.until(() => it.seat(2).machine.info().seq === it.seat(3).machine.info().seq, 'member 2 has both events')
  const old = it.seat(1)
  old.leave()
  it.until(() => old.hasLeft, 'member 2 is the sequencer')
  it.send(joiner.memberId)
  it.finish()
}

/**
 * Member 5 was cut off, and is out; nobody has told it so yet when its program calls ResetGroup. The others are well, and
 * whoever promised itself to it would stand still: what it could propose is a view of theirs, and it is in none of those.
 */
function outsiderInvites(): void {
  const it = new JudgedGroup(5, { resilience: 1, recovery: 'manual' })
  const rest = [1, 2, 3, 4]
  it.lead(only(rest))
  it.reset(1)
  it.until(() => rest.every((id) => it.hasMarked(id, 'resumed')), 'the others go on')
  it.lead()
  const isAnswered = (): boolean => it.seat(5).isOver || it.timesMarked(2, 'voted') > 1
  it.resetUntil(5, isAnswered, 4 * LONG_MS)
  check(isAnswered(), 'assertion', () => 'the scene is not set: nobody has an answer for member 5')
  const sent = it.send(2)
  it.watch(() => sent.seq !== undefined || sent.failed !== undefined, LONG_MS)
  check(
    sent.seq !== undefined,
    'I8',
    () => 'one that is in no view of theirs has stopped a group that is well',
  )
  it.finish()
}

export const formerScenes: Readonly<Record<string, () => void>> = {
  'old-sequencer-lingers': oldSequencerLingers,
  'id-of-a-leaver': idOfALeaver,
  'outsider-invites': outsiderInvites,
}
