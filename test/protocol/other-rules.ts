/**
 * Schedules made by hand, as in recovery-rules.ts, for rules that have nothing to do with a reset: groups that meet on one
 * port, and members that are told whom they wait for. No checker of the simulator knows of these, so a scene looks itself.
 */
import { detectionPresets } from '../../group/member/options.ts'
import { readOrderHead } from '../../kernel/packets.ts'
import { completeParameters } from '../../kernel/parameters.ts'
import { check } from '../simulator/checkers/checker.ts'
import { GroupOf, Seat } from './group-of.ts'
import { keepSending, pause, suspects } from './paused.ts'
import { splitsAt, twoGroups } from './two-groups.ts'

/** The sequencer looks for other groups this often, and so long after a heal everybody has been told. */
const LOOK_MS = 30_000
const TOLD_MS = LOOK_MS + 5_000

function expectTold(seats: readonly Seat[]): void {
  for (const seat of seats) {
    const { length } = splitsAt(seat)
    check(length > 0, 'I8', () => `two groups on one port can hear each other, and ${seat.name} is not told`)
  }
}

/** Two groups that could not hear each other for longer than it takes to look once. */
function otherGroupsAreTold(): void {
  const { group, seats, heal } = twoGroups()
  group.advance(4 * LOOK_MS)
  heal()
  group.advance(TOLD_MS)
  expectTold(seats)
}

/** The first group knows of member m3, which is no sequencer; the second knows nobody of the first. */
function otherSequencerIsTold(): void {
  const { group, seats, heal } = twoGroups({
    member: { transport: 'unicast' },
    peersOf: (number) => [['m3:1'], ['m0:1'], [], ['m2:1']][number]!,
  })
  heal()
  group.advance(TOLD_MS)
  const [first, , second, asked] = seats
  expectTold([first, second, asked])
}

/** One group that fell apart, as its minimum allows; by the time it heals nobody reminds those who were removed. */
function halvesAreTold(): void {
  const group = new GroupOf({ parameters: { minMembers: 2 }, member: { transport: 'unicast' } })
  const seats = Array.from({ length: 4 }, () => group.add())
  const isInFirstHalf = (seat: Seat): boolean => seats.indexOf(seat) < 2
  let isCut = true
  group.isLost = ({ from, to }) => isCut && isInFirstHalf(from) !== isInFirstHalf(to)
  const sent = [seats[0]!.send(10), seats[2]!.send(10)]
  group.until(() => sent.every(({ seq }) => seq !== undefined), 'each half goes on')
  group.advance(30 * 60_000)
  isCut = false
  group.advance(TOLD_MS)
  expectTold([seats[0]!, seats[2]!])
}

/** A member does not receive, the history is full, and of what the sequencer says of it the first word is lost. */
function slowIsToldUntilHeard(): void {
  const historySize = 32
  const group = GroupOf.open(4, { parameters: { historySize } })
  let notices = 0
  group.isLost = ({ kind }) => kind === 'slow' && ++notices < group.seats.length
  const holder = group.seats[2]!
  holder.holds = true
  for (let i = 0; i < 3 * historySize; i++) group.seats[1]!.send(100)
  group.advance(10_000)
  for (const { name, events } of group.seats) {
    const named = events.filter((event) => event.event === 'slow')
    check(named.length > 0, 'I9', () => `${name} waits for ${holder.name}, and is not told`)
    check(named.length < 2, 'I9', () => `${name} is told ${named.length} times whom it waits for`)
  }
}

/**
 * The sequencer leaves, and its successor hears nothing of it any more from the moment at which the leave is accepted; the
 * third member knows, and turns to the successor. With 'manual' no reset makes up for what that one does not know.
 */
function successorLearns(): void {
  const group = GroupOf.open(3, { parameters: { recovery: 'manual' } })
  const [old, heir, third] = group.seats as [Seat, Seat, Seat]
  const leaveSeq = old.machine.info().seq + 1
  group.isLost = ({ from, to, kind, bytes }) =>
    from === old && to === heir && kind === 'order' && readOrderHead(bytes)!.accepted >= leaveSeq
  old.leave()
  group.until(() => third.delivered.some(({ seq }) => seq === leaveSeq), 'the third knows of the leave')
  const sent = third.send(10)
  group.advance(10_000)
  check(sent.seq !== undefined, 'I9', () => 'nobody numbers after a leave that is accepted')
}

