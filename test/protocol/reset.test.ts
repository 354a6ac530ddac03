/**
 * Recovery, followed step by step: who dies at which turning point of a reset, and what the others make of it.
 * What chance does to it is the simulator's business.
 */
import { describe, expect, test } from 'vitest'
import { GroupOf, type Seat } from './group-of.ts'

const ids = (seat: Seat) => seat.view.members.map(({ id }) => id)
const bodies = (seat: Seat) => seat.delivered.flatMap(({ record }) => (record ? [record.body[0]] : []))

/** In microseconds after the end of the last. */
const ANOTHER_RESET = 20_000

/** All that live are in one view, with nothing left to do. */
function expectOneGroup(group: GroupOf, members: number[]): void {
  for (const seat of group.living) {
    expect(ids(seat)).toEqual(members)
    expect(seat.unanswered).toBe(0)
    expect(seat.order).toEqual(group.living[0]!.order.slice(-seat.order.length))
  }
}

describe('the sequencer crashes', () => {
  test.each([2, 3, 5, 8])('%i members: the others go on by themselves', (n) => {
    const group = GroupOf.open(n, { parameters: { resilience: n > 2 ? 1 : 0, minMembers: 1 } })
    group.first.send(10)
    group.settle()
    group.first.crash()
    const sent = group.living.map((seat) => seat.send(10))
    const ms = group.until(() => sent.every(({ seq }) => seq !== undefined), 'all sends have returned')
    expect(ms).toBeLessThan(500)
    group.settle()
    expectOneGroup(
      group,
      Array.from({ length: n - 1 }, (_, i) => i + 2),
    )
    for (const seat of group.living) {
      const resets = seat.delivered.filter(({ kind }) => kind === 'reset')
      expect(resets).toHaveLength(1)
      expect(resets[0]!.event).toMatchObject({ removed: [1], lossPossible: n === 2 })
    }
  })

  test('what it had broadcast at r = 1 is in the new view, what it had not is ordered once', () => {
    const group = GroupOf.open(4, { parameters: { resilience: 1 } })
    const [, a, b, c] = group.seats
    let broadcasts = 0
    // the next two broadcasts reach one member each
    group.isLost = ({ from, to, kind }) => {
      if (from !== group.first || kind !== 'order') return false
      if (to === a) broadcasts++
      return to !== b
    }
    const sent = [a!.send(1, 11), b!.send(1, 12), c!.send(1, 13)]
    group.until(() => broadcasts > 0, 'a broadcast has gone out')
    group.first.crash()
    group.isLost = () => false
    group.until(() => sent.every(({ seq }) => seq !== undefined), 'all sends have returned')
    group.settle()
    expectOneGroup(group, [2, 3, 4])
    for (const seat of group.living) expect(bodies(seat).sort()).toEqual([11, 12, 13])
  })
})

describe('a member crashes', () => {
  test('the sequencer goes on without it, by itself', () => {
    const group = GroupOf.open(3, { parameters: { resilience: 2 } })
    const [first, second, third] = group.seats
    third!.crash()
    const sent = second!.send(10)
    group.until(() => sent.seq !== undefined, 'the send has returned')
    group.settle()
    expect(ids(first!)).toEqual([1, 2])
    expectOneGroup(group, [1, 2])
  })
})

describe('resetGroup', () => {
  test('a healthy group is rebuilt when somebody asks for it', () => {
    const group = GroupOf.open(3)
    const reset = group.seats[1]!.reset(3)
    group.until(() => reset.size !== undefined, 'the reset has returned')
    expect(reset.size).toBe(3)
    group.settle()
    expectOneGroup(group, [1, 2, 3])
    expect(group.first.view).toMatchObject({ sequencer: 2, incarnation: 2, coordinator: 2 })
  })

  test('all at once: one view', () => {
    const group = GroupOf.open(5)
    const resets = group.seats.map((seat) => seat.reset())
    group.until(() => resets.every(({ size }) => size === 5), 'all calls have returned')
    group.settle()
    expectOneGroup(group, [1, 2, 3, 4, 5])
    const views = new Set(
      group.seats.map(({ view }) => `${view.incarnation}/${view.coordinator}/${view.seq}`),
    )
    expect(views.size).toBe(1)
  })

  test('too few: ERR_RESET_FAILED, and a later try may do', () => {
    const group = GroupOf.open(3, { parameters: { recovery: 'manual' } })
    const [, second, third] = group.seats
    group.first.crash()
    group.isLost = ({ from, to }) => from === third || to === third
    const alone = second!.reset()
    group.until(() => alone.failed !== undefined, 'the call has returned')
    expect(alone.failed).toBe('ERR_RESET_FAILED')
    group.isLost = () => false
    const again = second!.reset()
    group.until(() => again.size !== undefined, 'the second call has returned')
    group.settle()
    expectOneGroup(group, [2, 3])
  })

  test('five members, one crash already suspected: at most five round trips', () => {
    const delayMs = 1
    const group = GroupOf.open(5, { delayMs })
    group.first.crash()
    const [second] = group.living
    second!.send(1)
    let begun = false
    for (const seat of group.living) {
      seat.onMark = (mark) => {
        begun ||= mark === 'inviting'
      }
    }
    group.until(() => begun, 'the sequencer is suspect, and the reset begins')
    const isReset = ({ delivered }: Seat) => delivered.some(({ kind }) => kind === 'reset')
    const ms = group.until(() => group.living.every(isReset), 'everybody has delivered the reset')
    expect(ms).toBeLessThanOrEqual(5 * 2 * delayMs)
  })
})

