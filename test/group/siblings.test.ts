/**
 * Several members in each of a few processes, in all that they may be made with: whoever receives late, and keeps what it has
 * received, has it as it was sent. Members of one process share the buffers of their packets, and buffers are used again.
 */
import { expect, test } from 'vitest'
import type { Group, Kernel, KernelOptions } from '../../group/index.ts'
import { createTestNetwork, type TestNetwork } from '../../group/testing.ts'
import { drawKey } from '../../kernel/node/secure/group-key.ts'
import { Prng } from '../../kernel/prng.ts'

const SEEDS = 48
const MESSAGES = 12

/** What the message `count` of a member is: its length and each of its bytes follow from both. */
function bodyOf(member: number, count: number, size: number): Uint8Array {
  const body = new Uint8Array(size)
  for (let i = 0; i < size; i++) body[i] = (member * 31 + count * 7 + i) & 255
  return body
}

function isAsSent(body: Uint8Array, member: number, count: number, size: number): boolean {
  return body.length === size && body.every((byte, i) => byte === ((member * 31 + count * 7 + i) & 255))
}

type Pick = <T>(...of: readonly T[]) => T

function pickBy(seed: number): Pick {
  const prng = new Prng(seed)
  return (...of) => of[prng.u32() % of.length]!
}

/** What all kernels are started with. */
function optionsBy(pick: Pick): KernelOptions {
  return {
    transport: pick<'unicast' | 'multicast'>('unicast', 'multicast'),
    method: pick<'auto' | 'pb' | 'bb'>('auto', 'pb', 'bb'),
    packetSize: pick(1400, 8192, 60_000),
    ...(pick(true, false) && { key: drawKey() }),
  }
}

async function threeKernels(network: TestNetwork, common: KernelOptions): Promise<Kernel[]> {
  const peers = ['10.0.0.1:7000', '10.0.0.2:7000', '10.0.0.3:7000']
  const kernels: Kernel[] = []
  for (const _ of peers) kernels.push(await network.startKernel({ ...common, peers }))
  return kernels
}

async function run(seed: number): Promise<string[]> {
  const pick = pickBy(seed)
  const network = createTestNetwork({
    seed,
    loss: pick(0, 0, 0.05),
    duplication: pick(0, 0.1),
    delayMs: { min: 0.05, max: pick(0.05, 2) },
  })
  const common = optionsBy(pick)
  const size = pick(100, 3000, 10_000, 20_000)
  const resilience = pick(0, 0, 1)
  const settings = { codec: 'binary', resilience } as const
  const groups: Group<Uint8Array>[] = []
  const kernels = await threeKernels(network, common)
  const [first, second, third] = kernels as [Kernel, Kernel, Kernel]
  groups.push(await network.run(first.createGroup<Uint8Array>('orders', settings)))
  for (const kernel of [second, pick(first, second), pick(first, third), third].slice(0, pick(2, 3, 4)))
    groups.push(await network.run(kernel.joinGroup<Uint8Array>('orders', { codec: 'binary' })))
  const sending = groups.map(async (group) => {
    for (let count = 0; count < MESSAGES; count += 4)
      await group.sendMany([0, 1, 2, 3].map((i) => bodyOf(group.memberId, count + i, size)))
  })
  await network.run(Promise.all(sending))
  await network.advance(50)
  const wrong: string[] = []
  const orders: string[] = []
  for (const group of groups) {
    const kept: { sender: number; body: Uint8Array }[] = []
    while (kept.length < MESSAGES * groups.length) {
      for (const { kind, sender, body } of await network.run(group.receiveBatch()))
        if (kind === 'message') kept.push({ sender, body: body! })
    }
    const counts = new Map<number, number>()
    for (const { sender, body } of kept) {
      const count = counts.get(sender) ?? 0
      counts.set(sender, count + 1)
      if (!isAsSent(body, sender, count, size))
        wrong.push(`seed ${seed}: message ${count} of ${sender} at ${group.memberId}`)
    }
    orders.push(kept.map(({ sender }) => sender).join(' '))
  }
  expect(new Set(orders).size).toBe(1)
  await network[Symbol.asyncDispose]()
  return wrong
}

