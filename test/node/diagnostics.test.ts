/** The diagnostics channels: their messages, in a group on the network in memory, and that they cost nothing unheard. */
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { afterEach, expect, test, vi } from 'vitest'
import type { Group } from '../../group/index.ts'
import { createTestNetwork } from '../../group/testing.ts'
import {
  channels,
  DELIVERY_CHANNEL,
  type DeliveryMessage,
  RESET_CHANNEL,
  type ResetMessage,
  SEND_CHANNEL,
  type SendMessage,
  TRACE_CHANNEL,
  VIEW_CHANNEL,
  type ViewMessage,
} from '../../kernel/node/diagnostics.ts'
import { Reporter } from '../../kernel/node/reporter.ts'

const unsubscribes: (() => void)[] = []

afterEach(() => {
  for (const unsubscribeOne of unsubscribes.splice(0)) unsubscribeOne()
  vi.restoreAllMocks()
})

function listen<T>(name: string): T[] {
  const heard: T[] = []
  const listener = (message: unknown): void => {
    heard.push(message as T)
  }
  subscribe(name, listener)
  unsubscribes.push(() => unsubscribe(name, listener))
  return heard
}

const options = { recovery: 'auto', codec: 'binary' } as const

async function pair() {
  const network = createTestNetwork({ seed: 3 })
  const [a, b] = [await network.startKernel({ name: 'a' }), await network.startKernel({ name: 'b' })]
  const first = await network.run(a.createGroup('orders', { ...options, minMembers: 1 }))
  const second = await network.run(b.joinGroup('orders', options))
  return { network, a, b, first, second }
}

/** The messages of one membership. */
function of<T extends { memberId: number }>(messages: T[], group: Group<never>): T[] {
  return messages.filter(({ memberId }) => memberId === group.memberId)
}

test('a send is called, then ordered under the same token; a delivery has its place and its bytes', async () => {
  const sends = listen<SendMessage>(SEND_CHANNEL)
  const deliveries = listen<DeliveryMessage>(DELIVERY_CHANNEL)
  const { network, first, second } = await pair()
  const header = new Uint8Array([9])
  const seq = await network.run(second.sendToGroup(new Uint8Array([1, 2]), { header }))
  const seqs = await network.run(second.sendMany([new Uint8Array([3]), new Uint8Array([4])]))
  await network.advance(100)
  const own = of(sends, second as Group<never>)
  expect(own).toMatchObject([
    { state: 'called', token: 1, header, bodies: [new Uint8Array([1, 2])], group: 'orders', memberId: 2 },
    { state: 'ordered', token: 1, count: 1, seq },
    { state: 'called', token: 2, bodies: [new Uint8Array([3]), new Uint8Array([4])] },
    { state: 'ordered', token: 2, count: 2, seq: seqs[0] },
  ])
  expect(own.every(({ at }, i) => i === 0 || at >= own[i - 1]!.at)).toBe(true)
  for (const group of [first, second]) {
    const heard = of(deliveries, group as Group<never>)
    expect(heard.map(({ seq: place, sender, body }) => [place, sender, [...body]])).toEqual([
      [seq, 2, [1, 2]],
      [seqs[0], 2, [3]],
      [seqs[1], 2, [4]],
    ])
    expect([...heard[0]!.header]).toEqual([9])
  }
  await network[Symbol.asyncDispose]()
})

test('a send that fails says how', async () => {
  const sends = listen<SendMessage>(SEND_CHANNEL)
  const { network, a, second } = await pair()
  await network.crash(a)
  const controller = new AbortController()
  const sending = second.sendToGroup(new Uint8Array(1), { signal: controller.signal })
  sending.catch(() => {})
  controller.abort()
  await expect(network.run(sending)).rejects.toMatchObject({ code: 'ERR_ABORTED' })
  expect(of(sends, second as Group<never>)).toMatchObject([
    { state: 'called', token: 1 },
    { state: 'failed', token: 1, code: 'ERR_ABORTED', outcome: expect.stringMatching(/refused|unknown/) },
  ])
  await network[Symbol.asyncDispose]()
})

test('views and the turns of a reset', async () => {
  const views = listen<ViewMessage>(VIEW_CHANNEL)
  const resets = listen<ResetMessage>(RESET_CHANNEL)
  const { network, a, second } = await pair()
  await network.advance(500)
  expect(resets).toEqual([])
  await network.crash(a)
  await network.run(second.sendToGroup(new Uint8Array(1)))
  const own = of(views, second as Group<never>)
  expect(own.map(({ cause, member, view }) => [cause, member, view.members.map(({ name }) => name)])).toEqual(
    [
      ['entered', 2, ['a', 'b']],
      ['reset', 2, ['b']],
    ],
  )
  expect(own[1]!.view).toMatchObject({
    sequencer: 2,
    coordinator: 2,
    groupId: expect.stringMatching(/^[0-9a-f]{16}$/),
  })
  expect(resets.map(({ phase }) => phase)).toEqual(['inviting', 'collecting', 'proposing', 'done'])
  for (const { group, memberId, micros } of resets) {
    expect([group, memberId]).toEqual(['orders', 2])
    expect(micros).toBeGreaterThanOrEqual(0)
  }
  expect(resets.at(-1)!.micros).toBeGreaterThan(0)
  await network[Symbol.asyncDispose]()
})

test('without listeners nothing is made and nothing published', async () => {
  const made = vi.spyOn(Reporter.prototype as unknown as { about(): object }, 'about')
  const published = Object.values(channels).map((channel) => vi.spyOn(channel, 'publish'))
  const scenario = async (): Promise<void> => {
    const { network, a, second } = await pair()
    await network.run(second.sendToGroup(new Uint8Array(1)))
    await network.run(second.sendMany([new Uint8Array(1), new Uint8Array(2)]))
    await network.crash(a)
    await network.run(second.sendToGroup(new Uint8Array(1)))
    await network[Symbol.asyncDispose]()
  }
  await scenario()
  expect(made).not.toHaveBeenCalled()
  for (const publish of published) expect(publish).not.toHaveBeenCalled()

  // The same with listeners: the spies do see what is made.
  for (const name of [SEND_CHANNEL, DELIVERY_CHANNEL, VIEW_CHANNEL, RESET_CHANNEL, TRACE_CHANNEL])
    listen(name)
  await scenario()
  expect(made.mock.calls.length).toBeGreaterThan(10)
})

test('a listener of one channel makes nothing for the others', async () => {
  const views = listen<ViewMessage>(VIEW_CHANNEL)
  const made = vi.spyOn(Reporter.prototype as unknown as { about(): object }, 'about')
  const { network, second } = await pair()
  for (let i = 0; i < 100; i++) await network.run(second.sendToGroup(new Uint8Array(1)))
  expect(made).toHaveBeenCalledTimes(views.length)
  await network[Symbol.asyncDispose]()
})
