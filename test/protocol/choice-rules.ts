/**
 * Schedules made by hand, as in recovery-rules.ts, for what a coordinator makes of the votes: which results still count,
 * and in which views enough must take part. They are the counter-examples of `test/model`, played by the code.
 */
import { check } from '../simulator/checkers/checker.ts'
import { JudgedGroup, LONG_MS, losing, only, type Rule } from './recovery-judged.ts'

/**
 * Member 1 coordinates an attempt that everybody has voted for; members 2 and 3 hold its result, and then make one upon it
 * without member 1, which is official. What member 1 votes with is its own result, not accepted: dead, were it not that
 * the newer one lies upon it.
 */
function standingResultKeepsWhatIsBelow(): void {
  const it = new JudgedGroup(3, { resilience: 1, recovery: 'manual' })
  it.lead(losing('state', 2, 1), losing('state', 3, 1))
  it.reset(1)
  it.until(() => it.hasMarked(2, 'result-held') && it.hasMarked(3, 'result-held'), 'both hold the result')
  it.lead(only([2, 3]), losing('order', 2), losing('order', 3))
  it.until(() => it.hasMarked(2, 'reset') || it.hasMarked(3, 'reset'), 'their own result is official')
  // who has not heard that votes for member 1
  const other = it.hasMarked(2, 'reset') ? 3 : 2
  it.lead(only([1, other]))
  it.resetUntil(1, () => it.hasMarked(1, 'reset'), 4 * LONG_MS)
  it.finish()
}

/**
 * Member 2 has missed two joins, which member 3 knows to be official. Two are a majority of the three that it knows of, and
 * none of the five that there are, of which the other three go on.
 */
function minimumInViewOfAnyVoter(): void {
  const it = new JudgedGroup(3, { resilience: 1, recovery: 'manual' })
  const isDeaf: Rule = ({ fromId, toId }) => (fromId === 2 || toId === 2 ? 'lose' : 'pass')
  it.lead(isDeaf)
  for (const id of [4, 5]) {
    const seat = it.begin()
    it.until(() => seat.memberId === id, `member ${id} has joined`)
  }
  it.until(() => it.seat(3).view.members.length === 5, 'member 3 knows')
  it.lead(only([2, 3], [1, 4, 5]))
  it.reset(2)
  it.watch(() => it.hasMarked(2, 'reset'), 2 * LONG_MS)
  it.reset(4)
  it.watch(() => it.hasMarked(4, 'reset'), 2 * LONG_MS)
  it.finish()
}

/**
 * Members 4 and 5 hold a result of member 2 for the three of them, and are a majority of that. Member 2 votes for member 1
 * meanwhile: with member 3 they are a majority of the view in force, and what member 2 has made is dead there.
 */
function minimumInAcceptedView(): void {
  const it = new JudgedGroup(5, { resilience: 2, recovery: 'manual' })
  const sides = only([1, 3], [2, 4, 5])
  it.lead(sides, losing('state', 4, 2), losing('state', 5, 2))
  it.reset(2)
  it.advance(100)
  it.reset(1)
  it.until(() => it.hasMarked(4, 'result-held') && it.hasMarked(5, 'result-held'), 'the result is held')
  it.lead(only([1, 2, 3], [4, 5]))
  it.watch(() => it.hasMarked(4, 'reset') || it.hasMarked(5, 'reset'), 4 * LONG_MS)
  it.resetUntil(1, () => it.hasMarked(1, 'reset'), 4 * LONG_MS)
  it.finish()
}

/**
 * A group of one has numbered a join, and the joiner dies before it has acked that. The view after the join would need both
 * of them; the one who is left knows best that nobody has accepted it.
 */
function unacceptedJoinIsNotCounted(): void {
  const it = new JudgedGroup(1, {})
  const joiner = it.begin()
  it.until(() => it.hasMarked(1, 'join-numbered'), 'the join is numbered')
  it.crash(joiner.memberId)
  const sent = it.send(1)
  it.watch(() => sent.seq !== undefined, 4 * LONG_MS)
  // (the checkers demand nothing where a joiner is lost that may be in the view)
  check(sent.seq !== undefined, 'I9', () => 'a group of one does not go on without its joiner')
  it.finish()
}

/**
 * Member 1 has accepted and delivered a result of its own, which the others hold and have not heard to be official. Two more
 * come to nothing: one of three members without it, and one of two of them, which it bears witness to. When both are dead
 * all hangs by what it has to say of its own.
 */
function witnessRemembers(): void {
  const it = new JudgedGroup(5, { resilience: 1, recovery: 'manual' })
  it.lead(losing('order', 1))
  it.reset(1)
  it.until(() => it.hasMarked(1, 'reset'), 'the first result is official')
  const three = [2, 3, 4]
  const isAck: Rule = ({ kind, toId }) => (kind === 'state' && three.includes(toId) ? 'lose' : 'pass')
  it.lead(only(three), isAck)
  const proposer = (): number | undefined => three.find((id) => it.hasMarked(id, 'proposing'))
  it.until(() => proposer() !== undefined, 'there is a second result')
  const second = proposer()!
  const both = three.filter((id) => id !== second)
  it.until(() => both.every((id) => it.timesMarked(id, 'result-held') === 2), 'both others hold it')
  // the third result reaches member 1, and not the other of the two that it is for
  const isThird: Rule = ({ kind, fromId, toId }) =>
    kind === 'streamData' && both.includes(toId) && both.includes(fromId) && it.hasMarked(fromId, 'proposing')
      ? 'lose'
      : 'pass'
  it.lead(only([1, ...both]), isThird, isAck)
  it.until(() => it.hasMarked(1, 'result-held'), 'member 1 bears witness to a third')
  const without = both.find((id) => !it.hasMarked(id, 'proposing'))!
  const last = [1, second, without]
  it.lead(only(last))
  const isDone = (): boolean => last.some((id) => it.timesMarked(id, 'resumed') === (id === 1 ? 2 : 1))
  it.resetUntil(second, isDone, 8 * LONG_MS)
  it.finish()
}

/** Two of four are left, which is the group's floor; one of the two callers is content with that, and the other is not. */
function callersMinimum(): void {
  const it = new JudgedGroup(4, { minMembers: 2, recovery: 'manual' })
  for (const id of [1, 4]) it.crash(id)
  const calls = [it.reset(2, 2), it.reset(3, 3)]
  it.watch(() => calls.every((call) => call() !== 'open'), 2 * LONG_MS)
  const isReset = [2, 3].some((id) => it.hasMarked(id, 'reset'))
  check(!isReset, 'I12', () => 'two have rebuilt the group, and one of them has asked for three')
  check(
    calls.every((call) => call() === 'failed'),
    'I12',
    () => 'a call has not failed',
  )
  it.finish()
}

export const choiceScenes: Readonly<Record<string, () => void>> = {
  'standing-result-keeps-what-is-below': standingResultKeepsWhatIsBelow,
  'minimum-in-view-of-any-voter': minimumInViewOfAnyVoter,
  'minimum-in-accepted-view': minimumInAcceptedView,
  'witness-remembers': witnessRemembers,
  'callers-minimum': callersMinimum,
  'unaccepted-join-is-not-counted': unacceptedJoinIsNotCounted,
}
