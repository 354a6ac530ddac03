/** Refused ports: asked of the real system on loopback, told to machines, and what comes of it in a group. */
import { spawn } from 'node:child_process'
import { createSocket, type Socket } from 'node:dgram'
import { afterEach, expect, test } from 'vitest'
import { type Group, type Kernel, startKernel } from '../../group/index.ts'
import { formatAddress } from '../../kernel/node/addresses.ts'
import { Driver } from '../../kernel/node/driver.ts'
import { Refusals } from '../../kernel/node/refusals.ts'
import { UdpTransport } from '../../kernel/node/udp.ts'
import { freeUdpPort } from '../support/ports.ts'
import { FakeMachine, FakeTransport, packet, poke } from './support.ts'

const opened: { close(): unknown }[] = []

function kept<T extends { close(): unknown }>(one: T): T {
  opened.push(one)
  return one
}

afterEach(async () => {
  for (const each of opened.splice(0)) await each.close()
})

/** Somebody who listens, and what has come. */
async function listener(host: string, port = 0) {
  const socket: Socket = createSocket(host.includes(':') ? 'udp6' : 'udp4')
  const sizes: number[] = []
  const sources: number[] = []
  let wake = (): void => {}
  socket.on('message', (bytes, { port: source }) => {
    sizes.push(bytes.length)
    sources.push(source)
    wake()
  })
  await new Promise<void>((resolve) => socket.bind(port, host, resolve))
  const reach = async (count: number): Promise<void> => {
    while (sizes.length < count) await new Promise<void>((resolve) => (wake = resolve))
  }
  const close = (): Promise<void> => new Promise((resolve) => socket.close(() => resolve()))
  return {
    address: formatAddress(host, socket.address().port),
    port: socket.address().port,
    sizes,
    sources,
    reach,
    close,
  }
}

async function closedAddress(host = '127.0.0.1'): Promise<string> {
  const one = await listener(host)
  await one.close()
  return one.address
}

/** Keeps count of what it is told, and wakes those who wait for it. */
function asker() {
  const told: string[] = []
  let wake = (): void => {}
  const refused = (address: string): void => {
    told.push(address)
    wake()
  }
  const reach = async (count: number): Promise<void> => {
    while (told.length < count) await new Promise<void>((resolve) => (wake = resolve))
  }
  return { told, refused, reach }
}

const loopback = (): Refusals => kept(new Refusals('127.0.0.1', 4))

test.each([
  ['127.0.0.1', 4],
  ['::1', 6],
] as const)(
  'a closed port on %s is told, later and once; a live one gets empty datagrams',
  async (host, family) => {
    const refusals = kept(new Refusals(host, family))
    const live = await listener(host)
    const gone = await closedAddress(host)
    const [aboutLive, aboutGone] = [asker(), asker()]
    refusals.check(live.address, aboutLive.refused)
    refusals.check(gone, aboutGone.refused)
    expect(aboutGone.told).toEqual([])
    await Promise.all([aboutGone.reach(1), live.reach(1)])
    expect(new Set(live.sizes)).toEqual(new Set([0]))
    // One more question to each: what was still on its way of the first has come by then.
    refusals.check(live.address, aboutLive.refused)
    refusals.check(gone, aboutGone.refused)
    await Promise.all([aboutGone.reach(2), live.reach(2)])
    expect(aboutGone.told).toEqual([gone, gone])
    expect(aboutLive.told).toEqual([])
    await live.close()
  },
)

test('a port that closes is told by the socket that found it open, and no more once it is open again', async () => {
  const refusals = loopback()
  const first = await listener('127.0.0.1')
  const { address, port } = first
  const about = asker()
  refusals.check(address, about.refused)
  await first.reach(1)
  await first.close()
  refusals.check(address, about.refused)
  await about.reach(1)
  const second = await listener('127.0.0.1', port)
  refusals.check(address, about.refused)
  await second.reach(1)
  expect(about.told).toEqual([address])
  expect(refusals.size).toBe(1)
  await second.close()
})

test('a port that closes a moment after the question is told without another', async () => {
  const refusals = loopback()
  const dying = await listener('127.0.0.1')
  const about = asker()
  refusals.check(dying.address, about.refused)
  await dying.reach(1)
  await dying.close()
  await about.reach(1)
  expect(about.told).toEqual([dying.address])
})

test('all who ask are told by one question, each once', async () => {
  const refusals = loopback()
  const gone = await closedAddress()
  const [one, two] = [asker(), asker()]
  for (let i = 0; i < 10; i++) {
    refusals.check(gone, one.refused)
    refusals.check(gone, two.refused)
  }
  await Promise.all([one.reach(1), two.reach(1)])
  // Asked too soon after the answer for another datagram: put off, not forgotten.
  refusals.check(gone, two.refused)
  await two.reach(2)
  expect(one.told).toEqual([gone])
  expect(two.told).toEqual([gone, gone])
})

