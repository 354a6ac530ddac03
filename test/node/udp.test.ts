import { createSocket } from 'node:dgram'
import { afterEach, expect, test } from 'vitest'
import { ErrorCode } from '../../kernel/errors.ts'
import { clampAdvice } from '../../kernel/node/socket-options.ts'
import { loopbackPacketSize, type UdpOptions, UdpTransport } from '../../kernel/node/udp.ts'
import { freeUdpPort } from '../support/ports.ts'

const open: UdpTransport[] = []

async function transport(options: UdpOptions = {}): Promise<UdpTransport> {
  const opened = await UdpTransport.open(options)
  open.push(opened)
  return opened
}

afterEach(async () => {
  await Promise.all(open.splice(0).map((each) => each.close()))
})

/** Everything that arrives, and a promise for the next packets. */
function inbox(of: UdpTransport) {
  const packets: { from: string; text: string }[] = []
  let wake: (() => void) | undefined
  of.onPacket((from, bytes) => {
    packets.push({ from, text: Buffer.from(bytes).toString() })
    wake?.()
  })
  const reach = async (count: number): Promise<void> => {
    while (packets.length < count) await new Promise<void>((resolve) => (wake = resolve))
  }
  return { packets, reach }
}

const bytes = (text: string): Uint8Array => Buffer.from(text)

test.each(['127.0.0.1', '::1'])('unicast goes from socket to socket on %s', async (host) => {
  const [a, b] = [await transport({ interface: host }), await transport({ interface: host })]
  const atB = inbox(b)
  const atA = inbox(a)
  a.send(b.address, bytes('there'))
  await atB.reach(1)
  expect(atB.packets).toEqual([{ from: a.address, text: 'there' }])
  b.send(atB.packets[0]!.from, bytes('and back'))
  await atA.reach(1)
  expect(atA.packets).toEqual([{ from: b.address, text: 'and back' }])
})

test('multicast reaches every listener of the port but the sender, from its unicast address', async () => {
  const multicastPort = await freeUdpPort()
  const [a, b, c] = [
    await transport({ multicastPort }),
    await transport({ multicastPort }),
    await transport({ multicastPort }),
  ]
  const boxes = [inbox(a), inbox(b), inbox(c)] as const
  await a.listen('orders')
  await b.listen('orders')
  await c.listen('other')
  a.multicast('orders', bytes('one'))
  b.multicast('orders', bytes('two'))
  a.multicast('other', bytes('three'))
  await Promise.all([boxes[0].reach(1), boxes[1].reach(1), boxes[2].reach(1)])
  expect(boxes[0].packets).toEqual([{ from: b.address, text: 'two' }])
  expect(boxes[1].packets).toEqual([{ from: a.address, text: 'one' }])
  expect(boxes[2].packets).toEqual([{ from: a.address, text: 'three' }])
  expect(a.stats.echoes).toBe(1)
})

test('listening is counted', async () => {
  const multicastPort = await freeUdpPort()
  const [a, b] = [await transport({ multicastPort }), await transport({ multicastPort })]
  const atB = inbox(b)
  await Promise.all([b.listen('orders'), b.listen('orders')])
  b.unlisten('orders')
  a.multicast('orders', bytes('still'))
  await atB.reach(1)
  b.unlisten('orders')
  b.unlisten('orders')
  a.multicast('orders', bytes('no more'))
  a.send(b.address, bytes('last'))
  await atB.reach(2)
  expect(atB.packets.map(({ text }) => text)).toEqual(['still', 'last'])
})

test('a window and packet sizes are known from the socket', async () => {
  const a = await transport()
  expect(a.window).toBeGreaterThan(32_768)
  expect(a.window).toBeLessThan(a.buffers.receive / 2)
  expect(a.packetSizeMax).toBeLessThanOrEqual(65_507)
  expect(a.packetSizeDefault).toBe(Math.min(a.packetSizeMax, loopbackPacketSize(a.window)))
  const b = await transport()
  const atB = inbox(b)
  a.send(b.address, new Uint8Array(a.packetSizeMax).fill(120))
  await atB.reach(1)
  expect(atB.packets[0]!.text).toHaveLength(a.packetSizeMax)
})

test('packets on loopback are as large as the sockets are deep', () => {
  // what Linux gives a process that asks for its older default, 208 KiB, and for its newer one, 4 MiB
  expect(loopbackPacketSize((2 * 212_992 * 3) / 8)).toBe(16_384)
  expect(loopbackPacketSize((2 * 4_194_304 * 3) / 8)).toBe(60_000)
})

test('a window of packets fits into the buffer of a process that does not read', async () => {
  const [a, b] = [await transport({ bufferBytes: 262_144 }), await transport({ bufferBytes: 262_144 })]
  const atB = inbox(b)
  const size = 1400
  const count = Math.floor(b.window / size)
  // Nobody reads while this loop runs: the packets wait in the socket.
  for (let i = 0; i < count; i++) a.send(b.address, new Uint8Array(size))
  await atB.reach(count)
  expect(atB.packets).toHaveLength(count)
})

