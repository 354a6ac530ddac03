import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { expect, test, vi } from 'vitest'
import { ErrorCode } from '../../kernel/errors.ts'
import type { Sink } from '../../kernel/machine.ts'
import { seal, verify } from '../../kernel/node/checksum.ts'
import { TRACE_CHANNEL } from '../../kernel/node/diagnostics.ts'
import { Driver, type Fault, type MachineHandle } from '../../kernel/node/driver.ts'
import { HEADER_BYTES, PacketKind, readHeader, readRoute } from '../../kernel/packet.ts'
import type { Output } from '../../kernel/port.ts'
import { FakeMachine, FakeTransport, joined, type PacketFields, packet, poke, view } from './support.ts'

const FAR = '10.0.0.2:2000'

function setup() {
  const transport = new FakeTransport()
  const faults: Fault[] = []
  const driver = new Driver({ transport, onFault: (fault) => faults.push(fault) })
  const arrive = (fields: PacketFields): void => {
    const bytes = packet(fields)
    seal(bytes)
    transport.arrive(FAR, bytes)
  }
  return { transport, driver, faults, arrive }
}

/** A machine that does, at its next call, what it is told. */
function puppet() {
  let act: (sink: Sink) => void = () => {}
  const machine = new FakeMachine((_now, input, sink) => {
    if (input.kind === 'call') act(sink)
  })
  const perform = (handle: MachineHandle, what: (sink: Sink) => void): void => {
    act = what
    handle.call(poke)
    act = () => {}
  }
  return { machine, perform }
}

test('what a step sends goes out sealed, after the step', async () => {
  const { driver, transport } = setup()
  const { machine, perform } = puppet()
  const handle = await driver.attach(machine, { port: 'orders', nonce: 1n })
  expect(transport.listening).toEqual(['orders'])
  perform(handle, (sink) => {
    sink.unicast(FAR, packet({ senderNonce: 1n, destination: 2n }))
    sink.multicast(packet({ senderNonce: 1n }))
    expect(transport.sent).toEqual([])
  })
  expect(transport.sent.map(({ to, port }) => [to, port])).toEqual([
    [FAR, undefined],
    [undefined, 'orders'],
  ])
  for (const sent of transport.sent) expect(verify(sent.packet)).toBe(true)
})

test('one buffer sent to many is sealed once and the same for all', async () => {
  const { driver, transport } = setup()
  const { machine, perform } = puppet()
  const handle = await driver.attach(machine, { port: 'orders', nonce: 1n })
  perform(handle, (sink) => {
    const bytes = packet({ senderNonce: 1n, groupId: 7n })
    for (let i = 2; i < 5; i++) sink.unicast(`10.0.0.${i}:1`, bytes)
  })
  expect(transport.sent).toHaveLength(3)
  for (const sent of transport.sent) expect(verify(sent.packet)).toBe(true)
})

test('packets are routed by nonce, else by group, else to all; never to their sender', async () => {
  const { driver, arrive } = setup()
  const all = await Promise.all(
    [1n, 2n, 3n].map(async (nonce) => {
      const { machine, perform } = puppet()
      const handle = await driver.attach(machine, { port: 'orders', nonce })
      return { machine, perform, handle }
    }),
  )
  const [one, two, three] = all as [(typeof all)[0], (typeof all)[0], (typeof all)[0]]
  // One tells its group by a packet, two by being in it; three is in none.
  one.perform(one.handle, (sink) => sink.unicast(FAR, packet({ groupId: 7n, senderNonce: 1n })))
  two.perform(two.handle, (sink) => sink.output(joined(1, 2, 7n)))
  const counts = (): number[] => all.map(({ machine }) => machine.packets.length)
  arrive({ groupId: 7n, senderNonce: 99n, destination: 3n })
  expect(counts()).toEqual([0, 0, 1])
  arrive({ groupId: 7n, senderNonce: 99n })
  expect(counts()).toEqual([1, 1, 1])
  arrive({ groupId: 7n, senderNonce: 1n })
  expect(counts()).toEqual([1, 2, 1])
  arrive({ groupId: 0n, senderNonce: 99n })
  expect(counts()).toEqual([2, 3, 2])
  arrive({ groupId: 8n, senderNonce: 99n, kind: PacketKind.locate })
  expect(counts()).toEqual([3, 4, 3])
  arrive({ groupId: 8n, senderNonce: 99n })
  expect(counts()).toEqual([3, 4, 3])
  expect(driver.router.counters.rejected.group).toBe(1)
  expect(three.machine.packets[0]!.from).toBe(FAR)
})