test('one address gets a datagram each two milliseconds at most', async () => {
  const refusals = loopback()
  const live = await listener('127.0.0.1')
  const { refused } = asker()
  const began = performance.now()
  while (live.sizes.length < 5) {
    for (let i = 0; i < 20; i++) refusals.check(live.address, refused)
    await new Promise((resolve) => setImmediate(resolve))
  }
  // Five need four pauses; a timer may be a grain early.
  expect(performance.now() - began).toBeGreaterThanOrEqual(4)
  await live.close()
})

test('sockets are bounded: the one not used for longest makes room, and the others stay', async () => {
  const refusals = loopback()
  const live = await Promise.all(Array.from({ length: 20 }, () => listener('127.0.0.1')))
  const about = asker()
  for (const { address } of live.slice(0, 16)) refusals.check(address, about.refused)
  expect(refusals.size).toBe(16)
  refusals.check(live[0]!.address, about.refused)
  for (const { address } of live.slice(16)) refusals.check(address, about.refused)
  expect(refusals.size).toBe(16)
  await Promise.all(live.map(({ reach }) => reach(1)))
  // The first was used again, so the second was the oldest: only the second needs another socket.
  const socketsOf = async ({ address, sizes, sources, reach }: (typeof live)[0]): Promise<number> => {
    const count = sizes.length
    refusals.check(address, about.refused)
    await reach(count + 1)
    return new Set(sources).size
  }
  expect(await socketsOf(live[0]!)).toBe(1)
  expect(await socketsOf(live[1]!)).toBe(2)
  expect(refusals.size).toBe(16)
  await Promise.all(live.map(({ close }) => close()))
})

test('a socket that nobody uses closes after a while, all of them when the kernel closes', async () => {
  const refusals = loopback()
  const about = asker()
  const gone = await closedAddress()
  const live = await listener('127.0.0.1')
  refusals.check(gone, about.refused)
  refusals.check(live.address, asker().refused)
  await about.reach(1)
  expect(refusals.size).toBe(2)
  const began = performance.now()
  while (refusals.size > 0) await new Promise((resolve) => setTimeout(resolve, 20))
  expect(performance.now() - began).toBeGreaterThan(900)
  // One that does not refuse is asked a few times more, and then left alone.
  expect(live.sizes.length).toBeGreaterThan(0)
  expect(live.sizes.length).toBeLessThanOrEqual(5)
  await live.close()
  refusals.check(gone, about.refused)
  refusals.close()
  expect(refusals.size).toBe(0)
  refusals.check(gone, about.refused)
  expect(refusals.size).toBe(0)
})

test('an answer that is read after a long stall is not told; the next question is', async () => {
  const refusals = loopback()
  const about = asker()
  const gone = await closedAddress()
  refusals.check(gone, about.refused)
  // The process does not turn its loop: the answer waits in the socket.
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1_100)
  while (refusals.size > 0) await new Promise((resolve) => setImmediate(resolve))
  expect(about.told).toEqual([])
  refusals.check(gone, about.refused)
  await about.reach(1)
})

test('an address that leads nowhere says nothing and costs no socket', () => {
  const refusals = loopback()
  const about = asker()
  for (const address of ['', 'nonsense', 'localhost:4000', '127.0.0.1:0', '[::1]:4000'])
    refusals.check(address, about.refused)
  expect(refusals.size).toBe(0)
  expect(about.told).toEqual([])
  // An address that is not of this machine cannot be asked from.
  const elsewhere = kept(new Refusals('192.0.2.1', 4))
  elsewhere.check('127.0.0.1:4000', about.refused)
  expect(elsewhere.size).toBe(0)
})

test('the machine that asked is told, as an input of its own; its siblings are not, and it may ask again there', async () => {
  const driver = kept(
    new Driver({ transport: await UdpTransport.open({ multicastPort: await freeUdpPort() }) }),
  )
  const gone = await closedAddress()
  let isRunning = false
  const curious = new FakeMachine((_now, input, sink) => {
    expect(isRunning).toBe(false)
    isRunning = true
    if (input.kind === 'call' || (input.kind === 'refused' && curious.count('refused') < 3)) sink.check!(gone)
    isRunning = false
  })
  const sibling = new FakeMachine()
  const handle = await driver.attach(curious, { port: 'orders', nonce: 1n })
  await driver.attach(sibling, { port: 'orders', nonce: 2n })
  handle.call(poke)
  expect(curious.count('refused')).toBe(0)
  await curious.until(() => curious.count('refused') === 3)
  expect(curious.inputs.filter(({ kind }) => kind === 'refused')).toEqual(
    Array(3).fill({ kind: 'refused', address: gone }),
  )
  expect(sibling.inputs).toEqual([])
})

