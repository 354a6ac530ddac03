/**
 * A rolling restart, as a cluster does it: five member processes under load are ended one after the other with
 * SIGTERM and started again at their old address, the next one only when the last says that it is ready. Leaves
 * and joins are all that the group sees of it: no reset, no suspicion, nothing lost, one order.
 */
import { afterEach, expect, test } from 'vitest'
import { freeUdpPorts } from '../support/ports.ts'
import { type CliProcess, Processes } from '../support/processes.ts'
import { allDelivered, FedNode, isMessage, isReset } from './fed-nodes.ts'
import { freshPort } from './one-order.ts'
import { checkPlaces, commonOrder } from './survivors.ts'

const NODES = 5
const READY_MS = 45_000
/** Lines that each other member gets through between two restarts. */
const BETWEEN = 30

const processes = new Processes()

afterEach(() => processes.endAll())

/** What /readyz says once it is 200; how often it said something else before. */
async function untilReady(process: CliProcess): Promise<number> {
  const { metrics } = await process.waitForEvent('ready', ({ event }) => event === 'ready')
  const limit = performance.now() + READY_MS
  for (let refusals = 0; ; refusals++) {
    const response = await fetch(`http://${metrics}/readyz`)
    const text = await response.text()
    if (response.status === 200) return refusals
    expect([response.status, text]).toEqual([503, expect.stringMatching(/^not ready: ./)])
    if (performance.now() > limit) throw process.describe(`is not ready after ${READY_MS} ms: ${text}`)
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}

async function metric(process: CliProcess, name: string): Promise<number> {
  const { metrics } = process.events.find(({ event }) => event === 'ready')!
  const page = await (await fetch(`http://${metrics}/metrics`)).text()
  const samples = page
    .split('\n')
    .filter((line) => line.startsWith(`${name}{`) || line.startsWith(`${name} `))
  expect(samples, `${name} is on the page`).not.toHaveLength(0)
  return samples.reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0)
}

/** One process, from its start to its end; a node has several, each named `NODE.LIFE`. */
class Life extends FedNode {
  ended(how: string): number {
    return this.process.lines.filter((line) => line.startsWith(`{"event":"${how}"`)).length
  }
}

test.each([
  ['unicast', 1],
  ['multicast', 0],
])('%s, resilience %i', { timeout: 240_000 }, async (transport, resilience) => {
  const port = freshPort(`rolling-${transport}`)
  const udpPorts = await freeUdpPorts(NODES)
  const peers = udpPorts.map((udpPort) => `127.0.0.1:${udpPort}`).join(',')
  // The same command line at every start, the first included, as a cluster has it.
  const start = (index: number, life: number): Life => {
    const options = [
      ...[
        'node',
        '--json',
        '--stay',
        '--group',
        port,
        '--min-starters',
        '3',
        '--resilience',
        `${resilience}`,
      ],
      ...['--transport', transport, '--udp-port', `${udpPorts[index]}`, '--metrics-port', '0'],
      // Tests share their machine: what stands still for a moment is not dead.
      ...['--detection', 'wan'],
      ...(transport === 'unicast' ? ['--peers', peers] : []),
    ]
    const name = `n${index + 1}.${life}`
    return new Life(processes.cli([...options, '--member-name', name], { name }), index)
  }
  const lives = Array.from({ length: NODES }, (_, index) => start(index, 1))
  const now = [...lives]
  await Promise.all(now.map(({ process }) => untilReady(process)))
  for (const life of now) life.feed()
  await Promise.all(now.map((life) => life.hasSent(BETWEEN)))

  const story: string[] = []
  for (let index = 0; index < NODES; index++) {
    const began = performance.now()
    const seconds = (): string => ((performance.now() - began) / 1000).toFixed(2)
    const old = now[index]!
    const wasSequencer = (await metric(old.process, 'amoebacast_is_sequencer')) === 1
    // Its lines flow until the very end; what it has not read by then was never sent.
    old.process.kill('SIGTERM')
    await old.process.exitsWith(0)
    old.stopFeeding()
    const left = seconds()
    const next = start(index, 2)
    lives.push(next)
    now[index] = next
    await untilReady(next.process)
    const role = wasSequencer ? ', the sequencer' : ''
    story.push(`${old.name}${role}: SIGTERM, exit 0 after ${left} s; ${next.name} ready after ${seconds()} s`)
    next.feed()
    await Promise.all(now.map((life) => life.hasSent(BETWEEN)))
  }

  for (const life of now) life.stopFeeding()
  await Promise.all(now.map((life) => life.allEnded()))
  await allDelivered(now)

  // Nobody was accused, and nothing was rebuilt.
  for (const { process } of now) {
    expect(await metric(process, 'amoebacast_resets_total')).toBe(0)
    expect(await metric(process, 'amoebacast_suspicions_total')).toBe(0)
    expect(await metric(process, 'amoebacast_view_members')).toBe(NODES)
  }
  for (const { process } of lives) {
    expect(process.events.filter((event) => isReset(event) || event.event === 'suspect')).toEqual([])
    expect(process.events[0]).toMatchObject({ incarnation: lives[0]!.incarnation })
  }

  // Nobody's deliveries have a gap.
  for (const { process, deliveries, name } of lives) {
    const seqs = deliveries.map(({ seq }) => Number(seq))
    const first = seqs[0]!
    // (`ready` names the newest view, which may have come behind the own join already)
    expect(first).toBeLessThanOrEqual(Number(process.events[0]!.seq) + 1)
    expect([name, seqs]).toEqual([name, seqs.map((_, i) => first + i)])
  }
  const order = commonOrder(lives)
  checkPlaces(lives, order)
  for (const life of lives) {
    expect([life.name, life.ended('unknown'), life.ended('refused')]).toEqual([life.name, 0, 0])
    expect(life.ended('sent')).toBeGreaterThanOrEqual(BETWEEN)
  }
  const messages = [...order.values()].filter(isMessage)
  const verdict = `${NODES} restarts, ${messages.length} messages from ${lives.length} lives in one order, no reset`
  console.log([`${transport}, resilience ${resilience}`, ...story, verdict].join('\n'))
  for (const { process } of now) process.kill('SIGTERM')
  for (const { process } of now) await process.exitsWith(0)
})
