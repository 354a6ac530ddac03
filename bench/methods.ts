/**
 * Method 1 (to the sequencer, which broadcasts) against method 2 (the sender broadcasts), by message size, over
 * multicast and over unicast fan-out: latency of lone sends, throughput, bytes on the wire. The sequencer does not
 * send: its own messages go out once by either method, and would blur the difference.
 */
import { PACKET_BYTES_LOOPBACK } from '../kernel/node/udp.ts'
import { METHOD_THRESHOLD } from './floor-packets.ts'
import type { Method, TransportName } from './messages.ts'
import type { MetricName } from './metrics.ts'
import { type Bench, plainCluster, type Round } from './plan.ts'
import type { Figure, Series, Table } from './report/parts.ts'
import { list, say, seriesOf, valuesOf } from './report/series.ts'
import { find, type Result } from './results.ts'
import { bytes, figure, range, ratio } from './table.ts'

const SIZES = [100, 1024, 4096, 8192, 16_384, 32_768, 65_536, 262_144, 1_048_576]
const TRANSPORTS: readonly TransportName[] = ['multicast', 'unicast']
const METHODS: readonly Method[] = ['pb', 'bb']

export const methodsBench: Bench = {
  name: 'methods',
  // nine sizes by two transports and methods
  runShare: 0.5,
  describe: 'method 1 against method 2 by message size: latency, throughput, bytes on the wire',
  plan({ members = [3], sizes = SIZES, packetSizes = [PACKET_BYTES_LOOPBACK] }) {
    return members.flatMap((count) =>
      packetSizes.flatMap((packetSize) =>
        TRANSPORTS.map(
          (transport): Round => ({
            clusters: METHODS.map((method) => plainCluster(count, packetSize, { method, transport })),
            workloads: sizes.flatMap((size) => [
              { pattern: 'lone' as const, senders: 'other' as const, size },
              { pattern: 'stream' as const, senders: 'others' as const, size },
            ]),
            metrics: ['p50', 'p99', 'rate', 'wire', 'packets', 'cpu', 'repeated', 'others'],
          }),
        ),
      ),
    )
  },
  report(results) {
    const of = (transport: TransportName): Result[] =>
      results.filter((result) => result.transport === transport)
    const transports = TRANSPORTS.filter((transport) => of(transport).length > 0)
    return {
      tables: transports.map((transport) => tableOf(transport, results)),
      figures: transports.flatMap((transport) => figuresOf(transport, of(transport))),
    }
  },
}

function tableOf(transport: TransportName, results: readonly Result[]): Table {
  const rows = results
    .filter(
      (result) =>
        result.transport === transport &&
        result.method === 'pb' &&
        result.metric === 'p50' &&
        result.pattern === 'lone',
    )
    .map((p50) => {
      const other = find(results, { ...p50, method: 'bb' }, 'p50')
      const ofStream = (method: Method, metric: MetricName): Result | undefined =>
        find(results, { ...p50, method, pattern: 'stream', senders: 'others' }, metric)
      const rate = (method: Method) => ofStream(method, 'rate')
      const cpu = (method: Method) => ofStream(method, 'cpu')
      const wire = (method: Method) => ofStream(method, 'wire')
      return [
        bytes(p50.size),
        String(p50.packetSize),
        range(p50),
        range(other),
        ratio(other?.value, p50.value),
        range(rate('pb')),
        range(rate('bb')),
        ratio(rate('bb')?.value, rate('pb')?.value),
        range(cpu('pb')),
        range(cpu('bb')),
        ratio(cpu('bb')?.value, cpu('pb')?.value),
        ratio(wire('pb')?.value, p50.size),
        ratio(wire('bb')?.value, p50.size),
      ]
    })
  const headings = [
    'message',
    'packet',
    'p50 µs, 1',
    'p50 µs, 2',
    '2 : 1',
    'messages/s, 1',
    'messages/s, 2',
    '2 : 1',
    'cpu µs/message, 1',
    'cpu, 2',
    '2 : 1',
    'wire/body, 1',
    'wire/body, 2',
  ]
  const title = `${transport}, ${results[0]?.members ?? 0} members; latency of one sender, rate with all sending but the sequencer`
  return { title, headings, rows }
}

/** What one plot is of. */
interface Shown {
  readonly name: string
  readonly metric: MetricName
  readonly senders: Result['senders']
  readonly label: string
  /** Of its values, in words. */
  readonly unit: string
  readonly isLessBetter: boolean
  /** From a result's unit to the plot's. */
  scale(result: Result): number
  /** What a reader sees there, before the figures. */
  readonly says: string
}

