/** The dissector of deploy/wireshark reads every recorded packet, and says of a cut one that it is malformed. */
import { execFileSync, spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { HEADER_BYTES, PacketKind } from '../../kernel/packet.ts'
import { repositoryRoot } from '../support/files.ts'
import { pcapOf } from './pcap.ts'
import { packetOf, samples } from './samples.ts'

const script = `${repositoryRoot}deploy/wireshark/amoebacast.lua`
const hasTshark = spawnSync('tshark', ['--version']).status === 0
if (!hasTshark)
  console.log('skipped: the tests of the Wireshark dissector need tshark, which is not installed')

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

  test('marks what is cut short, or too long', () => {
    const bodies = samples.filter(({ body }) => body.length > 0).map(packetOf)
    const cut = bodies.map((packet) => packet.subarray(0, HEADER_BYTES + 1))
    for (const one of dissect(folder, cut)) expect(one['_ws.expert.message']).not.toBe('')
    const state = samples.find(({ name }) => name === 'state')!
    const longer = packetOf({ ...state, body: new Uint8Array(3) })
    expect(dissect(folder, [longer])[0]!['_ws.expert.message']).not.toBe('')
  })
})
