/**
 * Questions for a port that were recorded some time and are repeated to whoever opens it: of candidates and creators that
 * are not there. Nobody gives way to them, and nobody is counted for them. In virtual time.
 */
import { describe, expect, test } from 'vitest'
import { detectionPresets } from '../../group/member/options.ts'
import { PacketKind, readHeader } from '../../kernel/packet.ts'
import { completeParameters, type GroupParameters } from '../../kernel/parameters.ts'
import { GroupOf, Seat } from '../protocol/group-of.ts'

const { locateTries, locateIntervalMs } = detectionPresets.default
/** All questions, and one interval: when one who is alone has its group. */
const ALONE_MS = (locateTries + 1) * locateIntervalMs
/** The same while somebody is in doubt. */
const IN_DOUBT_MS = ALONE_MS + locateTries * locateIntervalMs

type How = 'create' | 'join' | 'joinOrCreate'

function starter(group: GroupOf, nonce: bigint): Seat {
  const seat = new Seat(group, group.seats.length, { nonce, peers: [] })
  group.seats.push(seat)
  return seat
}

function openWith(
  seat: Seat,
  how: How,
  minStarters?: number,
  parameters: Partial<GroupParameters> = {},
): void {
  const options = minStarters === undefined ? {} : { minStarters }
  seat.call({
    call: 'open',
    token: 1,
    how,
    port: 'group-of',
    parameters: completeParameters(parameters),
    header: new Uint8Array(0),
    ...options,
  })
}

/** What processes with the lowest nonces asked, and answered each other, in another life of the port. */
function recordQuestions(how: How): Uint8Array[] {
  const group = new GroupOf()
  const record: Uint8Array[] = []
  group.isLost = ({ kind, bytes }) => {
    if (kind === 'locate') record.push(bytes.slice())
    return false
  }
  const seats = [starter(group, 1n), starter(group, 2n), starter(group, 3n)]
  for (const seat of seats) openWith(seat, how, how === 'joinOrCreate' ? 3 : undefined)
  group.advance(3 * IN_DOUBT_MS)
  expect(record.length).toBeGreaterThan(10)
  // answers that name their receiver are among them
  expect(record.some((bytes) => (readHeader(bytes) as { destination: bigint }).destination !== 0n)).toBe(true)
  return record
}

/** Everything of the record, to all who are here, every few milliseconds for so long. */
function repeat(group: GroupOf, record: readonly Uint8Array[], ms: number): void {
  for (let at = 0; at < ms; at += 7) {
    group.queue.after(at * 1000, () => {
      for (const seat of group.living)
        for (const bytes of record)
          seat.input({ kind: 'packet', from: '10.9.9.9:9', bytes: Uint8Array.from(bytes) })
    })
  }
}

const record = [...recordQuestions('create'), ...recordQuestions('joinOrCreate')]

describe('while old questions are repeated', () => {
  test.each(['create', 'joinOrCreate'] as const)('%s: one who is alone has its group', (how) => {
    const group = new GroupOf()
    const seat = starter(group, 1000n)
    openWith(seat, how)
    repeat(group, record, 10_000)
    const took = group.until(() => seat.memberId !== 0 || seat.isOver, 'it is open', 10_000)
    expect(seat.openFailed).toBeUndefined()
    expect(took).toBeLessThanOrEqual(IN_DOUBT_MS)
  })

  test('two who start together become one group', () => {
    for (let spread = 0; spread < 40; spread += 3) {
      const group = new GroupOf({ delayMs: 5 })
      const seats = [starter(group, 1001n), starter(group, 1000n)]
      openWith(seats[0]!, 'joinOrCreate')
      repeat(group, record, 2000)
      group.advance(spread)
      openWith(seats[1]!, 'joinOrCreate')
      group.until(() => seats.every(({ memberId }) => memberId !== 0), 'both are in')
      expect(new Set(seats.map(({ view }) => view.groupId)).size).toBe(1)
    }
  })

  test('nobody is counted as a starter for them', () => {
    const group = new GroupOf()
    const seats = [starter(group, 1000n)]
    openWith(seats[0]!, 'joinOrCreate', 3)
    repeat(group, record, 30_000)
    group.advance(5000)
    seats.push(starter(group, 1001n))
    openWith(seats[1]!, 'joinOrCreate', 3)
    group.advance(5000)
    expect(seats.map(({ memberId }) => memberId)).toEqual([0, 0])
    seats.push(starter(group, 1002n))
    openWith(seats[2]!, 'joinOrCreate', 3)
    group.until(() => seats.every(({ memberId }) => memberId !== 0), 'three have met')
    expect(new Set(seats.map(({ view }) => view.groupId)).size).toBe(1)
  })

  test('who joins finds the group that lives', () => {
    const group = new GroupOf()
    const first = starter(group, 1000n)
    openWith(first, 'create')
    group.until(() => first.memberId !== 0, 'there is a group')
    repeat(group, record, 2000)
    const second = starter(group, 1001n)
    openWith(second, 'join')
    group.until(() => second.memberId !== 0, 'it has joined')
    expect(first.events).toEqual([])
  })
})

