/**
 * What a message costs, in counts that do not depend on the machine they are counted on: packets, bytes on the wire,
 * bytes copied, steps of the machines, memory. Speed itself is measured in bench/; this keeps it from slipping.
 */
import { Session } from 'node:inspector'
import { describe, expect, test } from 'vitest'
import { BareGroup, type BareSeat } from './bare-group.ts'

const MEMBERS = 3
const ROUNDS = 60

interface Costs {
  /** Each a message, for all members together. */
  readonly packets: number
  readonly steps: number
  /** A byte of body. */
  readonly wire: number
  readonly copied: number
  /** Distinct buffers of pools that packets left in. */
  readonly buffers: number
}

/** All send, 64 KiB each a round. */
function costsOf(size: number, packetSize: number, method: 'pb' | 'bb'): Costs {
  const group = new CountedGroup({ members: MEMBERS, packetSize, method })
  const bodies = Array.from({ length: Math.floor(65_536 / size) }, () => new Uint8Array(size).fill(7))
  group.stream(bodies, 10)
  const { packets, wireBytes, steps } = group
  group.buffers.clear()
  const copied = countCopies(() => group.stream(bodies, ROUNDS))
  const messages = ROUNDS * bodies.length * MEMBERS
  return {
    packets: (group.packets - packets) / messages,
    steps: (group.steps - steps) / messages,
    wire: (group.wireBytes - wireBytes) / (messages * size),
    copied: copied / (messages * size),
    buffers: group.buffers.size,
  }
}

/** Whether bytes that are copied now are the protocol's, and how many those were. */
const copies = { isCounting: false, bytes: 0 }

function note(bytes: number): void {
  if (copies.isCounting) copies.bytes += bytes
}

function uncounted<T>(run: () => T): T {
  const { isCounting } = copies
  copies.isCounting = false
  try {
    return run()
  } finally {
    copies.isCounting = isCounting
  }
}

/** The network between the members makes copies of its own, which are not the protocol's. */
class CountedGroup extends BareGroup {
  override carry(from: BareSeat, packet: Uint8Array, to: string | undefined): void {
    uncounted(() => super.carry(from, packet, to))
  }
}

type Copying = (this: Uint8Array, ...given: unknown[]) => unknown

/** Every way in which bytes go from one array into another, but a loop over them. */
function watchCopies(): () => void {
  const undo: (() => void)[] = []
  const watch = (
    on: object,
    name: string,
    bytesOf: (self: Uint8Array, given: unknown[], made: unknown) => number,
  ) => {
    const own = Object.getOwnPropertyDescriptor(on, name)
    const before = (on as Record<string, unknown>)[name] as Copying
    const counted: Copying = function (...given) {
      // what it calls in its turn is the same copy
      const made = uncounted(() => before.apply(this, given))
      note(bytesOf(this, given, made))
      return made
    }
    Object.defineProperty(on, name, { value: counted, configurable: true, writable: true })
    undo.push(() => {
      if (own === undefined) delete (on as Record<string, unknown>)[name]
      else Object.defineProperty(on, name, own)
    })
  }
  const lengthOf = (value: unknown): number => (value as { byteLength?: number } | null)?.byteLength ?? 0
  const ofMade = (_self: Uint8Array, _given: unknown[], made: unknown): number => lengthOf(made)
  const arrays = Object.getPrototypeOf(Uint8Array.prototype) as object
  watch(arrays, 'set', (_self, [from]) => lengthOf(from))
  watch(arrays, 'slice', ofMade)
  watch(arrays, 'copyWithin', lengthOf)
  watch(Object.getPrototypeOf(Uint8Array) as object, 'from', ofMade)
  watch(ArrayBuffer.prototype, 'slice', ofMade)
  watch(Buffer.prototype, 'copy', (_self, _given, count) => count as number)
  watch(Buffer, 'concat', ofMade)
  watch(Buffer, 'copyBytesFrom', ofMade)
  // of a buffer it is a view and no copy
  watch(Buffer, 'from', (_self, [from], made) => (from instanceof ArrayBuffer ? 0 : lengthOf(made)))
  watch(globalThis, 'structuredClone', ofMade)
  const plain = globalThis.Uint8Array
  globalThis.Uint8Array = new Proxy(plain, {
    construct(target, given, as) {
      if (ArrayBuffer.isView(given[0]) || Array.isArray(given[0])) note(lengthOf(given[0]))
      return Reflect.construct(target, given, as === globalThis.Uint8Array ? target : as)
    },
  })
  undo.push(() => {
    globalThis.Uint8Array = plain
  })
  return () => {
    for (const each of undo) each()
  }
}

/** Bytes that are copied from array to array meanwhile. */
function countCopies(run: () => void): number {
  const unwatch = watchCopies()
  copies.isCounting = true
  copies.bytes = 0
  try {
    run()
  } finally {
    copies.isCounting = false
    unwatch()
  }
  return copies.bytes
}

/** Bytes of JavaScript objects made meanwhile, those that are garbage already included; by sampling. */
async function countObjects(run: () => void): Promise<number> {
  const session = new Session()
  session.connect()
  const post = (method: string, parameters: object = {}) =>
    new Promise<unknown>((resolve, reject) => {
      session.post(method, parameters, (error, result) => (error === null ? resolve(result) : reject(error)))
    })
  await post('HeapProfiler.startSampling', {
    samplingInterval: 4096,
    includeObjectsCollectedByMajorGC: true,
    includeObjectsCollectedByMinorGC: true,
  })
  run()
  const { profile } = (await post('HeapProfiler.stopSampling')) as { profile: { head: Node } }
  session.disconnect()
  return sizeOf(profile.head)
}

