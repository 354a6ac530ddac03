/**
 * `recovery: 'manual'`: nobody rebuilds the group until a program asks for it, and no call may wait for that. Here are
 * programs that never ask: each of their calls must end all the same.
 */
import { describe, expect, test } from 'vitest'
import { ErrorCode } from '../../kernel/errors.ts'
import type { GroupParameters } from '../../kernel/parameters.ts'
import { GroupOf, type Seat, type Sent } from './group-of.ts'

function manual(size: number, resilience: number, parameters: Partial<GroupParameters> = {}): GroupOf {
  const group = GroupOf.open(size, { parameters: { recovery: 'manual', resilience, ...parameters } })
  group.first.send(10)
  group.settle()
  return group
}

const isAnswered = ({ seq, failed }: Sent) => (seq ?? failed) !== undefined
const suspects = ({ events }: Seat) => events.flatMap((one) => (one.event === 'suspect' ? [one.member] : []))
const lastOf = ({ seats }: GroupOf) => seats.at(-1)!
const hosts = ['silent', 'refusing'] as const
const unknown = { code: ErrorCode.memberFailed, outcome: 'unknown' }
const refused = { code: ErrorCode.memberFailed, outcome: 'refused' }

function crash(group: GroupOf, seat: Seat, host: (typeof hosts)[number]): void {
  group.isRefusing = host === 'refusing'
  seat.crash()
}

describe('a member dies whose acks are needed', () => {
  const groups = [
    [2, 1],
    [3, 2],
    [4, 3],
    [5, 4],
  ] as const
  const scenes = groups.flatMap(([n, r]) => hosts.map((host) => ({ n, r, host })))

  test.each(scenes)('$n members, r = $r, $host host: every send ends, and everybody is told', (scene) => {
    const group = manual(scene.n, scene.r)
    crash(group, lastOf(group), scene.host)
    const sent = group.living.map((seat) => seat.send(10))
    group.until(() => sent.every(isAnswered), 'all sends have ended')
    for (const { failed } of sent) expect(failed).toMatchObject(unknown)
    for (const { failed } of sent) expect(failed!.message).toContain(`member ${scene.n}`)
    group.advance(10_000)
    for (const seat of group.living) expect(suspects(seat)).toEqual([scene.n])
    // what is sent while it stands so never goes out
    for (const seat of group.living) expect(seat.send(10).failed).toMatchObject(refused)
  })

  test.each(scenes.filter(({ n }) => n > 2))(
    '$n members, r = $r, $host host: after resetGroup all goes on',
    ({ n, r, host }) => {
      const group = manual(n, r)
      crash(group, lastOf(group), host)
      const sent = group.living.map((seat) => seat.send(10))
      group.until(() => sent.every(isAnswered), 'all sends have ended')
      const reset = group.living.at(-1)!.reset()
      group.until(() => reset.size === n - 1, 'the reset has returned')
      group.settle()
      const again = group.living.map((seat) => seat.send(10))
      group.until(() => again.every(({ seq }) => seq !== undefined), 'sends return')
    },
  )

  test('a member that was only slow: sends go on by themselves, and what was given up may still be ordered', () => {
    const group = manual(3, 2)
    const [first, second, third] = group.seats
    let isCut = true
    group.isLost = ({ from, to }) => isCut && (from === third || to === third)
    const given = second!.send(10, 7)
    group.until(() => given.failed !== undefined, 'the send has been given up')
    expect(second!.send(10).failed).toMatchObject(refused)
    isCut = false
    const isGoingOn = () => {
      const sent = second!.send(10, 8)
      return sent.failed === undefined
    }
    group.until(isGoingOn, 'sends are taken again')
    const own = first!.send(10)
    group.until(() => second!.unanswered + first!.unanswered === 0, 'they return')
    expect(own.seq).toBeGreaterThan(0)
    expect(third!.messages.map(({ record }) => record!.body[0])).toContain(7)
  })

  test('a word that is lost is said again', () => {
    const group = manual(3, 2)
    const [, second, third] = group.seats
    third!.crash()
    let lost = 0
    group.isLost = ({ kind, to }) => kind === 'testimony' && to === second && lost++ < 5
    const sent = second!.send(10)
    group.until(() => sent.failed !== undefined, 'the send has ended')
    expect(lost).toBeGreaterThan(5)
  })

  test.each([0, 1])('where nothing waits for the dead nothing fails: 4 members, r = %i', (r) => {
    const group = manual(4, r)
    lastOf(group).crash()
    const sent = group.living.map((seat) => seat.send(10))
    group.until(() => sent.every(({ seq }) => seq !== undefined), 'all sends have returned')
    group.advance(10_000)
    const later = group.living.map((seat) => seat.send(10))
    group.until(() => later.every(({ seq }) => seq !== undefined), 'all sends have returned')
    expect(suspects(group.first)).toEqual([4])
  })

  test.each(hosts)(
    'r = 0, %s host: when the history is full because the dead takes nothing, sends end',
    (host) => {
      const group = manual(3, 0, { historySize: 8 })
      crash(group, lastOf(group), host)
      // (of one whose host says that it is gone nobody waits for room)
      const sent = Array.from({ length: 40 }, () => group.seats[1]!.send(10))
      group.until(() => sent.every(isAnswered), 'all sends have ended')
      expect(sent.some(({ failed }) => failed !== undefined)).toBe(host === 'silent')
      if (host === 'silent') expect(group.first.send(10).failed).toMatchObject(refused)
    },
  )

  test('the sequencer dies after it has told of another: the last word counts', () => {
    const group = manual(4, 3)
    const [first, second] = group.seats
    lastOf(group).crash()
    const sent = second!.send(10)
    group.until(() => sent.failed !== undefined, 'the send has ended')
    first!.crash()
    group.advance(10_000)
    expect(suspects(second!)).toEqual([4, 1])
    const reset = second!.reset()
    group.until(() => reset.failed !== undefined, 'two of four are too few')
  })
})

