/** What a resilience degree costs: lone sends at r = 0 to members − 1, and the packets that they take. */
import { PACKET_BYTES_LOOPBACK } from '../kernel/node/udp.ts'
import { type Bench, floorOf, plainCluster } from './plan.ts'
import type { Figure } from './report/parts.ts'
import { amount, say, seriesOf, times, valuesOf } from './report/series.ts'
import { find, type Result } from './results.ts'
import { bytes, range, ratio } from './table.ts'

export const resilienceBench: Bench = {
  name: 'resilience',
  describe: 'microseconds and packets of a lone send, by the resilience degree r',
  plan({ members = [3, 5], sizes = [100], packetSizes = [PACKET_BYTES_LOOPBACK], method }) {
    return members.flatMap((count) =>
      packetSizes.map((packetSize) => {
        const own = plainCluster(count, packetSize, { method })
        const degrees = Array.from({ length: count }, (_, resilience) => ({ ...own, resilience }))
        return {
          clusters: [...degrees, floorOf(own)],
          workloads: sizes.map((size) => ({ pattern: 'lone' as const, senders: 'other' as const, size })),
          metrics: ['p50', 'p99', 'p999', 'packets', 'cpu', 'others'] as const,
        }
      }),
    )
  },
  report(results) {
    const p50s = results.filter(({ metric, subject }) => metric === 'p50' && subject === 'amoebacast')
    const rows = p50s.map((p50) => {
      const floor = find(results, p50, 'p50', 'floor')
      const none = find(results, { ...p50, resilience: 0 }, 'p50')
      return [
        String(p50.members),
        bytes(p50.size),
        String(p50.resilience),
        range(p50),
        range(find(results, p50, 'p99')),
        range(find(results, p50, 'p999')),
        ratio(p50.value, none?.value),
        range(floor),
        ratio(p50.value, floor?.value),
        range(find(results, p50, 'packets')),
        range(find(results, p50, 'cpu')),
      ]
    })
    const headings = [
      'members',
      'message',
      'r',
      'p50 µs',
      'p99 µs',
      'p99.9 µs',
      'to r = 0',
      'floor p50 µs',
      'ratio',
      'packets/message',
      'cpu µs/message',
    ]
    const note =
      'The send is of a member that is not the sequencer. At r = 0 there are two hops, request and broadcast; from r = 1 on four: acks and the accept follow. The floor has two. Where there are fewer cores than members, acks of several members wait for each other.'
    return { tables: [{ headings, rows, note }], figures: figuresOf(results, p50s) }
  },
}

function figuresOf(results: readonly Result[], p50s: readonly Result[]): Figure[] {
  const first = p50s[0]
  if (first === undefined) return []
  const shown = p50s.filter(({ size, packetSize }) => size === first.size && packetSize === first.packetSize)
  const counts = valuesOf(shown, ({ members }) => members)
  const byMembers = (count: number): Result[] => shown.filter(({ members }) => members === count)
  const x = {
    label: 'resilience degree r',
    scale: 'linear' as const,
    ticks: valuesOf(shown, ({ resilience }) => resilience),
  }
  const most = counts.at(-1)!
  const own = byMembers(most)
  const [none, one, all] = [own[0], own.find(({ resilience }) => resilience === 1), own.at(-1)]
  const packets = (result: Result | undefined): Result | undefined =>
    result && find(results, result, 'packets')
  const floor = none && find(results, none, 'p50', 'floor')
  const floors = counts.flatMap((count) => {
    const bare = byMembers(count)[0] && find(results, byMembers(count)[0]!, 'p50', 'floor')
    if (bare === undefined) return []
    const points = byMembers(count).map(({ resilience }) => ({ ...bare, resilience }))
    return seriesOf(`floor, ${count} members`, 'floor', points, ({ resilience }) => resilience)
  })
  return [
    {
      name: 'resilience',
      plot: {
        title: `Resilience against latency, lone send of ${bytes(first.size)}`,
        x,
        y: { label: 'time of a send, p50 (µs)', scale: 'linear' },
        series: [
          ...counts.map((count) =>
            seriesOf(`${count} members`, 'own', byMembers(count), ({ resilience }) => resilience),
          ),
          ...floors,
        ],
      },
      says: say(
        none &&
          `In a group of ${most} a lone send at r = 0 takes ${amount(none)}, ${times(none.value, floor?.value)} what the bare packets take.`,
        none &&
          one &&
          `r = 1 costs ${times(one.value, none.value)} r = 0: acks and an accept are two more hops.`,
        one &&
          all &&
          all !== one &&
          `r = ${all.resilience}, which no crash of others can undo, costs ${times(all.value, one.value)} r = 1.`,
      ),
    },
    {
      name: 'resilience-packets',
      plot: {
        title: 'Packets of a lone send, by the resilience degree',
        x,
        y: { label: 'packets handed to the network', scale: 'linear' },
        series: counts.map((count) =>
          seriesOf(
            `${count} members`,
            'own',
            byMembers(count).flatMap((p50) => packets(p50) ?? []),
            ({ resilience }) => resilience,
          ),
        ),
      },
      says: say(
        packets(none) &&
          `At r = 0 a message takes ${amount(packets(none), 'packets')}; a multicast counts once.`,
        packets(one) &&
          packets(all) &&
          `At r = 1 it takes ${amount(packets(one), 'packets')}${all === one ? '' : ` and at r = ${all!.resilience} it takes ${amount(packets(all), 'packets')}`}: each degree more is an ack more.`,
      ),
    },
  ]
}
