/**
 * V8 finds the fields of objects on the way of every packet at once, or it looks for them again each time: a microsecond for
 * each field. One `{ ...head, seq }` in the receiver did that (six fields for each block that was ordered by reference, a tenth of
 * the processor), and no profile had a line for it. V8 writes down what it did not find; that is counted here.
 */
import { execFile } from 'node:child_process'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { repositoryRoot } from '../support/files.ts'
import { uniquePort } from '../support/kernels.ts'

const BLOCKS = 4000
/** Loading the modules of the library takes 640 of a field, once; what is looked for with every block has thousands. */
const MISSES_MAX = BLOCKS / 4

let folder: string

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'amoebacast-ic-'))
})

afterEach(() => rm(folder, { recursive: true, force: true }))

/** How often V8 looked anew, by kind, place and field, while `program` ran. */
async function missesOf(program: string): Promise<Map<string, number>> {
  const log = join(folder, 'v8.log')
  const args = [
    '--log-ic',
    '--no-logfile-per-isolate',
    `--logfile=${log}`,
    '--input-type=module',
    '-e',
    program,
  ]
  await promisify(execFile)(process.execPath, args, { timeout: 50_000 })
  const misses = new Map<string, number>()
  for (const line of (await readFile(log, 'utf8')).split('\n')) {
    if (!/^\w+IC,/.test(line)) continue
    const [kind, , , row, column, , , , field] = line.split(',')
    const place = `${kind} ${row}:${column} ${field}`
    misses.set(place, (misses.get(place) ?? 0) + 1)
  }
  return misses
}

/** Three members in one process, each with a kernel of its own, over UDP; `sends` blocks come from the second. */
function threeMembers(kernelOptions: object, sends: string): string {
  return `
    import { startKernel } from ${JSON.stringify(`${repositoryRoot}dist/group/index.js`)}
    const kernels = await Promise.all([1, 2, 3].map(() => startKernel(${JSON.stringify({ logLevel: 'error', ...kernelOptions })})))
    const port = ${JSON.stringify(uniquePort('ic'))}
    const groups = [await kernels[0].createGroup(port, { codec: 'binary' })]
    for (const kernel of kernels.slice(1)) groups.push(await kernel.joinGroup(port, { codec: 'binary' }))
    let received = 0
    for (const group of groups)
      (async () => { for (;;) await group.receiveEach({ message() { received++ } }) })().catch(() => {})
    const body = new Uint8Array(1000)
    ${sends}
    while (received < ${3 * BLOCKS}) await new Promise((resolve) => setTimeout(resolve, 10))
    await Promise.all(kernels.map((kernel) => kernel.close()))`
}

const stream = `
    const bodies = Array.from({ length: ${BLOCKS / 20} }, () => body)
    for (let i = 0; i < 20; i++) await groups[1].sendMany(bodies)`

const lone = `for (let i = 0; i < ${BLOCKS}; i++) await groups[1].sendToGroup(body)`

test.each([
  ['a stream by method 1', { method: 'pb', packetSize: 1400 }, stream],
  ['a stream by method 2', { method: 'bb', packetSize: 1400 }, stream],
  ['lone sends', {}, lone],
])(
  '%s meets no field that V8 has to look for anew',
  async (_, options, sends) => {
    const misses = await missesOf(threeMembers(options, sends))
    expect(misses.size).toBeGreaterThan(100)
    expect([...misses].filter(([, count]) => count > MISSES_MAX)).toEqual([])
  },
  60_000,
)
