/** What sealing costs: the same group with a key and without one, in turns; the rate, and a lone send. */
import { drawKey } from '../kernel/node/secure/group-key.ts'
import { PACKET_BYTES_LOOPBACK } from '../kernel/node/udp.ts'
import type { Workload } from './harness.ts'
import { type Bench, plainCluster, type Round } from './plan.ts'
import { say } from './report/series.ts'
import { find, type Result } from './results.ts'
import { bytes, range } from './table.ts'

/** What may be lost of the rate at 1 KiB, and of the time of a lone send of 100 bytes. */
const RATE_LOSS_MAX = 0.25
const LONE_MICROS_MAX = 15
const LONE_BYTES = 100

export const secureBench: Bench = {
  name: 'secure',
  describe: 'what sealing costs: rates and lone sends with a group key and without one',
  plan({ members = [3], sizes = [1024], packetSizes = [PACKET_BYTES_LOOPBACK, 1400], method }) {
    return members.flatMap((count) =>
      packetSizes.map((packetSize): Round => {
        const plain = plainCluster(count, packetSize, { method })
        return {
          clusters: [plain, { ...plain, key: drawKey() }],
          workloads: [
            ...sizes.map((size): Workload => ({ pattern: 'stream', senders: 'all', size })),
            ...[LONE_BYTES, ...sizes].map((size): Workload => ({ pattern: 'lone', senders: 'other', size })),
          ],
          metrics: ['rate', 'p50', 'p99', 'cpu', 'others'],
        }
      }),
    )
  },
  report(results) {
    const pairs = pairsOf(results)
    const rows = pairs.map(({ plain, sealed, metric }) => [
      String(plain.members),
      bytes(plain.size),
      String(plain.packetSize),
      plain.pattern === 'lone'
        ? `lone send, ${metric} µs`
        : metric === 'cpu'
          ? 'cpu µs/message'
          : 'messages/s',
      range(plain),
      range(sealed),
      plain.pattern === 'lone'
        ? `${signed(sealed.value - plain.value)} µs`
        : `${signed((sealed.value / plain.value - 1) * 100)} %`,
    ])
    const headings = ['members', 'message', 'packet', 'what', 'plain', 'sealed', 'difference']
    const note = `Allowed: ${RATE_LOSS_MAX * 100} % of the rate at 1 KiB, and ${LONE_MICROS_MAX} µs of a lone send's p50 at ${LONE_BYTES} bytes. Packet sizes count on the wire, the envelope's 48 bytes with them.`
    return { tables: [{ headings, rows, note: [note, verdict(pairs)].join(' ') }], figures: [] }
  },
}

interface Pair {
  readonly metric: Result['metric']
  readonly plain: Result
  readonly sealed: Result
}

function pairsOf(results: readonly Result[]): Pair[] {
  return results.flatMap((plain) => {
    const isShown = plain.pattern === 'lone' ? ['p50', 'p99'] : ['rate', 'cpu']
    if (plain.isSealed || !isShown.includes(plain.metric)) return []
    const sealed = find(results, { ...plain, isSealed: true }, plain.metric)
    return sealed === undefined ? [] : [{ metric: plain.metric, plain, sealed }]
  })
}

function verdict(pairs: readonly Pair[]): string {
  const rates = pairs.filter(({ metric, plain }) => metric === 'rate' && plain.size === 1024)
  const lone = pairs.filter(({ metric, plain }) => metric === 'p50' && plain.size === LONE_BYTES)
  const slow = rates.filter(({ plain, sealed }) => sealed.value < plain.value * (1 - RATE_LOSS_MAX))
  const late = lone.filter(({ plain, sealed }) => sealed.value > plain.value + LONE_MICROS_MAX)
  return say(
    slow.length > 0 && `The rate lost more than that with packets of ${sizesOf(slow)} bytes.`,
    late.length > 0 && `A lone send took longer than that with packets of ${sizesOf(late)} bytes.`,
    rates.length + lone.length > 0 && slow.length + late.length === 0 && 'All of it was kept.',
  )
}

function sizesOf(pairs: readonly Pair[]): string {
  return pairs.map(({ plain }) => plain.packetSize).join(' and ')
}

function signed(value: number): string {
  return `${value < 0 ? '−' : '+'}${Math.abs(value).toFixed(1)}`
}
