import { Counter, Registry } from 'prom-client'
import { expect, test } from 'vitest'
import { Counters } from '../../kernel/counters.ts'
import { type MemberSource, Metrics } from '../../kernel/node/metrics.ts'
import { PacketKind, packetKindNames, rejectReasons } from '../../kernel/packet.ts'
import type { MemberInfo } from '../../kernel/port.ts'
import { labelsOf, parsePage as parse } from './metrics-page.ts'
import { info } from './support.ts'

function source(given: Partial<MemberInfo> = {}, name = 'host-1'): MemberSource & { counters: Counters } {
  const member = info(given)
  return {
    group: member.port,
    name,
    counters: new Counters(),
    info: () => member,
    historyCapacity: () => ({ messages: 128, bytes: 4096 }),
    sequencerBusySeconds: () => 1.5,
  }
}

/** The interface, section 3, and what was added to it: every name, its type and its labels. */
const interfaceList: Record<string, readonly [type: 'gauge' | 'counter' | 'histogram', ...labels: string[]]> =
  {
    ready: ['gauge'],
    is_sequencer: ['gauge'],
    view_members: ['gauge'],
    incarnation: ['gauge'],
    seq: ['gauge'],
    stable_seq: ['gauge'],
    sequencer_ordered_total: ['counter'],
    sequencer_ordered_bytes_total: ['counter'],
    sequencer_busy_seconds_total: ['counter'],
    sequencer_queue_requests: ['gauge'],
    sequencer_batch_messages: ['histogram'],
    history_messages: ['gauge'],
    history_capacity_messages: ['gauge'],
    history_capacity_bytes: ['gauge'],
    history_bytes: ['gauge'],
    packets_total: ['counter', 'direction', 'type'],
    packet_bytes_total: ['counter', 'direction', 'type'],
    packets_rejected_total: ['counter', 'reason'],
    limited_total: ['counter', 'limit'],
    retransmissions_total: ['counter', 'type'],
    send_seconds: ['histogram', 'method', 'resilience'],
    deliveries_total: ['counter', 'kind'],
    member_lag_messages: ['gauge', 'member'],
    blocked_sends: ['gauge'],
    suspicions_total: ['counter'],
    resets_total: ['counter', 'outcome'],
    reset_seconds: ['histogram'],
    splits_total: ['counter'],
    key_id: ['gauge'],
    wire_version: ['gauge'],
    key_changes_total: ['counter'],
    version_changes_total: ['counter'],
  }

test('the page has every name of the interface with its labels, and no other', async () => {
  const metrics = new Metrics()
  metrics.addMember(source()).observeSend('auto', 1, 0.001)
  const page = parse(await metrics.page())
  const expected = Object.entries(interfaceList).map(([name, [type, ...labels]]) => {
    return [`amoebacast_${name}`, type, ['group', ...labels].sort()] as const
  })
  const found = [...labelsOf(page)].map(([name, labels]) => [name, page.types.get(name), [...labels].sort()])
  expect(found.sort()).toEqual(expected.sort())
  expect([...page.types.keys()].sort()).toEqual(expected.map(([name]) => name).sort())
  for (const [name, help] of page.helps) expect([name, help]).toEqual([name, expect.stringMatching(/\w{3}/)])
})

test('the values of all labels but the group are of closed lists', async () => {
  const metrics = new Metrics()
  metrics.addMember(source()).observeSend('auto', 1, 0.001)
  const text = await metrics.page()
  const values = (label: string) =>
    new Set([...text.matchAll(new RegExp(`[{,]${label}="([^"]*)"`, 'g'))].map(([, value]) => value))
  expect([...values('type')].sort()).toEqual([...packetKindNames.filter(Boolean), 'stream'].sort())
  expect([...values('reason')].sort()).toEqual([...rejectReasons].sort())
  expect([...values('direction')].sort()).toEqual(['in', 'out'])
  expect([...values('outcome')].sort()).toEqual(['failed', 'ok'])
  expect([...values('kind')].sort()).toEqual(['join', 'leave', 'message', 'reset'])
})

