/** Messages a second, one sender or all of them, through the batch calls; beside floors and peers in the same run. */
import { PACKET_BYTES_LOOPBACK } from '../kernel/node/udp.ts'
import type { Senders } from './harness.ts'
import { isPeer } from './messages.ts'
import { type Bench, floorOf, peersOf, plainCluster, type Round } from './plan.ts'
import type { Figure, Series, Table } from './report/parts.ts'
import { amount, list, nameOf, roleOf, say, seriesOf, subjectsOf, times, valuesOf } from './report/series.ts'
import { find, type Result } from './results.ts'
import { bytes, figure, range, ratio } from './table.ts'

const SIZES = [100, 1024, 10_240, 102_400]
/** That fit into an Ethernet frame, and into a large one; and the default, which is the largest. */
const PACKET_SIZES = [1400, 8192, PACKET_BYTES_LOOPBACK]

const METRICS = ['rate', 'leastShare', 'mostShare', 'wire', 'packets', 'cpu', 'repeated', 'others'] as const

export const throughputBench: Bench = {
  name: 'throughput',
  describe: 'messages a second at the slowest receiver, one sender and all, in batches and one by one',
  // a packet size has a round of its own, so that few clusters live at once
  plan({ members = [3], sizes = SIZES, packetSizes = PACKET_SIZES, method, against }) {
    const last = packetSizes.at(-1)
    const peers = against.filter((peer) => peer !== 'etcd')
    const workloads = sizes.flatMap((size) =>
      (['other', 'all'] as const).map((senders) => ({ pattern: 'stream' as const, senders, size })),
    )
    return members.flatMap((count) =>
      packetSizes.map((packetSize): Round => {
        const own = plainCluster(count, packetSize, { method })
        const beside = [{ ...own, calls: 'each' as const }, ...peersOf(peers, count)]
        return {
          clusters: [
            own,
            floorOf(own),
            floorOf(own, 'floor-delivered'),
            ...(packetSize === last ? beside : []),
          ],
          workloads,
          metrics: METRICS,
        }
      }),
    )
  },
  report(results) {
    const rates = results.filter(({ metric }) => metric === 'rate')
    return { tables: [tableOf(results, rates)], figures: figuresOf(results, rates) }
  },
}

function sendersName(senders: Senders): string {
  return senders === 'other' ? 'one' : senders
}

function tableOf(results: readonly Result[], rates: readonly Result[]): Table {
  const rows = rates
    .filter(({ subject }) => subject === 'amoebacast' || isPeer(subject))
    .map((rate) => {
      const isOwn = !isPeer(rate.subject)
      const bare = find(results, rate, 'rate', 'floor')
      const delivered = find(results, rate, 'rate', 'floor-delivered')
      const wire = find(results, rate, 'wire')
      return [
        nameOf(rate.subject) + (rate.calls === 'each' ? ', one by one' : ''),
        String(rate.members),
        bytes(rate.size),
        isOwn ? String(rate.packetSize) : '',
        sendersName(rate.senders),
        range(rate),
        range(bare),
        ratio(rate.value, bare?.value),
        range(delivered),
        ratio(rate.value, delivered?.value),
        sharesOf(results, rate),
        figure((rate.value * rate.size) / 1e6),
        isOwn ? ratio(wire?.value, rate.size) : '',
        isOwn ? (find(results, rate, 'packets')?.value.toPrecision(2) ?? '') : '',
        figure(find(results, rate, 'cpu')?.value),
        isOwn ? figure(find(results, rate, 'cpu', 'floor')?.value) : '',
        isOwn ? range(find(results, rate, 'repeated')) : '',
        isOwn ? range(find(results, rate, 'repeated', 'floor')) : '',
        figure(find(results, rate, 'others')?.value),
      ]
    })
  return {
    headings: [
      'subject',
      'members',
      'message',
      'packet',
      'senders',
      'messages/s at the slowest',
      'floor',
      'ratio',
      'floor, delivered',
      'ratio',
      'shares of the senders %',
      'MB/s',
      'wire/body',
      'packets/message',
      'cpu µs/message',
      'floor',
      'repeated',
      'floor: stalls',
      'others %',
    ],
    rows,
    note: "amoebacast: sendMany, receiveEach, binary bodies. One by one: sendToGroup with many calls on their way, `for await`, objects through msgpack. Measured with the largest packets. Floor: full packets built once, never looked into, sent by the method that the library takes for their size. Floor, delivered: each sending process copies its messages into the packets, each receiving one takes every message out and into the digest, as programs do with the library; what remains between it and amoebacast is the protocol. Stalls: how often in the measured part a sender of the floor gave up packets that had not come back for 50 ms; it repairs nothing, so that a floor with several stalls in a run is lower than it ought to be, and its ratio kinder. Shares: of the order, that of the sender with least and of the one with most. Peers: their servers' processor time is in the cpu column.",
  }
}