test('siblings get copies of multicasts, and unicasts to the own address, sealed and in order', async () => {
  const { driver, transport } = setup()
  const { machine: a, perform } = puppet()
  const b = new FakeMachine()
  const handle = await driver.attach(a, { port: 'orders', nonce: 1n })
  await driver.attach(b, { port: 'orders', nonce: 2n })
  perform(handle, (sink) => {
    sink.multicast(packet({ senderNonce: 1n, kind: PacketKind.locate }))
    sink.unicast(transport.address, packet({ senderNonce: 1n, destination: 2n, groupId: 7n }))
    expect(b.inputs).toEqual([])
  })
  expect(b.packets.map(({ bytes }) => bytes[2])).toEqual([PacketKind.locate, PacketKind.state])
  expect(b.packets.every(({ bytes, from }) => verify(bytes) && from === transport.address)).toBe(true)
  expect(a.packets).toEqual([])
  expect(transport.sent).toHaveLength(1)
})

test.each([
  ['before', (own: string) => [own, FAR]],
  ['after', (own: string) => [FAR, own]],
])('a packet that a sibling has is not written over, its copy %s the one for elsewhere', async (_, order) => {
  const { driver, transport } = setup()
  transport.isIdle = true
  const released: Uint8Array[] = []
  const { machine, perform } = puppet()
  const sibling = new FakeMachine()
  const handle = await driver.attach(
    Object.assign(machine, { release: (bytes: Uint8Array) => released.push(bytes) > 0 }),
    {
      port: 'orders',
      nonce: 1n,
    },
  )
  await driver.attach(sibling, { port: 'orders', nonce: 2n })
  const [shared, lone] = [1, 2].map(() => packet({ senderNonce: 1n, destination: 2n, groupId: 7n })) as [
    Uint8Array,
    Uint8Array,
  ]
  perform(handle, (sink) => {
    for (const to of order(transport.address)) sink.unicast(to, shared)
    sink.unicast(FAR, lone)
  })
  expect(sibling.packets.map(({ bytes }) => bytes)).toEqual([shared])
  expect(released).toHaveLength(1)
  expect(released[0]).toBe(lone)
})

test('mail for one who lives no more is answered, no larger than the question', async () => {
  const { driver, transport, arrive } = setup()
  const body = new Uint8Array(8)
  arrive({ senderNonce: 5n, destination: 1n, groupId: 7n, kind: PacketKind.request, body })
  expect(transport.sent).toHaveLength(1)
  const { to, packet: answer } = transport.sent[0]!
  expect(to).toBe(FAR)
  expect(verify(answer)).toBe(true)
  expect(answer.length).toBe(HEADER_BYTES)
  expect(readHeader(answer)).toMatchObject({
    kind: PacketKind.gone,
    groupId: 7n,
    incarnation: 3,
    coordinator: 1,
    destination: 5n,
    senderNonce: 1n,
  })
  expect(driver.router.counters.rejected.destination).toBe(1)
  expect(driver.router.counters.packets.out[PacketKind.gone]).toBe(1)

  transport.sent.length = 0
  arrive({ senderNonce: 5n, destination: 1n, kind: PacketKind.gone, body })
  arrive({ senderNonce: 5n, destination: 1n, kind: PacketKind.locate, body })
  arrive({ senderNonce: 0n, destination: 1n, body })
  expect(transport.sent).toEqual([])
})

test('answers to the dead’s mail are bounded', () => {
  const { transport, arrive } = setup()
  for (let i = 0; i < 10_000; i++) arrive({ senderNonce: 5n, destination: 1n, body: new Uint8Array(8) })
  expect(transport.sent.length).toBeGreaterThan(0)
  expect(transport.sent.length).toBeLessThan(1000)
})

test('a detached machine’s mail is answered, also to a sibling', async () => {
  const { driver, transport } = setup()
  const { machine: a, perform } = puppet()
  const handle = await driver.attach(a, { port: 'orders', nonce: 1n })
  const other = await driver.attach(new FakeMachine(), { port: 'orders', nonce: 2n })
  other.detach()
  expect(transport.listening).toEqual(['orders'])
  perform(handle, (sink) => {
    sink.unicast(transport.address, packet({ senderNonce: 1n, destination: 2n, body: new Uint8Array(8) }))
  })
  expect(a.packets.map(({ bytes }) => readRoute(bytes).sender)).toEqual([2n])
})

test('what is not a sound packet of this version is counted by reason, and goes nowhere', async () => {
  const { driver, transport } = setup()
  const machine = new FakeMachine()
  await driver.attach(machine, { port: 'orders', nonce: 1n })
  const damaged = (change: (bytes: Uint8Array) => void): Uint8Array => {
    const bytes = packet()
    seal(bytes)
    change(bytes)
    return bytes
  }
  transport.arrive(FAR, new Uint8Array(0))
  transport.arrive(FAR, Buffer.from('GET / HTTP/1.1'))
  transport.arrive(
    FAR,
    damaged((bytes) => (bytes[1] = 2)),
  )
  transport.arrive(
    FAR,
    damaged((bytes) => (bytes[70]! ^= 1)),
  )
  transport.arrive(FAR, damaged(() => {}).subarray(0, 79))
  const unknown = packet()
  unknown[2] = 200
  seal(unknown)
  transport.arrive(FAR, unknown)
  expect(driver.router.counters.rejected).toMatchObject({
    malformed: 2,
    foreign: 1,
    version: 1,
    corrupt: 1,
    kind: 1,
  })
  expect(machine.inputs).toEqual([])
})

