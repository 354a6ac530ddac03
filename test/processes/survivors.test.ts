/** That the check of crash tests checks: what real processes should never print, in small. */
import { expect, test } from 'vitest'
import type { JsonEvent } from '../support/processes.ts'
import type { FedNode } from './fed-nodes.ts'
import { checkSurvivors } from './survivors.ts'

const message = (seq: number, sender: number, body: string): JsonEvent => ({
  event: 'delivery',
  seq,
  kind: 'message',
  sender,
  incarnation: 1,
  body,
})
const sent = (line: number, seq: number): JsonEvent => ({ event: 'sent', line, seq })
const order = [message(5, 1, 'a 1'), message(6, 2, 'b 1'), message(7, 1, 'a 2'), message(8, 3, 'c 1')]

function node(name: string, memberId: number, events: readonly JsonEvent[]): FedNode {
  return { name, process: { events: [{ event: 'ready', memberId }, ...events] } } as unknown as FedNode
}

/** a was killed; b and c went on. */
function check({
  a = [...order.slice(0, 2), sent(1, 5)],
  b = [...order, sent(1, 6)],
  c = [...order, sent(1, 8)],
}): void {
  const all = [node('a', 1, a), node('b', 2, b), node('c', 3, c)]
  checkSurvivors(all, all.slice(1))
}

test('takes what is right', () => {
  expect(() => check({})).not.toThrow()
})

test.each<[string, Parameters<typeof check>[0]]>([
  ['a sent line is somewhere else', { a: [...order.slice(0, 2), sent(1, 5), sent(2, 8)] }],
  ['a sent line is nowhere', { a: [...order.slice(0, 2), sent(1, 5), sent(3, 9)] }],
  ['the killed one delivered something else', { a: [order[0]!, message(6, 2, 'b 2'), sent(1, 5)] }],
  ['the killed one delivered what nobody has', { a: [...order, message(9, 1, 'a 3'), sent(1, 5)] }],
  ['a survivor lacks the end', { c: [...order.slice(0, 3), sent(1, 8)] }],
  ['a survivor lacks a place', { c: [order[0]!, ...order.slice(2), sent(1, 8)] }],
  ['a survivor delivered twice', { c: [...order, order[3]!, sent(1, 8)] }],
  ['a survivor has another sender', { c: [...order.slice(0, 3), message(8, 2, 'c 1'), sent(1, 8)] }],
  ['a survivor is in doubt', { c: [...order, sent(1, 8), { event: 'unknown', line: 2 }] }],
])('fails where %s', (_what, wrong) => {
  expect(() => check(wrong)).toThrow()
})

test.each([
  ['a line is in the order twice', message(9, 1, 'a 1')],
  ["a member's lines are out of their order", message(9, 1, 'a 0')],
])('fails where %s', (_what, last) => {
  expect(() => check({ b: [...order, last, sent(1, 6)], c: [...order, last, sent(1, 8)] })).toThrow()
})
