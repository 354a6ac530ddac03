import { type IncomingHttpHeaders, request } from 'node:http'
import { afterEach, describe, expect, test } from 'vitest'
import { ErrorCode } from '../../kernel/errors.ts'
import { addHealthRoutes, HttpServer } from '../../kernel/node/http.ts'
import { Metrics } from '../../kernel/node/metrics.ts'
import type { View } from '../../kernel/view.ts'
import { view } from './support.ts'

const TOKEN = 'a-token-that-is-long-enough'
const servers: HttpServer[] = []

async function open(port = 0, token?: string): Promise<HttpServer> {
  const server = await HttpServer.open({ port, token })
  servers.push(server)
  return server
}

afterEach(async () => {
  await Promise.all(servers.splice(0).map((server) => server.close()))
})

test('the pages of operators', async () => {
  const server = await open()
  const members: { port: string; phase: string; view: View | undefined }[] = []
  addHealthRoutes(server, { metrics: new Metrics(), members: () => members })
  const get = async (path: string): Promise<[number, string]> => {
    const response = await fetch(server.url + path)
    return [response.status, await response.text()]
  }
  expect(await get('/healthz')).toEqual([200, 'ok\n'])
  expect((await get('/readyz'))[0]).toBe(503)
  members.push(
    { port: 'orders', phase: 'joining', view: undefined },
    { port: 'other', phase: 'member', view: view() },
  )
  const [code, why] = await get('/readyz')
  expect([code, why]).toEqual([503, expect.stringMatching(/^not ready: .*orders/)])
  members[0] = { port: 'orders', phase: 'member', view: view() }
  expect(await get('/readyz?verbose')).toEqual([200, 'ready\n'])
  const page = await fetch(`${server.url}/metrics`)
  expect(page.headers.get('content-type')).toMatch(/^text\/plain; version=0\.0\.4/)
  expect(await page.text()).toContain('# TYPE amoebacast_seq gauge')
  const [status, text] = await get('/nowhere')
  expect(status).toBe(404)
  expect(text).toContain('/metrics, /healthz, /readyz')
  expect((await fetch(`${server.url}/healthz`, { method: 'POST' })).status).toBe(405)
  const head = await fetch(`${server.url}/healthz`, { method: 'HEAD' })
  expect([head.status, await head.text()]).toEqual([200, ''])
})

test('a page that fails is a 500, and the server goes on', async () => {
  const server = await open()
  server.route('/broken', () => {
    throw new Error('no page today')
  })
  server.route('/fine', (_request, response) => void response.end('fine'))
  const response = await fetch(`${server.url}/broken`)
  expect([response.status, await response.text()]).toEqual([500, 'no page today\n'])
  expect(await (await fetch(`${server.url}/fine`)).text()).toBe('fine')
})

test('a port in use is an error that says what to do', async () => {
  const { port } = await open()
  await expect(HttpServer.open({ port })).rejects.toMatchObject({
    code: ErrorCode.address,
    message: `metrics port 127.0.0.1:${port} is used by another program; choose another, or 0 for a free one`,
  })
  await expect(HttpServer.open({ port: 70_000 })).rejects.toMatchObject({ code: ErrorCode.invalid })
  await expect(HttpServer.open({ port: 0, host: '203.0.113.3', token: TOKEN })).rejects.toMatchObject({
    code: ErrorCode.address,
  })
})

test('closing ends open responses', async () => {
  const server = await open()
  server.route('/stream', (_request, response) => void response.write('begun'))
  const ended = new Promise<void>((resolve, reject) => {
    request(`${server.url}/stream`, { agent: false }, (response) => {
      response.once('data', () => void server.close())
      response.once('close', resolve)
      response.on('error', () => {})
    })
      .on('error', reject)
      .end()
  })
  await ended
  await server.close()
  await expect(fetch(server.url)).rejects.toThrow()
})