test('outputs come after the step and its packets; calls made meanwhile are stepped afterwards', async () => {
  const { driver, transport } = setup()
  const marks: string[] = []
  let calls = 0
  const machine = new FakeMachine((_now, _input, sink) => {
    const call = ++calls
    marks.push(`step ${call}`)
    sink.unicast(FAR, packet({ senderNonce: 1n }))
    if (call === 1) sink.output(joined(1, 1))
    if (call === 1) sink.output({ output: 'left', token: 9, isOrdered: true })
    marks.push(`end ${call}`)
  })
  const handle = await driver.attach(machine, { port: 'orders', nonce: 1n })
  handle.onOutput((output) => {
    marks.push(`${output.output} after ${transport.sent.length}`)
    handle.call(poke)
  })
  handle.call(poke)
  expect(marks).toEqual([
    'step 1',
    'end 1',
    'joined after 1',
    'left after 1',
    'step 2',
    'end 2',
    'step 3',
    'end 3',
  ])
  await driver.flush()
})

test('a program that throws in its handler is reported, and nothing else is disturbed', async () => {
  const { driver, faults } = setup()
  const { machine, perform } = puppet()
  const handle = await driver.attach(machine, { port: 'orders', nonce: 1n })
  const seen: string[] = []
  handle.onOutput((output) => {
    seen.push(output.output)
    throw new Error('the program is broken')
  })
  perform(handle, (sink) => {
    sink.output(joined(1, 1))
    sink.output({ output: 'left', token: 1, isOrdered: true })
  })
  expect(seen).toEqual(['joined', 'left'])
  expect(faults).toMatchObject([{ kind: 'program', port: 'orders' }, { kind: 'program' }])
  perform(handle, (sink) => sink.output({ output: 'left', token: 2, isOrdered: true }))
  expect(seen).toHaveLength(3)
})

test('outputs from before there is a handler are kept for it', async () => {
  const { driver } = setup()
  const { machine, perform } = puppet()
  const handle = await driver.attach(machine, { port: 'orders', nonce: 1n })
  perform(handle, (sink) => sink.output({ output: 'left', token: 1, isOrdered: true }))
  const seen: Output[] = []
  handle.onOutput((output) => seen.push(output))
  expect(seen).toEqual([{ output: 'left', token: 1, isOrdered: true }])
})

test('a machine whose step throws is stopped, what it recorded is dropped, and others go on', async () => {
  const { driver, transport, faults, arrive } = setup()
  const broken = new FakeMachine((_now, _input, sink) => {
    sink.multicast(packet({ senderNonce: 1n }))
    throw new Error('stable > received')
  })
  const sound = new FakeMachine()
  const handle = await driver.attach(broken, { port: 'orders', nonce: 1n })
  await driver.attach(sound, { port: 'orders', nonce: 2n })
  const outputs: Output[] = []
  handle.onOutput((output) => outputs.push(output))
  arrive({ senderNonce: 9n, kind: PacketKind.locate })
  expect(outputs).toEqual([
    {
      output: 'event',
      event: {
        event: 'closed',
        code: ErrorCode.closed,
        reason: expect.stringContaining('stable > received'),
      },
    },
  ])
  expect(faults).toMatchObject([{ kind: 'machine', port: 'orders' }])
  expect(transport.sent).toEqual([])
  expect(handle.isAttached).toBe(false)
  handle.call(poke)
  arrive({ senderNonce: 9n, kind: PacketKind.locate })
  expect(broken.inputs).toHaveLength(1)
  expect(sound.packets).toHaveLength(2)
})

test('a deadline that has come waits for the end of the turn, so that one tick serves all that arrived', async () => {
  const { driver, arrive } = setup()
  const machine: FakeMachine = new FakeMachine((now, input) => {
    machine.deadline = input.kind === 'tick' ? undefined : now
  })
  await driver.attach(machine, { port: 'orders', nonce: 1n })
  for (let i = 0; i < 5; i++) arrive({ senderNonce: 9n, kind: PacketKind.locate })
  expect(machine.count('tick')).toBe(0)
  await machine.until(() => machine.count('tick') > 0)
  expect(machine.inputs.map(({ kind }) => kind)).toEqual([...Array(5).fill('packet'), 'tick'])
})

