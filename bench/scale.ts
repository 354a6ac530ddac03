/** What grows with the members of a group, and with the groups of a process; and how. */
import { PACKET_BYTES_LOOPBACK } from '../kernel/node/udp.ts'
import { type Bench, floorOf, plainCluster, type Round } from './plan.ts'
import type { Figure, Table } from './report/parts.ts'
import { amount, say, seriesOf, times, valuesOf } from './report/series.ts'
import { find, type Result } from './results.ts'
import { bytes, figure, range, ratio } from './table.ts'

const MEMBERS = [2, 3, 5, 8, 16, 32]
const GROUPS = [1, 2, 4, 8, 16]
/** With more members than this several share a process; the sequencer keeps one to itself. */
const PROCESSES_MAX = 8
const MEMBERS_OF_EACH_GROUP = 3

export const scaleBench: Bench = {
  name: 'scale',
  describe: 'what grows with members (2 to 32), and with groups in the same processes (1 to 16)',
  plan({ members = MEMBERS, sizes = [100], packetSizes = [PACKET_BYTES_LOOPBACK], method }) {
    const packetSize = packetSizes[0]!
    const size = sizes[0]!
    const metrics = [
      'p50',
      'rate',
      'packets',
      'handled',
      'sequencerCpu',
      'cpu',
      'repeated',
      'others',
    ] as const
    const stream = { pattern: 'stream', senders: 'all', size } as const
    const lone = { pattern: 'lone', senders: 'other', size } as const
    const byMembers = members.map((count): Round => {
      const own = plainCluster(count, packetSize, { method, processes: Math.min(count, PROCESSES_MAX) })
      return { clusters: [own, floorOf(own)], workloads: [lone, stream], metrics }
    })
    const each = members.includes(MEMBERS_OF_EACH_GROUP) ? MEMBERS_OF_EACH_GROUP : members[0]!
    const byGroups = GROUPS.slice(1).map((groups): Round => {
      const own = plainCluster(each, packetSize, { method, groups })
      const workloads = [{ ...lone, isFirstGroupOnly: true }, stream]
      return { clusters: [own, floorOf(own)], workloads, metrics }
    })
    return [...byMembers, ...byGroups]
  },
  report(results) {
    const tables = [membersTable(results), groupsTable(results)].filter(({ rows }) => rows.length > 0)
    return { tables, figures: figuresOf(results) }
  },
}

function lonesOf(results: readonly Result[]): Result[] {
  return results.filter(
    ({ metric, pattern, subject }) => metric === 'p50' && pattern === 'lone' && subject === 'amoebacast',
  )
}

/** Of the same members and groups, with all sending as fast as they can. */
function ofStream(
  results: readonly Result[],
  lone: Result,
  metric: Result['metric'],
  subject: Result['subject'] = 'amoebacast',
): Result | undefined {
  return find(results, { ...lone, pattern: 'stream', senders: 'all' }, metric, subject)
}

function rowOf(results: readonly Result[], p50: Result): string[] {
  const floor = find(results, p50, 'p50', 'floor')
  const loneCpu = find(results, p50, 'sequencerCpu')
  const loneFloorCpu = find(results, p50, 'sequencerCpu', 'floor')
  const rate = ofStream(results, p50, 'rate')
  const cpu = ofStream(results, p50, 'sequencerCpu')
  const floorRate = ofStream(results, p50, 'rate', 'floor')
  const floorCpu = ofStream(results, p50, 'sequencerCpu', 'floor')
  return [
    range(p50),
    range(floor),
    ratio(p50.value, floor?.value),
    range(find(results, p50, 'handled')),
    figure(loneCpu?.value),
    figure(loneFloorCpu?.value),
    ratio(loneCpu?.value, loneFloorCpu?.value),
    range(rate),
    ratio(rate?.value, floorRate?.value),
    range(ofStream(results, p50, 'handled')),
    range(cpu),
    ratio(cpu?.value, floorCpu?.value),
  ]
}

const HEADINGS = [
  'lone: p50 µs',
  'floor',
  'ratio',
  'lone: packets/message at the sequencer',
  'cpu µs/message there',
  'floor',
  'ratio',
  'all sending: messages/s',
  'to floor',
  'packets/message at the sequencer',
  'cpu µs/message there',
  'to floor',
]

function membersTable(results: readonly Result[]): Table {
  const lones = lonesOf(results).filter(({ groups }) => groups === 1)
  return {
    title: 'one group, by members',
    headings: ['members', 'processes', 'message', ...HEADINGS],
    rows: lones.map((p50) => [
      String(p50.members),
      String(p50.processes),
      bytes(p50.size),
      ...rowOf(results, p50),
    ]),
    note: `Packets that the sequencer takes and sends for each message, and the processor time of its process. Above ${PROCESSES_MAX} members several share a process (the floor's do as well): the sequencer still has its own, but the rates say more about the cores than about the group. Of a lone message's packets one is its request and one its broadcast; reports of what members hold come at most two a broadcast, and heartbeats and probes by time, so that more of them fall to a message where a send takes longer.`,
  }
}

