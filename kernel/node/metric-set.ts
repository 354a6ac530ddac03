/** The metrics of one registry, by name, and how each is read from the members that are registered. */
import { Counter, Gauge, type Registry } from 'prom-client'
import { batchBuckets, type Counters, limitNames, resetBuckets } from '../counters.ts'
import { packetKindNames, rejectReasons } from '../packet.ts'
import type { MemberInfo } from '../port.ts'
import { CountedHistogram } from './counted-histogram.ts'
import { whyNotReady } from './readiness.ts'
import { type MethodSetting, SendTimes, sendBuckets } from './send-times.ts'

/** What metrics read of one member; all of it while a page is made, and never otherwise. */
export interface MemberSource {
  /** The group's port. */
  readonly group: string
  /** For the `member` label, where one is needed. */
  readonly name: string
  readonly counters: Counters
  info(): MemberInfo
  /** The group's `historySize` and `historyBytes`; undefined while the group is not known. */
  historyCapacity(): { readonly messages: number; readonly bytes: number } | undefined
  sequencerBusySeconds(): number
}

/** Packets that were rejected or answered before a member was found; they have no `group`. */
export interface RimSource {
  readonly counters: Counters
}

export interface MemberMetrics {
  /** A send that returned, from call to return. `method` is the member's setting: 'auto' chooses for each block. */
  observeSend(method: MethodSetting, resilience: number, seconds: number): void
  /** Takes the member's series away. */
  remove(): void
}

export type Labels = Readonly<Record<string, string>>

export interface Entry {
  readonly source: MemberSource
  readonly labels: Labels
  readonly sendTimes: SendTimes
}

export class MetricSet {
  /** Bounded by the memberships of this process. */
  readonly entries = new Set<Entry>()
  /** Bounded by the kernels of this process. */
  readonly rims = new Set<RimSource>()

  constructor(registry: Registry) {
    const registers = [registry]
    this.defineView(registers)
    this.defineSequencer(registers)
    this.defineHistory(registers)
    this.definePackets(registers)
    this.defineRecovery(registers)
    this.defineSettings(registers)
    new CountedHistogram(
      registers,
      {
        name: 'amoebacast_send_seconds',
        help: 'Time from the call of a send to its return',
        labelNames: ['method', 'resilience'],
      },
      sendBuckets,
      this.entries,
      ({ sendTimes }) => sendTimes.series,
    )
  }

  addMember(source: MemberSource): MemberMetrics {
    const sendTimes = new SendTimes()
    const entry: Entry = { source, labels: this.labelsFor(source), sendTimes }
    this.entries.add(entry)
    return {
      observeSend: (method, resilience, seconds) => sendTimes.observe(method, resilience, seconds),
      remove: () => {
        this.entries.delete(entry)
      },
    }
  }

  /** Chosen once, so that a member's series keep their names while others come and go. */
  private labelsFor({ group, name }: MemberSource): Labels {
    const taken = new Set(
      [...this.entries].filter((e) => e.source.group === group).map((e) => e.labels.member),
    )
    if (!taken.has(undefined)) return { group }
    let member = name
    for (let i = 2; taken.has(member); i++) member = `${name}-${i}`
    return { group, member }
  }

