/** The dissector of deploy/wireshark reads every recorded packet, and says of a cut one that it is malformed. */
import { execFileSync, spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { HEADER_BYTES, KIND_AT, PacketKind, VERSION_AT } from '../../kernel/packet.ts'
import { messageBlock } from '../support/blocks.ts'
import { repositoryRoot } from '../support/files.ts'
import { bodyDecoders } from './decoders.ts'
import { pcapOf } from './pcap.ts'
import { packetOf, type Sample, samples } from './samples.ts'

const script = `${repositoryRoot}deploy/wireshark/amoebacast.lua`
const hasTshark = spawnSync('tshark', ['--version']).status === 0
if (!hasTshark)
  console.log('skipped: the tests of the Wireshark dissector need tshark, which is not installed')

const MALFORMED = 'Malformed amoebacast packet'
const BLOCK_COUNT_AT = 2
const BLOCK_LENGTH_AT = 4
const text = (words: string): Uint8Array => new TextEncoder().encode(words)

const fields = [
  'amoebacast.kind',
  'amoebacast.received',
  'amoebacast.group',
  'amoebacast.port',
  'amoebacast.firstseq',
  'amoebacast.block.count',
  'amoebacast.body',
  'amoebacast.reasontext',
  'amoebacast.lowest',
  'amoebacast.address',
  'amoebacast.nonce',
  'amoebacast.block.nonce',
  'amoebacast.block.successor',
  'amoebacast.sequencer',
  'amoebacast.contiguous',
  'amoebacast.offset',
  'amoebacast.total',
  'amoebacast.range.from',
  'amoebacast.range.to',
  'amoebacast.sender',
  '_ws.expert.message',
] as const

/** One row of fields for each packet; several values of a field are parted by ';'. */
function dissect(folder: string, packets: readonly Uint8Array[]): Record<(typeof fields)[number], string>[] {
  const file = join(folder, 'packets.pcap')
  writeFileSync(file, pcapOf(packets))
  const wanted = fields.flatMap((name) => ['-e', name])
  const args = ['-r', file, '-X', `lua_script:${script}`, '-T', 'fields', '-E', 'aggregator=;', ...wanted]
  const output = execFileSync('tshark', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] })
  return output
    .split('\n')
    .slice(0, packets.length)
    .map((line) => {
      const values = line.split('\t')
      return Object.fromEntries(fields.map((name, i) => [name, values[i] ?? ''])) as Record<
        (typeof fields)[number],
        string
      >
    })
}

