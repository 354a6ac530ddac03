/** Cancelled sends: refused while they wait, unknown once they are on their way; nobody else's place moves. */
import { describe, expect, test } from 'vitest'
import { GroupOf, type Seat, type Sent } from './group-of.ts'

const refused = { code: 'ERR_ABORTED', outcome: 'refused' }
const unknown = { code: 'ERR_ABORTED', outcome: 'unknown' }

function numbered(number: number): Uint8Array {
  const bytes = new Uint8Array(100)
  new DataView(bytes.buffer).setUint32(0, number)
  return bytes
}

/** The numbers that were delivered from one sender, in the group's order. */
function numbersFrom(seat: Seat, sender: Seat): number[] {
  return seat.messages
    .filter((message) => message.sender === sender.memberId)
    .map(({ record }) => new DataView(record!.body.buffer, record!.body.byteOffset).getUint32(0))
}

describe('a lone send', () => {
  test('is refused before it has left, and nothing of it leaves', () => {
    const group = GroupOf.open(3)
    const sender = group.seats[1]!
    const before = group.counts()
    // the first goes at once, the second waits for the end of the turn
    sender.send(100)
    const sent = sender.send(100)
    sender.cancel(sent)
    expect(sent.failed).toMatchObject(refused)
    group.advance(50)
    expect(group.countsSince(before).request).toBe(1)
    expect(group.seats.map(({ messageCount }) => messageCount)).toEqual([1, 1, 1])
  })

  test.each(['pb', 'bb'] as const)('is unknown on its way, and may still be ordered (%s)', (method) => {
    const group = GroupOf.open(3, { member: { method } })
    const sender = group.seats[1]!
    const sent = sender.send(100)
    group.advance(0.05)
    sender.cancel(sent)
    expect(sent.failed).toMatchObject(unknown)
    group.settle()
    expect(group.seats.map(({ messageCount }) => messageCount)).toEqual([1, 1, 1])
    expect(sent.seq).toBeUndefined()
  })

  test('is unknown when it is ordered and not accepted yet', () => {
    const group = GroupOf.open(3, { parameters: { resilience: 2 } })
    const sender = group.seats[1]!
    const sent = sender.send(100)
    group.advance(0.25)
    expect(sender.machine.info()).toMatchObject({ waitingSends: 0, outstandingSends: 1 })
    sender.cancel(sent)
    expect(sent.failed).toMatchObject(unknown)
    group.settle()
    expect(group.seats.map(({ messageCount }) => messageCount)).toEqual([1, 1, 1])
  })

  test('cannot be cancelled any more once it has returned', () => {
    const group = GroupOf.open(2)
    const sent = group.seats[1]!.send(100)
    group.until(() => sent.seq !== undefined, 'the send has returned')
    group.seats[1]!.cancel(sent)
    group.settle()
    expect(sent.failed).toBeUndefined()
  })
})

test.each([
  ['a member', 1],
  ['the sequencer', 0],
])('%s cancels every third send of a blocked group', (_who, index) => {
  const group = GroupOf.open(3, {
    parameters: { historySize: 16 },
    member: { sendWindow: 4096, packetSize: 1024 },
  })
  const sender = group.seats[index]!
  const other = group.seats[1 - index]!
  const holder = group.seats[2]!
  holder.holds = true
  const sents: Sent[] = []
  for (let i = 0; i < 200; i++) {
    sents.push(sender.send(numbered(i)))
    other.send(numbered(i))
  }
  group.advance(1000)
  const isCancelled = (i: number) => i % 3 === 0 && sents[i]!.answeredAt === undefined
  const cancelled = sents.filter((_, i) => isCancelled(i))
  for (const sent of cancelled) sender.cancel(sent)
  const outcomes = new Set(cancelled.map(({ failed }) => failed?.outcome))
  expect(cancelled.every(({ failed }) => failed?.code === 'ERR_ABORTED')).toBe(true)
  expect(outcomes).toEqual(new Set(['refused', 'unknown']))
  // once one is refused, all behind it were still waiting
  const firstRefused = cancelled.findIndex(({ failed }) => failed?.outcome === 'refused')
  expect(cancelled.slice(firstRefused).every(({ failed }) => failed?.outcome === 'refused')).toBe(true)

  holder.resume()
  group.until(() => group.seats.every(({ unanswered }) => unanswered === 0), 'every send is answered')
  group.settle()
  const kept = sents.flatMap(({ failed }, i) => (failed?.outcome === 'refused' ? [] : [i]))
  const all = Array.from({ length: 200 }, (_, i) => i)
  for (const seat of group.seats) {
    expect(numbersFrom(seat, sender)).toEqual(kept)
    expect(numbersFrom(seat, other)).toEqual(all)
  }
  for (const { seq, failed } of sents) expect(seq === undefined).toBe(failed !== undefined)
})
