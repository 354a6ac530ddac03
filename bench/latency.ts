/** Time of a lone send on an idle group, from the sequencer and from another member; beside the floor and peers. */
import { PACKET_BYTES_LOOPBACK } from '../kernel/node/udp.ts'
import { isPeer } from './messages.ts'
import { type Bench, floorOf, peersOf, plainCluster } from './plan.ts'
import type { Figure, Table } from './report/parts.ts'
import {
  amount,
  besides,
  list,
  nameOf,
  roleOf,
  say,
  seriesOf,
  subjectsOf,
  times,
  valuesOf,
} from './report/series.ts'
import { find, type Result } from './results.ts'
import { bytes, range, ratio } from './table.ts'

export const latencyBench: Bench = {
  name: 'latency',
  describe: 'microseconds of a lone send, from the sequencer and from another member',
  plan({ members = [2, 3, 5, 8], sizes = [100], packetSizes = [PACKET_BYTES_LOOPBACK], method, against }) {
    return members.map((count) => ({
      clusters: [
        ...packetSizes.flatMap((packetSize) => {
          const own = plainCluster(count, packetSize, { method })
          return [own, floorOf(own)]
        }),
        ...peersOf(against, count),
      ],
      workloads: sizes.flatMap((size) =>
        (['other', 'sequencer'] as const).map((senders) => ({ pattern: 'lone' as const, senders, size })),
      ),
      metrics: ['p50', 'p99', 'p999', 'wire', 'packets', 'cpu', 'others'],
    }))
  },
  report(results) {
    const p50s = results.filter(({ metric }) => metric === 'p50')
    return { tables: [tableOf(results, p50s)], figures: figuresOf(p50s) }
  },
}

function tableOf(results: readonly Result[], p50s: readonly Result[]): Table {
  const rows = p50s
    .filter(({ subject }) => subject !== 'floor')
    .map((p50) => {
      const floor = find(results, p50, 'p50', 'floor') ?? floorFor(p50s, p50)
      return [
        nameOf(p50.subject),
        String(p50.members),
        bytes(p50.size),
        p50.senders,
        range(p50),
        range(find(results, p50, 'p99')),
        range(find(results, p50, 'p999')),
        range(floor),
        ratio(p50.value, floor?.value),
        isPeer(p50.subject) ? '' : (find(results, p50, 'packets')?.value.toFixed(2) ?? ''),
      ]
    })
  return {
    headings: [
      'subject',
      'members',
      'message',
      'sender',
      'p50 µs',
      'p99 µs',
      'p99.9 µs',
      'floor p50 µs',
      'ratio',
      'packets/message',
    ],
    rows,
    note: 'The time from the call of a send to its return: with the place in the order at a group, with the acknowledgement at a peer, with the own message at core NATS and on the floor, which acknowledge nothing. So the floor from the sequencer waits for a packet to come back, which the sequencer of a group at r = 0 does not: that ratio is kinder than the others. Peers have clients in place of members, and no sequencer that sends.',
  }
}

/** Peers have no packet size; the floor beside them is that of the first. */
function floorFor(p50s: readonly Result[], { members, size, senders }: Result): Result | undefined {
  return p50s.find(
    (each) =>
      each.subject === 'floor' && each.members === members && each.size === size && each.senders === senders,
  )
}

function figuresOf(p50s: readonly Result[]): Figure[] {
  const size = p50s[0]?.size
  const packetSize = p50s[0]?.packetSize
  const shown = p50s.filter(
    (each) => each.size === size && (each.packetSize === packetSize || isPeer(each.subject)),
  )
  const of = (subject: Result['subject'], senders: Result['senders']): Result[] =>
    shown.filter((each) => each.subject === subject && each.senders === senders)
  const series = subjectsOf(shown).flatMap((subject) => {
    const name = nameOf(subject)
    const others = seriesOf(name, roleOf(subject), of(subject, 'other'), ({ members }) => members)
    const sequencer = of(subject, 'sequencer')
    if (isPeer(subject)) return others
    const fromSequencer = `${name}, from the sequencer`
    return [others, seriesOf(fromSequencer, roleOf(subject), sequencer, ({ members }) => members)]
  })
  if (series.every(({ points }) => points.length === 0)) return []
  const own = of('amoebacast', 'other')
  const [first, last] = [own.find(({ members }) => members === 3) ?? own[0], own.at(-1)]
  const besideFirst = (results: readonly Result[]): Result | undefined =>
    results.find(({ members }) => members === first?.members)
  const floor = besideFirst(of('floor', 'other'))
  const sequencer = besideFirst(of('amoebacast', 'sequencer'))
  const sequencerFloor = besideFirst(of('floor', 'sequencer'))
  const peers = subjectsOf(shown)
    .filter(isPeer)
    .map((subject) => besideFirst(of(subject, 'other')))
    .filter((each) => each !== undefined)
  return [
    {
      name: 'latency',
      plot: {
        title: `Lone send of ${bytes(size ?? 0)}, by members`,
        x: {
          label: 'members',
          scale: 'linear',
          ticks: valuesOf(shown, ({ members }) => members),
        },
        y: { label: 'time of a send, p50 (µs)', scale: 'log' },
        series,
      },
      says: say(
        first &&
          `In a group of ${first.members} a lone send from a member that is not the sequencer takes ${amount(first)} in the median${besides(first, floor, 'what the bare packets take')}.`,
        first !== last &&
          first &&
          last &&
          `With ${last.members} members it is ${amount(last)}, ${times(last.value, first.value)} as long.`,
        sequencer &&
          `From the sequencer itself it takes ${amount(sequencer)}${besides(sequencer, sequencerFloor, 'the time of a bare packet to all that comes back to it')}.`,
        peers.length > 0 &&
          `Other systems with as many clients as ${first?.members} members: ${list(peers.map((peer) => `${nameOf(peer.subject)} ${amount(peer)}`))}.`,
      ),
    },
  ]
}
