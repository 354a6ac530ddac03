/** A fast wrong run is a failed run: what members note of it, and what the check makes of that. */
import { describe, expect, test } from 'vitest'
import { checkRun } from '../../bench/check-run.ts'
import type { RunReport } from '../../bench/messages.ts'
import { RunDigest, writeCount } from '../../bench/run-digest.ts'
import { textOf } from '../../bench/senders.ts'

/** What each of two members saw that had one message to send. */
const report: RunReport = {
  messages: 2,
  seconds: 1,
  sent: 1,
  total: 2,
  bySender: { 1: 1, 2: 1 },
  digest: 'a-b',
  outOfOrder: 0,
  latency: null,
  cpuSeconds: 0,
  packetsOut: 0,
  bytesOut: 0,
  packetsIn: 0,
  repeated: 0,
}

describe('the check of a run', () => {
  test('takes a run in which all received the same', () => {
    expect(() => checkRun([report, report])).not.toThrow()
  })

  test.each([
    ['a message is missing', { total: 1 }, 'received 1'],
    ['a sender was not heard in order', { outOfOrder: 1 }, 'out of their'],
    ['the order was another', { digest: 'a-c' }, 'different orders'],
    ['senders were mistaken', { bySender: { 1: 2 } }, 'different orders'],
  ])('fails where %s', (_what, wrong, says) => {
    expect(() => checkRun([report, { ...report, ...wrong }])).toThrow(says)
  })
})

describe('the check of a run that promises less', () => {
  test('where only senders are in order, another order is right and a missing message is not', () => {
    expect(() => checkRun([report, { ...report, digest: 'b-a' }], 'sender order')).not.toThrow()
    expect(() => checkRun([report, { ...report, total: 1 }], 'sender order')).toThrow('received 1')
  })

  test('who was expelled may miss something, the others may not', () => {
    const expelled = { ...report, sent: 0, total: 1, digest: 'x', expelled: 1 }
    expect(() => checkRun([expelled, report, report])).not.toThrow()
    expect(() => checkRun([expelled, report, { ...report, digest: 'y' }])).toThrow('different orders')
  })
})

const SIZE = 20
type Message = readonly [seq: number, sender: number, body: Uint8Array]

/** Messages of one sender as they lie in a block: a few bytes apart. */
function block(from: number, count: number): Uint8Array[] {
  const bytes = new Uint8Array(7 + count * (SIZE + 3)).fill(from)
  return Array.from({ length: count }, (_, i) => {
    const body = bytes.subarray(10 + i * (SIZE + 3), 10 + i * (SIZE + 3) + SIZE)
    writeCount(body, from + i)
    return body
  })
}

/** Two senders in turn, three messages of the first, two of the second, two more of the first. */
function sent(): Message[] {
  const bodies = [...block(0, 3), ...block(0, 2), ...block(3, 2)]
  return bodies.map((body, i): Message => [i + 1, i === 3 || i === 4 ? 2 : 1, body])
}

function digestOf(messages: readonly Message[], readsBodies: boolean): RunDigest {
  const digest = new RunDigest(readsBodies, SIZE)
  for (const [seq, sender, body] of messages) digest.add(seq, sender, body)
  return digest
}

/** Of a member that received `messages`, in a run in which two sent what `sent` says. */
function reportOf(messages: readonly Message[], readsBodies: boolean, own: number): RunReport {
  const { total, outOfOrder, bySender, value } = digestOf(messages, readsBodies)
  return { ...report, sent: own, total, outOfOrder, bySender, digest: value }
}

function without(messages: readonly Message[], place: number): Message[] {
  return messages.filter((_, i) => i !== place)
}

function swapped(messages: readonly Message[], first: number, second: number): Message[] {
  const at = (i: number): number => (i === first ? second : i === second ? first : i)
  return messages.map(([seq], i): Message => [seq, messages[at(i)]![1], messages[at(i)]![2]])
}

function altered(messages: readonly Message[], change: (body: Uint8Array) => Uint8Array): Message[] {
  return messages.map(([seq, sender, body], i): Message => [seq, sender, i === 1 ? change(body) : body])
}

describe.each([
  ['that counts', false],
  ['for warming up', true],
])('a run %s', (_kind, readsBodies) => {
  const check = (received: readonly Message[]): void =>
    checkRun([reportOf(sent(), readsBodies, 5), reportOf(received, readsBodies, 2)])

  test('is right where both received the same, in whatever arrays it came', () => {
    expect(() => check(sent())).not.toThrow()
    expect(() => check(sent().map(([seq, sender, body]) => [seq, sender, body.slice()]))).not.toThrow()
    const digest = digestOf(sent(), readsBodies)
    expect(digest).toMatchObject({ total: 7, outOfOrder: 0, lastSeq: 7, bySender: { 1: 5, 2: 2 } })
  })

  test.each<[string, Message[], string]>([
    ['the last message is lost', without(sent(), 6), 'received 6'],
    ['one is lost on the way', without(sent(), 1), 'received 6'],
    ['one comes twice', [...sent().slice(0, 2), ...sent().slice(1)], 'received 8'],
    ['one comes twice in the place of another', altered(sent(), () => sent()[0]![2]), 'out of their'],
    ['two of one sender are exchanged', swapped(sent(), 0, 1), 'out of their'],
    ['two of different senders are exchanged', swapped(sent(), 2, 3), 'different orders'],
    [
      'one has another place',
      sent().map(([seq, ...rest]) => [seq === 7 ? 8 : seq, ...rest]),
      'different orders',
    ],
    ['one is too short', altered(sent(), (body) => body.subarray(0, SIZE - 1)), 'different orders'],
  ])('is wrong where %s', (_what, received, says) => {
    expect(() => check(received)).toThrow(says)
  })
})

describe('a changed byte in the middle of a body', () => {
  const changed = (): Message[] =>
    altered(sent(), (body) => {
      body[SIZE - 1]! ^= 1
      return body
    })

  test('makes a run for warming up a wrong one', () => {
    expect(() => checkRun([reportOf(sent(), true, 5), reportOf(changed(), true, 2)])).toThrow(
      'different orders',
    )
  })

  test('is not looked for in a run that counts', () => {
    expect(digestOf(changed(), false).value).toBe(digestOf(sent(), false).value)
  })
})

describe('messages that were objects', () => {
  const digestOfText = (readsBodies: boolean, text: string): string => {
    const digest = new RunDigest(readsBodies, 100)
    digest.addCounted(1, 1, 0, text)
    return digest.value
  }

  test('are told apart by their length, and for warming up by every letter', () => {
    const text = textOf(100)
    for (const readsBodies of [false, true]) {
      expect(digestOfText(readsBodies, text)).toBe(digestOfText(readsBodies, textOf(100)))
      expect(digestOfText(readsBodies, text)).not.toBe(digestOfText(readsBodies, text.slice(1)))
    }
    expect(digestOfText(true, text)).not.toBe(digestOfText(true, `${text.slice(1)}n`))
  })
})
