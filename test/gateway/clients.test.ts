/** Programs that are not written for Node: curl, and Python with its standard library. Skipped where they are missing. */
import { execFile, spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type Client, groupPath, poll, Stage, uniquePort } from './support.ts'

const run = promisify(execFile)
const python = fileURLToPath(new URL('client.py', import.meta.url))

/** Undefined if the program is there; else what the skipped tests say. */
function missing(command: string): string | undefined {
  const { status } = spawnSync(command, ['--version'])
  return status === 0 ? undefined : `${command} is not installed`
}

const curlMissing = missing('curl')
const pythonMissing = missing('python3')
for (const reason of [curlMissing, pythonMissing])
  if (reason !== undefined) console.warn(`skipped: ${reason}`)

let stage: Stage
let port: string
let client: Client

beforeEach(async () => {
  stage = new Stage()
  port = uniquePort()
  client = await stage.gateway({ groups: { [port]: {} } })
})
afterEach(() => stage[Symbol.asyncDispose]())

async function curl(...args: string[]): Promise<string> {
  const { stdout } = await run('curl', ['--silent', '--show-error', '--max-time', '40', ...args], {
    maxBuffer: 2 ** 26,
  })
  return stdout
}

describe.skipIf(curlMissing !== undefined)('curl', () => {
  test('a session, as the README shows it', async () => {
    const group = `${client.url}${groupPath(port)}`
    expect(JSON.parse(await curl('-d', '{"resilience":0}', group))).toMatchObject({ isMember: true, port })
    const first = JSON.parse(await curl('-d', 'hello', `${group}/messages`))
    expect(first).toMatchObject({ repeat: false })
    const pay = [
      '-H',
      'Idempotency-Key: order-17',
      '--json',
      '{"pay": 12345678901234567890}',
      `${group}/messages`,
    ]
    const paid = JSON.parse(await curl(...pay))
    expect(JSON.parse(await curl(...pay))).toEqual({ seq: paid.seq, repeat: true })
    const status = await curl(
      '-o',
      '/dev/null',
      '-w',
      '%{http_code}',
      '-d',
      'x',
      `${client.url}/groups/nowhere/messages`,
    )
    expect(status).toBe('404')
    const reading = curl('-N', '-H', `Last-Event-ID: ${await lastId()}`, `${group}/events`).catch(
      ({ stdout }: { stdout: string }) => stdout,
    )
    await poll('the reader', async () => (await client.info(port)).body.gateway.readers === 1)
    await curl('--data-binary', 'after', '-H', 'Content-Type: text/plain', `${group}/messages`)
    await curl('-X', 'POST', `${group}/leave`)
    const told = await reading
    expect(told).toContain('event: message\n')
    expect(told).toContain('"text":"after"')
    expect(told).toContain('event: end\n')
  })

  test('numbers in JSON travel as they are', async () => {
    const group = `${client.url}${groupPath(port)}`
    await curl(
      '-H',
      'Content-Type: application/json',
      '-d',
      '{"big":\n12345678901234567890,"exact":1.10}',
      `${group}/messages`,
    )
    const reading = curl('-N', `${group}/events?from=oldest`)
    await poll('the reader', async () => (await client.info(port)).body.gateway.readers === 1)
    await curl('-X', 'POST', `${group}/leave`)
    expect(await reading).toContain('"json":{"big": 12345678901234567890,"exact":1.10}}\n')
  })

  test('that would like HTTP/2 is served in HTTP/1.1, bodies and streams as well', async ({ skip }) => {
    const { stdout } = await run('curl', ['--version'])
    if (!/^Features:.*\bHTTP2\b/m.test(stdout)) skip('this curl does not know HTTP/2')
    const group = `${client.url}${groupPath(port)}`
    const sent = JSON.parse(
      await curl('--http2', '-H', 'Content-Type: text/plain', '-d', 'x'.repeat(100_000), `${group}/messages`),
    )
    expect(sent).toMatchObject({ repeat: false })
    expect(JSON.parse(await curl('--http2', group))).toMatchObject({ port, seq: sent.seq })
    const reading = curl('--http2', '-N', `${group}/events?from=oldest`)
    await poll('the reader', async () => (await client.info(port)).body.gateway.readers === 1)
    for (let i = 0; i < 20; i++) await client.send(port, 'y'.repeat(100_000), { type: 'text/plain' })
    await curl('-X', 'POST', `${group}/leave`)
    const told = await reading
    expect(told.match(/event: message\n/g)).toHaveLength(21)
    // The whole of a failure would be millions of characters.
    expect([told.match(/x{2,}/)?.[0].length, told.match(/y{2,}/g)?.join('').length]).toEqual([
      100_000, 2_000_000,
    ])
    expect(told.includes('event: end\n')).toBe(true)
  })

  test('a reader over such a connection that goes away is noticed', async () => {
    // So late that neither heartbeats nor a full connection tell of it.
    const hour = 3_600_000
    client = await stage.gateway({ groups: { [port]: {} }, heartbeatMs: hour, stuckMs: hour })
    const group = `${client.url}${groupPath(port)}`
    const child = run('curl', [
      '--silent',
      '-N',
      '-H',
      'Connection: Upgrade',
      '-H',
      'Upgrade: h2c',
      `${group}/events`,
    ])
    child.catch(() => {})
    await poll('the reader', async () => (await client.info(port)).body.gateway.readers === 1)
    child.child.kill('SIGKILL')
    await poll('its end', async () => (await client.info(port)).body.gateway.readers === 0)
  })

  test('a body that is too large gets its answer', async () => {
    const group = `${client.url}${groupPath(port)}`
    const answer = await curl(
      '-w',
      ' %{http_code}',
      '--data-binary',
      `@${process.execPath}`,
      `${group}/messages`,
    )
    expect(answer).toContain('ERR_MESSAGE_TOO_LARGE')
    expect(answer.endsWith(' 413')).toBe(true)
  })

  async function lastId(): Promise<string> {
    return (await client.info(port)).body.gateway.last
  }
})

describe.skipIf(pythonMissing !== undefined)("Python's standard library", () => {
  test('two programs at two gateways: keys, resumption, and one order', async () => {
    const second = await stage.gateway({ groups: { [port]: {} } })
    const count = 30
    const results = await Promise.all(
      [client, second].map(async ({ url }, i) => {
        const { stdout } = await run('python3', [python, url, port, `p${i}`, String(count)], {
          timeout: 55_000,
        })
        return JSON.parse(stdout) as {
          seqs: number[]
          read: [number, string][]
          gaps: number
          connections: number
          failures: string[]
        }
      }),
    )
    for (const [i, { failures, gaps, connections, seqs, read }] of results.entries()) {
      expect(failures).toEqual([])
      expect(gaps).toBe(0)
      expect(connections).toBe(2)
      const own = read.filter(([, text]) => text.startsWith(`p${i} `) && !text.endsWith(' end'))
      expect(own).toEqual(seqs.map((seq, number) => [seq, `p${i} ${number} é`]))
    }
    // What both have read, up to where the shorter one ends, is the same in the same order. The first program may
    // have begun before the second gateway's join.
    const [one, two] = results.map(({ read }) => new Map(read))
    const both = [...one!.keys()].filter((seq) => two!.has(seq))
    expect(both.length).toBeGreaterThan(count)
    for (const seq of both) expect(one!.get(seq)).toBe(two!.get(seq))
    for (const { read } of results)
      expect(read.map(([seq]) => seq)).toEqual(read.map(([seq]) => seq).sort((a, b) => a - b))
  })
})
