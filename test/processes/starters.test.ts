/**
 * Ten processes that "join or create" one port at the same moment, twenty times in a row: one group each time. The
 * processes live through all rounds, so that it is their calls that meet, and not their starts.
 */
import { afterEach, expect, test } from 'vitest'
import { repositoryRoot } from '../support/files.ts'
import { Processes } from '../support/processes.ts'
import { freshPort } from './one-order.ts'

const STARTERS = 10
const ROUNDS = 20

/** Opens the port that a line names, says which group it is in, and leaves when it is told to. */
const starter = `
import { createInterface } from 'node:readline'
import { startKernel } from ${JSON.stringify(`${repositoryRoot}dist/group/index.js`)}
const kernel = await startKernel({ interface: '127.0.0.1', logLevel: 'silent' })
console.log(JSON.stringify({ event: 'up' }))
let group
for await (const line of createInterface({ input: process.stdin })) {
  if (line === 'leave') {
    await group.leaveGroup()
    console.log(JSON.stringify({ event: 'left', round: group.port }))
  } else {
    group = await kernel.joinOrCreateGroup(line)
    console.log(JSON.stringify({ event: 'opened', port: line, groupId: String(group.getInfoGroup().view.groupId) }))
  }
}
await kernel.close()
`

const processes = new Processes()

afterEach(() => processes.endAll())

test('ten starters at the same moment end in one group, twenty times', { timeout: 120_000 }, async () => {
  const started = Array.from({ length: STARTERS }, (_, i) =>
    processes.add(`starter ${i}`, process.execPath, ['--input-type=module', '-e', starter]),
  )
  await Promise.all(started.map((one) => one.waitForEvent('up', ({ event }) => event === 'up')))
  for (let round = 0; round < ROUNDS; round++) {
    const port = freshPort(`starters-${round}`)
    for (const { child } of started) child.stdin!.write(`${port}\n`)
    const opened = await Promise.all(
      started.map((one) =>
        one.waitForEvent('opened', (event) => event.event === 'opened' && event.port === port),
      ),
    )
    expect(new Set(opened.map((event) => event.groupId)).size, `round ${round}`).toBe(1)
    for (const { child } of started) child.stdin!.write('leave\n')
  }
  for (const { child } of started) child.stdin!.end()
  await Promise.all(started.map((one) => one.exitsWith(0)))
})
