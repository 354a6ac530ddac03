/**
 * What a message costs, in counts that do not depend on the machine they are counted on: packets, bytes on the wire,
 * bytes copied, steps of the machines, memory. Speed itself is measured in bench/; this keeps it from slipping.
 */
import { Session } from 'node:inspector'
import { describe, expect, test } from 'vitest'
import { BareGroup } from './bare-group.ts'

const MEMBERS = 3
const ROUNDS = 60

interface Costs {
  /** Each a message, for all members together. */
  readonly packets: number
  readonly steps: number
  /** A byte of body. */
  readonly wire: number
  readonly copied: number
  /** Distinct buffers that packets left in. */
  readonly buffers: number
}

/** All send, 64 KiB each a round. */
function costsOf(size: number, packetSize: number, method: 'pb' | 'bb'): Costs {
  const group = new BareGroup({ members: MEMBERS, packetSize, method })
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

/** Bytes that are copied from array to array meanwhile. */
function countCopies(run: () => void): number {
  const { set } = Uint8Array.prototype
  let bytes = 0
  Uint8Array.prototype.set = function (this: Uint8Array, from: ArrayLike<number>, at?: number): void {
    bytes += from.length
    set.call(this, from, at)
  }
  try {
    run()
  } finally {
    Uint8Array.prototype.set = set
  }
  return bytes
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
    // from the program into the block, and from the block into each packet that carries it
    expect(costs.copied).toBeLessThan((1 + travels) * (1 + 300 / (perPacket * size)) + 0.02)
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