test.each([100, 900, 5_000, 30_000])(
  'a deadline %i µs away is met, not before and not much later',
  async (away) => {
    const { driver } = setup()
    let due = 0
    let met = 0
    const machine: FakeMachine = new FakeMachine((now, input) => {
      if (input.kind === 'tick') met = now
      machine.deadline = input.kind === 'tick' ? undefined : now + away
      if (input.kind === 'call') due = now + away
    })
    const handle = await driver.attach(machine, { port: 'orders', nonce: 1n })
    handle.call(poke)
    await machine.until(() => machine.count('tick') > 0)
    expect(machine.count('tick')).toBe(1)
    expect(met).toBeGreaterThanOrEqual(due)
    expect(met - due).toBeLessThan(2_000_000)
    await driver.close()
  },
)

test('an earlier deadline moves the timer forward', async () => {
  const { driver } = setup()
  const [slow, fast] = [new FakeMachine(), new FakeMachine()]
  slow.deadline = driver.now() + 3_600_000_000
  const first = await driver.attach(slow, { port: 'orders', nonce: 1n })
  first.call(poke)
  fast.deadline = driver.now() + 2_000
  const second = await driver.attach(fast, { port: 'orders', nonce: 2n })
  second.call(poke)
  await fast.until(() => fast.count('tick') > 0)
  expect(slow.count('tick')).toBe(0)
  await driver.close()
})

test('siblings that never stop talking leave the loop its turns', async () => {
  const { driver, transport } = setup()
  let talking = true
  const machines = [1n, 2n].map(
    (nonce) =>
      new FakeMachine((_now, _input, sink) => {
        if (talking) sink.unicast(transport.address, packet({ senderNonce: nonce, destination: 3n - nonce }))
      }),
  )
  const handles = []
  for (const [i, machine] of machines.entries()) {
    handles.push(await driver.attach(machine, { port: 'orders', nonce: BigInt(i + 1) }))
  }
  handles[0]!.call(poke)
  await new Promise(setImmediate)
  expect(machines[1]!.packets.length).toBeGreaterThan(10)
  talking = false
  await driver.flush()
})

test('the time of the sequencer’s steps is its load; others have none', async () => {
  const transport = new FakeTransport()
  let now = 0
  const driver = new Driver({ transport, clock: () => (now += 500) })
  const { machine, perform } = puppet()
  const handle = await driver.attach(machine, { port: 'orders', nonce: 1n })
  perform(handle, (sink) => sink.output(joined(2, 1)))
  perform(handle, () => {})
  expect(handle.sequencerBusySeconds).toBe(0)
  const header = new Uint8Array(0)
  perform(handle, (sink) => {
    sink.output({
      output: 'deliveries',
      deliveries: [{ kind: 'leave', seq: 11, sender: 2, header, view: view(1) }],
    })
  })
  perform(handle, () => {})
  expect(handle.sequencerBusySeconds).toBeCloseTo(0.0005)
  await driver.close()
})

test('the trace of a machine can be listened to', async () => {
  const { driver } = setup()
  const { machine, perform } = puppet()
  const handle = await driver.attach(machine, { port: 'orders', nonce: 1n })
  const listener = vi.fn()
  subscribe(TRACE_CHANNEL, listener)
  perform(handle, (sink) => sink.trace?.({ mark: 'became sequencer', detail: { seq: 1 } }))
  unsubscribe(TRACE_CHANNEL, listener)
  perform(handle, (sink) => sink.trace?.({ mark: 'unheard', detail: {} }))
  expect(listener).toHaveBeenCalledOnce()
  expect(listener.mock.calls[0]![0]).toMatchObject({ mark: 'became sequencer', port: 'orders', nonce: 1n })
})

test('only an open membership keeps the process alive', async () => {
  const { driver, transport } = setup()
  expect(transport.held).toBe(false)
  const handle = await driver.attach(new FakeMachine(), { port: 'orders', nonce: 1n })
  expect(transport.held).toBe(true)
  handle.detach()
  handle.detach()
  expect(transport.held).toBe(false)
  expect(transport.listening).toEqual([])
})

test('a closed driver steps nothing and takes nobody in', async () => {
  const { driver, transport, arrive } = setup()
  const machine: FakeMachine = new FakeMachine((now) => {
    machine.deadline = now
  })
  const handle = await driver.attach(machine, { port: 'orders', nonce: 1n })
  handle.call(poke)
  await driver.close()
  handle.call(poke)
  arrive({ senderNonce: 9n, destination: 1n })
  await new Promise((resolve) => setImmediate(() => setImmediate(resolve)))
  expect(machine.inputs).toHaveLength(1)
  expect(transport.closed).toBe(true)
  await expect(driver.attach(machine, { port: 'orders', nonce: 1n })).rejects.toMatchObject({
    code: ErrorCode.closed,
  })
})
