/** Groups found by DNS names: kernels over UDP on loopback, and a DNS server that the test speaks through. */
import { createSocket, type Socket } from 'node:dgram'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { Kernel, KernelOptions } from '../../group/index.ts'
import { checkKernelOptions } from '../../group/options.ts'
import { createTestNetwork } from '../../group/testing.ts'
import { PacketKind, readHeader } from '../../kernel/packet.ts'
import { DnsServer } from '../support/dns.ts'
import { Kernels, uniquePort } from '../support/kernels.ts'

/** Longer than any test may take: what waits for it to pass fails. */
const FOR_EVER_MS = 600_000

let dns: DnsServer
const kernels = new Kernels()
const unhandled: unknown[] = []
const note = (reason: unknown): number => unhandled.push(reason)

beforeEach(async () => {
  dns = await DnsServer.start()
  process.on('unhandledRejection', note)
})
afterEach(async () => {
  await kernels.closeAll()
  await dns[Symbol.asyncDispose]()
  await new Promise((resolve) => setImmediate(resolve))
  process.off('unhandledRejection', note)
  expect(unhandled).toEqual([])
})

function start(options: KernelOptions): Promise<Kernel> {
  return kernels.start({
    transport: 'unicast',
    dnsServers: [dns.address],
    dnsWaitMs: FOR_EVER_MS,
    ...options,
  })
}

const portOf = ({ address }: Kernel): number => Number(address.split(':').at(-1))

/** Two kernels on 127.0.0.2 and 127.0.0.1 with the same UDP port, as the pods behind one name have. */
async function startBoth(options: KernelOptions = {}): Promise<[Kernel, Kernel]> {
  for (let tries = 0; ; tries++) {
    const one = await start({ interface: '127.0.0.2', ...options })
    try {
      const both = { udpPort: portOf(one), peers: ['members.test'], interface: '127.0.0.1', ...options }
      return [one, await start(both)]
    } catch (error) {
      // Somebody else has the port on 127.0.0.1.
      if (tries === 3) throw error
    }
  }
}

describe('options', () => {
  test('literals and names, mixed; a port may be left out where udpPort is set', () => {
    const peers = ['10.0.0.1:7788', 'amoebacast.svc:7788', 'name-without-port']
    expect(checkKernelOptions({ peers, udpPort: 7788 }).peers).toEqual(peers)
    expect(() => checkKernelOptions({ peers })).toThrow(
      /"name-without-port"; it must be given with a port, such as name-without-port:7788, .*udpPort/,
    )
    expect(() => checkKernelOptions({ peers: ['[::1]:5'] })).toThrow(/IPv4/)
  })

  test('DNS servers and the wait are checked', () => {
    expect(checkKernelOptions({})).toMatchObject({ dnsServers: [], dnsWaitMs: 10_000 })
    expect(checkKernelOptions({ dnsServers: '127.0.0.1:53' }).dnsServers).toEqual(['127.0.0.1:53'])
    expect(() => checkKernelOptions({ dnsServers: ['dns.example'] })).toThrow(/dnsServers/)
    expect(() => checkKernelOptions({ dnsWaitMs: -1 })).toThrow(/dnsWaitMs/)
  })
})

describe('a DNS name alone', () => {
  test('that answers late is enough to join by, over unicast', async () => {
    const port = uniquePort('peers')
    const [one, two] = await startBoth()
    const first = await one.createGroup<string>(port)
    const joining = two.joinGroup<string>(port)
    // No such name, again and again, for longer than a join without names looks for a group.
    await dns.waitForQuestions('members.test', 6)
    dns.say('members.test', ['127.0.0.1', 'fd00::1', '127.0.0.2'])
    const second = await joining
    const seq = await second.sendToGroup('hello')
    expect(await second.receiveFromGroup()).toMatchObject({ seq, body: 'hello' })
    expect(first.view.members.map(({ address }) => address)).toEqual([one.address, two.address])
    const page = await two.registry.metrics()
    expect(page).toMatch(/^amoebacast_peer_lookup_failures_total\{name="members.test"\} [3-9]$/m)
  })

  test('makes one group of those that join or create at the same moment', async () => {
    const port = uniquePort('peers')
    const both = await startBoth()
    await both[0].close()
    const udpPort = portOf(both[1])
    const again = await start({ interface: '127.0.0.2', udpPort, peers: 'members.test' })
    const opening = [again, both[1]].map((kernel) => kernel.joinOrCreateGroup(port))
    await dns.waitForQuestions('members.test', 6)
    dns.say('members.test', ['127.0.0.1', '127.0.0.2'])
    const groups = await Promise.all(opening)
    expect(new Set(groups.map(({ view }) => view.groupId)).size).toBe(1)
  })

  test('that points at nobody else is an answer: the first one creates at once', async () => {
    dns.say('members.test', ['127.0.0.1'])
    const [, two] = await startBoth()
    const group = await two.joinOrCreateGroup(uniquePort('peers'))
    expect(group.isSequencer).toBe(true)
  })

  test('is asked again while a group is looked for: who comes later is found', async () => {
    const socket: Socket = createSocket('udp4')
    try {
      const asked = new Promise<number>((resolve) => {
        socket.on('message', (packet) => {
          const header = readHeader(packet)
          if (typeof header !== 'string') resolve(header.kind)
        })
      })
      await new Promise<void>((done) => socket.bind(0, '127.0.0.3', done))
      dns.say('members.test', ['127.0.0.4'])
      const kernel = await start({ peers: `members.test:${socket.address().port}` })
      const stop = new AbortController()
      const opening = kernel.joinOrCreateGroup(uniquePort('peers'), { minStarters: 3, signal: stop.signal })
      await dns.waitForQuestions('members.test')
      dns.say('members.test', ['127.0.0.3', '127.0.0.4'])
      expect(await asked).toBe(PacketKind.locate)
      stop.abort()
      await expect(opening).rejects.toMatchObject({ code: 'ERR_ABORTED' })
    } finally {
      socket.close()
    }
  })

  test('is enough to inspect by', async () => {
    const port = uniquePort('peers')
    const [one, two] = await startBoth()
    await one.createGroup(port)
    const inspecting = two.inspectGroup(port)
    await dns.waitForQuestions('members.test', 6)
    dns.say('members.test', ['127.0.0.2'])
    expect((await inspecting).view.members).toHaveLength(1)
  })
})