  private defineView(registers: Registry[]): void {
    const gauge = (name: string, help: string, read: (info: MemberInfo) => number | undefined) =>
      this.gauge(registers, name, help, ({ source }) => read(source.info()))
    gauge('is_sequencer', '1 at the member that numbers messages, else 0', (info) =>
      info.isSequencer ? 1 : 0,
    )
    gauge('ready', '1 if sends are ordered now: in a view that may go on; else 0', (info) =>
      whyNotReady(info) === undefined ? 1 : 0,
    )
    gauge('view_members', 'Members in the view; 0 without one', (info) => info.view?.members.length ?? 0)
    gauge('incarnation', 'Incarnation of the view', (info) => info.view?.incarnation)
    gauge('seq', 'Highest place known to be numbered', (info) => info.seq)
    gauge('stable_seq', 'Everything up to here has been taken by every member', (info) => info.stable)
    gauge('blocked_sends', 'Sends that wait for room', (info) => info.waitingSends)
    this.counter(
      registers,
      'deliveries_total',
      'Events handed to the program',
      ['kind'],
      ({ source }, add) => {
        for (const [kind, count] of Object.entries(source.counters.deliveries)) add({ kind }, count)
      },
    )
    const { entries } = this
    new Gauge({
      name: 'amoebacast_member_lag_messages',
      help: 'How far each member is behind, as the sequencer knows it',
      labelNames: ['group', 'member'],
      registers,
      collect() {
        this.reset()
        for (const { source } of entries) {
          for (const { id, messages } of source.info().lags) {
            this.set({ group: source.group, member: String(id) }, messages)
          }
        }
      },
    })
  }

  private defineSequencer(registers: Registry[]): void {
    this.counter(registers, 'sequencer_ordered_total', 'Messages numbered here', [], ({ source }, add) => {
      add({}, source.counters.ordered)
    })
    this.counter(registers, 'sequencer_ordered_bytes_total', 'Bytes numbered here', [], ({ source }, add) => {
      add({}, source.counters.orderedBytes)
    })
    this.counter(
      registers,
      'sequencer_busy_seconds_total',
      "Time spent in the sequencer's steps and sends; its rate is the load",
      [],
      ({ source }, add) => add({}, source.sequencerBusySeconds()),
    )
    this.gauge(registers, 'sequencer_queue_requests', 'Requests held and not numbered yet', ({ source }) => {
      return source.info().queuedRequests
    })
    new CountedHistogram(
      registers,
      { name: 'amoebacast_sequencer_batch_messages', help: 'Messages in one broadcast' },
      batchBuckets,
      this.entries,
      // Every message that is numbered goes out in one broadcast first, so their sum is known.
      ({ source: { counters } }) => [{ buckets: counters.batches, sum: counters.ordered }],
    )
  }

  private defineHistory(registers: Registry[]): void {
    const gauge = (name: string, help: string, read: (entry: Entry) => number | undefined) =>
      this.gauge(registers, name, help, read)
    gauge('history_messages', 'Messages in the history buffer', ({ source }) => source.info().historyMessages)
    gauge(
      'history_capacity_messages',
      'Room in the history buffer, used or not',
      ({ source }) => source.historyCapacity()?.messages,
    )
    gauge('history_bytes', 'Bytes in the history buffer', ({ source }) => source.info().historyBytes)
    gauge(
      'history_capacity_bytes',
      'Bytes that the history buffer has room for, used or not',
      ({ source }) => source.historyCapacity()?.bytes,
    )
  }

  private definePackets(registers: Registry[]): void {
    const kinds = packetKindNames.flatMap((type, kind) => (type === undefined ? [] : [{ type, kind }]))
    const directions = ['in', 'out'] as const
    const packets = (name: string, help: string, of: (c: Counters) => Counters['packets']) =>
      this.counter(
        registers,
        name,
        help,
        ['type', 'direction'],
        ({ source }, add) => {
          for (const direction of directions) {
            for (const { type, kind } of kinds)
              add({ type, direction }, of(source.counters)[direction][kind] ?? 0)
          }
        },
        (rim, add) => {
          // Only what has happened: the rim answers for the dead now and then and sends nothing else.
          for (const { type, kind } of kinds) {
            const count = of(rim.counters).out[kind] ?? 0
            if (count > 0) add({ type, direction: 'out' }, count)
          }
        },
      )
    packets('packets_total', 'Packets', (counters) => counters.packets)
    packets('packet_bytes_total', 'Bytes of packets', (counters) => counters.packetBytes)
    const rejected = ({ counters }: RimSource, add: Add): void => {
      for (const reason of rejectReasons) add({ reason }, counters.rejected[reason])
    }
    this.counter(
      registers,
      'packets_rejected_total',
      'Packets dropped, by reason; without a group where none was found for them',
      ['reason'],
      ({ source }, add) => rejected(source, add),
      rejected,
    )
    this.counter(
      registers,
      'limited_total',
      'Times that a limit was met, by limit; without a group for the whole process',
      ['limit'],
      ({ source }, add) => {
        for (const limit of limitNames) add({ limit }, source.counters.limited[limit])
      },
      (rim, add) => add({ limit: 'gone' }, rim.counters.limited.gone),
    )
    this.counter(registers, 'retransmissions_total', 'Packets sent again', ['type'], ({ source }, add) => {
      for (const [type, count] of Object.entries(source.counters.retransmissions)) add({ type }, count)
    })
  }

