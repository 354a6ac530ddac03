/** The three steps of a change of keys, as deploy/README.md has them, with real processes: files, SIGHUP, and what they print. */
import { appendFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { drawKey, parseKeys } from '../../kernel/node/secure/group-key.ts'
import { keyText } from '../../kernel/settings.ts'
import { type JsonEvent, Processes } from '../support/processes.ts'
import { allDelivered, FedNode, isReset, startFedGroup } from './fed-nodes.ts'
import { freshPort, startGroup } from './one-order.ts'
import { checkSurvivors } from './survivors.ts'

const NODES = 3
const processes = new Processes()
let folder = ''

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'amoebacast-keys-'))
})

afterEach(async () => {
  await processes.endAll()
  rmSync(folder, { recursive: true, force: true })
})

/** An old key, which is in a file for each of so many places, and a new one. */
function twoKeys(count: number, ...options: string[]) {
  const [old, fresh] = [drawKey(), drawKey()]
  const [oldId, freshId] = [old, fresh].map((key) => keyText(parseKeys('a key', key)[0]!.id))
  const files = Array.from({ length: count }, (_, i) => join(folder, `n${i + 1}.key`))
  for (const file of files) writeFileSync(file, `${old}\n`)
  const places = files.map((file) => ({ prefix: [], options: ['--stay', ...options, '--key-file', file] }))
  return { old, fresh, oldId, freshId, files, places }
}

test('three nodes under load: new key first, the event, old key out', { timeout: 240_000 }, async () => {
  const port = freshPort('key-change')
  const { old, fresh, oldId, freshId, files, places } = twoKeys(NODES)
  const started = await startGroup(processes, port, places, ['--detection', 'wan'])
  const nodes = started.map((process, i) => new FedNode(process, i))
  for (const node of nodes) node.feed()
  const info = async (file: string): Promise<string> => {
    const one = processes.cli(['info', '--group', port, '--key-file', file], { name: 'info' })
    await one.exitsWith(0)
    return one.lines.join('\n')
  }

  // 1. the new one before the old one, at every process; nothing changes before the last
  for (const [i, { process }] of nodes.entries()) {
    if (i === NODES - 1) expect(await info(files[0]!)).toMatch(`the key ${freshId} waits for member`)
    writeFileSync(files[i]!, `${fresh}\n${old}\n`)
    process.kill('SIGHUP')
    await process.waitUntil('the new keys', () => process.stderr.includes('the keys in it are in force'))
    await Promise.all(nodes.map((node) => node.hasSent(10)))
  }
  // 2. wait for the event
  const changes = await Promise.all(
    nodes.map(({ process }) => process.waitForEvent('the change', ({ event }) => event === 'key')),
  )
  expect(changes[0]).toMatchObject({ keyId: freshId, before: oldId })
  for (const change of changes) expect(change).toEqual(changes[0])
  expect(await info(files[1]!)).toContain(`group key ${freshId}`)
  // 3. the old one out; a signal too early is answered with why, and the file is tried again by itself
  for (const [i, { process }] of nodes.entries()) {
    process.stderr = ''
    writeFileSync(files[i]!, `${fresh}\n`)
    process.kill('SIGHUP')
    await process.waitUntil('an answer', () => process.stderr.includes(`n${i + 1}.key: `))
  }
  await Promise.all(nodes.map((node) => node.hasSent(50)))
  for (const node of nodes) node.stopFeeding()
  await Promise.all(nodes.map((node) => node.allEnded()))

  const stranger = join(folder, 'late.key')
  writeFileSync(stranger, `${old}\n`)
  const late = processes.cli(['info', '--group', port, '--key-file', stranger], { name: 'late' })
  await late.exitsWith(1)
  appendFileSync(stranger, `${fresh}\n`)
  expect(await info(stranger)).toContain(`group key ${freshId}`)

  for (const { process, written } of nodes) {
    const sent = process.events.filter(({ event }) => event === 'sent')
    expect(sent).toHaveLength(written)
    expect(process.events.filter((event) => isReset(event) || event.event === 'suspect')).toEqual([])
    process.kill('SIGTERM')
    await process.exitsWith(0)
  }
})

