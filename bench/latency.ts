/** Time of a lone send on an idle group, from the sequencer and from another member; beside the floor. */
import { PACKET_BYTES_LOOPBACK } from '../kernel/node/udp.ts'
import { type Bench, besideFloor } from './plan.ts'
import { bytes, range, ratio, table } from './table.ts'
import { find } from './throughput.ts'

export const latencyBench: Bench = {
  name: 'latency',
  describe: 'microseconds of a lone send, from the sequencer and from another member, against the floor',
  plan({ members = [2, 3, 5, 8], sizes = [100], packetSizes = [PACKET_BYTES_LOOPBACK], method }) {
    return members.map((count) => ({
      clusters: besideFloor(count, packetSizes, method),
      workloads: sizes.flatMap((size) =>
        (['other', 'sequencer'] as const).map((senders) => ({ pattern: 'lone' as const, senders, size })),
      ),
      metrics: ['p50', 'p99', 'p999', 'wire', 'packets', 'cpu'],
    }))
  },
  report(results) {
    const rows = results
      .filter(({ metric, subject }) => metric === 'p50' && subject === 'amoebacast')
      .map((p50) => {
        const floor = find(results, p50, 'floor', 'p50')
        return [
          String(p50.members),
          bytes(p50.size),
          p50.senders,
          range(p50),
          range(find(results, p50, 'amoebacast', 'p99')),
          range(find(results, p50, 'amoebacast', 'p999')),
          range(floor),
          ratio(p50.value, floor?.value),
          find(results, p50, 'amoebacast', 'packets')?.value.toFixed(2) ?? '',
        ]
      })
    const headings = [
      'members',
      'message',
      'sender',
      'p50 µs',
      'p99 µs',
      'p99.9 µs',
      'floor p50 µs',
      'ratio',
      'packets/message',
    ]
    return { text: table(headings, rows) }
  },
}