  private defineRecovery(registers: Registry[]): void {
    this.counter(registers, 'suspicions_total', 'Suspicions raised by this member', [], ({ source }, add) => {
      add({}, source.counters.suspicions)
    })
    this.counter(
      registers,
      'resets_total',
      'Resets that this member took part in, and own attempts that too few have answered',
      ['outcome'],
      ({ source }, add) => {
        for (const [outcome, count] of Object.entries(source.counters.resets)) add({ outcome }, count)
      },
    )
    new CountedHistogram(
      registers,
      { name: 'amoebacast_reset_seconds', help: 'Time from the first sign of a reset here to its end' },
      resetBuckets.map((micros) => micros / 1e6),
      this.entries,
      ({ source: { counters } }) => [{ buckets: counters.resetTimes, sum: counters.resetMicros / 1e6 }],
    )
    this.counter(
      registers,
      'splits_total',
      'Other groups met on the same port, and other lines of views of this one: two groups on one port',
      [],
      ({ source }, add) => add({}, source.counters.splits),
    )
  }

  private defineSettings(registers: Registry[]): void {
    this.gauge(
      registers,
      'wire_version',
      'Version of the wire format that the group writes',
      ({ source }) => source.info().settings.version,
    )
    this.gauge(
      registers,
      'key_id',
      'Id of the group key that the group seals with, as a number; 0 without one',
      ({ source }) => source.info().settings.keyId,
    )
    this.counter(
      registers,
      'key_changes_total',
      'Times that the group has changed to another group key',
      [],
      ({ source }, add) => add({}, source.counters.settings.key),
    )
    this.counter(
      registers,
      'version_changes_total',
      'Times that the group has changed to another version of the wire format',
      [],
      ({ source }, add) => add({}, source.counters.settings.version),
    )
  }

  private gauge(
    registers: Registry[],
    name: string,
    help: string,
    read: (entry: Entry) => number | undefined,
  ): void {
    const { entries } = this
    new Gauge({
      name: `amoebacast_${name}`,
      help,
      labelNames: ['group', 'member'],
      registers,
      collect() {
        this.reset()
        for (const entry of entries) {
          const value = read(entry)
          if (value !== undefined) this.set(entry.labels, value)
        }
      },
    })
  }

  private counter(
    registers: Registry[],
    name: string,
    help: string,
    labelNames: readonly string[],
    read: (entry: Entry, add: Add) => void,
    readRim: (rim: RimSource, add: Add) => void = () => {},
  ): void {
    const { entries, rims } = this
    new Counter({
      name: `amoebacast_${name}`,
      help,
      labelNames: ['group', 'member', ...labelNames],
      registers,
      collect() {
        this.reset()
        for (const entry of entries)
          read(entry, (labels, value) => this.inc({ ...entry.labels, ...labels }, value))
        for (const rim of rims) readRim(rim, (labels, value) => this.inc({ ...labels }, value))
      },
    })
  }
}

type Add = (labels: Labels, value: number) => void
