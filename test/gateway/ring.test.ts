/** The ring, and readers of it: where they resume, which gaps they are told, and when they are cut off. */
import { describe, expect, test } from 'vitest'
import type { Cursor } from '../../cli/gateway/cursor.ts'
import { EventReader, type Sink, type Start } from '../../cli/gateway/event-reader.ts'
import { EventRing, type RingBounds } from '../../cli/gateway/event-ring.ts'
import { type GatewayEvent, plainEvent } from '../../cli/gateway/events.ts'

const GROUP = '00000000000000aa'

function at(seq: number, incarnation = 1, groupId = GROUP): Cursor {
  return { groupId, incarnation, coordinator: 1, seq }
}

function ringOf(bounds: Partial<RingBounds> = {}, floor = at(10)): EventRing {
  return new EventRing(floor, { messages: 100, bytes: 1e9, ageMs: 1e9, ...bounds })
}

function say(ring: EventRing, seqs: readonly number[], incarnation = 1, now = 0): void {
  for (const seq of seqs) ring.push(plainEvent('message', { seq }, at(seq, incarnation)), now)
}

/** Takes events until it is told that it is full. */
class FakeSink implements Sink {
  readonly events: GatewayEvent[] = []
  isFull = false
  ended: 'in order' | 'at once' | undefined
  beats = 0

  write(events: readonly GatewayEvent[]): boolean {
    this.events.push(...events)
    return !this.isFull
  }

  heartbeat(): void {
    this.beats += 1
  }

  end(): void {
    this.ended ??= 'in order'
  }

  destroy(): void {
    this.ended ??= 'at once'
  }

  get seqs(): unknown[] {
    return this.events.map(({ name, data }) => {
      const { seq, reason, after, before } = JSON.parse(data.toString())
      return name === 'message' ? seq : name === 'gap' ? `${reason} after ${after} before ${before}` : name
    })
  }
}

function reader(ring: EventRing, start: Start, now = 0) {
  const sink = new FakeSink()
  const cuts: string[] = []
  const made = new EventReader(ring, sink, {
    stuckMs: 1000,
    start,
    opening: {},
    now,
    onCut: (why) => cuts.push(why),
  })
  made.pump(now)
  return { sink, cuts, reader: made }
}

describe('where a reader resumes', () => {
  test.each<[string, Cursor, unknown[]]>([
    ['in the middle', at(12), ['open', 13, 14]],
    ['at the end', at(14), ['open']],
    ['at the own join', at(10), ['open', 11, 12, 13, 14]],
    ['before the own join', at(9), ['open', 'too-old after 9 before 11', 11, 12, 13, 14]],
    [
      'in another group',
      at(12, 1, '00000000000000bb'),
      ['open', 'another-group after 0 before 11', 11, 12, 13, 14],
    ],
    [
      'in a line of events that came to nothing',
      at(13, 0),
      ['open', 'other-order after 0 before 11', 11, 12, 13, 14],
    ],
  ])('%s', (_what, start, expected) => {
    const ring = ringOf()
    say(ring, [11, 12, 13, 14])
    expect(reader(ring, start).sink.seqs).toEqual(expected)
  })

  test('with what comes, or with the oldest', () => {
    const ring = ringOf()
    say(ring, [11, 12])
    const now = reader(ring, 'now')
    const oldest = reader(ring, 'oldest')
    say(ring, [13])
    for (const one of [now, oldest]) one.reader.pump(0)
    expect(now.sink.seqs).toEqual(['open', 13])
    expect(oldest.sink.seqs).toEqual(['open', 11, 12, 13])
    expect(now.sink.events[0]?.id).toBe(`${GROUP}-1-1-12`)
    expect(oldest.sink.events[0]?.id).toBe(`${GROUP}-1-1-10`)
  })

  test('places that no event stands at belong to the place before', () => {
    const ring = ringOf()
    say(ring, [11, 15])
    expect(reader(ring, at(13)).sink.seqs).toEqual(['open', 15])
  })

  test('after the ring has wrapped: right before the oldest without a gap, earlier with one', () => {
    const ring = ringOf({ messages: 3 })
    say(ring, [11, 12, 13, 14, 15, 16])
    expect([ring.start, ring.end]).toEqual([3, 6])
    expect(reader(ring, at(13)).sink.seqs).toEqual(['open', 14, 15, 16])
    expect(reader(ring, at(12)).sink.seqs).toEqual(['open', 'too-old after 12 before 14', 14, 15, 16])
  })

  test('a tail that a crash has undone is told, and read on from the last common place', () => {
    const ring = ringOf()
    say(ring, [11, 12, 13], 1)
    say(ring, [14, 15], 2)
    expect(reader(ring, at(15, 1)).sink.seqs).toEqual(['open', 'other-order after 13 before 14', 14, 15])
    expect(reader(ring, at(13, 1)).sink.seqs).toEqual(['open', 14, 15])
    expect(reader(ring, at(14, 2)).sink.seqs).toEqual(['open', 15])
  })

  test('a reader that has seen more waits until this gateway has come as far', () => {
    const ring = ringOf()
    say(ring, [11, 12])
    const ahead = reader(ring, at(14))
    expect(ahead.sink.seqs).toEqual(['open'])
    say(ring, [13, 14, 15])
    ahead.reader.pump(1)
    expect(ahead.sink.seqs).toEqual(['open', 15])
  })

  test('ahead in a view that this gateway has not heard of', () => {
    const ring = ringOf()
    say(ring, [11, 12])
    const ahead = reader(ring, at(14, 2))
    say(ring, [13, 14, 15], 2)
    ahead.reader.pump(1)
    expect(ahead.sink.seqs).toEqual(['open', 15])
  })

  test('ahead in a line that comes to nothing', () => {
    const ring = ringOf()
    say(ring, [11, 12])
    const ahead = reader(ring, at(14, 1))
    say(ring, [13], 2)
    ahead.reader.pump(1)
    expect(ahead.sink.seqs).toEqual(['open', 'other-order after 12 before 13', 13])
  })

  test('a place that never comes is a gap in the end', () => {
    const ring = ringOf()
    say(ring, [11])
    const ahead = reader(ring, at(99))
    ahead.reader.check(9_999)
    expect(ahead.sink.seqs).toEqual(['open'])
    ahead.reader.check(10_000)
    say(ring, [12])
    ahead.reader.pump(10_001)
    expect(ahead.sink.seqs).toEqual(['open', 'unknown-place after 0 before null', 12])
  })
})