describe('who may read', () => {
  /** A request as given, headers and all: fetch would set its own Host. */
  function ask(
    server: HttpServer,
    path: string,
    headers: Record<string, string> = {},
  ): Promise<{ status: number; headers: IncomingHttpHeaders; text: string }> {
    return new Promise((resolve, reject) => {
      request(`${server.url}${path}`, { agent: false, headers }, (response) => {
        let text = ''
        response.setEncoding('utf8').on('data', (part: string) => {
          text += part
        })
        response.on('end', () => resolve({ status: response.statusCode!, headers: response.headers, text }))
      })
        .on('error', reject)
        .end()
    })
  }

  async function withPages(token?: string): Promise<HttpServer> {
    const server = await open(0, token)
    addHealthRoutes(server, {
      metrics: new Metrics(),
      members: () => [{ port: 'hidden-name', phase: 'joining', view: undefined }],
    })
    return server
  }

  test('beyond loopback nothing is served without a token', async () => {
    for (const host of ['0.0.0.0', '::', '203.0.113.3']) {
      await expect(HttpServer.open({ port: 0, host })).rejects.toMatchObject({
        code: ErrorCode.invalid,
        message: expect.stringContaining('--http-token-file'),
      })
    }
    const server = await HttpServer.open({ port: 0, host: '0.0.0.0', token: TOKEN })
    servers.push(server)
    expect((await fetch(`http://127.0.0.1:${server.port}/metrics`)).status).toBe(401)
  })

  test('with a token: by header, and nothing without it but /healthz and a bare /readyz', async () => {
    const server = await withPages(TOKEN)
    const wrong: Record<string, string>[] = [
      {},
      { authorization: `Bearer ${TOKEN}x` },
      { authorization: `Basic ${TOKEN}` },
    ]
    for (const headers of wrong) {
      const answer = await ask(server, '/metrics', headers)
      expect([answer.status, answer.headers['www-authenticate']]).toEqual([401, 'Bearer realm="amoebacast"'])
      expect(answer.text).not.toContain('amoebacast_')
    }
    expect((await ask(server, '/metrics?token=wrong-but-long-enough')).status).toBe(401)
    // what there is is nobody's business either
    expect((await ask(server, '/nowhere')).status).toBe(401)
    const authorization = `Bearer ${TOKEN}`
    expect((await ask(server, '/metrics', { authorization })).text).toContain('# TYPE amoebacast_seq gauge')
    expect((await ask(server, '/healthz')).status).toBe(200)
    const bare = await ask(server, '/readyz')
    expect([bare.status, bare.text.includes('hidden-name')]).toEqual([503, false])
    expect((await ask(server, '/readyz', { authorization })).text).toContain('hidden-name')
  })

  test('a browser shows the token once, and has a cookie from then on', async () => {
    const server = await withPages(TOKEN)
    const door = await ask(server, '/metrics', { accept: 'text/html' })
    expect([door.status, door.headers['content-type']]).toEqual([401, 'text/html; charset=utf-8'])
    expect(door.text).toContain('name="token"')
    expect(door.headers['content-security-policy']).toContain("default-src 'none'")

    const welcome = await ask(server, `/metrics?token=${TOKEN}&x=1`)
    expect([welcome.status, welcome.headers.location]).toEqual([303, './metrics?x=1'])
    const set = welcome.headers['set-cookie']![0]!
    expect(set).toMatch(/; HttpOnly; SameSite=Strict; /)
    expect(set).not.toContain(TOKEN)
    const cookie = set.split(';')[0]!
    expect((await ask(server, '/metrics', { cookie: `other=1; ${cookie}` })).status).toBe(200)
    expect((await ask(server, '/metrics', { cookie: `${cookie}0` })).status).toBe(401)
    const root = await ask(server, `/?token=${TOKEN}`)
    expect([root.status, root.headers.location]).toEqual([303, './'])

    // another token's cookie is worth nothing, under whatever name
    const other = await withPages('another-token-that-is-long')
    const name = `amoebacast-${other.port}`
    expect((await ask(other, '/metrics', { cookie: `${name}=${cookie.split('=')[1]}` })).status).toBe(401)
  })

  test('without a token, a foreign name that points here gets nothing', async () => {
    const server = await withPages()
    for (const host of [
      'evil.example',
      'evil.example:80',
      '127.0.0.1.evil.example',
      'localhost.evil.example',
    ]) {
      expect((await ask(server, '/metrics', { host })).status, host).toBe(403)
    }
    for (const host of ['localhost:9400', '127.0.0.1', '[::1]:9400', `127.0.0.1:${server.port}`]) {
      expect((await ask(server, '/metrics', { host })).status, host).toBe(200)
    }
    expect((await ask(server, '/healthz', { host: 'evil.example' })).status).toBe(200)
    // a token is what makes other names fine
    const authorization = `Bearer ${TOKEN}`
    const guarded = await withPages(TOKEN)
    expect((await ask(guarded, '/metrics', { host: 'node.example', authorization })).status).toBe(200)
  })

  test('a broken address is an answer, not a fault', async () => {
    const server = await withPages()
    expect((await ask(server, '//')).status).toBe(404)
    expect((await ask(server, '/%')).status).toBe(404)
  })
})
