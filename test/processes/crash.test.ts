/** Member processes that are killed or stopped while lines go in: what the others print, and who comes back. */
import { afterEach, describe, expect, test } from 'vitest'
import { type CliProcess, type JsonEvent, Processes } from '../support/processes.ts'
import { isMessage, isReset } from './fed-nodes.ts'
import { freshPort, startGroup } from './one-order.ts'

const processes = new Processes()

afterEach(() => processes.endAll())

const places = (count: number) => Array.from({ length: count }, () => ({ prefix: [], options: [] }))

function deliveries(node: CliProcess): JsonEvent[] {
  return node.events.filter(isMessage)
}

/** Feeds lines without end, a few at a time, until told to stop; gives the lines written. */
function feed(node: CliProcess, name: string): () => string[] {
  const written: string[] = []
  const timer = setInterval(() => {
    for (let i = 0; i < 20; i++) {
      const line = `${name} ${written.length + 1}`
      written.push(line)
      node.child.stdin!.write(`${line}\n`)
    }
  }, 5)
  return () => {
    clearInterval(timer)
    return written
  }
}

describe('a sequencer that is killed', () => {
  test.each(['multicast', 'unicast'])('nothing that was sent is lost, %s', async (transport) => {
    const common = ['--interface', '127.0.0.1', '--transport', transport, '--stay', '--resilience', '1']
    const nodes = await startGroup(processes, freshPort('crash'), places(4), common)
    const [first, ...rest] = nodes as [CliProcess, ...CliProcess[]]
    const feeds = nodes.map((node, i) => feed(node, `n${i + 1}`))
    await first.waitForEvent('some sends', ({ event, line }) => event === 'sent' && Number(line) > 300)
    first.kill('SIGKILL')
    await first.exit
    feeds[0]!()
    for (const node of rest) {
      const reset = await node.waitForEvent('the reset', isReset)
      expect(reset).toMatchObject({ removed: [1], lossPossible: false })
      const at = node.events.findIndex(isReset)
      const view = node.events[at + 1]!
      expect(view).toMatchObject({ event: 'view', incarnation: reset.incarnation, coordinator: reset.sender })
      expect((view.members as unknown[]).length).toBe(3)
    }
    const before = rest.map((node) => node.events.filter(({ event }) => event === 'sent').length)
    for (const [i, node] of rest.entries()) {
      await node.waitUntil('sends after it', () => {
        return node.events.filter(({ event }) => event === 'sent').length > before[i]! + 200
      })
    }
    const written = feeds.map((stop) => stop())
    for (const node of rest) node.child.stdin!.end()
    for (const [i, node] of rest.entries()) {
      await node.waitUntil('all lines are sent', () => {
        return node.events.filter(({ event }) => event === 'sent').length === written[i + 1]!.length
      })
    }
    const lastSeq = Math.max(...rest.flatMap(({ events }) => events.map(({ seq }) => Number(seq ?? 0))))
    for (const node of rest)
      await node.waitForEvent(`seq ${lastSeq}`, ({ event, seq }) => event === 'delivery' && seq === lastSeq)

    const reference = deliveries(rest[0]!)
    for (const node of rest) {
      // one that joined later did not see the first places
      const own = deliveries(node)
      expect(own.map(({ seq, sender, body }) => [seq, sender, body])).toEqual(
        reference.map(({ seq, sender, body }) => [seq, sender, body]),
      )
    }
    const bySeq = new Map(reference.map(({ seq, body }) => [seq, body]))
    for (const [i, node] of nodes.entries()) {
      const sent = node.events.filter(({ event }) => event === 'sent')
      expect(sent.length).toBeGreaterThan(300)
      for (const { line, seq } of sent) expect([seq, bySeq.get(seq)]).toEqual([seq, `n${i + 1} ${line}`])
      expect(node.events.filter(({ event }) => event === 'unknown' || event === 'refused')).toEqual([])
    }
    for (const node of rest) node.kill('SIGTERM')
    await Promise.all(rest.map((node) => node.exitsWith(0)))
  })
})

describe('a member that stood still', () => {
  const common = ['--interface', '127.0.0.1', '--detection', 'fast', '--stay']

  /** Three members; the last stands still until the others have gone on, then wakes up. */
  async function stopped(...options: string[]): Promise<CliProcess[]> {
    const spots = places(3).map((place, i) => (i === 2 ? { ...place, options } : place))
    const nodes = await startGroup(processes, freshPort('pause'), spots, common)
    const [first, second, third] = nodes as [CliProcess, CliProcess, CliProcess]
    third.kill('SIGSTOP')
    second.child.stdin!.write('while it stands still\n')
    for (const node of [first, second]) await node.waitForEvent('the reset', isReset)
    await second.waitForEvent('the send', ({ event }) => event === 'sent')
    third.kill('SIGCONT')
    return nodes
  }

  test('with --rejoin comes back, says what it missed, and sends again only what was refused', async () => {
    const [first, second, third] = (await stopped('--rejoin')) as [CliProcess, CliProcess, CliProcess]
    const lines = Array.from({ length: 50 }, (_, i) => `back ${i + 1}`)
    third.child.stdin!.write(`${lines.join('\n')}\n`)
    await third.waitForEvent('expelled', ({ event }) => event === 'expelled')
    const rejoined = await third.waitForEvent('rejoined', ({ event }) => event === 'rejoined')
    expect(rejoined).toMatchObject({ memberId: 4, groupId: first.events[0]!.groupId })
    expect(Number(rejoined.seq)).toBeGreaterThan(Number(rejoined.missedFrom))
    const others = [first, second].map(({ events }) => events[0]!.memberId)
    expect((rejoined.members as { id: number }[]).map(({ id }) => id)).toEqual([...others, 4])
    await third.waitUntil('every line has ended', () => {
      const ended = third.events.filter(({ event }) => event === 'sent' || event === 'unknown')
      return ended.length === lines.length
    })
    const sent = third.events.filter(({ event }) => event === 'sent')
    const last = sent.at(-1)
    if (last !== undefined) {
      await first.waitForEvent('the last line', ({ event, seq }) => event === 'delivery' && seq === last.seq)
      await third.waitForEvent('the last line', ({ event, seq }) => event === 'delivery' && seq === last.seq)
    }
    // each line once at most, and each that was sent where it was told
    const bodies = deliveries(first).filter(({ body }) => lines.includes(String(body)))
    expect(new Set(bodies.map(({ body }) => body)).size).toBe(bodies.length)
    for (const { line, seq } of sent) {
      expect(bodies).toContainEqual(expect.objectContaining({ seq, body: lines[Number(line) - 1] }))
    }
    third.child.stdin!.write('the very last\n')
    await third.waitForEvent(
      'the very last',
      ({ event, line }) => event === 'sent' && line === lines.length + 1,
    )
    await first.waitForEvent('it', ({ body }) => body === 'the very last')
    expect(third.events.some(({ body }) => body === 'while it stands still')).toBe(false)
    third.kill('SIGTERM')
    await third.exitsWith(0)
  })

  test('without it ends with one line that says so', async () => {
    const [, , third] = (await stopped()) as [CliProcess, CliProcess, CliProcess]
    await third.exitsWith(1)
    expect(third.events).toContainEqual(expect.objectContaining({ event: 'expelled' }))
    expect(third.stderr.trimEnd().split('\n').at(-1)).toMatch(/^amoebacast: .*\[ERR_EXPELLED\]$/)
  })
})
