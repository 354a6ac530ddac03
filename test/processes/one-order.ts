/**
 * Five real member processes, five different texts, one order: each process must print the same deliveries,
 * byte for byte, and every line that went in must come out once, where its sender was told.
 */
import { expect } from 'vitest'
import type { CliProcess, JsonEvent, Processes } from '../support/processes.ts'

export interface Place {
  readonly prefix: readonly string[]
  readonly options: readonly string[]
}

/** A group's port that no other test run uses. */
export function freshPort(what: string): string {
  return `test-${what}-${process.pid}-${Date.now().toString(36)}`
}

/** Starts a member at each place: the first creates the group, the others join it. Resolves when all see all. */
export async function startGroup(
  processes: Processes,
  port: string,
  places: readonly Place[],
  common: readonly string[],
): Promise<CliProcess[]> {
  const start = (i: number, ...how: string[]): CliProcess => {
    const { prefix, options } = places[i]!
    const args = [
      'node',
      '--group',
      port,
      ...how,
      '--json',
      '--member-name',
      `n${i + 1}`,
      ...options,
      ...common,
    ]
    return processes.cli(args, { name: `n${i + 1}`, prefix })
  }
  const nodes = [start(0, '--create')]
  const { address } = await nodes[0]!.waitForEvent('ready', ({ event }) => event === 'ready')
  // Multicast finds the group; without it somebody has to say where it is.
  const where = common.includes('unicast') ? ['--peers', String(address)] : []
  for (let i = 1; i < places.length; i++) nodes.push(start(i, '--join', ...where))
  const hasAll = ({ event, members }: JsonEvent): boolean =>
    (event === 'ready' || event === 'view') && (members as unknown[]).length === places.length
  await Promise.all(nodes.map((node) => node.waitForEvent(`a view of ${places.length} members`, hasAll)))
  return nodes
}

/** Feeds text i to node i, waits until all have left, and compares everything. Nodes must have --count. */
export async function feedAndCompare(
  nodes: readonly CliProcess[],
  texts: readonly string[][],
): Promise<void> {
  for (const [i, node] of nodes.entries())
    node.child.stdin!.end(texts[i]!.map((line) => `${line}\n`).join(''))
  await Promise.all(nodes.map((node) => node.exitsWith(0)))

  const total = texts.reduce((sum, lines) => sum + lines.length, 0)
  const printed = nodes.map((node) =>
    node.lines.filter((line) => line.startsWith('{"event":"delivery"') && line.includes('"kind":"message"')),
  )
  expect(printed[0]).toHaveLength(total)
  for (const [i, lines] of printed.entries()) {
    // Byte for byte; the first difference says more than two long lists.
    const at = lines.findIndex((line, place) => line !== printed[0]![place])
    expect([i, lines.length, at, lines[at]]).toEqual([i, total, -1, undefined])
  }

  const deliveries = printed[0]!.map((line) => JSON.parse(line) as JsonEvent)
  for (const [i, node] of nodes.entries()) compareWithText(node, texts[i]!, deliveries)
}

/** A sender's lines come out in its order, each where `sent` said. */
function compareWithText(node: CliProcess, text: readonly string[], deliveries: readonly JsonEvent[]): void {
  const events = node.events
  const { memberId } = events[0] as unknown as { memberId: number }
  const own = deliveries.filter(({ sender }) => sender === memberId)
  expect(own.map(({ body }) => body)).toEqual(text)
  const sent = events.filter(({ event }) => event === 'sent')
  expect(sent.map(({ line }) => line)).toEqual(text.map((_, i) => i + 1))
  expect(sent.map(({ seq }) => seq)).toEqual(own.map(({ seq }) => seq))
  const seqs = deliveries.map(({ seq }) => seq as number)
  expect(seqs.every((seq, i) => i === 0 || seq > seqs[i - 1]!)).toBe(true)
}
