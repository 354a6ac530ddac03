/** `amoebacast gateway`, as it is built. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, expect, test } from 'vitest'
import { Processes } from '../support/processes.ts'
import { EventStream, groupPath, uniquePort } from './support.ts'

const processes = new Processes()

afterEach(() => processes.endAll())

describe('amoebacast gateway', () => {
  test.each(['SIGTERM', 'SIGINT'] as const)(
    'serves; %s ends streams and leaves the group in order',
    async (signal) => {
      const port = uniquePort()
      const gateway = processes.cli(['gateway', '--listen', '127.0.0.1:0', '--group', port, '--json'])
      const ready = await gateway.waitForEvent('ready', ({ event }) => event === 'ready')
      expect(ready.groups).toEqual([port])
      const node = processes.cli(['node', '--group', port, '--join', '--stay', '--json'])
      await node.waitForEvent('ready', ({ event }) => event === 'ready')
      const events = await EventStream.open(`${ready.url}${groupPath(port)}/events`)
      const sent = await fetch(`${ready.url}${groupPath(port)}/messages`, { method: 'POST', body: 'x' })
      expect(sent.status).toBe(200)
      gateway.kill(signal)
      await gateway.exitsWith(0)
      await events.over()
      expect(events.all.at(-1)).toMatchObject({ event: 'end', data: { reason: 'stopping' } })
      expect(events.of('message')).toHaveLength(1)
      await node.waitForEvent('the leave', ({ event, kind }) => event === 'delivery' && kind === 'leave')
      expect(node.events.filter(({ kind }) => kind === 'reset')).toEqual([])
      expect(gateway.stderr).toBe('')
      node.kill('SIGTERM')
      await node.exitsWith(0)
    },
  )

  test('in plain mode it says where it serves', async () => {
    const gateway = processes.cli(['gateway', '--listen', 'localhost:0'])
    await gateway.waitUntil('the line', () => gateway.lines.length > 0)
    expect(gateway.lines[0]).toMatch(/^serving http:\/\/127\.0\.0\.1:\d+$/)
  })

  test.each([
    [['--listen', '7070'], 'listen is "7070"', 2],
    [['--listen', '0.0.0.0:0'], '--http-token-file', 2],
    [['--http-token-file', '/nowhere/token'], 'cannot be read (ENOENT)', 2],
    [['--lisen', '127.0.0.1:0'], 'did you mean --listen?', 2],
    [['--listen', '192.0.2.1:0', '--http-token-file', 'TOKEN'], 'is not an address of this machine', 1],
  ])('%j is refused', async (args, says, status) => {
    const folder = mkdtempSync(join(tmpdir(), 'gateway-'))
    try {
      const file = join(folder, 'token')
      writeFileSync(file, 'a-token-of-this-test')
      const gateway = processes.cli(['gateway', ...args.map((arg) => (arg === 'TOKEN' ? file : arg))])
      await gateway.exitsWith(status)
      expect(gateway.stderr).toContain(says)
      expect(gateway.stderr).not.toContain('a-token-of-this-test')
      expect(gateway.stderr).toMatch(/^amoebacast: [^\n]+\n$/)
    } finally {
      rmSync(folder, { recursive: true })
    }
  })

  test('is told by --help, with examples', async () => {
    const gateway = processes.cli(['gateway', '--help'])
    await gateway.exitsWith(0)
    const text = gateway.lines.join('\n')
    for (const part of ['--listen', '--http-token-file', 'Examples:', 'curl', '--interface'])
      expect(text).toContain(part)
  })
})

describe('the package', () => {
  test('exports the gateway', async () => {
    const script = `
      import { KeyWindow, readEnvelope, startGateway } from 'amoebacast/gateway'
      const gateway = await startGateway({ listen: '127.0.0.1:0', groups: { [${JSON.stringify(uniquePort())}]: {} } })
      console.log(JSON.stringify([typeof KeyWindow, typeof readEnvelope, gateway.ports.length]))
      await gateway.close()`
    const node = processes.add('node', process.execPath, ['--input-type=module', '--eval', script])
    await node.exitsWith(0)
    expect(node.lines).toEqual(['["function","function",1]'])
  })
})
