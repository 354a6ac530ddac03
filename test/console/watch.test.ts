import { describe, expect, test } from 'vitest'
import { ResetWatch } from '../../kernel/node/console/reset-watch.ts'
import { LatencyWindow, SAMPLES, SampleRings } from '../../kernel/node/console/series.ts'
import { ENTRIES_MAX, TimeLine } from '../../kernel/node/console/time-line.ts'
import type { Output } from '../../kernel/port.ts'
import type { View } from '../../kernel/view.ts'
import { memberOf } from '../support/members.ts'

describe('where a reset stands', () => {
  test('the coordinator, from the suspicion to the new view', () => {
    const watch = new ResetWatch()
    watch.note({ mark: 'suspect', detail: { member: 1 } }, 1_000, 500)
    expect(watch.snapshot(500, false)).toMatchObject({ phase: 'suspected', member: 1, since: 500 })
    watch.note({ mark: 'inviting', detail: { incarnation: 4, end: 9, invited: 2 } }, 3_000, 502)
    watch.note({ mark: 'collecting', detail: { from: 8, to: 9 } }, 4_000, 503)
    watch.note({ mark: 'proposing', detail: { seq: 10, members: 2 } }, 5_000, 504)
    expect(watch.snapshot(600, false)).toEqual({
      since: 500,
      phase: 'waiting for acks',
      member: 1,
      incarnation: 4,
      attempts: 1,
      reason: undefined,
      steps: [
        { phase: 'suspected', ms: 0 },
        { phase: 'inviting', ms: 2 },
        { phase: 'catching up', ms: 3 },
        { phase: 'waiting for acks', ms: 4 },
      ],
    })
    watch.note({ mark: 'reset', detail: { seq: 10, incarnation: 4 } }, 7_500, 506)
    watch.note({ mark: 'resumed', detail: { incarnation: 4, members: 2 } }, 7_500, 506)
    expect(watch.snapshot(600, false)).toBeUndefined()
    expect(watch.takeFinished()).toMatchObject({ ms: 6.5 })
    expect(watch.takeFinished()).toBeUndefined()
  })

  test('a voter', () => {
    const watch = new ResetWatch()
    watch.note({ mark: 'voted', detail: { incarnation: 2, coordinator: 3 } }, 0, 0)
    watch.note({ mark: 'result', detail: { seq: 7, common: 6, member: true } }, 10, 0)
    expect(watch.snapshot(0, false)).toMatchObject({ phase: 'following', member: 3, incarnation: 2 })
    watch.note({ mark: 'result-held', detail: { seq: 7 } }, 20, 0)
    expect(watch.snapshot(0, false)?.phase).toBe('acked')
    watch.note({ mark: 'resumed', detail: {} }, 30, 0)
    expect(watch.snapshot(0, false)).toBeUndefined()
  })

  test('a false alarm ends: by the word of others, or after a while; not where the group has failed', () => {
    const watch = new ResetWatch()
    watch.note({ mark: 'suspect', detail: { member: 1 } }, 0, 0)
    watch.note({ mark: 'testimony-alive', detail: { by: 2 } }, 10, 0)
    expect(watch.snapshot(0, false)).toBeUndefined()
    watch.note({ mark: 'suspect', detail: { member: 1 } }, 0, 0)
    expect(watch.snapshot(60_000, true)?.phase).toBe('suspected')
    expect(watch.snapshot(60_000, false)).toBeUndefined()
    expect(watch.takeFinished()).toBeUndefined()
  })

  test('standing still is told once, however often it is tried', () => {
    const watch = new ResetWatch()
    const told: boolean[] = []
    for (let i = 0; i < 100; i++) {
      watch.note({ mark: 'inviting', detail: { incarnation: i } }, i, 0)
      told.push(watch.note({ mark: 'too-few', detail: { reason: '1 of 3' } }, i, 0))
    }
    expect(told.filter(Boolean)).toHaveLength(1)
    const running = watch.snapshot(0, false)
    expect(running).toMatchObject({ phase: 'stopped', reason: '1 of 3', attempts: 100 })
    expect(running!.steps.length).toBeLessThan(20)
  })
})

function viewOf(ids: readonly number[], seq: number): View {
  const members = ids.map((id) => memberOf(id, { name: `n${id}`, address: `a:${id}` }))
  return { groupId: 1n, incarnation: 1, coordinator: 1, seq, sequencer: ids[0]!, members }
}

const none = () => undefined

