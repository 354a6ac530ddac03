/**
 * What has to hold of everything that member processes printed while some of them were killed, cut off or stopped: the
 * order is read off a survivor, and every other process is held against it. And while they were replaced one by one.
 */
import { expect } from 'vitest'
import type { JsonEvent } from '../support/processes.ts'
import { type FedNode, isMessage } from './fed-nodes.ts'

/** What one process delivered as one member: an expulsion ends a life, a rejoin begins another. */
interface Life {
  readonly memberId: number
  readonly deliveries: readonly JsonEvent[]
}

function livesOf(node: FedNode): Life[] {
  const lives: { memberId: number; deliveries: JsonEvent[] }[] = []
  for (const event of node.process.events) {
    if (event.event === 'ready' || event.event === 'rejoined') {
      lives.push({ memberId: Number(event.memberId), deliveries: [] })
    } else if (event.event === 'delivery') {
      lives.at(-1)!.deliveries.push(event)
    }
  }
  return lives
}

const eventAt = ({ seq, kind, sender, incarnation, body }: JsonEvent) => [
  seq,
  kind,
  sender,
  incarnation,
  body,
]

/**
 * `survivors` went on through everything, the first of them is the reference; `all` are these, those that ended and
 * those that came back. None of them is a member at r = 0, so whatever was delivered by anybody counts. `settled` are the
 * places of changes of settings, which nobody delivers.
 */
export function checkSurvivors(
  all: readonly FedNode[],
  survivors: readonly FedNode[],
  settled: readonly number[] = [],
): void {
  const order = new Map<number, JsonEvent>()
  const reference = livesOf(survivors[0]!)[0]!.deliveries
  for (const event of reference) order.set(Number(event.seq), event)
  const from = Math.min(...order.keys())
  const last = Math.max(...order.keys())
  const idsOf = new Map(all.map((node) => [node, livesOf(node).map(({ memberId }) => memberId)]))

  for (const node of all) {
    for (const { deliveries } of livesOf(node)) {
      // contiguous, nothing twice
      const wrongStep = deliveries.findIndex(({ seq }, i) => {
        if (i === 0) return false
        const between = settled.filter((at) => at > Number(deliveries[i - 1]!.seq) && at < Number(seq))
        return Number(seq) !== Number(deliveries[i - 1]!.seq) + 1 + between.length
      })
      expect([node.name, deliveries[wrongStep]]).toEqual([node.name, undefined])
      // byte for byte what the reference delivered at that place
      const differs = deliveries.find((event) => {
        const other = order.get(Number(event.seq))
        if (other === undefined) return Number(event.seq) >= from
        return JSON.stringify(eventAt(event)) !== JSON.stringify(eventAt(other))
      })
      const there = differs === undefined ? undefined : order.get(Number(differs.seq))
      expect([node.name, differs]).toEqual([node.name, there])
    }
  }
  for (const node of survivors) {
    const lives = livesOf(node)
    expect([node.name, lives.length, lives[0]!.deliveries.at(-1)?.seq]).toEqual([node.name, 1, last])
    // A group that recovers by itself leaves no doubt to those who stay.
    const inDoubt = node.process.events.filter(({ event }) => event === 'unknown' || event === 'refused')
    expect([node.name, inDoubt]).toEqual([node.name, []])
  }
  checkSent(all, order, idsOf)
  checkOnce(all, reference.filter(isMessage), idsOf)
}

/** Every send that has returned is where it was told. */
function checkSent(
  all: readonly FedNode[],
  order: ReadonlyMap<number, JsonEvent>,
  idsOf: ReadonlyMap<FedNode, readonly number[]>,
): void {
  for (const node of all) {
    const sent = node.process.events.filter(({ event }) => event === 'sent')
    expect(sent.length).toBeGreaterThan(0)
    for (const { line, seq } of sent) {
      const event = order.get(Number(seq))
      expect([node.name, seq, event?.body]).toEqual([node.name, seq, `${node.name} ${line}`])
      expect(idsOf.get(node)).toContain(event!.sender)
    }
  }
}

/** What was delivered by anybody, by its place: whoever has a place has the same there. */
export function commonOrder(nodes: readonly FedNode[]): Map<number, JsonEvent> {
  const order = new Map<number, JsonEvent>()
  for (const { deliveries } of nodes) {
    for (const delivery of deliveries) {
      const known = order.get(Number(delivery.seq))
      if (known === undefined) order.set(Number(delivery.seq), delivery)
      else expect(delivery).toEqual(known)
    }
  }
  return order
}

/** Each line that was said to be sent is in the order where it was said, once, and no other line is. */
export function checkPlaces(nodes: readonly FedNode[], order: ReadonlyMap<number, JsonEvent>): void {
  const messages = [...order.values()].filter(isMessage).sort((a, b) => Number(a.seq) - Number(b.seq))
  for (const { process, name } of nodes) {
    const sent = process.events.filter(({ event }) => event === 'sent')
    const placed = messages.filter(({ body }) => String(body).startsWith(`${name} `))
    expect(placed.map(({ seq, body }) => [seq, body])).toEqual(
      sent.map(({ seq, line }) => [seq, `${name} ${line}`]),
    )
  }
}

/** A line is in the order once at most, sent, unknown or never told of; a member's lines are in its order. */
function checkOnce(
  all: readonly FedNode[],
  messages: readonly JsonEvent[],
  idsOf: ReadonlyMap<FedNode, readonly number[]>,
): void {
  const bodies = messages.map(({ body }) => String(body))
  expect(bodies.filter((body, i) => bodies.indexOf(body) !== i)).toEqual([])
  for (const node of all) {
    for (const id of idsOf.get(node)!) {
      const lines = messages
        .filter(({ sender }) => sender === id)
        .map(({ body }) => Number(String(body).split(' ')[1]))
      expect(lines.filter((line, i) => i > 0 && line <= lines[i - 1]!)).toEqual([])
    }
  }
}
