/**
 * Schedules made by hand, as in recovery-rules.ts, for whom a reset waits, and for how long: a coordinator for the one that
 * holds what it lacks, and a voter for its coordinator.
 */
import { check } from '../simulator/checkers/checker.ts'
import { JudgedGroup, LONG_MS, losing, type Rule } from './recovery-judged.ts'

/**
 * Of the sequencer's last message only member 6 has a copy, when the sequencer dies. Its log is the best, and it dies, too,
 * when the coordinator is about to fetch it: there is nobody else to fetch it from, and phase 1 begins again.
 */
function sourceDies(isRefusing: boolean): void {
  const it = new JudgedGroup(6, { resilience: 1 })
  it.group.isRefusing = isRefusing
  const isOfLast: Rule = ({ kind, fromId, toId }) =>
    kind === 'order' && fromId === 1 && toId !== 6 ? 'lose' : 'pass'
  it.lead(isOfLast, losing('state', 6))
  const { received } = it.seat(6).machine.info()
  it.send(1)
  it.until(() => it.seat(6).machine.info().received > received, 'member 6 has the message')
  it.crash(1)
  it.lead()
  const others = [2, 3, 4, 5]
  it.send(2)
  it.until(() => others.some((id) => it.hasMarked(id, 'collecting')), 'the log of member 6 is chosen')
  check(!others.some((id) => it.hasMarked(id, 'proposing')), 'I5', () => 'nobody fetches what member 6 holds')
  it.crash(6)
  it.finish()
}

/**
 * Of member 1 the others hear nothing but a new invitation now and then, and it hears nothing of them. Member 2 has waited
 * for it once, and is done with an attempt of its own before the next would be.
 */
function waitedForInVain(): void {
  const it = new JudgedGroup(3, { resilience: 1, recovery: 'manual' })
  const seen = new Set<number>()
  const isFirstOfAttempt: Rule = ({ kind, fromId, toId, header: { incarnation } }) => {
    if (fromId !== 1 && toId !== 1) return 'pass'
    if (fromId !== 1 || toId !== 2 || kind !== 'invite' || seen.has(incarnation)) return 'lose'
    seen.add(incarnation)
    return 'pass'
  }
  it.lead(isFirstOfAttempt)
  const first = it.reset(1)
  it.until(() => it.hasMarked(2, 'voted'), 'member 2 has voted')
  it.until(() => first() === 'failed', 'member 1 has heard of nobody')
  it.until(() => it.hasMarked(2, 'inviting'), 'member 2 has waited in vain')
  it.reset(1)
  it.watch(() => it.hasMarked(2, 'reset') || it.hasMarked(3, 'inviting'), 4 * LONG_MS)
  check(seen.size === 2, 'I9', () => 'member 1 has not invited twice')
  check(
    it.hasMarked(2, 'reset'),
    'I9',
    () => 'member 2 gives up its attempt for one that it has waited for in vain',
  )
  it.finish()
}

export const coordinatorScenes: Readonly<Record<string, () => void>> = {
  'source-dies-silently': () => sourceDies(false),
  'source-dies': () => sourceDies(true),
  'waited-for-in-vain': waitedForInVain,
}