const PLOTS: readonly Shown[] = [
  {
    name: 'latency',
    metric: 'p50',
    senders: 'other',
    label: 'lone send, p50 (µs)',
    unit: ' µs',
    isLessBetter: true,
    scale: () => 1,
    says: 'How long one send takes on an idle group. Method 1 carries the body to the sequencer and from there to all, one behind the other; with method 2 all have it after one journey, and a small packet with its place follows.',
  },
  {
    name: 'throughput',
    metric: 'rate',
    senders: 'others',
    label: 'bodies ordered (MB/s)',
    unit: ' MB/s',
    isLessBetter: false,
    scale: ({ size }) => size / 1e6,
    says: 'How much goes through when all but the sequencer send as fast as they can. With method 1 every byte passes through the sequencer, whose process is what limits the group; with method 2 it only says where in the order each block has its place. Small messages share blocks that fill a packet, so that their size matters less than that of a lone send.',
  },
  {
    name: 'wire',
    metric: 'wire',
    senders: 'others',
    label: 'bytes on the wire per byte of body',
    unit: '',
    isLessBetter: true,
    scale: ({ size }) => 1 / size,
    says: 'What members hand to the network for each byte of body under the same load, everything included. A multicast counts once; without it each receiver costs a copy.',
  },
]

/** Of one transport; with the first member count and packet size. */
function figuresOf(transport: TransportName, results: readonly Result[]): Figure[] {
  const first = results[0]!
  const shown = results.filter(
    ({ members, packetSize }) => members === first.members && packetSize === first.packetSize,
  )
  return PLOTS.map(({ name, metric, senders, label, unit, isLessBetter, scale, says }): Figure => {
    const [one, two] = METHODS.map((method) =>
      seriesOf(
        method === 'pb' ? 'method 1' : 'method 2',
        'own',
        shown.filter(
          (result) => result.method === method && result.metric === metric && result.senders === senders,
        ),
        ({ size }) => size,
        scale,
      ),
    )
    return {
      name: `methods-${transport}-${name}`,
      plot: {
        title: `${label}, ${transport}, ${first.members} members`,
        x: {
          label: 'message size (bytes)',
          scale: 'log',
          ticks: valuesOf(shown, ({ size }) => size),
          format: bytes,
        },
        y: { label, scale: 'log' },
        series: [one!, two!],
      },
      says: say(says, ...comparison(one!, two!, isLessBetter, unit), THRESHOLD),
    }
  })
}

const THRESHOLD = `By itself a member takes method 2 for blocks of ${bytes(METHOD_THRESHOLD)} and more (methodThreshold): a lone message of that size, or as many small ones as share a packet under load.`

/** Medians that differ by less than this are the same: 2 %. */
const SAME_WITHIN = 1.02

/**
 * Where method 2 is the better one, by how much at the ends, and where the lines cross: by the medians. Where the runs of
 * both overlap, that is said.
 */
function comparison(one: Series, two: Series, isLessBetter: boolean, unit: string): string[] {
  const both = one.points.flatMap(({ x, y, low, high }) => {
    const other = two.points.find((point) => point.x === x)
    if (other === undefined || y === 0 || other.y === 0) return []
    const isOverlapping = low <= other.high && other.low <= high
    return [{ x, gain: isLessBetter ? y / other.y : other.y / y, y, other: other.y, isOverlapping }]
  })
  const [first, last] = [both[0], both.at(-1)]
  if (first === undefined || last === undefined) return []
  const apart = both.filter(({ gain }) => Math.max(gain, 1 / gain) > SAME_WITHIN)
  const crossings = apart.slice(1).flatMap((to, i) => {
    const from = apart[i]!
    if (from.gain > 1 === to.gain > 1) return []
    // both axes are logarithmic, and so is the way from point to point
    const part = Math.log(from.gain) / (Math.log(from.gain) - Math.log(to.gain))
    return [sizeOf(from.x * (to.x / from.x) ** part)]
  })
  const better = apart.filter(({ gain }) => gain > 1).map(({ x }) => bytes(x))
  const overlapping = apart.filter(({ isOverlapping }) => isOverlapping).map(({ x }) => bytes(x))
  const at = ({ x, y, other }: typeof first): string =>
    `${bytes(x)}: ${figure(y)}${unit} with method 1, ${figure(other)}${unit} with method 2`
  return [
    `${at(first)}${last === first ? '' : `; ${at(last)}`}.`,
    better.length === 0
      ? 'Method 2 is the better one nowhere here.'
      : better.length === both.length
        ? 'Method 2 is the better one at every size here.'
        : `Method 2 is the better one at ${list(better)}.`,
    crossings.length === 0 ? 'The lines do not cross.' : `The lines cross at about ${list(crossings)}.`,
    overlapping.length === 0
      ? ''
      : overlapping.length === both.length
        ? 'All of that is said of medians: at every size the runs of both overlap, so that it may be chance.'
        : `That is said of medians: at ${list(overlapping)} the runs of both overlap, so that it may be chance there.`,
  ]
}

/** Between two sizes that were measured. */
function sizeOf(size: number): string {
  return size < 1024 ? `${figure(size)} B` : `${figure(size / 1024)} KiB`
}