describe('crashes in every phase', () => {
  const marks = ['inviting', 'voted', 'collecting', 'proposing', 'result', 'result-held', 'reset', 'resumed']
  const cases = marks.flatMap((mark) => [1, 2, 3].map((nth) => [mark, nth] as const))

  test.each(cases)('who first says %s for the %i. time dies there', (mark, nth) => {
    const group = GroupOf.open(6, { parameters: { resilience: 2 } })
    group.first.crash()
    let seen = 0
    let victim: Seat | undefined
    // only a coordinator gets to these points: it has to begin again, or somebody else has to
    const isAgainWithoutAcks = mark === 'collecting' || mark === 'proposing'
    group.isLost = ({ kind }) => isAgainWithoutAcks && kind === 'state' && seen > 0 && seen < nth
    const isAgainWhenDone = mark === 'reset'
    for (const seat of group.living) {
      seat.onMark = (at) => {
        if (at !== mark || victim !== undefined) return
        if (++seen === nth) {
          victim = seat
          seat.crash()
        } else if (isAgainWhenDone) {
          group.queue.after(ANOTHER_RESET, () => group.living.at(-1)!.reset())
        }
      }
    }
    const sent = group.living.map((seat) => ({ seat, sent: seat.send(10) }))
    const isDone = () => sent.every((one) => one.seat === victim || one.sent.seq !== undefined)
    group.until(
      () => isDone() && victim !== undefined,
      'it is dead, and all sends of the others have returned',
    )
    // one that dies when all is said is found by the watch
    group.advance(5000)
    group.settle()
    const members = group.living.map(({ memberId }) => memberId)
    expectOneGroup(group, members)
    for (const {
      seat,
      sent: { seq },
    } of sent) {
      if (seat === victim) continue
      expect(
        group.living[0]!.order.some((line) => line.startsWith(`${seq} messages ${seat.memberId} `)),
      ).toBe(true)
    }
  })
})

describe('one direction between two members is cut', () => {
  test('from the sequencer: the group goes on without the deaf member, which is told by others', () => {
    const group = GroupOf.open(3, { parameters: { historySize: 64 } })
    const [first, second, third] = group.seats
    group.isLost = ({ from, to }) => from === first && to === second
    const sent = second!.send(10)
    const others = Array.from({ length: 100 }, () => third!.send(10))
    group.until(() => others.every(({ seq }) => seq !== undefined), 'the others go on', 120_000)
    group.until(() => second!.isOver, 'the deaf member knows that it is out', 120_000)
    expect(second!.events.some(({ event }) => event === 'expelled')).toBe(true)
    expect(sent.failed?.outcome ?? 'ordered').toMatch(/unknown|ordered/)
    expectOneGroup(group, [1, 3])
  })

  test('to the sequencer: it is removed like any silent member', () => {
    const group = GroupOf.open(3)
    const [first, second, third] = group.seats
    group.isLost = ({ from, to }) => from === second && to === first
    group.until(() => second!.isOver, 'the mute member knows that it is out', 120_000)
    const sent = third!.send(10)
    group.until(() => sent.seq !== undefined, 'the others go on')
    group.settle()
    expectOneGroup(
      group,
      group.living.map(({ memberId }) => memberId),
    )
  })
})

describe('a partition', () => {
  test('the small side stops, the large goes on; after the heal the small side is told', () => {
    const group = GroupOf.open(5, { parameters: { resilience: 1 } })
    const small = group.seats.slice(0, 2)
    group.isLost = ({ from, to }) => small.includes(from) !== small.includes(to)
    const large = group.seats.slice(2)
    const sent = large.map((seat) => seat.send(10))
    group.until(() => sent.every(({ seq }) => seq !== undefined), 'the large side goes on')
    group.advance(5000)
    expect(ids(large[0]!)).toEqual([3, 4, 5])
    for (const seat of small) expect(seat.delivered.some(({ kind }) => kind === 'reset')).toBe(false)
    group.isLost = () => false
    group.until(() => small.every(({ isOver }) => isOver), 'the small side knows that it is out', 120_000)
    for (const seat of small) expect(seat.events.some(({ event }) => event === 'expelled')).toBe(true)
    expectOneGroup(group, [3, 4, 5])
  })

  test('two groups on one port, possible below a majority, are reported on both sides', () => {
    const group = GroupOf.open(4, { parameters: { minMembers: 2 } })
    const left = group.seats.slice(0, 2)
    const right = group.seats.slice(2)
    group.isLost = ({ from, to }) => left.includes(from) !== left.includes(to)
    for (const seat of group.seats) seat.send(1)
    const isAlone = (seats: Seat[]) => seats.every((seat) => seat.view.members.length === 2)
    group.until(() => isAlone(left) && isAlone(right), 'there are two groups')
    group.isLost = () => false
    const isTold = (seats: Seat[]) =>
      seats.some(({ events }) => events.some(({ event }) => event === 'split'))
    group.until(() => isTold(left) && isTold(right), 'both sides have been told', 120_000)
    expect(group.living).toHaveLength(4)
  })
})

