/**
 * A rolling upgrade between two builds: five processes of this build, replaced one by one with processes of a build that
 * reads and writes one version of the wire format more, while lines flow. One order, nothing lost; and the group
 * goes over to the new version when the last old process has gone, and not before.
 *
 * The other build is this one with a higher version, in which every body is written another way: turned over bit by bit. So a
 * packet that one side takes for the other's version cannot be read, and would be seen as rejected, or as a hole.
 */
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { drawKey } from '../../kernel/node/secure/group-key.ts'
import { HEADER_BYTES, KIND_AT, PacketKind, VERSION_AT, WIRE_VERSION } from '../../kernel/packet.ts'
import { repositoryRoot } from '../support/files.ts'
import { type JsonEvent, Processes } from '../support/processes.ts'
import { allDelivered, FedNode, isMessage, isReset } from './fed-nodes.ts'
import { freshPort } from './one-order.ts'
import { checkPlaces, commonOrder } from './survivors.ts'

const NODES = 5
const BETWEEN = 20
const NEXT = WIRE_VERSION + 1

const processes = new Processes()
let newBuild = ''

beforeAll(() => {
  newBuild = mkdtempSync(join(tmpdir(), 'amoebacast-next-'))
  if (!existsSync(`${repositoryRoot}dist/cli/main.js`))
    throw new Error('dist/ is missing; run npm test, or npm run build before vitest')
  for (const name of ['package.json', 'dist'])
    cpSync(`${repositoryRoot}${name}`, join(newBuild, name), { recursive: true })
  symlinkSync(`${repositoryRoot}node_modules`, join(newBuild, 'node_modules'))
  change('dist/kernel/packet.js', [[`WIRE_VERSION = ${WIRE_VERSION};`, `WIRE_VERSION = ${NEXT};`]])
  change('dist/kernel/node/driver.js', [
    [
      'export class Driver {',
      `function inNextFormat(packet) {
        const isCommon = packet[${KIND_AT}] === ${PacketKind.incompatible}
        return packet[${VERSION_AT}] !== ${NEXT} || isCommon ? packet : packet.map((byte, i) => (i < ${HEADER_BYTES} ? byte : byte ^ 0xff))
      }
      export class Driver {`,
    ],
    ['transmit(hosted, to, packet) {', 'transmit(hosted, to, plain) { const packet = inNextFormat(plain);'],
    [
      '        this.route(from, bytes);\n        this.drain();',
      '        this.route(from, inNextFormat(bytes));\n        this.drain();',
    ],
  ])
})

/** Replaces texts in a file of the other build; each must be there once. */
function change(path: string, replacements: readonly (readonly [string, string])[]): void {
  const file = join(newBuild, path)
  let text = readFileSync(file, 'utf8')
  for (const [before, after] of replacements) {
    expect(text.split(before), `${path}: ${before}`).toHaveLength(2)
    text = text.replace(before, () => after)
  }
  writeFileSync(file, text)
}

afterEach(() => processes.endAll())

afterAll(() => rmSync(newBuild, { recursive: true, force: true }))

test.each(['without a key', 'with a key'])(
  'five processes, one after the other, %s',
  { timeout: 240_000 },
  async (how) => {
    const port = freshPort('upgrade')
    const keyFile = join(newBuild, 'group.key')
    writeFileSync(keyFile, drawKey(), { mode: 0o600 })
    const keyed = how === 'with a key' ? ['--key-file', keyFile] : []
    const start = (place: number, isNew: boolean): FedNode => {
      const name = `n${place + 1}.${isNew ? 'new' : 'old'}`
      const args = ['node', '--group', port, '--json', '--stay', '--member-name', name, '--resilience', '1']
      const script = join(isNew ? newBuild : repositoryRoot, 'dist/cli/main.js')
      const command = [script, ...args, ...keyed, '--detection', 'wan']
      return new FedNode(processes.add(name, process.execPath, command), place)
    }
    const isReady = ({ process }: FedNode): Promise<JsonEvent> =>
      process.waitForEvent('ready', ({ event }) => event === 'ready')
    const versionOf = async (): Promise<unknown> => {
      const info = processes.cli(['info', '--group', port, '--json', ...keyed], { name: 'info' })
      // (in the end this build cannot talk to the group any more)
      const { code } = await info.exit
      return code === 0 ? info.events[0]!.wireVersion : info.stderr
    }

    const lives: FedNode[] = []
    const now: FedNode[] = []
    for (let place = 0; place < NODES; place++) {
      const life = start(place, false)
      await isReady(life)
      lives.push(life)
      now.push(life)
      life.feed()
    }
    await Promise.all(now.map((life) => life.hasSent(BETWEEN)))
    for (let place = 0; place < NODES; place++) {
      expect(await versionOf()).toBe(WIRE_VERSION)
      const before = now[place]!
      before.process.kill('SIGTERM')
      await before.process.exitsWith(0)
      before.stopFeeding()
      const life = start(place, true)
      await isReady(life)
      lives.push(life)
      now[place] = life
      life.feed()
      await Promise.all(now.map((one) => one.hasSent(BETWEEN)))
    }
    const isRaise = ({ event }: JsonEvent): boolean => event === 'version'
    const others = now.slice(0, -1)
    const raises = await Promise.all(others.map(({ process }) => process.waitForEvent('the raise', isRaise)))
    expect(raises[0]).toMatchObject({ wireVersion: NEXT, before: WIRE_VERSION })
    for (const raise of raises) expect(raise).toEqual(raises[0])
    // who is too old by now is told so, by both names
    expect(await versionOf()).toMatch(
      new RegExp(
        `version ${NEXT} of the wire format, and this process version ${WIRE_VERSION}.*ERR_INCOMPATIBLE`,
      ),
    )
    await Promise.all(now.map((one) => one.hasSent(BETWEEN)))
    for (const life of now) life.stopFeeding()
    await Promise.all(now.map((life) => life.allEnded()))
    await allDelivered(now)

    // one order, and no place missing but that of the raise
    const raisedAt = Number(raises[0]!.seq)
    const order = commonOrder(lives)
    for (const { process, name, deliveries } of lives) {
      const seqs = deliveries.map(({ seq }) => Number(seq))
      const gaps = seqs.filter((seq, i) => i > 0 && seq !== seqs[i - 1]! + 1).map((seq) => seq - 1)
      expect([name, gaps.filter((seq) => seq !== raisedAt)]).toEqual([name, []])
      expect(process.events.filter((event) => isReset(event) || event.event === 'suspect')).toEqual([])
    }
    expect(order.has(raisedAt)).toBe(false)
    checkPlaces(lives, order)
    const messages = [...order.values()].filter(isMessage)
    console.log(
      `${NODES} processes upgraded, ${how}; version ${NEXT} from ${raisedAt} on, ${messages.length} messages`,
    )
    for (const { process } of now) process.kill('SIGTERM')
    for (const { process } of now) await process.exitsWith(0)
  },
)