describe.skipIf(!hasTshark)('the Wireshark dissector', () => {
  let folder = ''
  let rows: ReturnType<typeof dissect> = []
  const row = (name: string) => rows[samples.findIndex((sample) => sample.name === name)]!

  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'amoebacast-pcap-'))
    rows = dissect(folder, samples.map(packetOf))
  })

  afterAll(() => rmSync(folder, { recursive: true, force: true }))

  test.each(samples.map((sample) => [sample.name, sample] as const))(
    'reads %s to its end',
    (name, sample) => {
      expect(row(name)['amoebacast.kind']).toBe(String(PacketKind[sample.kind]))
      expect(row(name)['amoebacast.received']).toMatch(/^8589934597/)
      expect(row(name)['amoebacast.group']).toBe('0x0123456789abcdef')
      expect(row(name)['_ws.expert.message']).toBe('')
    },
  )

  test('shows what bodies say', () => {
    expect(row('locate')['amoebacast.port']).toBe('pört')
    expect(row('hereIs')['amoebacast.address']).toBe('192.0.2.2:4002')
    expect(row('joinRefused')['amoebacast.reasontext']).toBe('challenge')
    expect(row('order')['amoebacast.firstseq']).toBe('304')
    expect(row('order')['amoebacast.block.count']).toBe('2;2')
    expect(row('order')['amoebacast.body'].replaceAll(':', '')).toBe(
      `${Buffer.from('hello').toString('hex')};${Buffer.from('you!').toString('hex')}`,
    )
    expect(row('repair')['amoebacast.address']).toBe('[2001:db8::3]:4003')
    expect(row('incompatible')['amoebacast.lowest']).toBe('1')
  })

  test('shows under one name what means one thing', () => {
    expect(row('repair')['amoebacast.nonce']).toBe('0x3333333333333333')
    expect(row('repair')['amoebacast.block.nonce']).toBe('0x3333333333333333')
    expect(row('repair')['amoebacast.block.successor']).toBe('3')
    expect(row('repair')['amoebacast.sequencer']).toBe('')
    expect(row('data')['amoebacast.offset']).toBe('20')
    expect(row('dataAck')['amoebacast.contiguous']).toBe('40')
    for (const name of ['dataGap', 'dataAck']) {
      expect(row(name)['amoebacast.range.from']).toBe('40')
      expect(row(name)['amoebacast.range.to']).toBe('60')
      expect(row(name)['amoebacast.offset'] + row(name)['amoebacast.total']).toBe('')
    }
  })

  test('marks what is cut short, or too long', () => {
    const bodies = samples.filter(({ body }) => body.length > 0).map(packetOf)
    const cut = bodies.map((packet) => packet.subarray(0, HEADER_BYTES + 1))
    for (const one of dissect(folder, cut)) expect(one['_ws.expert.message']).not.toBe('')
    const state = samples.find(({ name }) => name === 'state')!
    const longer = packetOf({ ...state, body: new Uint8Array(3) })
    expect(dissect(folder, [longer])[0]!['_ws.expert.message']).not.toBe('')
  })

  test('marks a packet that is cut anywhere where the library drops it, without an error of its own', () => {
    const cuts = samples.flatMap(everyCut)
    const said = dissect(folder, cuts).map((one) => one['_ws.expert.message'])
    const judged = cuts.map((packet) => (bodyDecoders[kindOf(packet)](packet) === undefined ? MALFORMED : ''))
    const named = (verdicts: readonly string[]) =>
      verdicts.map((verdict, i) => [kindOf(cuts[i]!), cuts[i]!.length, verdict])
    expect(named(said)).toEqual(named(judged))
  })

  test('marks a block that its records do not fill, and one with fewer than it says', () => {
    const two = [{ body: text('one') }, { body: text('two') }]
    const promising = messageBlock(2, 78, two)
    promising[BLOCK_COUNT_AT + 1] = 5
    // a whole block would do for the next one, if it did not lie in the first
    const roomy = new Uint8Array([...messageBlock(2, 78, two), ...messageBlock(2, 80, two)])
    roomy[BLOCK_LENGTH_AT + 3] = roomy.length
    // the second record of the first block says that it is longer than its block
    const running = messageBlock(2, 78, two)
    running[running.length - 'two'.length - 1]! += 8
    const next = messageBlock(2, 80, two)
    const bodies = [promising, roomy, new Uint8Array([...running, ...next])]
    const packets = bodies.map((body) => packetOf({ name: 'request', kind: 'request', body }))
    for (const one of dissect(folder, packets)) expect(one['_ws.expert.message']).toBe(MALFORMED)
    const whole = new Uint8Array([...messageBlock(2, 78, two), ...next])
    const [good] = dissect(folder, [packetOf({ name: 'request', kind: 'request', body: whole })])
    expect(good!['_ws.expert.message']).toBe('')
    expect(good!['amoebacast.block.count']).toBe('2;2')
  })

  test('reads of another version what is the same in all', () => {
    const ofVersion9 = (name: string, ...more: number[]) => {
      const sample = samples.find((one) => one.name === name)!
      const packet = packetOf({ ...sample, body: new Uint8Array([...sample.body, ...more]) })
      packet[VERSION_AT] = 9
      return packet
    }
    const packets = [ofVersion9('incompatible', 1, 2, 3), ofVersion9('locate', 7), ofVersion9('order')]
    const [incompatible, locate, order] = dissect(folder, packets)
    for (const one of [incompatible!, locate!, order!]) {
      expect(one['_ws.expert.message']).toBe('')
      expect(one['amoebacast.nonce']).toBe('0x3333333333333333')
      expect(one['amoebacast.sender']).toBe('')
    }
    expect(incompatible!['amoebacast.lowest']).toBe('1')
    expect(locate!['amoebacast.port']).toBe('pört')
    expect(order!['amoebacast.kind']).toBe('6')
  })
})

/** Shorter by one byte, two, and so on, down to the header. */
function everyCut(sample: Sample): Uint8Array[] {
  const packet = packetOf(sample)
  return Array.from({ length: sample.body.length }, (_, left) => packet.subarray(0, HEADER_BYTES + left))
}

function kindOf(packet: Uint8Array): PacketKind {
  return packet[KIND_AT]! as PacketKind
}
