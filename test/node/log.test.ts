import { expect, test } from 'vitest'
import { ErrorCode } from '../../kernel/errors.ts'
import { monotonicClock } from '../../kernel/node/clock.ts'
import { logOutput, logReset, logReturn, startLog } from '../../kernel/node/log.ts'
import { randomNonce, randomSeed } from '../../kernel/node/random.ts'
import type { OrderedEvent, Output } from '../../kernel/port.ts'
import { joined, view } from './support.ts'

function record(level: 'info' | 'warn') {
  const lines: Record<string, unknown>[] = []
  const log = startLog(level, { write: (line) => lines.push(JSON.parse(line) as Record<string, unknown>) })
  return { lines, log }
}

const header = new Uint8Array(0)
const reset: Extract<OrderedEvent, { kind: 'reset' }> = {
  kind: 'reset',
  seq: 3,
  sender: 1,
  header,
  view: view(),
  removed: [4],
  lossPossible: false,
}
const outputs: Output[] = [
  joined(1, 2),
  { output: 'sent', token: 1, count: 1, seq: 1 },
  { output: 'deliveries', deliveries: [{ kind: 'messages', seq: 1, count: 1, sender: 1, block: header }] },
  { output: 'deliveries', deliveries: [{ kind: 'leave', seq: 2, sender: 1, header, view: view() }] },
  { output: 'deliveries', deliveries: [reset] },
  { output: 'event', event: { event: 'suspect', member: 4, reason: '10 tries' } },
  { output: 'event', event: { event: 'slow', member: 4, lagMessages: 9 } },
  { output: 'event', event: { event: 'expelled', reason: 'paused' } },
  { output: 'event', event: { event: 'split', incarnation: 9, coordinator: 2 } },
  {
    output: 'event',
    event: { event: 'split', incarnation: 9, coordinator: 2, groupId: 7n, address: '10.0.0.2:1' },
  },
  { output: 'event', event: { event: 'closed', code: ErrorCode.expelled, reason: 'expelled' } },
  { output: 'event', event: { event: 'closed', code: undefined, reason: 'left' } },
]

test('a line for each event that matters to an operator, none for messages', () => {
  const { lines, log } = record('info')
  for (const output of outputs) logOutput(log.child({ group: 'orders' }), output)
  expect(lines.map(({ level, msg }) => `${level} ${msg}`)).toEqual([
    '30 is a member',
    '30 a member left',
    '40 a member does not answer',
    '40 a member holds the group up',
    '50 the others have gone on without this member',
    '50 there are two groups on this port',
    '50 there are two groups on this port',
    '50 closed by a failure',
    '30 closed',
  ])
  for (const line of lines) expect(line).toMatchObject({ name: 'amoebacast', group: 'orders' })
  expect(lines[6]).toMatchObject({ groupId: '0000000000000007', address: '10.0.0.2:1' })
  expect(lines[0]).toMatchObject({ groupId: '0000000000000007', sequencer: 1, members: 2 })
})

test('a reset says how long it took, and a return who is back', () => {
  const { lines, log } = record('warn')
  logReset(log, 'orders', reset, 12_345)
  logReturn(log, 'orders', joined(2, 7))
  expect(lines).toMatchObject([
    { msg: 'a reset', seq: 3, by: 1, removed: [4], lossPossible: false, ms: 12.345 },
    { msg: 'has come back as a new member', member: 7, sequencer: 2 },
  ])
})

const closed = (code: ErrorCode): Output => ({
  output: 'event',
  event: { event: 'closed', code, reason: 'why' },
})

test('a refusal at opening is told to the caller, and no failure; at a return nobody else hears of it', () => {
  const { lines, log } = record('info')
  for (const code of [ErrorCode.notFound, ErrorCode.notAuthorized, ErrorCode.incompatible])
    logOutput(log, closed(code))
  expect(lines.map(({ level, msg }) => `${level} ${msg}`)).toEqual(Array(3).fill('30 not opened'))
  lines.length = 0
  for (const code of [ErrorCode.aborted, ErrorCode.notAuthorized]) logReturn(log, 'orders', closed(code))
  expect(lines).toMatchObject([
    { level: 50, group: 'orders', code: 'ERR_NOT_AUTHORIZED', msg: 'the group does not let it come back' },
  ])
})

test('a library is quiet unless something is wrong', () => {
  const { lines, log } = record('warn')
  for (const output of outputs) logOutput(log.child({ group: 'orders' }), output)
  expect(lines).toHaveLength(6)
})

test('nonces are 64 bits, never 0, never the same', () => {
  const nonces = Array.from({ length: 1000 }, randomNonce)
  expect(new Set(nonces).size).toBe(1000)
  for (const nonce of nonces) expect(nonce > 0n && nonce < 2n ** 64n).toBe(true)
  expect(nonces.some((nonce) => nonce >= 2n ** 63n)).toBe(true)
  expect(Number.isSafeInteger(randomSeed())).toBe(true)
})

test('the clock gives whole microseconds and does not go back', () => {
  const clock = monotonicClock()
  let last = clock()
  for (let i = 0; i < 10_000; i++) {
    const now = clock()
    expect(Number.isSafeInteger(now) && now >= last).toBe(true)
    last = now
  }
})
