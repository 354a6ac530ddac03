/**
 * What the metrics page says, against what the simulator's network saw: packets and bytes by type, sent and
 * received, for each member, in runs with losses, repetitions, damage, joins and leaves, and with crashes.
 */
import { afterEach, expect, test, vi } from 'vitest'
import { Member } from '../../group/member/member.ts'
import { Metrics } from '../../kernel/node/metrics.ts'
import { type PacketKindName, packetKindNames, readHeader } from '../../kernel/packet.ts'
import { Network } from '../simulator/network.ts'
import type { Overrides } from '../simulator/options.ts'
import { type Outcome, runSeed } from '../simulator/run.ts'
import { parsePage, sumOf } from './metrics-page.ts'

afterEach(() => {
  vi.restoreAllMocks()
})

/** Packets and bytes by type. */
class Tally {
  readonly packets = new Map<string, number>()
  readonly bytes = new Map<string, number>()

  add(packet: Uint8Array): void {
    const type: PacketKindName = packetKindNames[packet[2]!]!
    this.packets.set(type, (this.packets.get(type) ?? 0) + 1)
    this.bytes.set(type, (this.bytes.get(type) ?? 0) + packet.length)
  }
}

function tallyOf(tallies: Map<string, Tally>, address: string): Tally {
  const known = tallies.get(address)
  if (known !== undefined) return known
  const tally = new Tally()
  tallies.set(address, tally)
  return tally
}

interface Seen {
  readonly outcome: Outcome
  /** By address. */
  readonly sent: Map<string, Tally>
  readonly received: Map<string, Tally>
  /** All lives of an address share one. */
  readonly metrics: Map<string, Metrics>
  unreadable: number
}

function simulate(seed: number, overrides: Overrides): Seen {
  const sent = new Map<string, Tally>()
  const received = new Map<string, Tally>()
  const metrics = new Map<string, Metrics>()
  let unreadable = 0
  const { unicast, multicast } = Network.prototype
  vi.spyOn(Network.prototype, 'unicast').mockImplementation(function (this: Network, from, to, packet) {
    tallyOf(sent, from).add(packet)
    unicast.call(this, from, to, packet)
  })
  vi.spyOn(Network.prototype, 'multicast').mockImplementation(function (this: Network, from, packet) {
    tallyOf(sent, from).add(packet)
    multicast.call(this, from, packet)
  })
  const outcome = runSeed(seed, {
    overrides,
    makeMachine: (options) => {
      const machine = new Member(options)
      const step = machine.step.bind(machine)
      machine.step = (now, input, sink) => {
        if (input.kind === 'packet') {
          // what is not even a header has no type; it is counted as rejected
          if (typeof readHeader(input.bytes) === 'string') unreadable++
          else tallyOf(received, options.address).add(input.bytes)
        }
        step(now, input, sink)
      }
      const known = metrics.get(options.address) ?? new Metrics()
      metrics.set(options.address, known)
      known.addMember({
        group: 'simulated',
        name: options.name,
        counters: machine.counters,
        info: () => machine.info(),
        historyCapacity: () => undefined,
        sequencerBusySeconds: () => 0,
      })
      return machine
    },
  })
  vi.restoreAllMocks()
  return { outcome, sent, received, metrics, unreadable }
}

const quiet: Overrides = { faults: false, members: 5, late: 2, early: 0, sends: 400, joinOrCreate: false }

test.each<[string, number, Overrides]>([
  ['multicast, method 1', 3, { transport: 'multicast', method: 'pb', loss: 0, resilience: 0 }],
  [
    'multicast with losses, method 2, r = 2',
    4,
    { transport: 'multicast', method: 'bb', loss: 0.1, resilience: 2 },
  ],
  ['unicast with losses and repetitions', 5, { transport: 'unicast', loss: 0.1, duplication: 0.1 }],
  ['damage and garbage', 6, { transport: 'unicast', corruption: 0.05, garbage: 0.05 }],
  ['large messages', 7, { packetSize: 512, large: 0.5, loss: 0.05, maxMessageSize: 4000 }],
])('packets and bytes by type, for each member: %s', async (_name, seed, overrides) => {
  // a change of settings is no delivery to programs, and the statistics count places
  const seen = simulate(seed, { ...quiet, keys: 0, upgrades: 0, ...overrides })
  const { outcome, sent, received, metrics } = seen
  expect([outcome.status, outcome.sentence]).toEqual(['ok', ''])
  let ins = 0
  let deliveries = 0
  for (const [address, own] of metrics) {
    const { samples } = parsePage(await own.page())
    for (const type of packetKindNames) {
      // the answers for lives that are over come from the address, but from no machine
      if (type === undefined || type === 'gone') continue
      for (const [direction, tallies] of [
        ['out', sent],
        ['in', received],
      ] as const) {
        const tally = tallies.get(address)
        const page = [
          sumOf(samples, 'amoebacast_packets_total', { type, direction }),
          sumOf(samples, 'amoebacast_packet_bytes_total', { type, direction }),
        ]
        const network = [tally?.packets.get(type) ?? 0, tally?.bytes.get(type) ?? 0]
        expect([address, type, direction, ...page]).toEqual([address, type, direction, ...network])
        if (direction === 'in') ins += page[0]!
      }
    }
    ins += sumOf(samples, 'amoebacast_packets_total', { type: 'gone', direction: 'in' })
    deliveries += sumOf(samples, 'amoebacast_deliveries_total', {})
    expect(sumOf(samples, 'amoebacast_resets_total', {})).toBe(0)
    expect(sumOf(samples, 'amoebacast_suspicions_total', {})).toBe(0)
  }
  // All that the network handed out is somewhere, and so is all that programs were handed.
  expect(ins + seen.unreadable).toBe(outcome.statistics.packets.delivered)
  expect(deliveries).toBe(outcome.statistics.delivered)
  expect(ins).toBeGreaterThan(500)
  if ((overrides.loss ?? 0) > 0) {
    const repairs = await Promise.all(
      [...metrics.values()].map(async (own) =>
        sumOf(parsePage(await own.page()).samples, 'amoebacast_retransmissions_total', {}),
      ),
    )
    expect(repairs.reduce((sum, count) => sum + count, 0)).toBeGreaterThan(0)
  }
})

test('suspicions and resets, against the turning points that the simulator saw', async () => {
  let resets = 0
  for (const seed of [1, 2, 3, 4]) {
    const { outcome, metrics } = simulate(seed, {
      ...quiet,
      faults: true,
      crashes: 2,
      recovery: 'auto',
      sends: 100,
    })
    expect([seed, outcome.status, outcome.sentence]).toEqual([seed, 'ok', ''])
    const pages = await Promise.all(
      [...metrics.values()].map(async (own) => parsePage(await own.page()).samples),
    )
    const total = (name: string, labels: Record<string, string> = {}) =>
      pages.reduce((sum, samples) => sum + sumOf(samples, `amoebacast_${name}`, labels), 0)
    const { suspect = 0, deaf = 0, split = 0 } = outcome.statistics.marks
    expect([seed, total('suspicions_total')]).toEqual([seed, suspect + deaf])
    expect(total('splits_total')).toBe(split)
    expect(total('reset_seconds_count')).toBe(total('resets_total', { outcome: 'ok' }))
    resets += total('resets_total', { outcome: 'ok' })
  }
  expect(resets).toBeGreaterThan(0)
})