describe('what a reading of the code has found', () => {
  test.each(['crash', 'healthy'])('a member whose stable mark lags far behind stops no reset: %s', (how) => {
    const historySize = 64
    const group = GroupOf.open(3, { parameters: { historySize } })
    const [first, second, third] = group.seats
    let isCut = false
    group.isLost = ({ to, kind }) => isCut && to === third && (kind === 'order' || kind === 'repair')
    const { received } = third!.machine.info()
    for (let i = 0; i < historySize - 8; i++) first!.send(10)
    const hasHalf = () => third!.machine.info().received >= received + historySize - 8
    group.until(hasHalf, 'the third has the first half')
    // what it reports makes room at the others; that there is room it does not hear
    isCut = true
    group.advance(50)
    for (let i = 0; i < historySize - 8; i++) {
      first!.send(10)
      if (i % 8 === 0) group.advance(0.3)
    }
    group.advance(5)
    if (how === 'crash') first!.crash()
    else second!.reset()
    isCut = false
    const isReset = ({ delivered }: Seat) => delivered.some(({ kind }) => kind === 'reset')
    group.until(() => group.living.every(isReset), 'everybody has delivered the reset', 10_000)
    group.settle()
    expectOneGroup(
      group,
      group.living.map(({ memberId }) => memberId),
    )
  })

  test('members that were gone when the sequencer woke may have made another view: it does not go on alone', () => {
    const group = GroupOf.open(5, { parameters: { resilience: 'majority' } })
    const [first, second, third, ...rest] = group.seats
    const cut = [first!, second!]
    group.isLost = ({ from, to }) => cut.includes(from) !== cut.includes(to)
    const sent = third!.send(1, 1)
    group.until(() => sent.seq !== undefined, 'the larger side goes on')
    // an address in between refuses on behalf of the others
    for (const seat of [third!, ...rest]) {
      for (const one of cut) one.input({ kind: 'refused', address: seat.address })
    }
    const alone = [first!.send(1, 2), second!.send(1, 3)]
    group.advance(5000)
    for (const { seq } of alone) expect(seq).toBeUndefined()
    for (const seat of cut) expect(seat.delivered.some(({ kind }) => kind === 'reset')).toBe(false)
  })

  test('a call that asks for more members than took part is told so', () => {
    const group = GroupOf.open(4)
    const [, second, third, fourth] = group.seats
    fourth!.crash()
    const few = second!.reset(2)
    group.advance(0.3)
    const many = third!.reset(4)
    group.until(
      () => few.size !== undefined && (many.size ?? many.failed) !== undefined,
      'both have returned',
    )
    expect(few.size).toBe(3)
    expect(many).toMatchObject({ failed: 'ERR_RESET_FAILED' })
  })

  test('manual: a send that has a place which nobody makes official returns as unknown', () => {
    const group = GroupOf.open(4, { parameters: { resilience: 2, recovery: 'manual' } })
    const [first, second] = group.seats
    const sent = second!.send(1, 7)
    // its place comes back, and nothing after that
    let isPlaced = false
    group.isLost = ({ from, to, kind }) => {
      if (from !== first) return isPlaced
      if (to === second && kind === 'order' && !isPlaced) {
        isPlaced = true
        return false
      }
      return true
    }
    group.until(() => sent.failed !== undefined, 'the send has returned', 30_000)
    expect(sent.failed).toMatchObject({ code: 'ERR_MEMBER_FAILED', outcome: 'unknown' })
  })

  test('a returned send that went with two sequencers is said to be possibly lost', () => {
    const group = GroupOf.open(4)
    const [first, second, third, fourth] = group.seats
    let isCut = false
    group.isLost = ({ from }) => isCut && from === second
    second!.onMark = (mark) => {
      if (mark === 'reset') isCut = true
    }
    second!.reset()
    group.until(() => isCut, 'the second has accepted its result, and nobody hears of it')
    const sent = second!.send(1, 5)
    group.until(() => sent.seq !== undefined, 'its send has returned there')
    second!.crash()
    const isReset = ({ delivered }: Seat) => delivered.some(({ kind }) => kind === 'reset')
    group.until(() => [first!, third!, fourth!].every(isReset), 'the others go on')
    const resets = third!.delivered.filter(({ kind }) => kind === 'reset')
    expect(resets.at(-1)!.event).toMatchObject({ removed: [2], lossPossible: true })
  })
})