test('values are those of the machine at the time of asking', async () => {
  const metrics = new Metrics()
  const member = source()
  const { counters } = member
  const own = metrics.addMember(member)
  counters.packet('out', PacketKind.order, 500)
  counters.packet('out', PacketKind.order, 700)
  counters.packet('in', PacketKind.request, 90)
  counters.rejected.stranger = 4
  counters.retransmissions.repair = 6
  counters.ordered = 112
  counters.orderedBytes = 9000
  counters.broadcast(1)
  counters.broadcast(11)
  counters.broadcast(100)
  counters.broadcast(5000)
  counters.deliveries.message = 31
  counters.suspicions = 2
  own.observeSend('pb', 1, 0.0003)
  own.observeSend('pb', 1, 3)
  counters.reset(20_000)
  counters.reset(700)
  counters.reset(9_000_000)
  counters.resets.failed = 4
  counters.splits = 1
  const { samples } = parse(await metrics.page())
  const g = 'group="orders"'
  const expected: Record<string, number> = {
    [`ready{${g}}`]: 1,
    [`is_sequencer{${g}}`]: 1,
    [`view_members{${g}}`]: 2,
    [`incarnation{${g}}`]: 3,
    [`seq{${g}}`]: 42,
    [`stable_seq{${g}}`]: 39,
    [`sequencer_ordered_total{${g}}`]: 112,
    [`sequencer_ordered_bytes_total{${g}}`]: 9000,
    [`sequencer_busy_seconds_total{${g}}`]: 1.5,
    [`sequencer_queue_requests{${g}}`]: 5,
    [`sequencer_batch_messages_bucket{${g},le="1"}`]: 1,
    [`sequencer_batch_messages_bucket{${g},le="10"}`]: 1,
    [`sequencer_batch_messages_bucket{${g},le="20"}`]: 2,
    [`sequencer_batch_messages_bucket{${g},le="1000"}`]: 3,
    [`sequencer_batch_messages_bucket{${g},le="+Inf"}`]: 4,
    [`sequencer_batch_messages_count{${g}}`]: 4,
    [`sequencer_batch_messages_sum{${g}}`]: 112,
    [`history_messages{${g}}`]: 3,
    [`history_capacity_messages{${g}}`]: 128,
    [`history_capacity_bytes{${g}}`]: 4096,
    [`history_bytes{${g}}`]: 300,
    [`packets_total{direction="out",${g},type="order"}`]: 2,
    [`packets_total{direction="in",${g},type="request"}`]: 1,
    [`packets_total{direction="in",${g},type="gap"}`]: 0,
    [`packet_bytes_total{direction="out",${g},type="order"}`]: 1200,
    [`packets_rejected_total{${g},reason="stranger"}`]: 4,
    [`retransmissions_total{${g},type="repair"}`]: 6,
    [`send_seconds_count{${g},method="pb",resilience="1"}`]: 2,
    [`send_seconds_bucket{${g},le="0.0005",method="pb",resilience="1"}`]: 1,
    [`deliveries_total{${g},kind="message"}`]: 31,
    [`member_lag_messages{${g},member="2"}`]: 4,
    [`blocked_sends{${g}}`]: 2,
    [`suspicions_total{${g}}`]: 2,
    [`resets_total{${g},outcome="ok"}`]: 3,
    [`resets_total{${g},outcome="failed"}`]: 4,
    [`reset_seconds_count{${g}}`]: 3,
    [`reset_seconds_sum{${g}}`]: 9.0207,
    [`reset_seconds_bucket{${g},le="0.001"}`]: 1,
    [`reset_seconds_bucket{${g},le="0.01"}`]: 1,
    [`reset_seconds_bucket{${g},le="0.02"}`]: 2,
    [`reset_seconds_bucket{${g},le="5"}`]: 2,
    [`reset_seconds_bucket{${g},le="+Inf"}`]: 3,
    [`splits_total{${g}}`]: 1,
  }
  for (const [key, value] of Object.entries(expected))
    expect([key, samples.get(`amoebacast_${key}`)]).toEqual([key, value])
  counters.ordered = 200
  const later = parse(await metrics.page())
  expect(later.samples.get(`amoebacast_sequencer_ordered_total{${g}}`)).toBe(200)
})