describe('rivals that are there', () => {
  test.each([
    [1, 2],
    [2, 1],
  ])('nonces %i and %i: of two that create the lower does, and the other is told', (one, other) => {
    const group = new GroupOf()
    const seats = [starter(group, BigInt(one)), starter(group, BigInt(other))]
    for (const seat of seats) openWith(seat, 'create')
    group.until(() => seats.some(({ memberId }) => memberId !== 0), 'one creates')
    group.advance(1000)
    expect(seats.map(({ memberId }) => memberId !== 0)).toEqual([one < other, one > other])
    expect(seats[one < other ? 1 : 0]!.openFailed).toContain('ERR_GROUP_EXISTS')
  })

  test('a join-or-create gives way to a create, whatever the nonces', () => {
    const group = new GroupOf()
    const seats = [starter(group, 1n), starter(group, 2n)]
    openWith(seats[0]!, 'joinOrCreate')
    openWith(seats[1]!, 'create')
    group.until(() => seats.every(({ memberId }) => memberId !== 0), 'both are in')
    expect(seats[1]!.memberId).toBe(1)
    expect(new Set(seats.map(({ view }) => view.groupId)).size).toBe(1)
  })

  test('one whose own questions nobody hears is told by name', () => {
    // the higher one's multicasts are lost; it hears the lower one, and asks that
    const group = new GroupOf()
    const [low, high] = [starter(group, 1n), starter(group, 2n)] as const
    group.isLost = ({ from, header }) =>
      from === high && header.kind === PacketKind.locate && header.destination === 0n
    openWith(high, 'joinOrCreate')
    openWith(low, 'joinOrCreate')
    group.until(() => low.memberId !== 0, 'the lower one creates')
    expect(high.machine.info().phase).toBe('locating')
    group.isLost = () => false
    group.until(() => high.memberId !== 0, 'the other one joins')
    expect(high.view.groupId).toBe(low.view.groupId)
  })

  test('nobody waits longer for one that died than for one that answers', () => {
    const group = new GroupOf()
    const [low, high] = [starter(group, 1n), starter(group, 2n)] as const
    openWith(low, 'joinOrCreate')
    group.advance(1)
    low.crash()
    openWith(high, 'joinOrCreate')
    group.until(() => high.memberId !== 0, 'it creates', ALONE_MS)
  })

  test('a question by name is answered by name, and never for ever', () => {
    const group = new GroupOf()
    const seats = [starter(group, 1n), starter(group, 2n)]
    let locates = 0
    group.isLost = ({ kind }) => {
      if (kind === 'locate') locates++
      return false
    }
    for (const seat of seats) openWith(seat, 'joinOrCreate', 3)
    group.advance(10_000)
    // each: a question an interval, and three words at most to the other
    expect(locates).toBeLessThanOrEqual(2 * 4 * (10_000 / locateIntervalMs + 1))
  })
})
