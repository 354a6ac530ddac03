/**
 * What a resilience degree costs: lone sends at r = 0 to members − 1, and the packets that they take; and what is left of the
 * rate with all sending.
 */
import { PACKET_BYTES_LOOPBACK } from '../kernel/node/udp.ts'
import { type Bench, floorOf, plainCluster } from './plan.ts'
import type { Figure, Series, Table } from './report/parts.ts'
import { amount, besides, say, seriesOf, times, valuesOf } from './report/series.ts'
import { find, type Result } from './results.ts'
import { bytes, range, ratio } from './table.ts'

export const resilienceBench: Bench = {
  name: 'resilience',
  describe: 'by the resilience degree r: microseconds and packets of a lone send; the rate with all sending',
  plan({ members = [3, 5], sizes = [100], packetSizes = [PACKET_BYTES_LOOPBACK], method }) {
    return members.flatMap((count) =>
      packetSizes.map((packetSize) => {
        const own = plainCluster(count, packetSize, { method })
        const degrees = Array.from({ length: count }, (_, resilience) => ({ ...own, resilience }))
        return {
          clusters: [...degrees, floorOf(own)],
          workloads: sizes.flatMap((size) => [
            { pattern: 'lone' as const, senders: 'other' as const, size },
            { pattern: 'stream' as const, senders: 'all' as const, size },
          ]),
          metrics: ['p50', 'p99', 'p999', 'rate', 'packets', 'cpu', 'others'] as const,
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
      'r: so many others beside the sender hold a message before its send returns, and so many crashes at once lose none of these. The send is of a member that is not the sequencer. At r = 0 there are two hops, request and broadcast; from r = 1 on four: acks and the accept follow. The floor has two. Where there are fewer cores than members, acks of several members wait for each other.'
    const tables = [{ title: 'lone sends', headings, rows, note }, ratesTable(results)]
    return {
      tables: tables.filter((table) => table.rows.length > 0),
      figures: [...figuresOf(results, p50s), ...rateFigure(results)],
    }
  },
}

/** Of runs in which all send; one of lone sends has a rate as well, which is its latency once more. */
function ratesOf(results: readonly Result[]): Result[] {
  return results.filter(
    ({ metric, subject, pattern }) => metric === 'rate' && subject === 'amoebacast' && pattern === 'stream',
  )
}

function ratesTable(results: readonly Result[]): Table {
  const rows = ratesOf(results).map((rate) => {
    const none = find(results, { ...rate, resilience: 0 }, 'rate')
    const floor = find(results, rate, 'rate', 'floor')
    return [
      String(rate.members),
      bytes(rate.size),
      String(rate.resilience),
      range(rate),
      ratio(rate.value, none?.value),
      range(floor),
      ratio(rate.value, floor?.value),
      find(results, rate, 'packets')?.value.toPrecision(2) ?? '',
      range(find(results, rate, 'cpu')),
    ]
  })
  const headings = [
    'members',
    'message',
    'r',
    'messages/s at the slowest',
    'to r = 0',
    'floor',
    'ratio',
    'packets/message',
    'cpu µs/message',
  ]
  const note =
    'All send in batches, as in throughput. Acks and accepts ride on packets that are on their way anyhow, and one is for many messages: what r costs a lone send is not what it costs the rate.'
  return { title: 'all sending', headings, rows, note }
}

const degree = ({ resilience }: Result): number => resilience

/** The floor has no degrees: it is as far away at each of those that were measured. */
function floorLine(
  results: readonly Result[],
  own: readonly Result[],
  metric: Result['metric'],
  name: string,
): Series[] {
  const bare = own[0] && find(results, own[0], metric, 'floor')
  if (bare === undefined) return []
  const points = own.map(({ resilience }) => ({ ...bare, resilience }))
  return [seriesOf(name, 'floor', points, degree)]
}

function rateFigure(results: readonly Result[]): Figure[] {
  const rates = ratesOf(results)
  const first = rates[0]
  if (first === undefined) return []
  const shown = rates.filter(({ size, packetSize }) => size === first.size && packetSize === first.packetSize)
  const counts = valuesOf(shown, ({ members }) => members)
  const byMembers = (count: number): Result[] => shown.filter(({ members }) => members === count)
  const own = byMembers(counts.at(-1)!)
  const none = own[0]!
  const floor = find(results, none, 'rate', 'floor')
  return [
    {
      name: 'resilience-rate',
      plot: {
        title: `Resilience against the rate, all sending ${bytes(first.size)}`,
        x: { label: 'resilience degree r', scale: 'linear', ticks: valuesOf(shown, degree) },
        y: { label: 'messages a second at the slowest receiver', scale: 'log' },
        series: [
          ...counts.map((count) => seriesOf(`${count} members`, 'own', byMembers(count), degree)),
          ...counts.flatMap((count) =>
            floorLine(results, byMembers(count), 'rate', `floor, ${count} members`),
          ),
        ],
      },
      says: say(
        `With all of ${none.members} members sending each receives ${amount(none)} at r = ${none.resilience}${besides(none, floor, "the bare packets' rate")}.`,
        ...own
          .slice(1)
          .map((each) => `r = ${each.resilience}: ${amount(each)}${besides(each, none, 'that')}.`),
      ),
    },
  ]
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
    ticks: valuesOf(shown, degree),
  }
  const most = counts.at(-1)!
  const own = byMembers(most)
  const [none, one, all] = [own[0], own.find(({ resilience }) => resilience === 1), own.at(-1)]
  const packets = (result: Result | undefined): Result | undefined =>
    result && find(results, result, 'packets')
  const floor = none && find(results, none, 'p50', 'floor')
  const floors = counts.flatMap((count) =>
    floorLine(results, byMembers(count), 'p50', `floor, ${count} members`),
  )
  return [
    {
      name: 'resilience',
      plot: {
        title: `Resilience against latency, lone send of ${bytes(first.size)}`,
        x,
        y: { label: 'time of a send, p50 (µs)', scale: 'linear' },
        series: [
          ...counts.map((count) => seriesOf(`${count} members`, 'own', byMembers(count), degree)),
          ...floors,
        ],
      },
      says: say(
        none &&
          `In a group of ${most} a lone send at r = 0 takes ${amount(none)}${besides(none, floor, 'what the bare packets take')}.`,
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
            degree,
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
