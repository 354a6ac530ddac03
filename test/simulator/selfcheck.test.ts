/**
 * Every checker can fail: a group of stand-ins that does everything right passes, and each way of being wrong
 * is found, under the name of the invariant that it breaks.
 */
import { describe, expect, it } from 'vitest'
import { EventQueue } from './event-queue.ts'
import { drawOptions, type Overrides, parseOverride } from './options.ts'
import { type Fault, Oracle } from './oracle.ts'
import { runSeed } from './run.ts'

/** A quiet network and a prompt group, in which nothing but the planted fault can go wrong. */
const CALM: Overrides = {
  faults: false, members: 4, late: 2, early: 0, leavers: 0, rejoins: 0, sequencerLeaves: false, everybodyLeaves: false,
  joinOrCreate: false, secondCreate: false, maxMembers: 64, loss: 0, corruption: 0, garbage: 0, tail: 0,
  packetSize: 1400, maxMessageSize: 200, historySize: 100_000, queuePackets: 1000, queueBytes: 2 ** 20,
  resilience: 0, startNear: 0, sends: 60, sendGap: 2000, burst: 3, outstanding: 0, cancels: 0, oversized: 0, slow: 0,
} // biome-ignore format: one list

function runWith(fault: Fault | undefined, overrides: Overrides = {}) {
  const oracle = new Oracle(fault)
  return runSeed(7, { makeMachine: (options) => oracle.make(options), overrides: { ...CALM, ...overrides } })
}

const faults: [fault: Fault, status: string, invariant: string, overrides?: Overrides][] = [
  ['swaps two messages', 'wrong', 'I1'],
  ['skips a message', 'wrong', 'I1'],
  ['delivers twice', 'wrong', 'I1'],
  ['delivers what nobody sent', 'wrong', 'I2'],
  ['orders a message twice', 'wrong', 'I2'],
  ['orders a later message first', 'wrong', 'I3', { burst: 10, sendMany: 1 }],
  ['answers a wrong place', 'wrong', 'I4'],
  ['returns before others hold it', 'wrong', 'I5', { resilience: 3 }],
  ['gives the joiner its own join', 'wrong', 'I1'],
  ['shows another view', 'wrong', 'I6'],
  ['numbers joiners downwards', 'wrong', 'I6'],
  ['goes on after the end', 'wrong', 'I6', { everybodyLeaves: true }],
  ['creates another group', 'wrong', 'I8', { joinOrCreate: true }],
  ['never answers', 'stuck', 'I9'],
  ['never delivers', 'stuck', 'I9'],
  ['keeps too much', 'wrong', 'I10'],
  ['takes for stable what is not', 'wrong', 'I10', { slow: 4, takeDelay: 50_000 }],
  ['says refused and orders', 'wrong', 'I11'],
  ['fails a send for nothing', 'wrong', 'I11'],
  ['writes into a sent packet', 'wrong', 'packets', { delay: 5000 }],
  ['throws', 'crash', 'exception'],
]

describe('the simulator', () => {
  it('passes a group that does everything right', () => {
    const outcome = runWith(undefined, {
      leavers: 2,
      rejoins: 1,
      everybodyLeaves: true,
      sequencerLeaves: true,
      slow: 2,
      loss: 0.2,
    })
    expect(outcome.sentence).toBe('')
    expect(outcome.status).toBe('ok')
    expect(outcome.statistics.delivered).toBeGreaterThan(100)
    expect(outcome.statistics.packets.dropped.loss).toBeGreaterThan(0)
  })

  it.each(faults)('finds a machine that %s: %s, %s', (fault, status, invariant, overrides) => {
    const outcome = runWith(fault, overrides)
    expect(`${outcome.status} ${outcome.invariant}: ${outcome.sentence}`).toContain(
      `${status} ${invariant}: `,
    )
    expect(outcome.sentence).not.toBe('')
  })

  it('is a pure function of its seed', () => {
    const [a, b] = [runSeed(3, { trace: 1_000_000 }), runSeed(3, { trace: 1_000_000 })]
    expect(a.trace.length).toBeGreaterThan(100)
    expect(b.trace).toEqual(a.trace)
    expect(runSeed(3).statistics).toEqual(a.statistics)
  })

  it('runs events by time, and at one time in the order of scheduling', () => {
    const queue = new EventQueue()
    const ran: number[] = []
    for (const time of [5, 3, 9, 3, 0, 5]) queue.at(time, () => ran.push(time * 10 + ran.length))
    while (queue.runNext());
    expect(ran).toEqual([0, 31, 32, 53, 54, 95])
  })

  it('reads options from outside and refuses what is none', () => {
    expect(drawOptions(1, parseOverride('loss=0.25')).loss).toBe(0.25)
    expect(drawOptions(1, parseOverride('resilience=majority')).resilience).toBe('majority')
    expect(drawOptions(1, parseOverride('reorder=false')).reorder).toBe(false)
    for (const wrong of ['los=1', 'loss=much', 'transport=pigeon', 'reorder=1', 'loss']) {
      expect(() => parseOverride(wrong), wrong).toThrow(/must be/)
    }
  })
})
