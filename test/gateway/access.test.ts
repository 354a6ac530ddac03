/** Who may use a gateway: tokens, loopback, and pages of other sites. */
import { request } from 'node:http'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { Access } from '../../cli/gateway/access.ts'
import { startGateway } from '../../cli/gateway/index.ts'
import type { GatewayOptions } from '../../cli/gateway/options.ts'
import { silentLog, startLog } from '../../kernel/node/log.ts'
import { fakeKernel } from '../group/fake.ts'
import { type Client, groupPath, SocketClient, Stage, uniquePort } from './support.ts'

const token = 'a-token-of-this-test-0123456789'
const logger = silentLog as GatewayOptions['logger']

let stage: Stage

beforeEach(() => {
  stage = new Stage()
})
afterEach(() => stage[Symbol.asyncDispose]())

/** A GET with headers that fetch would not let through. */
function get(client: Client, path: string, headers: Record<string, string>): Promise<number> {
  return new Promise((resolve, reject) => {
    const asking = request(`${client.url}${path}`, { headers, agent: false }, (response) => {
      response.resume()
      resolve(response.statusCode!)
    })
    asking.on('error', reject)
    asking.end()
  })
}

describe('beyond loopback', () => {
  test.each(['0.0.0.0:0', '[::]:0', '192.0.2.1:0', '[::ffff:127.0.0.1]:0'])(
    '%s needs a token',
    async (listen) => {
      const starting = startGateway({ listen, logger })
      await expect(starting).rejects.toMatchObject({ code: 'ERR_INVALID_ARGUMENT' })
      await expect(starting).rejects.toThrow('--http-token-file')
    },
  )

  test('and with one, serves whoever shows it', async () => {
    const client = await stage.gateway({ listen: '0.0.0.0:0', token })
    expect(await get(client, '/groups', { authorization: `Bearer ${token}`, host: 'gateway.example' })).toBe(
      200,
    )
    expect(await get(client, '/groups', { host: 'gateway.example' })).toBe(401)
  })
})

describe('a token', () => {
  test.each([
    ['none', {}],
    ['a wrong one', { authorization: `Bearer ${token}x` }],
    ['a part of it', { authorization: `Bearer ${token.slice(0, -1)}` }],
    ['an empty one', { authorization: 'Bearer ' }],
    ['another scheme', { authorization: `Basic ${token}` }],
  ])('%s: everything but the probes is refused', async (_what, headers) => {
    const port = uniquePort()
    const client = await stage.gateway({ kernel: fakeKernel().kernel, token, groups: { [port]: {} } })
    const paths = [
      '/groups',
      groupPath(port),
      `${groupPath(port)}/events`,
      `${groupPath(port)}/socket`,
      '/openapi.json',
    ]
    for (const path of paths) {
      const answer = await client.ask('GET', path, { headers })
      expect(answer).toMatchObject({ status: 401, body: { code: 'ERR_TOKEN_REQUIRED' } })
      expect(answer.headers.get('www-authenticate')).toBe('Bearer')
    }
    expect(await client.send(port, 'x', { headers })).toMatchObject({ status: 401 })
    const socket = new SocketClient(`${client.url.replace('http', 'ws')}${groupPath(port)}/socket`, headers)
    await expect(socket.opened).rejects.toThrow('401')
    for (const path of ['/healthz', '/readyz'])
      expect(await client.ask('GET', path)).toMatchObject({ status: 200 })
  })

  test('the right one is let in, on all ways', async () => {
    const port = uniquePort()
    const client = await stage.gateway({ token, groups: { [port]: {} } })
    const headers = { authorization: `Bearer ${token}` }
    expect(await client.ask('GET', '/groups', { headers })).toMatchObject({ status: 200 })
    expect(await client.send(port, 'x', { headers })).toMatchObject({ status: 200 })
    const socket = new SocketClient(`${client.url.replace('http', 'ws')}${groupPath(port)}/socket`, headers)
    await socket.opened
    socket.close()
  })

  test('never stands in the log', async () => {
    const lines: string[] = []
    const log = startLog('trace', { write: (line: string) => void lines.push(line) })
    const port = uniquePort()
    const client = await stage.gateway({ token, logger: log, groups: { [port]: {} } })
    for (const shown of [token, 'a-wrong-token-0123456789']) {
      await client.send(port, 'the body', { key: 'the-key', headers: { authorization: `Bearer ${shown}` } })
    }
    await client.gateway.close()
    expect(lines.length).toBeGreaterThan(0)
    for (const secret of [token, 'a-wrong-token', 'the body', 'the-key'])
      expect(lines.join('')).not.toContain(secret)
  })
})

describe('without a token, on loopback', () => {
  test.each([
    ['a page of another site', { origin: 'http://evil.example' }, 403],
    ['a page from a file', { origin: 'null' }, 403],
    ['a name that was bent to this machine', { host: 'evil.example' }, 403],
    ['localhost', { host: 'localhost:7070' }, 200],
    ['another address of loopback', { host: '127.0.0.2' }, 200],
    ['IPv6', { host: '[::1]:7070' }, 200],
    ['a page of its own', { host: 'localhost:7070', origin: 'http://localhost:7070' }, 200],
  ])('%s', async (_what, headers, status) => {
    const client = await stage.gateway()
    expect(await get(client, '/groups', headers as Record<string, string>)).toBe(status)
  })

  test('a WebSocket of a page of another site', async () => {
    const port = uniquePort()
    const client = await stage.gateway({ groups: { [port]: {} } })
    const url = `${client.url.replace('http', 'ws')}${groupPath(port)}/socket`
    await expect(new SocketClient(url, { origin: 'http://evil.example' }).opened).rejects.toThrow('403')
  })

  test('what counts as loopback', () => {
    for (const host of ['127.0.0.1', '127.8.9.10', '::1'])
      expect(() => new Access(host, undefined)).not.toThrow()
    for (const host of ['10.0.0.1', '::', 'fe80::1'])
      expect(() => new Access(host, undefined)).toThrow(/token/)
    expect(() => new Access('10.0.0.1', 'short')).toThrow(/16/)
  })
})
