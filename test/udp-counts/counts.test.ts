/** The packet counts of design section 4.2 over real UDP on loopback, from `amoebacast_packets_total`. */
import { afterEach, describe, expect, test } from 'vitest'
import type { Group, GroupOptions, KernelOptions } from '../../group/index.ts'
import { Kernels, uniquePort } from '../support/kernels.ts'

const kernels = new Kernels()

/** On a busy machine an answer may take longer than the usual floor, and the repetition would be counted, too. */
const patient = { initialRttMs: 100, minRtoMs: 100 }

afterEach(() => kernels.closeAll())

async function open(
  size: number,
  options: KernelOptions,
  parameters: GroupOptions<Uint8Array> = {},
): Promise<Group<Uint8Array>[]> {
  const port = uniquePort('counts')
  const groups: Group<Uint8Array>[] = []
  for (let i = 0; i < size; i++) {
    const peers = options.transport === 'unicast' && i > 0 ? [kernels.all[0]!.address] : []
    const kernel = await kernels.start({ peers, detection: patient, ...options })
    const binary = { codec: 'binary', ...parameters } as const
    groups.push(
      i === 0 ? await kernel.createGroup(port, binary) : await kernel.joinGroup(port, { codec: 'binary' }),
    )
  }
  return groups
}

type Counts = Record<string, number>

/** All packets that have left all kernels, by type. */
async function packets(): Promise<Counts> {
  const counts: Counts = {}
  for (const { registry } of kernels.all) {
    const metric = await registry.getSingleMetric('amoebacast_packets_total')!.get()
    for (const { labels, value } of metric.values) {
      if (labels.direction === 'out') counts[String(labels.type)] = (counts[String(labels.type)] ?? 0) + value
    }
  }
  return counts
}

function since(before: Counts, after: Counts): Counts {
  const rose = Object.entries(after).filter(([type, count]) => count > (before[type] ?? 0))
  return Object.fromEntries(rose.map(([type, count]) => [type, count - (before[type] ?? 0)]))
}

function total(counts: Counts): number {
  return Object.values(counts).reduce((sum, count) => sum + count, 0)
}

const turn = () => new Promise<void>((resolve) => setTimeout(resolve, 1))

/** How long a group is silent between two heartbeats, at least, once it has been idle for a while. */
const SILENCE_MS = 150

/** Right after a heartbeat of a group that has sent nothing else for as long as heartbeats are apart. */
async function quietMoment(): Promise<Counts> {
  for (;;) {
    const began = performance.now()
    const before = await packets()
    let after = before
    while (total(since(before, after)) === 0) {
      await turn()
      after = await packets()
    }
    const news = since(before, after)
    const isHeartbeat = Object.keys(news).length === 1 && (news.order ?? 0) <= kernels.all.length - 1
    if (isHeartbeat && performance.now() - began >= SILENCE_MS) return packets()
  }
}

/** Packets from the call to the return of one send; again if this process was held up for long meanwhile. */
async function loneSend(group: Group<Uint8Array>): Promise<Counts> {
  for (;;) {
    const before = await quietMoment()
    const began = performance.now()
    await group.sendToGroup(new Uint8Array(100))
    const after = await packets()
    if (performance.now() - began < 10) return since(before, after)
  }
}

function keepReceiving(groups: readonly Group<Uint8Array>[]): void {
  for (const group of groups) {
    void (async () => {
      for await (const _ of group);
    })()
  }
}

describe('a lone message, from call to return', () => {
  test.each([
    [2, 0, 'pb'],
    [3, 0, 'pb'],
    [3, 0, 'bb'],
    [3, 1, 'pb'],
    [3, 2, 'pb'],
    [5, 2, 'bb'],
  ] as const)('n = %i, r = %i, %s', async (n, r, method) => {
    const groups = await open(n, { method }, { resilience: r })
    keepReceiving(groups)
    const first = method === 'pb' ? { request: 1 } : { data: 1 }
    const expected = r === 0 ? { ...first, order: 1 } : { ...first, order: 2, state: r }
    expect(await loneSend(groups.at(-1)!)).toEqual(expected)
  })

  test('copied to each where there is no multicast', async () => {
    const groups = await open(3, { transport: 'unicast', method: 'pb' })
    keepReceiving(groups)
    expect(await loneSend(groups[2]!)).toEqual({ request: 1, order: 2 })
  })
})

test('an idle group: at most five heartbeats a second, and a probe of each member every two seconds', async () => {
  const groups = await open(3, {})
  keepReceiving(groups)
  const before = await quietMoment()
  const began = performance.now()
  for (let beats = 0; beats < 10; ) {
    await turn()
    beats = since(before, await packets()).order ?? 0
  }
  const { order = 0, probe = 0, probeAnswer = 0, ...others } = since(before, await packets())
  const seconds = (performance.now() - began) / 1000
  expect(others).toEqual({})
  expect(order / seconds).toBeLessThanOrEqual(5.5)
  // the sequencer watches its two members
  expect(probe).toBeLessThanOrEqual(2 * Math.ceil(seconds / 2))
  expect(probeAnswer).toBeLessThanOrEqual(probe)
})

test.each(['pb', 'bb', 'auto'] as const)(
  'a steady stream of 100-byte messages from all of three members, 8-kB packets, %s: less than 0.05 packets a message',
  async (method) => {
    const each = 20_000
    const groups = await open(3, { packetSize: 8192, method })
    const receiving = groups.map(async (group) => {
      let received = 0
      while (received < 3 * each) {
        for (const { kind } of await group.receiveBatch()) if (kind === 'message') received++
      }
    })
    const before = await packets()
    const sending = groups.map(async (group) => {
      const body = new Uint8Array(100)
      let next = 0
      const one = async () => {
        while (next++ < each) await group.sendToGroup(body)
      }
      await Promise.all(Array.from({ length: 1000 }, one))
    })
    await Promise.all([...receiving, ...sending])
    expect(total(since(before, await packets())) / (3 * each)).toBeLessThan(0.05)
  },
)
