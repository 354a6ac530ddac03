/**
 * Crashes, partitions and pauses of real processes on hosts of their own, with lines flowing from all of them; with
 * and without packets lost. Everything is at r = 2 of five members: two may go at once, and what anybody was told
 * stays true.
 *
 * Where the machine is so busy that a process is kept from running for as long as a suspicion takes, the others may go on
 * without one that lives. That is no fault, if it is told so, and if everything else holds: of what it delivered and was
 * told as well. On a machine that is not, it is.
 */
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { setTimeout as wait } from 'node:timers/promises'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { type JsonEvent, Processes } from '../support/processes.ts'
import { allDelivered, type FedNode, isMessage, isReset, startFedGroup } from './fed-nodes.ts'
import { LossyNetwork, whyNoNamespaces } from './namespaces.ts'
import { freshPort } from './one-order.ts'
import { checkSurvivors } from './survivors.ts'

const NODES = 5
/** Longer than several waits, each of which says what it has waited for in vain. */
const TEST_MS = 180_000
/** This process is woken so late only where others are, too: a quarter of what the default preset takes for a suspicion. */
const BUSY_MS = 60
/** Within this time somebody coordinates a reset. */
const FOUND_MS = 45_000
/** Lines that each survivor sends after a reset before all stop; at most 200 go out in a second. */
const FLOW = 50
/** The same while somebody is away: whoever comes back then has missed much. */
const FLOW_AWAY = 400

const why = await whyNoNamespaces()
if (why !== undefined) console.warn(`skipped: ${why}`)

const processes = new Processes()

const lateness = monitorEventLoopDelay({ resolution: 5 })

beforeEach(() => {
  lateness.reset()
  lateness.enable()
})

afterEach(async () => {
  lateness.disable()
  await processes.endAll()
})

/** Whether the others have gone on without it. */
function isOut({ process }: FedNode): boolean {
  return process.lines.some((line) => line.startsWith('{"event":"expelled"'))
}

/** One that is expelled meanwhile ends, and is waited for no longer. */
async function unlessOut(node: FedNode, waiting: Promise<unknown>): Promise<void> {
  await waiting.catch((error: unknown) => {
    if (!isOut(node)) throw error
  })
}

/** Those that the others have gone on without though nothing was done to them: only a busy machine explains any. */
function leftBehind(nodes: readonly FedNode[]): FedNode[] {
  const out = nodes.filter(isOut)
  if (out.length === 0) return out
  const names = out.map(({ name }) => name).join(', ')
  const lateMs = Math.round(lateness.max / 1e6)
  console.warn(
    `${names} did not answer in time: processes on this machine were woken up to ${lateMs} ms late`,
  )
  expect(lateMs, `${names} expelled, on a machine that is not busy`).toBeGreaterThan(BUSY_MS)
  return out
}

