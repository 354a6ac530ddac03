/**
 * Schedules in which the rules of a reset matter (design 4.6), one for each rule that random schedules reach too
 * seldom; `test/model` has told most of them. A scene ends well where all rules are kept. With its rule taken away
 * (`test/mutants`) a checker of the simulator finds what the rule is for.
 *
 * Member 1 makes the group and is its first sequencer.
 */
import { HEADER_BYTES } from '../../kernel/packet.ts'
import { ORDER_HEAD_BYTES } from '../../kernel/packets.ts'
import { NOTICE_RESULTS_MAX } from '../../kernel/recovery-packets.ts'
import { check } from '../simulator/checkers/checker.ts'
import { holding, JudgedGroup, LONG_MS, losing, only, type Rule } from './recovery-judged.ts'

/** Of a broadcast without entries. */
const EMPTY_ORDER_BYTES = HEADER_BYTES + ORDER_HEAD_BYTES

/**
 * Member 2 has promised itself to member 3, with a vote that does not know of the sequencer's message yet. Then
 * the message comes. Acked now it would be official, and lost in the same breath.
 */
function voteIsPromise(): void {
  const it = new JudgedGroup(3, { resilience: 1, recovery: 'manual' })
  it.lead(only([1, 2], [2, 3]), holding('order', 1, 2), losing('streamData', 2, 1), losing('refusal', 2))
  it.send(1)
  it.until(() => it.isHolding, 'the message is under way to member 2')
  it.reset(3)
  it.until(() => it.hasMarked(2, 'voted'), 'member 2 has voted')
  it.release()
  it.lead(only([1, 2], [2, 3]), losing('order', 1))
  it.watch(() => it.hasMarked(3, 'reset'), LONG_MS)
  it.finish()
}

/**
 * Member 1 votes for member 3, then in the higher attempt of member 2, with a log that lacks the result of the first.
 * Were it to fall back to the lower promise now, and to ack, both results would be official.
 */
function promisesRise(): void {
  const it = new JudgedGroup(3, { resilience: 0, recovery: 'manual' })
  const apart = only([1, 2], [1, 3])
  it.lead(apart, losing('streamData', 3, 1), losing('order', 3))
  it.reset(3)
  it.until(() => it.hasMarked(3, 'proposing'), 'member 3 proposes its result')
  it.reset(2)
  it.advance(1)
  it.lead(apart, losing('order', 3), losing('invite', 2))
  it.watch(() => it.hasMarked(3, 'reset'), 100)
  it.lead(apart, losing('order', 3))
  it.watch(() => it.hasMarked(2, 'reset'), 2 * LONG_MS)
  it.finish()
}

/**
 * The old sequencer has numbered two messages that nobody has; the others have made a result at the place of the first.
 * Its log is the longer one, and theirs the one that counts.
 */
function newestResultFirst(): void {
  const it = new JudgedGroup(5, { resilience: 1, recovery: 'manual' })
  it.lead(only([2, 3, 4, 5]))
  it.send(1)
  it.send(1)
  it.reset(2)
  it.until(() => it.hasMarked(2, 'proposing'), 'there is a result')
  it.lead(only([2, 3, 4, 5]), losing('order', 2))
  it.until(() => it.hasMarked(2, 'reset'), 'it is official, and nobody has heard of it')
  it.advance(5)
  it.crash(2)
  it.lead(only([1, 3, 4, 5]))
  it.watch(() => [3, 4, 5].some((id) => it.hasMarked(id, 'resumed')), 4 * LONG_MS)
  it.finish()
}

/** Members 2, 3 and 4 make a result upon the view of five; members 3 and 4 hold it, and only they. */
function resultOfThree(): JudgedGroup {
  const it = new JudgedGroup(5, { resilience: 1, recovery: 'manual' })
  const isAck: Rule = ({ kind, fromId, toId }) =>
    kind === 'state' && fromId === 4 && toId === 2 ? 'lose' : 'pass'
  it.lead(only([2, 3, 4], [1, 5]), isAck)
  it.reset(2)
  it.until(() => it.hasMarked(3, 'result-held') && it.hasMarked(4, 'result-held'), 'the result is held')
  return it
}

/**
 * Members 3 and 4 make a view upon the result of members 2, 3 and 4, with member 1 for a witness, whom the result
 * never reaches. The majority of the first view that is left could make another view without knowing of it.
 */