test(`${SEEDS} seeds from 1`, { timeout: 120_000 }, async () => {
  const wrong: string[] = []
  for (let seed = 1; seed <= SEEDS; seed++) {
    try {
      wrong.push(...(await run(seed)))
    } catch (cause) {
      throw new Error(`seed ${seed}`, { cause })
    }
  }
  expect(wrong).toEqual([])
})

/** What each sends before and after. */
const FIRST = [0, 1, 2, 3, 4, 5]
const LATER = [100, 101, 102, 103, 104, 105]

/** The third process dies, or is cut off for good, while all send; the members of the others, several in each, go on. */
async function runWithout(seed: number): Promise<void> {
  const pick = pickBy(seed)
  const network = createTestNetwork({ seed, loss: pick(0, 0.03), delayMs: { min: 0.05, max: pick(0.05, 2) } })
  const common = optionsBy(pick)
  const size = pick(100, 3000, 20_000)
  const kernels = await threeKernels(network, common)
  // whose process holds the sequencer
  const first = pick(0, 1, 2)
  const places = [first, ...[0, 0, 1, 1, 2].slice(0, pick(3, 4, 5))]
  const settings = { codec: 'binary', resilience: pick(0, 1), minMembers: 1 } as const
  const groups: Group<Uint8Array>[] = [
    await network.run(kernels[first]!.createGroup<Uint8Array>('orders', settings)),
  ]
  for (const place of places.slice(1))
    groups.push(await network.run(kernels[place]!.joinGroup<Uint8Array>('orders', { codec: 'binary' })))
  const staying = groups.filter((_, i) => places[i] !== 2)
  const leaving = groups.filter((_, i) => places[i] === 2)
  const sendAll = (group: Group<Uint8Array>, counts: readonly number[]): Promise<number[]> =>
    group.sendMany(counts.map((count) => bodyOf(group.memberId, count, size)))
  for (const group of leaving) sendAll(group, FIRST).catch(() => {})
  const sending = staying.map((group) => sendAll(group, FIRST))
  await network.advance(pick(0, 0.2, 1, 3))
  if (pick(true, false)) await network.crash(kernels[2]!)
  else network.partition(kernels.slice(0, 2), kernels.slice(2))
  // of what was on its way nobody may know; what is sent later is ordered
  await network.run(Promise.allSettled(sending))
  const seqs = (await network.run(Promise.all(staying.map((group) => sendAll(group, LATER))))).flat()
  const last = Math.max(...seqs)
  const orders: { readonly seq: number; readonly line: string }[][] = []
  for (const group of staying) {
    const order: { readonly seq: number; readonly line: string }[] = []
    const counts = new Map<number, number>()
    for (let seq = 0; seq < last; ) {
      for (const delivery of await network.run(group.receiveBatch())) {
        seq = delivery.seq
        const { kind, sender, body } = delivery
        if (kind !== 'message') {
          order.push({ seq, line: `${seq} ${kind}` })
          continue
        }
        const before = counts.get(sender) ?? -1
        const count = [...FIRST, ...LATER].find((one) => one > before && isAsSent(body!, sender, one, size))
        if (count === undefined)
          throw new Error(`behind ${before} of ${sender} at ${group.memberId}: not as sent`)
        counts.set(sender, count)
        order.push({ seq, line: `${seq} ${sender} ${count}` })
      }
    }
    for (const { memberId } of staying) expect(counts.get(memberId)).toBe(LATER.at(-1))
    orders.push(order)
  }
  // who joined later did not see the first places
  const from = Math.max(...orders.map((order) => order[0]!.seq))
  const texts = orders.map((order) =>
    order.filter(({ seq }) => seq >= from && seq <= last).map(({ line }) => line),
  )
  for (const text of texts) expect(text).toEqual(texts[0])
  if (first === 2) expect(texts[0]!.some((line) => line.endsWith(' reset'))).toBe(true)
  await network[Symbol.asyncDispose]()
}

test(`${SEEDS} seeds from 1, in which a process dies or is cut off`, { timeout: 120_000 }, async () => {
  for (let seed = 1; seed <= SEEDS; seed++) {
    try {
      await runWithout(seed)
    } catch (cause) {
      throw new Error(`seed ${seed}: ${cause}`, { cause })
    }
  }
})