test('nobody asks about the own process, nor tells a machine that has been detached', async () => {
  const asked: string[] = []
  let answer = (): void => {}
  class Checking extends FakeTransport {
    check(to: string, refused: (address: string) => void): void {
      asked.push(to)
      answer = () => refused(to)
    }
  }
  const transport = new Checking()
  const driver = kept(new Driver({ transport }))
  const machine = new FakeMachine((_now, input, sink) => {
    if (input.kind !== 'call') return
    sink.check!(transport.address)
    sink.check!('10.0.0.2:2000')
    expect(asked).toEqual([])
  })
  const handle = await driver.attach(machine, { port: 'orders', nonce: 1n })
  handle.call(poke)
  expect(asked).toEqual(['10.0.0.2:2000'])
  answer()
  handle.detach()
  answer()
  expect(machine.count('refused')).toBe(1)
})

test('a kernel that is asked about notices nothing', async () => {
  const transport = await UdpTransport.open({ multicastPort: await freeUdpPort() })
  const driver = kept(new Driver({ transport }))
  const machine = new FakeMachine()
  await driver.attach(machine, { port: 'orders', nonce: 1n })
  const sender = createSocket('udp4')
  const { host, port } = { host: '127.0.0.1', port: Number(transport.address.split(':')[1]) }
  // One that is for nobody follows; it is refused by name, and so shows that the empty ones were read.
  for (let i = 0; i < 3; i++) sender.send(new Uint8Array(0), port, host)
  sender.send(packet({ senderNonce: 9n, kind: 0 as never }), port, host)
  while (driver.router.counters.rejected.kind + driver.router.counters.rejected.corrupt === 0)
    await new Promise((resolve) => setImmediate(resolve))
  expect(driver.router.counters.rejected).toMatchObject({ malformed: 0, foreign: 0 })
  expect(machine.inputs).toEqual([])
  await new Promise<void>((resolve) => sender.close(() => resolve()))
})

/** Runs a module's text in a process of its own, over the built package. */
function run(script: string) {
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  let output = ''
  let wake = (): void => {}
  child.stdout.setEncoding('utf8').on('data', (text) => {
    output += text
    wake()
  })
  const exit = new Promise<number | null>((resolve) => {
    child.once('close', (code) => {
      resolve(code)
      wake()
    })
  })
  const prints = async (text: string): Promise<void> => {
    while (!output.includes(text)) {
      if (child.exitCode !== null) throw new Error(`the process ended before it printed ${text}`)
      await new Promise<void>((resolve) => (wake = resolve))
    }
  }
  opened.push({
    close: () => {
      child.kill('SIGKILL')
      return exit
    },
  })
  return { child, exit, prints, output: () => output }
}

test('questions keep no process alive', async () => {
  const live = await listener('127.0.0.1')
  const { exit, output } = run(`
    const { Refusals } = await import('./dist/kernel/node/refusals.js')
    const refusals = new Refusals('127.0.0.1', 4)
    refusals.check('${live.address}', () => console.log('refused'))
    const began = performance.now()
    process.on('exit', () => console.log(performance.now() - began < 900 ? 'ended at once' : 'waited'))
  `)
  expect({ status: await exit, output: output() }).toEqual({ status: 0, output: 'ended at once\n' })
  await live.close()
})

test('the sequencer’s process is killed: its members hear so from the system, and go on', async () => {
  const multicastPort = await freeUdpPort()
  const port = 'killed'
  const { child, exit, prints } = run(`
    const { startKernel } = await import('./dist/group/index.js')
    const kernel = await startKernel({ multicastPort: ${multicastPort} })
    const group = await kernel.createGroup('${port}', { resilience: 0 })
    console.log('created')
    for await (const { kind } of group) if (kind === 'message') console.log('delivered')
  `)
  await prints('created')
  const kernels: Kernel[] = []
  const groups: Group<unknown>[] = []
  for (let i = 0; i < 2; i++) {
    const kernel = kept(await startKernel({ multicastPort, logLevel: 'silent' }))
    kernels.push(kernel)
    groups.push(await kernel.joinGroup(port))
  }
  const reasons: string[] = []
  for (const group of groups) group.on('suspect', ({ reason }) => reasons.push(reason))
  await groups[0]!.sendToGroup('before')
  await prints('delivered')

  const killed = performance.now()
  child.kill('SIGKILL')
  // What is sent now goes to nobody at first, and is ordered by the successor.
  const sent = groups[1]!.sendToGroup('after')
  const resets = groups.map(async (group) => {
    for await (const delivery of group) {
      if (delivery.kind === 'reset') return { removed: delivery.removed, ms: performance.now() - killed }
    }
    throw new Error('the group ended')
  })
  const seen = await Promise.all(resets)
  await sent
  console.log(
    `kill of the sequencer's process to the reset: ${seen.map(({ ms }) => ms.toFixed(1)).join(', ')} ms`,
  )
  for (const { removed, ms } of seen) {
    expect(removed).toEqual([1])
    expect(ms).toBeLessThan(2_000)
  }
  expect(new Set(reasons)).toEqual(new Set(['its process is gone']))
  expect(await exit).toBe(null)
})