test('a clamped buffer is worth one warning that names the sysctl', async () => {
  expect(clampAdvice({ receive: 8_388_608, send: 8_388_608 }, 4_194_304, 'linux')).toBeUndefined()
  const advice = clampAdvice({ receive: 425_984, send: 8_388_608 }, 4_194_304, 'linux')
  expect(advice).toMatch(/sysctl -w net\.core\.rmem_max=4194304$/)
  const warnings: string[] = []
  await transport({ bufferBytes: 2 ** 30, onWarning: (message) => warnings.push(message) })
  expect(warnings).toHaveLength(1)
})

test('a packet that is too large is a fault, told once, and nothing is thrown', async () => {
  const warnings: string[] = []
  const [a, b] = [await transport({ onWarning: (message) => warnings.push(message) }), await transport()]
  warnings.length = 0
  a.send(b.address, new Uint8Array(70_000))
  a.send(b.address, new Uint8Array(70_000))
  await a.flush()
  expect(a.stats.tooLarge).toBe(2)
  expect(warnings).toEqual([expect.stringContaining('packetSize')])
})

test('sends that cannot go out are counted as loss', async () => {
  const a = await transport()
  // From loopback there is no way to elsewhere; and some addresses are none.
  a.send('203.0.113.1:9', bytes('x'))
  a.send('[::1]:9', bytes('x'))
  a.send('nonsense', bytes('x'))
  await a.flush()
  expect([...a.stats.lostSends.values()].reduce((sum, count) => sum + count, 0)).toBe(3)
  const gone = await transport()
  await gone.close()
  a.send(gone.address, bytes('nobody there'))
  await a.flush()
})

test('a busy UDP port is an error that says what to do', async () => {
  const a = await transport()
  const port = Number(a.address.split(':')[1])
  const again = UdpTransport.open({ udpPort: port })
  await expect(again).rejects.toMatchObject({
    code: ErrorCode.address,
    message: expect.stringContaining('0 for a free one'),
  })
})

test('a multicast port that another program keeps for itself is an error', async () => {
  const other = createSocket('udp4')
  await new Promise<void>((resolve) => other.bind(0, '0.0.0.0', resolve))
  try {
    const a = await transport({ multicastPort: other.address().port })
    await expect(a.listen('orders')).rejects.toMatchObject({ code: ErrorCode.address })
  } finally {
    await new Promise<void>((resolve) => other.close(() => resolve()))
  }
})

test('addresses that cannot be used are refused with advice', async () => {
  await expect(UdpTransport.open({ interface: '203.0.113.5' })).rejects.toMatchObject({
    code: ErrorCode.address,
  })
  await expect(UdpTransport.open({ interface: 'localhost' })).rejects.toMatchObject({
    code: ErrorCode.invalid,
  })
  await expect(UdpTransport.open({ interface: '::1', mode: 'multicast' })).rejects.toMatchObject({
    code: ErrorCode.address,
  })
  await expect(UdpTransport.open({ udpPort: 70_000 })).rejects.toMatchObject({ code: ErrorCode.invalid })
  await expect(UdpTransport.open({ advertise: 'here' })).rejects.toMatchObject({ code: ErrorCode.invalid })
})

test('an advertised address is the one that others are told', async () => {
  const a = await transport({ advertise: '192.0.2.9:777' })
  const b = await transport({ advertise: '192.0.2.9' })
  expect(a.address).toBe('192.0.2.9:777')
  expect(b.address).toBe(`192.0.2.9:${b.bound.split(':')[1]}`)
  expect(a.isOwn(a.address) && a.isOwn(a.bound)).toBe(true)
  const atA = inbox(a)
  b.send(a.bound, bytes('translated on the way'))
  await atA.reach(1)
})

test('unicast mode opens no multicast socket', async () => {
  const multicastPort = await freeUdpPort()
  const [a, b] = [await transport({ mode: 'unicast', multicastPort }), await transport({ multicastPort })]
  const atA = inbox(a)
  await a.listen('orders')
  await b.listen('orders')
  b.multicast('orders', bytes('not for a'))
  b.send(a.address, bytes('for a'))
  await atA.reach(1)
  expect(atA.packets.map(({ text }) => text)).toEqual(['for a'])
})

test('a closed transport is silent and leaves nothing open', async () => {
  const sockets = async (): Promise<number> => {
    // The system's side of a closed socket goes away at the end of the loop's turn.
    await new Promise((resolve) => setImmediate(() => setImmediate(resolve)))
    return process.getActiveResourcesInfo().filter((name) => name === 'UDPWrap').length
  }
  const before = await sockets()
  const multicastPort = await freeUdpPort()
  const [a, b] = [await transport({ multicastPort }), await transport({ multicastPort })]
  await a.listen('orders')
  await a.listen('other')
  const atA = inbox(a)
  b.send(a.address, bytes('late'))
  await Promise.all([a.close(), a.close()])
  a.send(b.address, bytes('x'))
  a.multicast('orders', bytes('x'))
  await a.listen('orders')
  await b.close()
  expect(atA.packets).toEqual([])
  expect(await sockets()).toBe(before)
})