function witnessesAck(): void {
  const it = resultOfThree()
  const isDeaf: Rule = ({ kind, toId }) =>
    toId === 1 && ['streamData', 'order', 'expelled'].includes(kind) ? 'lose' : 'pass'
  it.lead(only([1, 3, 4]), isDeaf)
  it.watch(() => it.hasMarked(3, 'reset') || it.hasMarked(4, 'reset'), 2 * LONG_MS)
  it.lead(only([1, 2, 5]))
  const again = it.reset(5)
  it.watch(() => again() !== 'open', 2 * LONG_MS)
  if (again() === 'failed') it.reset(5)
  it.watch(() => it.hasMarked(5, 'reset') || it.hasMarked(2, 'reset'), 4 * LONG_MS)
  it.finish()
}

/** Member 1 bears witness to the view of members 3 and 4: it holds the result, and is not in the view. */
function witnessesDeliverNothing(): void {
  const it = resultOfThree()
  it.lead(only([1, 3, 4]))
  const isOfficial = () => it.hasMarked(3, 'reset') || it.hasMarked(4, 'reset')
  it.until(isOfficial, 'the result with a witness is official')
  it.advance(LONG_MS)
  it.finish()
}

/**
 * Member 3 holds the result of members 2, 3 and 4, and has not heard that it is official. With members 1 and 5 it
 * is a majority of the view before, and no majority of the view that the other two go on in.
 */
function minimumInLaterViews(): void {
  const it = new JudgedGroup(5, { resilience: 1, recovery: 'manual' })
  it.lead(only([2, 3, 4], [1, 5]), losing('order', 2, 3))
  it.reset(2)
  it.until(() => it.hasMarked(2, 'reset') && it.hasMarked(4, 'resumed'), 'two have heard that it is official')
  it.lead(only([1, 3, 5], [2, 4]))
  it.watch(() => it.hasMarked(3, 'reset'), 2 * LONG_MS)
  it.reset(4)
  it.until(() => it.hasMarked(4, 'reset'), 'the others are rebuilt')
  it.finish()
}

/**
 * Two members were told that much is official which they never held, and which is lost with the members that did.
 * What has these places in the new view is no more official for that.
 */
function oldAcceptsCountNot(): void {
  const it = new JudgedGroup(7, { resilience: 2, recovery: 'manual' })
  // of the last messages the living get no more than the word that they are official
  const isLast: Rule = ({ kind, toId, bytes }) =>
    toId > 3 && (kind === 'repair' || (kind === 'order' && bytes.length > EMPTY_ORDER_BYTES))
      ? 'lose'
      : 'pass'
  it.lead(isLast)
  const sent = [1, 2, 3, 4, 5].map(() => it.send(1))
  it.until(() => sent.every(({ seq }) => seq !== undefined), 'they are official')
  it.advance(50)
  for (const id of [1, 2, 3]) it.crash(id)
  it.reset(5)
  it.until(() => [4, 5, 6, 7].every((id) => it.hasMarked(id, 'resumed')), 'the others go on')
  const reaches: Rule = ({ kind, fromId, toId }) =>
    kind === 'order' && fromId === 5 && toId > 5 ? 'lose' : 'pass'
  it.lead(reaches)
  it.send(4)
  it.advance(20)
  it.finish()
}

/**
 * Where the minimum is below a majority: member 3 holds a result of its own, which nobody has acked, at a place where
 * the log that is chosen has a message. Members that come into one view have delivered the same before it.
 */
function ownResultDropped(): void {
  const it = new JudgedGroup(4, { resilience: 1, minMembers: 1, recovery: 'manual' })
  it.lead(only([1, 2]))
  const sent = it.send(1)
  it.until(() => sent.seq !== undefined, 'the send has returned')
  it.lead(only([1, 2], [3, 4]), losing('streamData', 3))
  it.reset(3)
  it.until(() => it.hasMarked(3, 'proposing'), 'member 3 proposes its result')
  it.lead(({ kind, fromId }) => (kind === 'streamData' && fromId === 3 ? 'lose' : 'pass'))
  it.reset(2)
  it.until(() => it.hasMarked(3, 'voted'), 'member 3 has voted')
  it.lead(losing('refusal', 3))
  it.watch(() => it.hasMarked(3, 'resumed'), 2 * LONG_MS)
  it.finish()
}

/**
 * Members 3 to 5 have gone on; an address between them and the others refuses on their behalf when they are asked, so that
 * the old sequencer takes them for dead. They are not, and may have been part of a newer view before they died, if they were.
 */
