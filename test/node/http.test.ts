import { request } from 'node:http'
import { afterEach, expect, test } from 'vitest'
import { ErrorCode } from '../../kernel/errors.ts'
import { addHealthRoutes, HttpServer } from '../../kernel/node/http.ts'
import { Metrics } from '../../kernel/node/metrics.ts'
import type { View } from '../../kernel/view.ts'
import { view } from './support.ts'

const servers: HttpServer[] = []

async function open(port = 0): Promise<HttpServer> {
  const server = await HttpServer.open({ port })
  servers.push(server)
  return server
}

afterEach(async () => {
  await Promise.all(servers.splice(0).map((server) => server.close()))
})

test('the pages of operators', async () => {
  const server = await open()
  const members: { port: string; view: View | undefined }[] = []
  addHealthRoutes(server, { metrics: new Metrics(), members: () => members })
  const get = async (path: string): Promise<[number, string]> => {
    const response = await fetch(server.url + path)
    return [response.status, await response.text()]
  }
  expect(await get('/healthz')).toEqual([200, 'ok\n'])
  expect((await get('/readyz'))[0]).toBe(503)
  members.push({ port: 'orders', view: undefined }, { port: 'other', view: view() })
  expect(await get('/readyz')).toEqual([503, 'not ready: not in a view of orders\n'])
  members[0]!.view = view()
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
  await expect(HttpServer.open({ port: 0, host: '203.0.113.3' })).rejects.toMatchObject({
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