describe('a member dies, and somebody leaves', () => {
  const groups = [
    [2, 0],
    [2, 1],
    [3, 0],
    [3, 2],
    [4, 0],
    [5, 4],
  ] as const
  const scenes = groups.flatMap(([n, r]) =>
    hosts.flatMap((host) =>
      (['sequencer', 'member'] as const)
        .filter((leaver) => n > 2 || leaver === 'sequencer')
        .map((leaver) => ({ n, r, host, leaver })),
    ),
  )

  test.each(scenes)('$n members, r = $r, $host host: the $leaver that leaves has left', (scene) => {
    const group = manual(scene.n, scene.r)
    crash(group, lastOf(group), scene.host)
    group.advance(2000)
    const leaver = group.seats[scene.leaver === 'sequencer' ? 0 : 1]!
    leaver.leave()
    group.until(() => leaver.hasLeft, 'it has left')
  })

  test.each(scenes)(
    '$n members, r = $r, $host host: the $leaver leaves in the moment of the crash',
    (scene) => {
      const group = manual(scene.n, scene.r)
      const leaver = group.seats[scene.leaver === 'sequencer' ? 0 : 1]!
      const sent = leaver.send(10)
      leaver.leave()
      crash(group, lastOf(group), scene.host)
      group.until(() => leaver.hasLeft, 'it has left')
      expect(isAnswered(sent)).toBe(true)
    },
  )

  test.each(hosts)('%s host: a leave that nobody can make official stops nobody else at r = 0', (host) => {
    const group = manual(3, 0)
    const [first, second] = group.seats
    crash(group, lastOf(group), host)
    group.advance(2000)
    // the leave of the dead itself can be ordered where its host says that it is gone
    expect(first!.view.members).toHaveLength(host === 'silent' ? 3 : 2)
    second!.leave()
    group.until(() => second!.hasLeft, 'it has left')
    const sent = first!.send(10)
    group.until(() => sent.seq !== undefined, 'the sequencer goes on')
  })

  test('a joiner that cannot be let in stops nobody, and is answered', () => {
    const group = manual(2, 0)
    const [first, second] = group.seats
    second!.crash()
    group.advance(2000)
    const joiner = group.begin()
    group.until(() => joiner.openFailed !== undefined, 'the joiner is told')
    const sent = first!.send(10)
    group.until(() => sent.seq !== undefined, 'the sequencer goes on')
  })

  test('a joiner whose sequencer dies, and nobody resets, is answered, though it hears others all the time', () => {
    const group = GroupOf.open(3, {
      parameters: { recovery: 'manual', resilience: 2 },
      member: { method: 'bb' },
    })
    const [first, second, third] = group.seats
    // nobody's acks arrive any more
    let isJoining = false
    group.isLost = ({ to, kind }) => isJoining && to === first && kind === 'state'
    first!.onMark = (mark) => {
      if (mark === 'join-numbered') isJoining = true
    }
    const joiner = group.begin()
    joiner.onMark = (mark) => {
      if (mark !== 'join-answered') return
      first!.crash()
      // repeated to all for as long as nobody has numbered them
      for (const seat of [second!, third!]) seat.send(100_000)
    }
    group.until(() => joiner.openFailed !== undefined, 'the joiner is told')
    expect(joiner.openFailed).toContain(ErrorCode.memberFailed)
    expect(joiner.openFailed).toContain('nobody has reset the group')
  })

  test('a joiner whose join waits for the dead is answered', () => {
    const group = manual(2, 0)
    const [first, second] = group.seats
    const joiner = group.begin()
    first!.onMark = (mark) => {
      if (mark === 'join-numbered') second!.crash()
    }
    group.until(() => joiner.openFailed !== undefined, 'the joiner is told')
    expect(joiner.openFailed).toContain(ErrorCode.memberFailed)
  })
})