function groupsTable(results: readonly Result[]): Table {
  const members = lonesOf(results).find(({ groups }) => groups > 1)?.members
  const lones = members === undefined ? [] : lonesOf(results).filter((each) => each.members === members)
  return {
    title: `groups in the same ${members ?? 0} processes`,
    headings: ['groups', 'members of each', ...HEADINGS, 'all: cpu µs/message', 'to floor', 'repeated'],
    rows: lones.map((p50) => {
      const cpu = ofStream(results, p50, 'cpu')
      return [
        String(p50.groups),
        String(p50.members),
        ...rowOf(results, p50),
        range(cpu),
        ratio(cpu?.value, ofStream(results, p50, 'cpu', 'floor')?.value),
        range(ofStream(results, p50, 'repeated')),
      ]
    }),
    note: "Every process is a member of all groups, and the sequencer of its share of them. Lone sends are in the first group, the others idle; the rate is that of all groups together. The sequencer's processor time is that of the first group's process, which serves other groups as well. Repeated: packets that all groups together had to send again in a run.",
  }
}

function figuresOf(results: readonly Result[]): Figure[] {
  const lones = lonesOf(results).filter(({ groups }) => groups === 1)
  if (lones.length === 0) return []
  const by = ({ members }: Result): number => members
  const floors = lones.flatMap((p50) => find(results, p50, 'p50', 'floor') ?? [])
  const handled = lones.flatMap((p50) => find(results, p50, 'handled') ?? [])
  const handledAtOnce = lones.flatMap((p50) => ofStream(results, p50, 'handled') ?? [])
  const x = { label: 'members', scale: 'log' as const, ticks: valuesOf(lones, by) }
  const [first, last] = [lones[0]!, lones.at(-1)!]
  const figures: Figure[] = [
    {
      name: 'scale-latency',
      plot: {
        title: 'Lone send, by members',
        x,
        y: { label: 'time of a send, p50 (µs)', scale: 'log' },
        series: [seriesOf('amoebacast', 'own', lones, by), seriesOf('floor', 'floor', floors, by)],
      },
      says: say(
        `From ${first.members} to ${last.members} members a lone send goes from ${amount(first)} to ${amount(last)}, ${times(last.value, first.value)} as long; the bare packets go from ${amount(floors[0])} to ${amount(floors.at(-1))}, ${times(floors.at(-1)?.value, floors[0]?.value)}.`,
      ),
    },
    {
      name: 'scale-sequencer',
      plot: {
        title: 'Packets that the sequencer takes and sends for each message',
        x,
        y: { label: 'packets a message', scale: 'log' },
        series: [
          seriesOf('lone sends', 'own', handled, by),
          seriesOf('all sending', 'own', handledAtOnce, by),
        ],
      },
      says: say(
        `For each lone message the sequencer handles ${amount(handled[0], 'packets')} with ${first.members} members and ${amount(handled.at(-1), 'packets')} with ${last.members}; with all sending, where many messages share a packet, ${amount(handledAtOnce[0], 'packets')} and ${amount(handledAtOnce.at(-1), 'packets')}.`,
      ),
    },
  ]
  return [...figures, ...groupFigures(results)]
}

function groupFigures(results: readonly Result[]): Figure[] {
  const members = lonesOf(results).find(({ groups }) => groups > 1)?.members
  if (members === undefined) return []
  const lones = lonesOf(results).filter((each) => each.members === members)
  const by = ({ groups }: Result): number => groups
  const rates = lones.flatMap((p50) => ofStream(results, p50, 'rate') ?? [])
  const floors = lones.flatMap((p50) => ofStream(results, p50, 'rate', 'floor') ?? [])
  const [first, last] = [rates[0], rates.at(-1)]
  return [
    {
      name: 'scale-groups',
      plot: {
        title: `Groups in the same ${members} processes, their sequencers spread`,
        x: { label: 'groups', scale: 'log', ticks: valuesOf(lones, by) },
        y: { label: 'messages a second of all groups together', scale: 'linear' },
        series: [seriesOf('amoebacast', 'own', rates, by), seriesOf('floor', 'floor', floors, by)],
      },
      says: say(
        first &&
          last &&
          `One group orders ${amount(first)}, ${last.groups} groups in the same processes ${amount(last)} together, ${times(last.value, first.value)} as many; the bare packets go from ${amount(floors[0])} to ${amount(floors.at(-1))}.`,
      ),
    },
  ]
}