function goneMayHaveVoted(): void {
  const it = new JudgedGroup(5, { resilience: 'majority', recovery: 'manual' })
  const cutOff = [3, 4, 5]
  it.lead(only([1, 2], cutOff))
  it.reset(3)
  it.until(() => it.hasMarked(3, 'reset'), 'the larger side goes on')
  it.send(1)
  it.send(2)
  const areGone = it.watch(() => {
    for (const id of cutOff) it.refuse(1, id)
    return it.timesMarked(1, 'gone') === cutOff.length
  }, LONG_MS)
  check(
    areGone,
    'assertion',
    () => 'the scene is not set: a refusal is not believed of one that has been asked',
  )
  it.advance(LONG_MS)
  it.finish()
}

/**
 * The sequencer holds what member 2 has sent until there is room, and dies. Whoever takes its place knows nothing
 * of that.
 */
function heldRequestsGoAgain(): void {
  const it = new JudgedGroup(3, { historySize: 8 })
  it.seat(3).holds = true
  for (let i = 0; i < 40; i++) {
    it.send(2, 500)
    it.advance(1)
  }
  it.advance(100)
  it.crash(1)
  it.until(() => it.hasMarked(2, 'resumed'), 'the others go on')
  it.seat(3).resume()
  it.finish()
}

/**
 * Member 3 holds a result for members 3, 4 and 5, which nobody else has got, when the other two of them die. It is the
 * newest in the votes of those that are left, who are a majority of the view in force, and none of the one that it names.
 */
function deadResultsAreCut(): void {
  const it = new JudgedGroup(5, { resilience: 1 })
  it.lead(only([1, 2], [3, 4, 5]), losing('streamData', 3))
  it.reset(3)
  it.until(() => it.hasMarked(3, 'proposing'), 'member 3 proposes its result')
  for (const id of [4, 5]) it.crash(id)
  it.send(1)
  it.finish()
}

/**
 * Member 3 has last measured that an answer takes half a second, which is true of nobody. The sequencer dies, and the others
 * wait for member 3 no longer than they would for each other.
 */
function lateForItsReset(...rules: readonly Rule[]): void {
  const it = new JudgedGroup(5, { resilience: 1 })
  it.lead(({ fromId, toId }) => (fromId === 1 && toId === 3 ? 'hold' : 'pass'))
  const sent = it.send(3)
  it.advance(200)
  it.lead(...rules)
  it.release()
  it.until(() => sent.seq !== undefined, 'member 3 has its answer late')
  it.crash(1)
  it.until(() => [2, 4, 5].every((id) => it.hasMarked(id, 'resumed')), 'the others go on')
  it.advance(LONG_MS)
  check(!it.seat(3).isOver, 'I8', () => 'member 3 can reach everybody who is left, and is expelled')
  it.finish()
}

/** Invited, it would wait for two answers of its own before it knows that the sequencer is silent. */
function undecidedVoteInTime(): void {
  lateForItsReset()
}

/** Its vote for the attempt that wins is lost, and it would be half a second before it knows. */
function lostVoteIsSentAgain(): void {
  let votes = 0
  lateForItsReset(({ kind, fromId, toId }) =>
    kind === 'streamData' && fromId === 3 && toId === 2 && votes++ === 0 ? 'lose' : 'pass',
  )
}

/** Member 5 is cut off while the others rebuild their group more often than a notice of expulsion has names for. */
function outManyResetsAgo(): void {
  const it = new JudgedGroup(5, { resilience: 1 })
  // its view is neither the oldest that is remembered nor one of the newest: those are named in any case
  for (let i = 0; i < 4; i++) resetBy(it, 1)
  it.lead(only([1, 2, 3, 4]))
  for (let i = 0; i < NOTICE_RESULTS_MAX; i++) resetBy(it, 2)
  it.finish()
}

function resetBy(it: JudgedGroup, id: number): void {
  const how = it.reset(id)
  it.until(() => how() !== 'open', `member ${id} has rebuilt the group`)
}

export const recoveryScenes: Readonly<Record<string, () => void>> = {
  'vote-is-promise': voteIsPromise,
  'promises-rise': promisesRise,
  'newest-result-first': newestResultFirst,
  'witnesses-ack': witnessesAck,
  'witnesses-deliver-nothing': witnessesDeliverNothing,
  'minimum-in-later-views': minimumInLaterViews,
  'old-accepts-count-not': oldAcceptsCountNot,
  'own-result-dropped': ownResultDropped,
  'gone-may-have-voted': goneMayHaveVoted,
  'held-requests-go-again': heldRequestsGoAgain,
  'undecided-vote-in-time': undecidedVoteInTime,
  'lost-vote-is-sent-again': lostVoteIsSentAgain,
  'dead-results-are-cut': deadResultsAreCut,
  'out-many-resets-ago': outManyResetsAgo,
}