describe('the way back after an expulsion', () => {
  function rejoined(): EventRing {
    const ring = ringOf()
    say(ring, [11, 12, 13])
    const gap = plainEvent('gap', { reason: 'expelled', after: 13, before: 20 })
    ring.restart(at(20, 3), [gap, plainEvent('message', { seq: 20 }, at(20, 3))], 0)
    say(ring, [21, 22], 3)
    return ring
  }

  test.each<[string, Cursor, unknown[]]>([
    ['from the life before', at(12), ['open', 13, 'expelled after 13 before 20', 20, 21, 22]],
    ['from its end', at(13), ['open', 'expelled after 13 before 20', 20, 21, 22]],
    ['from what was missed, read elsewhere', at(17, 2), ['open', 'expelled after 13 before 20', 20, 21, 22]],
    ['from the new join', at(20, 3), ['open', 21, 22]],
    ['from the new life', at(21, 3), ['open', 22]],
  ])('%s', (_what, start, expected) => {
    expect(reader(rejoined(), start).sink.seqs).toEqual(expected)
  })

  test('the life before leaves the ring with its events', () => {
    const ring = ringOf({ messages: 3 })
    say(ring, [11, 12, 13])
    ring.restart(at(12, 3), [plainEvent('message', { seq: 12 }, at(12, 3))], 0)
    say(ring, [13, 14, 15], 3)
    expect(reader(ring, at(12, 3)).sink.seqs).toEqual(['open', 13, 14, 15])
    expect(reader(ring, at(11)).sink.seqs[1]).toBe('too-old after 11 before 13')
  })
})

describe('bounds', () => {
  test('bytes, of texts as well as of what is not told yet', () => {
    const ring = ringOf({ bytes: 5000 })
    const long = 'x'.repeat(1000)
    for (let seq = 11; seq < 40; seq++) ring.push(plainEvent('message', { seq, long }, at(seq)), 0)
    expect(ring.bytes).toBeLessThanOrEqual(5000)
    expect(ring.end - ring.start).toBe(3)
  })

  test('age', () => {
    const ring = ringOf({ ageMs: 100 })
    say(ring, [11], 1, 0)
    say(ring, [12], 1, 60)
    ring.trim(100)
    expect(ring.end - ring.start).toBe(2)
    ring.trim(101)
    expect(ring.end - ring.start).toBe(1)
    expect(reader(ring, at(11)).sink.seqs).toEqual(['open', 12])
    ring.trim(1000)
    expect([ring.end - ring.start, ring.bytes]).toEqual([0, 0])
    expect(reader(ring, at(12)).sink.seqs).toEqual(['open'])
    expect(reader(ring, at(11)).sink.seqs).toEqual(['open', 'too-old after 11 before null'])
  })
})

describe('a reader that does not keep up', () => {
  test('is given nothing more than one piece, and goes on where it was', () => {
    const ring = ringOf()
    const slow = reader(ring, 'now')
    slow.sink.isFull = true
    say(ring, [11])
    slow.reader.pump(0)
    say(ring, [12, 13])
    slow.reader.pump(1)
    expect(slow.sink.seqs).toEqual(['open', 11])
    expect(slow.reader.behind).toBe(2)
    slow.sink.isFull = false
    slow.reader.ready(2)
    expect(slow.sink.seqs).toEqual(['open', 11, 12, 13])
  })

  test('is cut off when its place has left the ring, and others go on', () => {
    const ring = ringOf({ messages: 2 })
    const slow = reader(ring, 'now')
    const other = reader(ring, 'now')
    slow.sink.isFull = true
    for (const seq of [11, 12, 13, 14, 15]) {
      say(ring, [seq])
      slow.reader.pump(0)
      other.reader.pump(0)
    }
    expect(slow.cuts).toEqual(['its place has left the ring'])
    expect(slow.sink.ended).toBe('at once')
    expect(other.sink.seqs).toEqual(['open', 11, 12, 13, 14, 15])
    expect(other.cuts).toEqual([])
  })

  test('is cut off when its connection takes nothing for too long', () => {
    const ring = ringOf()
    const slow = reader(ring, 'now')
    slow.sink.isFull = true
    say(ring, [11])
    slow.reader.pump(0)
    slow.reader.check(1000)
    expect(slow.cuts).toEqual([])
    slow.reader.check(1001)
    slow.reader.check(1002)
    expect(slow.cuts).toHaveLength(1)
  })

  test('one that has nothing to take is not cut off, and hears heartbeats', () => {
    const ring = ringOf()
    const idle = reader(ring, 'now')
    idle.reader.check(1e6)
    idle.reader.heartbeat()
    expect([idle.cuts, idle.sink.beats]).toEqual([[], 1])
    idle.reader.finish({ reason: 'stopping' })
    idle.reader.pump(1)
    expect([idle.sink.seqs.at(-1), idle.sink.ended]).toEqual(['end', 'in order'])
  })
})
