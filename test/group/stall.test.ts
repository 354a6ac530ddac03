/**
 * A process that stood still asks the others, once for each stretch of time, whether it is still in its group. It may have any
 * number of packets to read by then, and several members of the group in itself.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, describe, expect, test, vi } from 'vitest'
import type { Group } from '../../group/index.ts'
import { KIND_AT, PacketKind } from '../../kernel/packet.ts'
import { GroupOf } from '../protocol/group-of.ts'
import { Kernels, PATIENCE, uniquePort } from '../support/kernels.ts'
import { namesFor, packetOf } from '../support/packets.ts'

const STALLS = 3

const kernels = new Kernels()

afterEach(() => kernels.closeAll())

test('each stretch of standing still counts once, however many packets are read behind it', () => {
  const group = GroupOf.open(3)
  const { first } = group
  const member = group.seats[1]!
  group.advance(100)
  const names = { ...namesFor(member), sender: first.memberId, senderNonce: first.machine.options.nonce }
  const packet = packetOf(PacketKind.state, { ...names, destination: 0n })
  // the clock goes on, and nobody steps the member
  const { machine } = member
  let probes = 0
  const sink = {
    unicast: (_: string, bytes: Uint8Array) => {
      if (bytes[KIND_AT] === PacketKind.probe) probes++
    },
    multicast: () => {},
    output: () => {},
  }
  const due = machine.nextDeadline()!
  for (const at of [due + 10_000_000, due + 20_000_000])
    for (let i = 0; i < 200; i++)
      machine.step(at, { kind: 'packet', from: first.address, bytes: packet.slice() }, sink)
  expect(probes).toBe(4)
})

describe('with four members in one process', () => {
  test.each([300, 1000])('it goes on after %i ms in which nothing ran', async (ms) => {
    const kernel = await kernels.start({})
    const port = uniquePort('stall')
    const groups: Group<Uint8Array>[] = [await kernel.createGroup<Uint8Array>(port, { codec: 'binary' })]
    for (let i = 1; i < 4; i++) groups.push(await kernel.joinGroup<Uint8Array>(port, { codec: 'binary' }))
    const probes = async (): Promise<number> => {
      const text = await kernel.registry.metrics()
      const counts = [...text.matchAll(/packets_total\{[^}]*type="probe"[^}]*direction="out"[^}]*\} (\d+)/g)]
      expect(counts.length).toBe(4)
      return counts.reduce((sum, [, count]) => sum + Number(count), 0)
    }
    const body = new Uint8Array(100)
    let sent = 0
    let isOver = false
    const sending = groups.map(async (group) => {
      for (; !isOver; await sleep(2)) {
        await group.sendToGroup(body)
        sent++
      }
    })
    await sleep(300)
    const before = await probes()
    for (let i = 0; i < STALLS; i++) {
      for (const group of groups) for (let j = 0; j < 20; j++) void group.sendToGroup(body)
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms)
      const sentBefore = sent
      await vi.waitFor(() => expect(sent).toBeGreaterThan(sentBefore + 200), PATIENCE)
    }
    isOver = true
    await Promise.all(sending)
    const asked = (await probes()) - before
    expect(asked).toBeGreaterThan(0)
    // three others each, and three tries if an answer is late
    expect(asked).toBeLessThanOrEqual(STALLS * 4 * 3 * 3)
  })
})
