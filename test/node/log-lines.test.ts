/** What an operator reads when a sequencer is killed, and that messages write no lines. On the network in memory. */
import { pino } from 'pino'
import { expect, test } from 'vitest'
import { createTestNetwork } from '../../group/testing.ts'
import { seal } from '../../kernel/node/checksum.ts'
import { Driver } from '../../kernel/node/driver.ts'
import { Incompatible } from '../../kernel/node/incompatible.ts'
import { startLog } from '../../kernel/node/log.ts'
import { SEAL_MAGIC, SEAL_OVERHEAD, SEAL_VERSION } from '../../kernel/node/secure/envelope.ts'
import { drawKey, parseKeys } from '../../kernel/node/secure/group-key.ts'
import { MAGIC, WIRE_VERSION } from '../../kernel/packet.ts'
import { keyText } from '../../kernel/settings.ts'
import { FakeTransport, packet } from './support.ts'

type Line = Record<string, unknown>

function recorder(level: 'debug' | 'info' | 'warn' = 'info') {
  const lines: Line[] = []
  const logger = startLog(level, { write: (line) => lines.push(JSON.parse(line) as Line) })
  return { lines, logger }
}

const options = { recovery: 'auto', codec: 'binary' } as const

test('a kill of the sequencer is a story of one line for each event', async () => {
  await using network = createTestNetwork({ seed: 7 })
  const records = [recorder(), recorder(), recorder()]
  const kernels = await Promise.all(records.map(({ logger }) => network.startKernel({ logger })))
  const groups = [await network.run(kernels[0]!.createGroup('orders', options))]
  for (const kernel of kernels.slice(1)) groups.push(await network.run(kernel.joinGroup('orders', options)))
  await network.advance(1000)
  const before = records.map(({ lines }) => lines.length)
  await network.crash(kernels[0]!)
  await network.run(groups[1]!.sendToGroup(new Uint8Array(3)))
  await network.advance(1000)

  const stories = records.map(({ lines }, i) => lines.slice(before[i]))
  const messages = stories.map((story) => story.map(({ msg }) => msg))
  // Whoever invites first coordinates; the other follows. Both suspect, and both have the reset.
  const leads = messages.findIndex((story) => story.includes('reset: proposes the new view'))
  expect([1, 2]).toContain(leads)
  const follows = 3 - leads
  expect(messages[leads]).toEqual(
    expect.arrayContaining([
      'a member does not answer',
      'reset: invites the others to vote',
      'reset: has the votes, and fetches what it lacks',
      'reset: proposes the new view',
      'reset: done',
      'a reset',
    ]),
  )
  expect(messages[follows]).toEqual(
    expect.arrayContaining(['reset: has voted', 'reset: takes over the new view', 'reset: done', 'a reset']),
  )
  for (const i of [leads, follows]) {
    const story = stories[i]!
    for (const line of story) expect(line).toMatchObject({ name: 'amoebacast', group: 'orders' })
    const phases = story.filter(({ msg }) => String(msg).startsWith('reset: '))
    const times = phases.map(({ ms }) => Number(ms))
    expect(times).toEqual([...times].sort((a, b) => a - b))
    expect(times[0]).toBe(0)
    expect(story.filter(({ msg }) => msg === 'a reset')).toMatchObject([
      { level: 40, members: 2, removed: [1], lossPossible: true, ms: times.at(-1) },
    ])
    // The story is that of one failure: no line twice.
    expect(new Set(messages[i]).size).toBe(messages[i]!.length)
  }
})

test('an automatic group that is stopped says so once, however often it tries', async () => {
  await using network = createTestNetwork({ seed: 8 })
  const { lines, logger } = recorder('warn')
  const [a, b] = [await network.startKernel(), await network.startKernel({ logger })]
  await network.run(a.createGroup('orders', options))
  const group = await network.run(b.joinGroup('orders', options))
  await network.advance(1000)
  await network.crash(a)
  await network.advance(60_000)
  expect(lines.map(({ msg }) => msg)).toEqual([
    'a member does not answer',
    'reset: too few members answer, and the group stands still',
  ])
  expect(group.getInfoGroup().phase).toBe('recovering')
  await network.run(b.close())
})

test('no line for any number of messages, at any level', async () => {
  await using network = createTestNetwork({ seed: 9 })
  const { lines, logger } = recorder('debug')
  const [a, b] = [await network.startKernel({ logger }), await network.startKernel({ logger })]
  const first = await network.run(a.createGroup('orders', options))
  const second = await network.run(b.joinGroup('orders', options))
  await network.advance(1000)
  const before = lines.length
  expect(before).toBeGreaterThan(0)
  const body = new Uint8Array(100)
  const bodies = Array.from({ length: 500 }, () => body)
  const receiving = network.run(receive(second, 1100))
  await network.run(Promise.all([first.sendMany(bodies), second.sendMany(bodies)]))
  for (let i = 0; i < 100; i++) await network.run(second.sendToGroup(body))
  await receiving
  expect(lines.slice(before)).toEqual([])
})

async function receive(
  group: { receiveFromGroup(): Promise<{ kind: string }> },
  messages: number,
): Promise<void> {
  for (let left = messages; left > 0; ) if ((await group.receiveFromGroup()).kind === 'message') left--
}