test('one that stood still for the whole of a change comes back with the new key', {
  timeout: 240_000,
}, async () => {
  const port = freshPort('key-change-asleep')
  const { old, fresh, files, places } = twoKeys(NODES, '--rejoin')
  const nodes = await startGroup(processes, port, places, [])
  const asleep = nodes[NODES - 1]!
  const awake = nodes.slice(0, -1)
  asleep.kill('SIGSTOP')
  await Promise.all(awake.map((node) => node.waitForEvent('the reset', isReset)))
  // the files hold only the new key at once: what is needed of the old one is held on to for so long
  for (const file of files) writeFileSync(file, `${fresh}\n`)
  for (const node of awake) node.kill('SIGHUP')
  await Promise.all(awake.map((node) => node.waitForEvent('the change', ({ event }) => event === 'key')))
  const late = join(folder, 'late.key')
  writeFileSync(late, `${old}\n`)
  // until nobody opens what is sealed with the old one any more
  for (let isOpened = true; isOpened; ) {
    const info = processes.cli(['info', '--group', port, '--key-file', late], { name: 'info' })
    await info.exit
    isOpened = info.stderr.includes('ERR_NOT_AUTHORIZED')
  }
  asleep.kill('SIGCONT')
  await asleep.waitForEvent('its way back', ({ event }) => event === 'rejoined')
  asleep.child.stdin!.write('awake again\n')
  await Promise.all(
    awake.map((node) => node.waitForEvent('its line', ({ body }) => String(body).includes('awake again'))),
  )
  for (const node of nodes) node.kill('SIGTERM')
  for (const node of nodes) await node.exitsWith(0)
})

/**
 * The last process hears of the new key, and so many milliseconds later the sequencer is killed: before it has ordered the change,
 * while that is on its way, and behind it. The reset is sealed with a key that all survivors hold, whichever they go by.
 */
test.each([0, 2, 5, 10, 20, 50])(
  'the sequencer is killed %i ms into a change',
  {
    timeout: 120_000,
  },
  async (delay) => {
    const port = freshPort('key-change-crash')
    const { old, fresh, oldId, freshId, files, places } = twoKeys(4)
    const nodes = await startFedGroup(processes, port, places, ['--resilience', '1'])
    const [first, ...rest] = nodes as [FedNode, ...FedNode[]]

    for (const { process, index } of nodes) {
      writeFileSync(files[index]!, `${fresh}\n${old}\n`)
      if (process !== rest.at(-1)!.process) {
        process.kill('SIGHUP')
        await process.waitUntil('the new keys', () => process.stderr.includes('the keys in it are in force'))
      }
    }
    rest.at(-1)!.process.kill('SIGHUP')
    await sleep(delay)
    first.process.kill('SIGKILL')
    await first.process.exit
    first.stopFeeding()

    const isChange = ({ event }: JsonEvent): boolean => event === 'key'
    const resets = await Promise.all(rest.map(({ process }) => process.waitForEvent('the reset', isReset)))
    for (const reset of resets) expect(reset).toMatchObject({ removed: [1], lossPossible: false })
    const changes = await Promise.all(rest.map(({ process }) => process.waitForEvent('the change', isChange)))
    for (const change of changes) expect(change).toEqual(changes[0])
    expect(changes[0]).toMatchObject({ keyId: freshId, before: oldId })
    // the old key out, and the group goes on without it
    for (const { process, index } of rest) {
      writeFileSync(files[index]!, `${fresh}\n`)
      process.kill('SIGHUP')
    }
    await Promise.all(rest.map((node) => node.hasSent(100)))
    for (const node of rest) node.stopFeeding()
    await Promise.all(rest.map((node) => node.allEnded()))
    await allDelivered(rest)
    checkSurvivors(nodes, rest, [Number(changes[0]!.seq)])
    const [change, reset] = [Number(changes[0]!.seq), Number(resets[0]!.seq)]
    console.log(`killed after ${delay} ms: the reset at ${reset}, the change at ${change}`)
    for (const { process } of rest) process.kill('SIGTERM')
    for (const { process } of rest) await process.exitsWith(0)
  },
)
