/**
 * How long silence is endured: suspicion goes at its own bounded pace, however slowly packets are repeated; and the
 * coordinator of a reset waits for votes as long as a suspicion takes, not longer.
 */
import { describe, expect, test } from 'vitest'
import { detectionPresets } from '../../group/member/options.ts'
import { GroupOf, type Seat } from './group-of.ts'

const isSuspecting = (seat: Seat) => seat.events.some(({ event }) => event === 'suspect')

/** A group that has learnt its distances by sending. */
function experienced(members: number, delayMs: number, preset: 'default' | 'fast' | 'wan'): GroupOf {
  const group = GroupOf.open(members, { delayMs, member: { detection: detectionPresets[preset] } })
  for (let i = 0; i < 20; i++) {
    const sent = group.seats.map((seat) => seat.send(10))
    group.until(() => sent.every(({ seq }) => seq !== undefined), 'all sends have returned')
  }
  group.settle()
  return group
}

describe('a sequencer whose host is silent', () => {
  test.each([
    ['default', 0.1, 260],
    ['default', 10, 800],
    ['default', 20, 920],
    ['fast', 0.1, 30],
    ['fast', 2, 50],
    ['wan', 50, 7000],
  ] as const)('%s, %d ms one way: suspect within %d ms, whoever sends', (preset, delayMs, limit) => {
    const group = experienced(3, delayMs, preset)
    group.first.crash()
    for (const seat of group.living) seat.send(10)
    const ms = group.until(() => group.living.every(isSuspecting), 'the sequencer is suspect')
    expect(ms).toBeLessThanOrEqual(limit)
    // an answer can have been under way all the time, and more than once
    expect(ms).toBeGreaterThan(3 * 2 * delayMs)
  })

  test('requests are repeated as slowly as ever meanwhile', () => {
    const group = experienced(3, 10, 'default')
    const second = group.seats[1]!
    group.first.crash()
    const at: number[] = []
    const requests = () =>
      second.machine.counters.packetsByName('out').find(([kind]) => kind === 'request')![1]
    let before = requests()
    second.send(10)
    group.until(() => {
      if (requests() > before) at.push(group.queue.now)
      before = requests()
      return isSuspecting(second)
    }, 'the sequencer is suspect')
    const gaps = at.slice(1).map((time, i) => time - at[i]!)
    expect(gaps.length).toBeGreaterThan(2)
    for (const [i, gap] of gaps.slice(1).entries()) expect(gap / gaps[i]!).toBeCloseTo(2, 1)
  })

  test('one that answers probes is not suspect, whatever becomes of the requests', () => {
    const group = experienced(3, 1, 'default')
    const [first, second] = group.seats
    group.isLost = ({ from, to, kind }) => from === second && to === first && kind === 'request'
    const sent = second!.send(10)
    group.advance(10_000)
    expect(sent.seq).toBeUndefined()
    expect(group.seats.flatMap(({ events }) => events)).toEqual([])
    group.isLost = () => false
    group.until(() => sent.seq !== undefined, 'the send has returned')
  })
})

describe('phase 1', () => {
  test.each([0.1, 10])(
    '%d ms one way: one that has died unsuspected is waited for as long as a suspicion takes',
    (delayMs) => {
      const group = experienced(5, delayMs, 'default')
      let invitedAt: number | undefined
      let decidedAt: number | undefined
      for (const seat of group.living) {
        seat.onMark = (mark) => {
          if (mark === 'inviting') invitedAt ??= group.queue.now
          if (mark === 'collecting') decidedAt ??= group.queue.now
        }
      }
      const call = group.seats[1]!.reset()
      group.seats[4]!.crash()
      group.until(() => call.size !== undefined, 'the reset has returned')
      expect(call.size).toBe(4)
      expect(decidedAt! - invitedAt!).toBeLessThanOrEqual(delayMs < 1 ? 260_000 : 800_000)
      expect(group.living.map(({ memberId }) => memberId)).toEqual([1, 2, 3, 4])
    },
  )

  test('a live member that votes late is waited for, though a majority has voted long since', () => {
    const group = experienced(5, 0.1, 'default')
    const slow = group.seats[4]!
    const call = group.seats[1]!.reset()
    const { now } = group.queue
    group.isLost = ({ to, kind }) => to === slow && kind === 'invite' && group.queue.now < now + 100_000
    group.until(() => call.size !== undefined, 'the reset has returned')
    expect(call.size).toBe(5)
  })
})