/** Whom this process has promised itself to, by its log: 'itself' if it coordinates, undefined if it is not bound yet. */
function voteOf({ process }: FedNode): number | 'itself' | undefined {
  const [last] = [...process.stderr.matchAll(/^.*"msg":"reset: (?:has voted|invites).*$/gm)].slice(-1)
  if (last === undefined) return undefined
  return last[0].includes('has voted') ? Number(/"coordinator":(\d+)/.exec(last[0])![1]) : 'itself'
}

/** Waits until all of them but one have voted for that one. */
async function coordinatorOf(nodes: readonly FedNode[]): Promise<FedNode> {
  for (const end = performance.now() + FOUND_MS; performance.now() < end; await wait(1)) {
    const one = nodes.find((node) => voteOf(node) === 'itself')
    if (one !== undefined && nodes.every((node) => node === one || voteOf(node) === one.memberId)) return one
  }
  throw nodes[0]!.process.describe('there is nobody for whom all others have voted')
}

/** Waits until each of them has sent so many more lines. */
async function flow(nodes: readonly FedNode[], lines: number): Promise<void> {
  await Promise.all(nodes.map((node) => unlessOut(node, node.hasSent(lines))))
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
      for (const node of survivors) {
        const isNext = (event: Parameters<typeof isMessage>[0]): boolean =>
          isMessage(event) && Number(event.incarnation) > incarnation
        await unlessOut(node, node.process.waitForEvent('a message after the reset', isNext))
      }
      const times = survivors.flatMap((node) => {
        const at = node.firstMessageAbove(incarnation)
        return at === undefined ? [] : [(at - since).toFixed(0)]
      })
      console.info(`${what}, ${lossPercent} % lost: next delivery after ${times.join(', ')} ms`)
      await flow(survivors, lines)
    }

    /**
     * Stops the flow, waits for its end at all who are left, checks everything, and lets them leave in order. `untouched`
     * are those that nothing was done to.
     */
    async function settle(
      all: readonly FedNode[],
      untouched: readonly FedNode[],
      back: FedNode[] = [],
    ): Promise<void> {
      for (const node of all) node.stopFeeding()
      for (const node of [...untouched, ...back]) await unlessOut(node, node.allEnded())
      const late = leftBehind(untouched)
      const survivors = untouched.filter((node) => !late.includes(node))
      const cameBack = late.filter(({ process }) => process.events.some(({ event }) => event === 'rejoined'))
      const present = [...survivors, ...back, ...cameBack]
      await allDelivered(present)
      checkSurvivors(all, survivors)
      for (const { process } of present) process.kill('SIGTERM')
      await Promise.all(present.map(({ process }) => process.exitsWith(0)))
      const ended = late.filter((node) => !cameBack.includes(node))
      await Promise.all(ended.map(({ process }) => process.exitsWith(1)))
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
      const gone = [first, ...rest.filter(isOut)].map(({ memberId }) => memberId)
      for (const { process } of rest.filter((node) => !isOut(node))) {
        const { removed, lossPossible } = process.events.find(isReset)!
        expect(removed).toContain(first.memberId)
        expect(gone).toEqual(expect.arrayContaining(removed as number[]))
        expect(lossPossible).toBe(false)
      }
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

    /**
     * One of those that vote stands still meanwhile: a reset waits for its vote for as long as a suspicion takes (seconds, with
     * 'wan': this very process may be kept waiting, too), and so it
     * is not over before its coordinator is found out and dead.
     */
    test('the coordinator is killed during the reset', { timeout: TEST_MS }, async () => {
      const nodes = await start('coordinator', '--log-level', 'info', '--detection', 'wan')
      const [first, ...rest] = nodes
      const slow = rest.at(-1)!
      slow.process.kill('SIGSTOP')
      first.process.kill('SIGKILL')
      first.stopFeeding()
      const coordinator = await coordinatorOf(rest.filter((node) => node !== slow))
      coordinator.process.kill('SIGKILL')
      slow.process.kill('SIGCONT')
      const at = await killed(coordinator)
      const survivors = rest.filter((node) => node !== coordinator)
      const isNext = ({ event, incarnation }: JsonEvent): boolean =>
        event === 'view' && Number(incarnation) > first.incarnation
      await Promise.all(survivors.map(({ process }) => process.waitForEvent('the next view', isNext)))
      await goOn(`coordinator (member ${coordinator.memberId}) killed`, at, survivors)
      for (const { process } of survivors) {
        // the attempt has come to nothing with its coordinator: they go on in the view of another one, mostly of a later
        // incarnation (the one that was woken may have seen no attempt, and make its own under the same number)
        expect(process.events.find(isNext)!.coordinator).not.toBe(coordinator.memberId)
        const { incarnation, removed } = process.events.find(isReset)!
        expect(Number(incarnation)).toBeGreaterThan(first.incarnation)
        expect(removed).toEqual([first.memberId, coordinator.memberId])
      }
      await settle(nodes, survivors)
    })

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
