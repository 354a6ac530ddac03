/**
 * Method 1 (to the sequencer, which broadcasts) against method 2 (the sender broadcasts), by message size, over
 * multicast and over unicast fan-out: latency of lone sends, throughput, bytes on the wire. The sequencer does not
 * send: its own messages go out once by either method, and would blur the difference.
 */
import { PACKET_BYTES_LOOPBACK } from '../kernel/node/udp.ts'
import type { Method, TransportName } from './messages.ts'
import type { MetricName } from './metrics.ts'
import { type Bench, plainCluster, type Round } from './plan.ts'
import type { Figure, Table } from './report/parts.ts'
import { list, say, seriesOf, valuesOf } from './report/series.ts'
import { find, type Result } from './results.ts'
import { bytes, range, ratio } from './table.ts'

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
      packetSizes.map(
        (packetSize): Round => ({
          clusters: TRANSPORTS.flatMap((transport) =>
            METHODS.map((method) => plainCluster(count, packetSize, { method, transport })),
          ),
          workloads: sizes.flatMap((size) => [
            { pattern: 'lone' as const, senders: 'other' as const, size },
            { pattern: 'stream' as const, senders: 'others' as const, size },
          ]),
          metrics: ['p50', 'p99', 'rate', 'wire', 'packets', 'cpu', 'repeated', 'others'],
        }),
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

/** Of one transport; with the first member count and packet size. */
function figuresOf(transport: TransportName, results: readonly Result[]): Figure[] {
  const first = results[0]!
  const shown = results.filter(
    ({ members, packetSize }) => members === first.members && packetSize === first.packetSize,
  )
  const plot = (
    name: string,
    metric: Result['metric'],
    senders: Result['senders'],
    label: string,
    isLessBetter: boolean,
    scale: (result: Result) => number,
  ): Figure => {
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
    const better = one!.points.flatMap(({ x, y }, i) => {
      const other = two!.points[i]
      return other !== undefined && (isLessBetter ? other.y < y : other.y > y) ? [bytes(x)] : []
    })
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
      says: say(
        better.length === 0
          ? `Method 1, to the sequencer and from there to all, is never the worse here.`
          : `Method 2, where the sender broadcasts, is the better of the two at ${list(better)}.`,
      ),
    }
  }
  return [
    plot('latency', 'p50', 'other', 'lone send, p50 (µs)', true, () => 1),
    plot('throughput', 'rate', 'others', 'bodies ordered (MB/s)', false, ({ size }) => size / 1e6),
    plot('wire', 'wire', 'others', 'bytes on the wire per byte of body', true, ({ size }) => 1 / size),
  ]
}