interface Node {
  readonly selfSize: number
  readonly children: readonly Node[]
}

function sizeOf({ selfSize, children }: Node): number {
  return children.reduce((sum, child) => sum + sizeOf(child), selfSize)
}

describe('a stream from all of three members', () => {
  const settings = [
    [100, 16_384, 'pb'],
    [100, 16_384, 'bb'],
    [100, 1_400, 'pb'],
    [1024, 16_384, 'pb'],
    [1024, 16_384, 'bb'],
    [1024, 60_000, 'bb'],
    [10_240, 16_384, 'bb'],
  ] as const

  test.each(settings)('%i bytes in packets of %i, %s', (size, packetSize, method) => {
    const costs = costsOf(size, packetSize, method)
    const perPacket = Math.max(1, Math.floor((packetSize - 141) / (size + 3)))
    // a block goes out once by its sender, and once by the sequencer, which with method 2 sends its header only
    expect(costs.packets * perPacket).toBeLessThan(2.3)
    // two thirds of the blocks travel twice with method 1, plus headers
    const travels = method === 'pb' ? 5 / 3 : 1
    expect(costs.wire).toBeLessThan(travels * (1 + 3 / size + 200 / (perPacket * size)) + 0.02)
    // from the program into the block, which leaves where it stands; from there into the sequencer's broadcast, where it
    // goes out in one: with method 2 only its own
    const copies = 1 + (method === 'pb' ? 1 : 1 / 3)
    expect(costs.copied).toBeLessThan(copies * (1 + 300 / (perPacket * size)) + 0.02)
    // a packet at each receiver, a call of each program, its report, the end of a turn
    expect(costs.steps * perPacket).toBeLessThan(10)
    expect(costs.buffers).toBeLessThan((1024 * 1024) / packetSize)
  })

  test('makes no object for a message on its way to a receiveEach', async () => {
    const group = new BareGroup({ members: MEMBERS, packetSize: 16_384 })
    const bodies = Array.from({ length: 655 }, () => new Uint8Array(100).fill(7))
    group.stream(bodies, 200)
    const bytes = await countObjects(() => group.stream(bodies, 400))
    const messages = 400 * bodies.length * MEMBERS
    // what a block costs, its messages share; an object a message at each member would be 150 bytes and more
    expect(bytes / messages).toBeLessThan(70)
  })
})

describe('the count of copies', () => {
  const from = new Uint8Array(1000)
  const to = new Uint8Array(1000)

  test.each<[string, () => unknown]>([
    ['set', () => to.set(from)],
    ['slice', () => from.slice()],
    ['a new array', () => new Uint8Array(from)],
    ['from', () => Uint8Array.from(from)],
    ['the buffer of an array', () => new Uint8Array(from.buffer.slice(0))],
    ['copyWithin', () => to.copyWithin(0, 0)],
    ['Buffer.from', () => Buffer.from(from)],
    ['Buffer.concat', () => Buffer.concat([from])],
    ['copyBytesFrom', () => Buffer.copyBytesFrom(from)],
    ['copy', () => Buffer.from(from.buffer).copy(to)],
    ['structuredClone', () => structuredClone(from)],
  ])('has %s, once', (_what, copy) => {
    expect(countCopies(copy)).toBe(1000)
  })

  test('has no views', () => {
    const views = (): unknown[] => [from.subarray(1), new Uint8Array(from.buffer), Buffer.from(from.buffer)]
    expect(countCopies(views)).toBe(0)
    expect(countCopies(() => new Uint8Array(1000))).toBe(0)
  })
})

/** From deadline to deadline, as a driver does it that has nothing else to do. */
function rest(group: BareGroup, until: number): void {
  while (group.now < until) {
    group.pump()
    const deadlines = group.seats.map(({ machine }) => machine.nextDeadline() ?? Number.POSITIVE_INFINITY)
    group.now = Math.min(until, Math.max(group.now + 1, Math.min(...deadlines)))
  }
}

describe('a group of three', () => {
  const SECOND = 1_000_000
  /** Of virtual time. */
  const SECONDS = 60

  test('steps seldom, and sends little, while nobody sends', () => {
    const group = new BareGroup({ members: MEMBERS, packetSize: 16_384 })
    rest(group, group.now + 5 * SECOND)
    const { packets, steps } = group
    rest(group, group.now + SECONDS * SECOND)
    // of all three together: 22 steps a second, for seven packets and the timers that ask for them
    expect((group.steps - steps) / SECONDS).toBeLessThan(45)
    expect((group.packets - packets) / SECONDS).toBeLessThan(14)
  })

  test('takes a lone message in few steps', () => {
    const group = new BareGroup({ members: MEMBERS, packetSize: 16_384 })
    rest(group, group.now + 5 * SECOND)
    const { packets, steps } = group
    const [, sender] = group.seats
    const body = new Uint8Array(100)
    const messages = 1000
    for (let i = 0; i < messages; i++) {
      sender!.sendMany([body])
      rest(group, group.now + 1000)
    }
    expect(group.seats.map(({ received }) => received)).toEqual([messages, messages, messages])
    // the call and its flush, the request and its broadcast where they come in, a report of each program
    expect((group.steps - steps) / messages).toBeLessThan(9)
    expect((group.packets - packets) / messages).toBeLessThan(2.3)
  })
})
