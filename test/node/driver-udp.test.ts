/** The driver over real sockets on loopback, and a process of its own that must end by itself. */
import { spawn } from 'node:child_process'
import { afterEach, expect, test } from 'vitest'
import { Driver } from '../../kernel/node/driver.ts'
import { UdpTransport } from '../../kernel/node/udp.ts'
import { PacketKind, readRoute } from '../../kernel/packet.ts'
import { freeUdpPort } from '../support/ports.ts'
import { FakeMachine, packet, poke } from './support.ts'

const drivers: Driver[] = []

async function start(multicastPort: number): Promise<Driver> {
  const driver = new Driver({ transport: await UdpTransport.open({ multicastPort }) })
  drivers.push(driver)
  return driver
}

afterEach(async () => {
  await Promise.all(drivers.splice(0).map((driver) => driver.close()))
})

test('a multicast reaches the machines of all processes once, a unicast one of them', async () => {
  const multicastPort = await freeUdpPort()
  const [here, there] = [await start(multicastPort), await start(multicastPort)]
  const sender = new FakeMachine((_now, input, sink) => {
    if (input.kind !== 'call') return
    sink.multicast(packet({ senderNonce: 1n, kind: PacketKind.locate }))
    sink.unicast(there.transport.address, packet({ senderNonce: 1n, destination: 3n }))
  })
  const [sibling, far, further] = [new FakeMachine(), new FakeMachine(), new FakeMachine()]
  const handle = await here.attach(sender, { port: 'orders', nonce: 1n })
  await here.attach(sibling, { port: 'orders', nonce: 2n })
  await there.attach(far, { port: 'orders', nonce: 3n })
  await there.attach(further, { port: 'orders', nonce: 4n })
  handle.call(poke)
  await Promise.all([sibling.packetsReach(1), far.packetsReach(2), further.packetsReach(1)])
  // A second round shows that nothing of the first was still on its way twice.
  handle.call(poke)
  await Promise.all([sibling.packetsReach(2), far.packetsReach(4), further.packetsReach(2)])
  expect([sibling, far, further].map((machine) => machine.packets.length)).toEqual([2, 4, 2])
  expect(sender.packets).toEqual([])
  expect(far.packets[0]!.from).toBe(here.transport.address)
})

test('the asker of a machine that lives no more hears so over the network', async () => {
  const multicastPort = await freeUdpPort()
  const [here, there] = [await start(multicastPort), await start(multicastPort)]
  const asker = new FakeMachine((_now, input, sink) => {
    if (input.kind !== 'call') return
    sink.unicast(
      there.transport.address,
      packet({ senderNonce: 1n, destination: 77n, body: new Uint8Array(8) }),
    )
  })
  const handle = await here.attach(asker, { port: 'orders', nonce: 1n })
  handle.call(poke)
  await asker.packetsReach(1)
  expect(readRoute(asker.packets[0]!.bytes).sender).toBe(77n)
})

test('a process ends when its last machine is detached, though nothing was closed', async () => {
  const script = `
    const { UdpTransport } = await import('./dist/kernel/node/udp.js')
    const { Driver } = await import('./dist/kernel/node/driver.js')
    const { HttpServer } = await import('./dist/kernel/node/http.js')
    await HttpServer.open({ port: 0 })
    const driver = new Driver({ transport: await UdpTransport.open({ multicastPort: ${await freeUdpPort()} }) })
    const machine = { step() {}, nextDeadline: () => driver.now() + 5_000 }
    const handle = await driver.attach(machine, { port: 'orders', nonce: 1n })
    let ticks = 0
    machine.step = (now, input) => { if (input.kind === 'tick' && ++ticks === 3) { handle.detach(); console.log('detached') } }
    handle.call({ call: 'cancel', token: 0 })
  `
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let output = ''
  child.stdout.on('data', (chunk) => (output += chunk))
  const status = await new Promise((resolve) => child.once('close', resolve))
  expect({ status, output }).toEqual({ status: 0, output: 'detached\n' })
})