/** Two that would create the port hear nothing of each other until the last question of each. */
function lastCallIsHeard(): void {
  const { locateTries, locateIntervalMs } = detectionPresets.default
  const delayMs = locateIntervalMs * 0.875
  const group = new GroupOf({ delayMs })
  const startedAt = new Map<Seat, number>()
  const lastQuestion = (locateTries - 1) * locateIntervalMs * 1000
  group.isLost = ({ from, kind }) =>
    kind === 'locate' && group.queue.now - startedAt.get(from)! < lastQuestion
  // who begins first would give way, and is about to create when it learns that
  for (const nonce of [2n, 1n]) {
    const seat = new Seat(group, group.seats.length, { nonce, peers: [] })
    group.seats.push(seat)
    startedAt.set(seat, group.queue.now)
    seat.open('joinOrCreate', completeParameters())
    group.advance(locateIntervalMs / 4)
  }
  group.until(() => group.seats.every(({ memberId }) => memberId !== 0), 'both are members')
  const groups = new Set(group.seats.map(({ view }) => view.groupId))
  check(groups.size === 1, 'I8', () => 'two that have met before either call returned are two groups')
}

/** The sequencer stands still until it is out, and wakes: it has not heard of anybody for seconds, and accuses nobody. */
function pauseAccusesNobodyElse(): void {
  const group = GroupOf.open(5, { parameters: { resilience: 1 } })
  const [paused, ...others] = group.seats as [Seat, ...Seat[]]
  const stop = keepSending(group, 5)
  group.advance(500)
  pause(group, paused, 5_000)
  group.advance(10_000)
  stop()
  check(paused.isOver, 'I9', () => 'who has stood still for long does not learn that it is out')
  const accused = [...suspects([paused]), ...suspects(others).filter((id) => id !== paused.memberId)]
  check(accused.length === 0, 'I9', () => `one stood still, and accused are ${accused.join(', ')}`)
}

/** A tenth of a second each way, which is learnt with the first send: nothing is repeated that is only on its way. */
function distancesAreLearnt(): void {
  const group = GroupOf.open(3)
  group.delay = 100_000
  group.settle()
  const sender = group.seats[1]!
  const send = (): void => {
    const sent = sender.send(10)
    group.until(() => sent.seq !== undefined, 'the send has returned')
  }
  send()
  group.settle()
  const before = group.retransmissions().request
  for (let i = 0; i < 10; i++) send()
  const repeated = group.retransmissions().request - before
  check(repeated === 0, 'packets', () => `${repeated} requests are repeated that are only on their way`)
  check(suspects(group.seats).length === 0, 'I9', () => 'a member is taken for dead that is only far away')
}

/** A member does not receive, the history is full, and the group has been created with a limit to that. */
function slowIsExpelled(): void {
  const historySize = 32
  const group = GroupOf.open(4, { parameters: { historySize, slowMember: { expelAfterMs: 300 } } })
  const holder = group.seats[2]!
  holder.holds = true
  for (let i = 0; i < 3 * historySize; i++) group.seats[1]!.send(100)
  group.advance(10_000)
  check(holder.isOver, 'I9', () => `${holder.name} does not receive, and holds everybody up for good`)
  check(group.seats[1]!.unanswered === 0, 'I9', () => 'the others do not go on')
}

/**
 * The old sequencer and its successor die together, while one member knows only the old one. It is asked about the new
 * one, and asks about the old one: none of them may say that the group lives.
 */
function missedHandover(): void {
  const group = GroupOf.open(5)
  const [old, successor, behind, ...others] = group.seats as [Seat, Seat, Seat, ...Seat[]]
  let isCutOff = false
  group.isLost = ({ from, to }) => isCutOff && to === behind && (from === old || from === successor)
  const before = behind.machine.info().received
  old.leave()
  group.until(() => behind.machine.info().received > before, 'it holds the leave')
  isCutOff = true
  const knows = (seat: Seat) => seat.view.sequencer === successor.memberId
  group.until(() => others.every(knows) && knows(successor), 'the others know the successor')
  old.crash()
  successor.crash()
  const isBehind = behind.view.sequencer === old.memberId
  check(isBehind, 'assertion', () => 'the scene is not set: it knows that the leave is accepted')
  const isWhole = (seat: Seat) => seat.view.members.length === 3 && seat.view.sequencer !== successor.memberId
  group.advance(5_000)
  const areWhole = [behind, ...others].every(isWhole)
  check(areWhole, 'I9', () => 'members of which one has missed a handover tell each other that the dead live')
}

export const otherScenes: Readonly<Record<string, () => void>> = {
  'other-groups-are-told': otherGroupsAreTold,
  'other-sequencer-is-told': otherSequencerIsTold,
  'halves-are-told': halvesAreTold,
  'slow-is-told-until-heard': slowIsToldUntilHeard,
  'last-call-is-heard': lastCallIsHeard,
  'successor-learns': successorLearns,
  'missed-handover': missedHandover,
  'pause-accuses-nobody-else': pauseAccusesNobodyElse,
  'distances-are-learnt': distancesAreLearnt,
  'slow-is-expelled': slowIsExpelled,
}
