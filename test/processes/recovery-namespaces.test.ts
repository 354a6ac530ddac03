/**
 * Crashes, partitions and pauses of real processes on hosts of their own, with lines flowing from all of them; with
 * and without packets lost. Everything is at r = 2 of five members: two may go at once, and what anybody was told
 * stays true.
 */
import { setTimeout as wait } from 'node:timers/promises'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { Processes } from '../support/processes.ts'
import { type FedNode, isMessage, isReset, startFedGroup } from './fed-nodes.ts'
import { LossyNetwork, whyNoNamespaces } from './namespaces.ts'
import { freshPort } from './one-order.ts'
import { checkSurvivors } from './survivors.ts'

const NODES = 5
const TEST_MS = 40_000
/** Lines that each survivor sends after a reset before all stop; at most 200 go out in a second. */
const FLOW = 50
/** The same while somebody is away: whoever comes back then has missed much. */
const FLOW_AWAY = 400

const why = await whyNoNamespaces()
if (why !== undefined) console.warn(`skipped: ${why}`)

const processes = new Processes()

afterEach(() => processes.endAll())

/** Waits until each of them has sent so many more lines. */
async function flow(nodes: readonly FedNode[], lines: number): Promise<void> {
  await Promise.all(nodes.map((node) => node.hasSent(lines)))
}

type Nodes = [FedNode, FedNode, FedNode, FedNode, FedNode]

