/** Messages a second, one sender or all of them, through the batch calls; beside the floor in the same run. */
import { PACKET_BYTES_LOOPBACK } from '../kernel/node/udp.ts'
import type { Senders } from './harness.ts'
import type { Subject } from './messages.ts'
import { type Bench, besideFloor } from './plan.ts'
import type { Result } from './results.ts'
import { bytes, figure, range, ratio, table } from './table.ts'

const SIZES = [100, 1024, 10_240, 102_400]

export const throughputBench: Bench = {
  name: 'throughput',
  describe: 'messages a second: sendMany and receiveBatch, one sender and all, against the floor',
  plan({ members = [3], sizes = SIZES, packetSizes = [1400, PACKET_BYTES_LOOPBACK], method }) {
    return members.map((count) => ({
      clusters: besideFloor(count, packetSizes, method),
      workloads: sizes.flatMap((size) =>
        (['other', 'all'] as const).map((senders) => ({ pattern: 'stream' as const, senders, size })),
      ),
      metrics: ['rate', 'wire', 'packets', 'cpu', 'repeated', 'others'],
    }))
  },
  report(results) {
    const rows = results
      .filter(({ metric, subject }) => metric === 'rate' && subject === 'amoebacast')
      .map((rate) => {
        const floor = find(results, rate, 'floor', 'rate')
        const wire = find(results, rate, 'amoebacast', 'wire')
        return [
          String(rate.members),
          bytes(rate.size),
          String(rate.packetSize),
          sendersName(rate.senders),
          range(rate),
          range(floor),
          ratio(rate.value, floor?.value),
          figure((rate.value * rate.size) / 1e6),
          ratio(wire?.value, rate.size),
          find(results, rate, 'amoebacast', 'packets')?.value.toPrecision(2) ?? '',
          figure(find(results, rate, 'amoebacast', 'cpu')?.value ?? Number.NaN),
          figure(find(results, rate, 'floor', 'cpu')?.value ?? Number.NaN),
          range(find(results, rate, 'amoebacast', 'repeated')),
          figure(find(results, rate, 'amoebacast', 'others')?.value ?? Number.NaN),
        ]
      })
    const headings = [
      'members',
      'message',
      'packet',
      'senders',
      'messages/s at the slowest',
      'floor',
      'ratio',
      'MB/s',
      'wire/body',
      'packets/message',
      'cpu µs/message',
      'floor',
      'repeated',
      'others %',
    ]
    return { text: table(headings, rows) }
  },
}

export function sendersName(senders: Senders): string {
  return senders === 'other' ? 'one' : senders
}

/** The figure of another metric or subject under the same setting. */
export function find(
  results: readonly Result[],
  like: Result,
  subject: Subject,
  metric: Result['metric'],
): Result | undefined {
  return results.find(
    (result) =>
      result.subject === subject &&
      result.metric === metric &&
      result.bench === like.bench &&
      result.members === like.members &&
      result.size === like.size &&
      result.senders === like.senders &&
      result.packetSize === like.packetSize &&
      (subject === 'floor' || (result.method === like.method && result.transport === like.transport)),
  )
}