test('a source of another wire version is told once, and sources are bounded', () => {
  const { lines, logger } = recorder('warn')
  const incompatible = new Incompatible(logger)
  let now = 0
  const other = new Uint8Array([MAGIC, WIRE_VERSION + 1, 1, 0])
  for (let i = 0; i < 3; i++) incompatible.note('10.0.0.2:7000', other, () => now)
  expect(lines).toMatchObject([
    { level: 40, from: '10.0.0.2:7000', version: WIRE_VERSION + 1, own: WIRE_VERSION },
  ])
  // Not of this protocol at all, too short, or of our version but damaged: nothing to say about versions.
  incompatible.note('10.0.0.3:1', new Uint8Array([1, 2, 3]), () => now)
  incompatible.note('10.0.0.3:2', new Uint8Array([MAGIC]), () => now)
  incompatible.note('10.0.0.3:3', new Uint8Array([MAGIC, WIRE_VERSION, 1]), () => now)
  expect(lines).toHaveLength(1)
  for (let i = 0; i < 1000; i++) incompatible.note(`10.0.1.${i % 250}:${i}`, other, () => now)
  expect(lines).toHaveLength(64)
  now += 24 * 3600 * 1_000_000
  incompatible.note('10.0.0.2:7000', other, () => now)
  expect(lines).toHaveLength(65)
})

test('the driver tells of them, and counts them all', async () => {
  const { lines, logger } = recorder('warn')
  const transport = new FakeTransport()
  const driver = new Driver({ transport, log: logger })
  for (let i = 0; i < 5; i++) {
    const bytes = packet()
    bytes[1] = WIRE_VERSION + 1
    seal(bytes)
    transport.arrive('10.0.0.2:7000', bytes)
  }
  expect(lines).toMatchObject([{ from: '10.0.0.2:7000', version: WIRE_VERSION + 1 }])
  expect(driver.router.counters.rejected.version).toBe(5)
  await driver.close()
})

test('only what looks like an envelope with a packet in it is taken for a sealed packet', async () => {
  const { lines, logger } = recorder('warn')
  const transport = new FakeTransport()
  const driver = new Driver({ transport, log: logger })
  const envelope = new Uint8Array(SEAL_OVERHEAD + packet().length)
  envelope.set([SEAL_MAGIC, SEAL_VERSION])
  const others = [envelope.slice(1), envelope.slice(0, -1), Uint8Array.of(SEAL_MAGIC), envelope.slice()]
  others[3]![3] = 1
  for (const bytes of others) transport.arrive('10.0.0.3:7000', bytes)
  expect(lines).toEqual([])
  for (let i = 0; i < 3; i++) transport.arrive('10.0.0.2:7000', envelope)
  expect(lines).toMatchObject([{ level: 40, from: '10.0.0.2:7000' }])
  for (let i = 0; i < 1000; i++) transport.arrive(`10.0.1.${i % 250}:${i}`, envelope)
  expect(lines).toHaveLength(64)
  expect(driver.router.counters.rejected).toMatchObject({ sealed: 1003, foreign: 4 })
  await driver.close()
})

test('keys and tokens are not written, wherever in a line they are', () => {
  const { lines, logger } = recorder('info')
  logger.info({ key: 'S3CRET', options: { token: 'S3CRET', group: 'orders' } }, 'started')
  logger.child({ kernel: { options: { key: 'S3CRET', httpToken: 'S3CRET' } } }).info('started')
  expect(JSON.stringify(lines)).not.toContain('S3CRET')
  expect(lines[0]).toMatchObject({ key: '[Redacted]', options: { token: '[Redacted]', group: 'orders' } })
})

test('ids of keys are no secrets: the line says which are held', async () => {
  const { lines, logger } = recorder('info')
  await using network = createTestNetwork()
  const [old, fresh] = [drawKey(), drawKey()]
  const kernel = await network.startKernel({ logger, key: old })
  kernel.setKeys([fresh, old])
  const keyIds = [fresh, old].map((key) => keyText(parseKeys('the test', key)[0]!.id))
  expect(lines).toMatchObject([{ level: 30, keyIds, msg: expect.stringContaining('holds these group keys') }])
  for (const secret of [old, fresh]) expect(JSON.stringify(lines)).not.toContain(secret)
})

test('who lacks the key of a group on its port is told within half a minute, once, and so are those who have it', async () => {
  await using network = createTestNetwork()
  const [sealed, open] = [recorder('warn'), recorder('warn')]
  const keyed = await network.startKernel({ logger: sealed.logger, key: drawKey() })
  await network.run(keyed.createGroup('orders'))
  const without = await network.startKernel({ logger: open.logger })
  // nothing tells an idle sealed group from none: this is a second group, and nobody may leave it at that
  await network.run(without.joinOrCreateGroup('orders'))
  expect(sealed.lines).toMatchObject([
    { level: 40, from: without.address, msg: expect.stringContaining('has no group key') },
  ])
  await network.advance(31_000)
  const told = {
    level: 40,
    from: keyed.address,
    msg: expect.stringContaining('sealed with a group key, and this process has none'),
  }
  expect(open.lines).toMatchObject([told])
  await network.advance(90_000)
  expect([sealed.lines.length, open.lines.length]).toEqual([1, 1])
  const page = await without.registry.metrics()
  const [, count] = /^amoebacast_packets_rejected_total\{reason="sealed"\} (\d+)$/m.exec(page)!
  expect(Number(count)).toBeGreaterThan(1)
})

test("a program's own logger gets the same lines, with its own fields", async () => {
  const lines: Line[] = []
  const logger = pino({ base: { app: 'shop' } }, { write: (line) => lines.push(JSON.parse(line) as Line) })
  await using network = createTestNetwork()
  const kernel = await network.startKernel({ logger })
  await network.run(kernel.createGroup('orders'))
  await network.run(kernel.createGroup('stock'))
  expect(lines).toMatchObject([
    { app: 'shop', group: 'orders', msg: 'is a member' },
    { app: 'shop', group: 'stock', msg: 'is a member' },
  ])
})