describe('a name that does not resolve', () => {
  test('is named by the join that fails', async () => {
    dns.say('lonely.test', ['127.0.0.1'])
    dns.say('empty.test', [])
    const kernel = await start({
      peers: ['nowhere.test:1', 'lonely.test:9', 'empty.test:1'],
      dnsWaitMs: 300,
    })
    const before = performance.now()
    await expect(kernel.joinGroup(uniquePort('peers'))).rejects.toMatchObject({
      code: 'ERR_GROUP_NOT_FOUND',
      message: expect.stringMatching(
        /no group answered.*did not resolve: nowhere\.test \(ENOTFOUND\), empty\.test \(ENODATA\)$/,
      ),
    })
    expect(performance.now() - before).toBeGreaterThan(299)
    await expect(kernel.inspectGroup(uniquePort('peers'))).rejects.toMatchObject({
      code: 'ERR_GROUP_NOT_FOUND',
      message: expect.stringContaining('nowhere.test (ENOTFOUND)'),
    })
    // Who creates goes on without it.
    expect((await kernel.createGroup(uniquePort('peers'))).isSequencer).toBe(true)
  })

  test('holds nobody up who is found by an address beside it', async () => {
    const port = uniquePort('peers')
    const one = await start({})
    await one.createGroup(port)
    const two = await start({ peers: [one.address, 'nowhere.test:1'] })
    expect((await two.joinGroup(port)).view.members).toHaveLength(2)
    expect((await two.inspectGroup(port)).view.members).toHaveLength(2)
    await expect(two.createGroup(port)).rejects.toMatchObject({ code: 'ERR_GROUP_EXISTS' })
  })

  test('holds nobody up who is found by another name', async () => {
    const port = uniquePort('peers')
    const [one, two] = await startBoth()
    await one.createGroup(port)
    await two.close()
    const three = await start({ udpPort: portOf(one), peers: 'nowhere.test,members.test' })
    const joining = three.joinGroup(port)
    await dns.waitForQuestions('members.test', 4)
    dns.say('members.test', ['127.0.0.2'])
    expect((await joining).view.members).toHaveLength(2)
  })

  test('does not outlive the kernel, or the caller', async () => {
    dns.ignore('silent.test')
    const kernel = await start({ peers: 'silent.test:1,nowhere.test:1' })
    const stop = new AbortController()
    const given = kernel.joinGroup(uniquePort('peers'), { signal: stop.signal })
    const asked = kernel.inspectGroup(uniquePort('peers'), { signal: stop.signal })
    const joining = kernel.joinOrCreateGroup(uniquePort('peers'))
    const inspecting = kernel.inspectGroup(uniquePort('peers'))
    await dns.waitForQuestions('nowhere.test')
    stop.abort()
    await expect(given).rejects.toMatchObject({ code: 'ERR_ABORTED' })
    await expect(asked).rejects.toMatchObject({ code: 'ERR_ABORTED' })
    await kernel.close()
    await expect(joining).rejects.toMatchObject({ code: 'ERR_GROUP_CLOSED' })
    await expect(inspecting).rejects.toMatchObject({ code: 'ERR_GROUP_CLOSED' })
  })
})

test('the test network knows no DNS, and nobody waits for it', async () => {
  await using network = createTestNetwork()
  const kernel = await network.startKernel({ peers: ['10.0.0.1:7000', 'nowhere.test:1'] })
  expect((await network.run(kernel.createGroup('orders'))).isSequencer).toBe(true)
})