const losses = [{ lossPercent: 0 }, { lossPercent: 10 }]
describe.skipIf(why !== undefined).each(losses)(
  'five hosts, $lossPercent per cent of packets lost',
  ({ lossPercent }) => {
    let network: LossyNetwork

    beforeAll(async () => {
      network = await LossyNetwork.create(NODES, lossPercent)
    })

    afterAll(async () => {
      await processes.endAll()
      for (const host of network.hosts) {
        const { dropped, elsewhere } = await network.counts(host)
        expect(dropped > 0).toBe(lossPercent > 0)
        expect(elsewhere).toBe(0)
      }
      await network.remove()
    })

    async function start(what: string, ...options: string[]): Promise<Nodes> {
      const places = network.hosts.map(({ prefix, address }) => ({
        prefix,
        options: ['--interface', address],
      }))
      const common = ['--stay', '--resilience', '2', ...options]
      return (await startFedGroup(processes, freshPort(what), places, common)) as Nodes
    }

    /** Waits until each survivor has its next message, and prints how long that took; then `lines` more of each. */
    async function goOn(
      what: string,
      since: number,
      survivors: readonly FedNode[],
      lines = FLOW,
    ): Promise<void> {
      const { incarnation } = survivors[0]!
      for (const { process } of survivors) {
        const isNext = (event: Parameters<typeof isMessage>[0]): boolean =>
          isMessage(event) && Number(event.incarnation) > incarnation
        await process.waitForEvent('a message after the reset', isNext)
      }
      const times = survivors.map((node) => (node.firstMessageAbove(incarnation)! - since).toFixed(0))
      console.info(`${what}, ${lossPercent} % lost: next delivery after ${times.join(', ')} ms`)
      await flow(survivors, lines)
    }

    /** Stops the flow, waits for its end at all who are left, checks everything, and lets them leave in order. */
    async function settle(
      all: readonly FedNode[],
      survivors: readonly FedNode[],
      back: FedNode[] = [],
    ): Promise<void> {
      for (const node of all) node.stopFeeding()
      const present = [...survivors, ...back]
      for (const node of present) await node.allEnded()
      const last = Math.max(
        ...present.flatMap(({ process }) =>
          process.events.map(({ event, seq }) => (event === 'sent' ? Number(seq) : 0)),
        ),
      )
      for (const { process } of present)
        await process.waitForEvent(
          `seq ${last}`,
          ({ event, seq }) => event === 'delivery' && Number(seq) >= last,
        )
      checkSurvivors(all, survivors)
      for (const { process } of present) process.kill('SIGTERM')
      await Promise.all(present.map(({ process }) => process.exitsWith(0)))
    }

    async function killed(...nodes: FedNode[]): Promise<number> {
      const at = performance.now()
      for (const { process } of nodes) process.kill('SIGKILL')
      for (const node of nodes) {
        node.stopFeeding()
        await node.process.exit
      }
      return at
    }

    test('the sequencer is killed', { timeout: TEST_MS }, async () => {
      const nodes = await start('sequencer')
      const [first, ...rest] = nodes
      const at = await killed(first)
      await goOn('sequencer killed', at, rest)
      for (const { process } of rest)
        expect(process.events.find(isReset)).toMatchObject({ removed: [first.memberId], lossPossible: false })
      await settle(nodes, rest)
    })

    test('the sequencer and one that acks are killed at the same moment', { timeout: TEST_MS }, async () => {
      const nodes = await start('two')
      const [first, second, ...rest] = nodes
      const at = await killed(first, second)
      await goOn('sequencer and second killed', at, rest)
      for (const { process } of rest)
        expect(process.events.filter(isReset).every(({ lossPossible }) => lossPossible === false)).toBe(true)
      await settle(nodes, rest)
    })

    /** Milliseconds from one kill to the next; 'suspect': as soon as the next one says that it suspects the sequencer. */
    const delays = lossPercent === 0 ? ([10, 40, 'suspect'] as const) : (['suspect'] as const)
    test.each(delays)(
      'the next lowest id is killed during the reset, after %s',
      { timeout: TEST_MS },
      async (delay) => {
        const nodes = await start('coordinator')
        const [first, second, ...rest] = nodes
        first.process.kill('SIGKILL')
        first.stopFeeding()
        if (delay === 'suspect')
          // it may be invited before it suspects anybody: then it is the reset that it is killed after
          await second.process.waitForEvent(
            'a suspicion, or the reset',
            (event) => event.event === 'suspect' || isReset(event),
          )
        else await wait(delay)
        const at = await killed(second)
        await Promise.all(
          rest.map(({ process }) =>
            process.waitForEvent(
              'a view of three',
              ({ event, members }) => event === 'view' && (members as unknown[]).length === rest.length,
            ),
          ),
        )
        await goOn(`second killed after ${delay}`, at, rest)
        await settle(nodes, rest)
      },
    )

    test('two of five, the sequencer among them, are cut off, and come back', {
      timeout: TEST_MS,
    }, async () => {
      const nodes = await start('partition', '--rejoin')
      const [first, second, ...rest] = nodes
      const cutOff = [first, second]
      const hostsOf = (some: readonly FedNode[]) => some.map(({ index }) => network.hosts[index]!)
      const at = performance.now()
      await network.partition(hostsOf(cutOff), hostsOf(rest))
      await goOn('partition', at, rest, FLOW_AWAY)
      for (const { process } of cutOff)
        expect(process.events.filter(({ event }) => event === 'expelled' || event === 'rejoined')).toEqual([])
      await network.heal()
      const healedAt = performance.now()
      for (const { process, memberId } of cutOff) {
        await process.waitForEvent('expelled', ({ event }) => event === 'expelled')
        const back = await process.waitForEvent('rejoined', ({ event }) => event === 'rejoined')
        expect(Number(back.memberId)).toBeGreaterThan(NODES)
        expect(Number(back.memberId)).not.toBe(memberId)
      }
      console.info(
        `partition, ${lossPercent} % lost: both back ${(performance.now() - healedAt).toFixed(0)} ms after`,
      )
      await flow(cutOff, FLOW)
      await settle(nodes, rest, cutOff)
      for (const { process } of cutOff) expect(process.events.filter(isReset)).toEqual([])
    })

    test('the sequencer stands still, and wakes to find itself expelled', { timeout: TEST_MS }, async () => {
      const nodes = await start('pause')
      const [first, ...rest] = nodes
      const at = performance.now()
      first.process.kill('SIGSTOP')
      await goOn('sequencer stopped', at, rest, FLOW_AWAY)
      first.process.kill('SIGCONT')
      await first.process.exitsWith(1)
      expect(first.process.events).toContainEqual(expect.objectContaining({ event: 'expelled' }))
      expect(first.process.stderr.trimEnd().split('\n').at(-1)).toMatch(/\[ERR_EXPELLED\]$/)
      await settle(nodes, rest)
    })
  },
)