describe('the time line', () => {
  const joined: Output = {
    output: 'joined',
    token: 1,
    memberId: 2,
    nonce: 2n,
    port: 'p',
    parameters: undefined as never,
    view: viewOf([1, 2], 3),
  }

  test('a reset names who was removed, by the view before, and what came when', () => {
    const line = new TimeLine()
    line.note(joined, 10, none)
    line.note({ output: 'event', event: { event: 'suspect', member: 1, reason: 'gone' } }, 11, none)
    const reset = {
      kind: 'reset',
      seq: 5,
      sender: 2,
      header: new Uint8Array(0),
      view: viewOf([2], 5),
      removed: [1],
      lossPossible: true,
    } as const
    const steps = [{ phase: 'inviting', ms: 0 }] as const
    line.note({ output: 'deliveries', deliveries: [reset] }, 12, () => ({ ms: 8, steps }))
    expect(line.entries).toMatchObject([
      { number: 1, at: 10, kind: 'joined', member: 2, members: 2, sequencer: 1 },
      { number: 2, kind: 'suspect', member: 1, name: 'n1', reason: 'gone' },
      {
        number: 3,
        at: 12,
        kind: 'reset',
        seq: 5,
        removed: [{ id: 1, name: 'n1' }],
        lossPossible: true,
        ms: 8,
        steps,
      },
    ])
  })

  test('stays bounded, and what is told again and again is one entry', () => {
    const line = new TimeLine()
    line.note(joined, 0, none)
    for (let i = 1; i <= 1000; i++) {
      line.note({ output: 'event', event: { event: 'slow', member: 1, lagMessages: i } }, i, none)
    }
    expect(line.entries).toHaveLength(2)
    expect(line.entries[1]).toMatchObject({ kind: 'slow', times: 1000, lagMessages: 1000, number: 2 })
    for (let i = 0; i < 1000; i++) {
      line.note({ output: 'event', event: { event: 'split', incarnation: i, coordinator: 1 } }, i, none)
    }
    expect(line.entries).toHaveLength(ENTRIES_MAX)
    expect(line.entries.at(-1)).toMatchObject({ number: 1002, incarnation: 999 })
    const other = { incarnation: 1, coordinator: 1, groupId: 255n, address: 'a:1' }
    line.note({ output: 'event', event: { event: 'split', ...other } }, 0, none)
    expect(JSON.parse(JSON.stringify(line.entries.at(-1)))).toMatchObject({
      groupId: '00000000000000ff',
      address: 'a:1',
    })
  })

  test('what never was in the group has no story', () => {
    const line = new TimeLine()
    line.note({ output: 'event', event: { event: 'closed', code: undefined, reason: 'no' } }, 0, none)
    expect(line.entries).toEqual([])
  })
})

describe('samples', () => {
  test('are differences a second, and no more than are shown', () => {
    const rings = new SampleRings({ messages: 100, sequencerBusySeconds: 1 })
    rings.sendAnswered(0.001)
    rings.sample({ messages: 300, sequencerBusySeconds: 1.5 }, 2)
    rings.sample({ messages: 300, sequencerBusySeconds: 9 }, 1)
    const { rate, load, sendP50, sendP99 } = rings.series
    expect([rate, load]).toEqual([
      [100, 0],
      [0.25, 1],
    ])
    expect(sendP50[0]! / 1000).toBeCloseTo(1, 1)
    expect([sendP50[1], sendP99[1]]).toEqual([null, null])
    for (let i = 0; i < 1000; i++) rings.sample({ messages: 300, sequencerBusySeconds: 9 }, 1)
    for (const ring of Object.values(rings.series)) expect(ring).toHaveLength(SAMPLES)
  })

  test('send times are right within their buckets', () => {
    const window = new LatencyWindow()
    expect(window.quantile(0.5)).toBeNull()
    for (let i = 1; i <= 1000; i++) window.add(i / 1e6)
    const median = window.quantile(0.5)!
    const high = window.quantile(0.99)!
    expect(Math.abs(median / 500 - 1)).toBeLessThan(0.07)
    expect(Math.abs(high / 990 - 1)).toBeLessThan(0.07)
    for (const seconds of [0, 1e-9, 1e9, Number.POSITIVE_INFINITY]) window.add(seconds)
    expect(window.quantile(1)).toBeGreaterThan(50e6)
    window.clear()
    expect(window.quantile(0.5)).toBeNull()
  })
})