test('members of one group in one process do not collide, and keep their labels', async () => {
  const metrics = new Metrics()
  const first = metrics.addMember(source({ seq: 1 }))
  metrics.addMember(source({ seq: 2 }))
  metrics.addMember(source({ seq: 3 }))
  metrics.addMember(source({ seq: 4, port: 'other' }))
  const seqs = async (): Promise<Record<string, number>> => {
    const { samples } = parse(await metrics.page())
    return Object.fromEntries([...samples].filter(([key]) => key.startsWith('amoebacast_seq{')))
  }
  const others = {
    'amoebacast_seq{group="orders",member="host-1"}': 2,
    'amoebacast_seq{group="orders",member="host-1-2"}': 3,
    'amoebacast_seq{group="other"}': 4,
  }
  expect(await seqs()).toEqual({ 'amoebacast_seq{group="orders"}': 1, ...others })
  first.remove()
  expect(await seqs()).toEqual(others)
})

test('a member that closes takes all its series with it', async () => {
  const metrics = new Metrics()
  const member = metrics.addMember(source())
  member.observeSend('bb', 0, 0.1)
  member.remove()
  member.remove()
  expect(parse(await metrics.page()).samples.size).toBe(0)
})

test('a member without a view yet has no incarnation and no members', async () => {
  const metrics = new Metrics()
  metrics.addMember({ ...source({ view: undefined, lags: [] }), historyCapacity: () => undefined })
  const { samples } = parse(await metrics.page())
  expect(samples.get('amoebacast_view_members{group="orders"}')).toBe(0)
  expect(samples.has('amoebacast_incarnation{group="orders"}')).toBe(false)
  expect(samples.has('amoebacast_history_capacity_messages{group="orders"}')).toBe(false)
})

test('packets that no group was found for are counted without one', async () => {
  const metrics = new Metrics()
  const counters = new Counters()
  counters.rejected.corrupt = 3
  counters.packet('out', PacketKind.gone, 88)
  metrics.addRim({ counters })
  const { samples } = parse(await metrics.page())
  expect(samples.get('amoebacast_packets_rejected_total{reason="corrupt"}')).toBe(3)
  expect(samples.get('amoebacast_packets_total{direction="out",type="gone"}')).toBe(1)
  metrics.close()
  expect(parse(await metrics.page()).samples.size).toBe(0)
})

test('kernels can share a registry with each other and with the program', async () => {
  const registry = new Registry()
  new Counter({ name: 'own_total', help: 'of the program', registers: [registry] }).inc(5)
  const [a, b] = [new Metrics(registry), new Metrics(registry)]
  a.addMember(source())
  b.addMember(source({ port: 'other' }))
  let { samples } = parse(await registry.metrics())
  expect(samples.get('own_total{}')).toBe(5)
  expect(samples.has('amoebacast_seq{group="orders"}') && samples.has('amoebacast_seq{group="other"}')).toBe(
    true,
  )
  a.close()
  samples = parse(await b.page()).samples
  expect(samples.has('amoebacast_seq{group="orders"}')).toBe(false)
  expect(samples.has('amoebacast_seq{group="other"}')).toBe(true)
  expect(samples.get('own_total{}')).toBe(5)
})

test('a member is ready only in a view that may go on', async () => {
  const ready = async (given: Partial<MemberInfo>): Promise<number | undefined> => {
    const metrics = new Metrics()
    metrics.addMember(source(given))
    return parse(await metrics.page()).samples.get('amoebacast_ready{group="orders"}')
  }
  expect(await ready({ phase: 'member' })).toBe(1)
  expect(await ready({ phase: 'member', view: undefined })).toBe(0)
  for (const phase of [
    'locating',
    'joining',
    'recovering',
    'failed',
    'leaving',
    'lingering',
    'closed',
    'new',
  ]) {
    expect([phase, await ready({ phase })]).toEqual([phase, 0])
  }
})