/** Of the order, the least and the most that a sender has; nothing where one sends. */
function sharesOf(results: readonly Result[], rate: Result): string {
  const [least, most] = [find(results, rate, 'leastShare'), find(results, rate, 'mostShare')]
  return least === undefined || most === undefined ? '' : `${figure(least.value)}–${figure(most.value)}`
}

function figuresOf(results: readonly Result[], rates: readonly Result[]): Figure[] {
  const members = rates[0]?.members
  const packetSizes = valuesOf(
    rates.filter(({ subject }) => !isPeer(subject)),
    ({ packetSize }) => packetSize,
  )
  return packetSizes.flatMap((packetSize) =>
    (['all', 'other'] as const).flatMap((senders) => {
      const shown = rates.filter(
        (each) =>
          each.members === members &&
          each.senders === senders &&
          (each.packetSize === packetSize || isPeer(each.subject)),
      )
      return shown.length === 0 ? [] : [figureOf(results, shown, packetSize, senders)]
    }),
  )
}

function figureOf(
  results: readonly Result[],
  shown: readonly Result[],
  packetSize: number,
  senders: Senders,
): Figure {
  const of = (subject: Result['subject'], calls: Result['calls'] = 'batch'): Result[] =>
    shown.filter((each) => each.subject === subject && each.calls === calls)
  const line = (name: string, role: Series['role'], results: readonly Result[]): Series =>
    seriesOf(name, role, results, ({ size }) => size)
  const series = [
    line(nameOf('amoebacast'), 'own', of('amoebacast')),
    line(`${nameOf('amoebacast')}, one by one`, 'own', of('amoebacast', 'each')),
    ...subjectsOf(shown)
      .filter((subject) => subject !== 'amoebacast')
      .map((subject) => line(nameOf(subject), roleOf(subject), of(subject))),
  ]
  const who = senders === 'other' ? 'one sender' : 'all sending'
  const sizes = valuesOf(shown, ({ size }) => size)
  const at = (results: readonly Result[], size: number): Result | undefined =>
    results.find((each) => each.size === size)
  const least = sizes[0]!
  const ratios = sizes.flatMap((size) => {
    const [own, floor] = [at(of('amoebacast'), size), at(of('floor'), size)]
    return own === undefined || floor === undefined
      ? []
      : `${(own.value / floor.value).toFixed(2)} at ${bytes(size)}`
  })
  const own = at(of('amoebacast'), least)
  const each = at(of('amoebacast', 'each'), least)
  const peers = subjectsOf(shown)
    .filter(isPeer)
    .flatMap((subject) => at(of(subject), least) ?? [])
  return {
    name: `throughput-${packetSize}-${senders === 'other' ? 'one' : 'all'}`,
    plot: {
      title: `Messages a second, ${shown[0]!.members} members, ${who}, packets of ${packetSize} B`,
      x: { label: 'message size (bytes)', scale: 'log', ticks: sizes, format: bytes },
      y: { label: 'messages a second at the slowest receiver', scale: 'log' },
      series: series.filter(({ points }) => points.length > 0),
    },
    says: say(
      own &&
        `With messages of ${bytes(least)}, ${who}, each of ${own.members} members receives ${amount(own)}.`,
      ratios.length > 0 && `Of the bare packets' rate that is ${list(ratios)}.`,
      own && sharesOf(results, own) !== '' && `Each sender has ${sharesOf(results, own)} % of the order.`,
      own &&
        each &&
        `One call and one object a message come to ${amount(each)}, ${times(each.value, own.value)} the rate of batches.`,
      peers.length > 0 &&
        `Beside it at ${bytes(least)}: ${list(peers.map((peer) => `${nameOf(peer.subject)} ${amount(peer)}`))}.`,
    ),
  }
}
