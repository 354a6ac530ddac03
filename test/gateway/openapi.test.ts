/** The OpenAPI document says what is there, and what is there is as the document says. */
import { Validator } from '@seriousme/openapi-schema-validator'
import { type FastifyInstance, fastify } from 'fastify'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { openApiDocument } from '../../cli/gateway/openapi.ts'
import { addRoutes } from '../../cli/gateway/routes.ts'
import { fakeKernel } from '../group/fake.ts'
import { type Answer, type Client, groupPath, poll, Stage, type StreamEvent, uniquePort } from './support.ts'

interface Operation {
  readonly responses: Readonly<
    Record<string, { readonly content?: Readonly<Record<string, { schema: object }>> }>
  >
  readonly requestBody?: { readonly content: Readonly<Record<string, { schema: object }>> }
}

const paths = openApiDocument.paths as unknown as Readonly<
  Record<string, Readonly<Record<string, Operation>>>
>

/** Checks values against schemas as they are, with nothing filled in or turned into another type. */
let checker: FastifyInstance
let check: (schema: object, value: unknown) => unknown[]

beforeAll(async () => {
  checker = fastify({
    ajv: {
      customOptions: { strict: false, coerceTypes: false, removeAdditional: false, useDefaults: false },
    },
  })
  let compile: (schema: object) => { (value: unknown): boolean; errors?: unknown[] | null } = () => {
    throw new Error('not ready')
  }
  checker.get('/', async (request) => {
    compile = (schema) => request.compileValidationSchema(schema) as unknown as ReturnType<typeof compile>
    return {}
  })
  await checker.inject('/')
  check = (schema, value) => {
    const validate = compile({ ...schema, components: openApiDocument.components })
    return validate(value) ? [] : [...(validate.errors ?? ['wrong'])]
  }
})
afterAll(() => checker.close())

let stage: Stage

beforeEach(() => {
  stage = new Stage()
})
afterEach(() => stage[Symbol.asyncDispose]())

function named(name: string): object {
  return { $ref: `#/components/schemas/${name}` }
}

/** The answer has a status that the document knows for the route, and the form that it says. */
function holds(method: string, path: string, { status, body, headers }: Answer): void {
  const documented = paths[path]?.[method.toLowerCase()]?.responses[String(status)]
  expect(documented, `${method} ${path} ${status}`).toBeDefined()
  expect(headers.get('content-type')).toBe('application/json; charset=utf-8')
  expect(
    check(documented!.content!['application/json']!.schema, body),
    `${method} ${path} ${status}`,
  ).toEqual([])
  seen.add(`${method} ${path} ${status}`)
}

const seen = new Set<string>()

describe('the document', () => {
  test('is valid OpenAPI 3.1', async () => {
    const validator = new Validator()
    const { valid, errors } = await validator.validate(structuredClone(openApiDocument))
    expect(errors).toBeUndefined()
    expect(valid).toBe(true)
    expect(validator.version).toBe('3.1')
  })

  test('has every route, and only these', async () => {
    const app = fastify({ exposeHeadRoutes: false })
    const routes: string[] = []
    app.addHook('onRoute', ({ method, url }) => {
      for (const one of [method].flat()) routes.push(`${one} ${url.replaceAll(/:(\w+)/g, '{$1}')}`)
    })
    addRoutes(app, {} as Parameters<typeof addRoutes>[1])
    await app.close()
    const documented = Object.entries(paths).flatMap(([path, item]) =>
      Object.keys(item)
        .filter((name) => name !== 'parameters')
        .map((method) => `${method.toUpperCase()} ${path}`),
    )
    expect(routes.length).toBeGreaterThan(10)
    expect([...routes].sort()).toEqual([...documented].sort())
  })

  test('is what the gateway serves', async () => {
    const client = await stage.gateway()
    const answer = await client.ask('GET', '/openapi.json')
    holds('GET', '/openapi.json', answer)
    expect(answer.body).toEqual(JSON.parse(JSON.stringify(openApiDocument)))
  })

  test('its schemas refuse what has another form', () => {
    expect(check(named('Ordered'), { seq: 1, repeat: false })).toEqual([])
    expect(check(named('Ordered'), { seq: 1 })).not.toEqual([])
    expect(check(named('Ordered'), { seq: '1', repeat: false })).not.toEqual([])
    expect(check(named('Ordered'), { seq: 1, repeat: false, more: 1 })).not.toEqual([])
    expect(check(named('EventMessage'), { seq: 1, sender: 1, via: 'member' })).not.toEqual([])
  })
})

describe('answers have the form that the document says', () => {
  async function ask(
    client: Client,
    method: string,
    path: string,
    port: string,
    init: RequestInit = {},
  ): Promise<Answer> {
    const answer = await client.ask(method, path.replace('{port}', encodeURIComponent(port)), init)
    holds(method, path, answer)
    return answer
  }

  test('of all routes, where all goes well and where it does not', async () => {
    const port = uniquePort()
    const client = await stage.gateway({ maxGroups: 1 })
    const group = '/groups/{port}'
    const messages = `${group}/messages`
    await ask(client, 'GET', '/healthz', port)
    await ask(client, 'GET', '/readyz', port)
    await ask(client, 'GET', group, uniquePort())
    await ask(client, 'POST', group, port, { body: '{"mode":"join"}' })
    await ask(client, 'POST', group, port, { body: '{"resilience":"x"}' })
    await ask(client, 'POST', group, port, { body: `"${'x'.repeat(70_000)}"` })
    await ask(client, 'POST', group, port, {
      body: '{"mode":"create","slowMember":{"expelAfterMs":1000},"resilience":1}',
    })
    await ask(client, 'POST', group, port)
    await ask(client, 'POST', group, port, { body: '{"mode":"create"}' })
    await ask(client, 'POST', group, uniquePort())
    await ask(client, 'GET', group, port)
    await ask(client, 'GET', '/groups', port)
    const key = { 'idempotency-key': 'k', 'content-type': 'text/plain' }
    await ask(client, 'POST', messages, port, { body: 'x', headers: key })
    await ask(client, 'POST', messages, port, { body: 'x', headers: key })
    await ask(client, 'POST', messages, port, { body: 'y', headers: key })
    await ask(client, 'POST', messages, port, { body: '{', headers: { 'content-type': 'application/json' } })
    await ask(client, 'POST', messages, port, { body: 'x'.repeat(1_100_000) })
    await ask(client, 'POST', messages, uniquePort(), { body: 'x' })
    await ask(client, 'GET', messages.replace('messages', 'events'), uniquePort())
    await ask(client, 'GET', messages.replace('messages', 'socket'), port)
    await ask(client, 'POST', `${group}/reset`, port, { body: '{"minMembers":1}' })
    await ask(client, 'POST', `${group}/reset`, port, { body: '{"minMembers":-1}' })
    await ask(client, 'POST', `${group}/reset`, uniquePort())
    const other = await stage.gateway()
    await ask(other, 'GET', group, port)
    await ask(client, 'POST', `${group}/leave`, port, { body: '{"x":1}' })
    await ask(client, 'POST', `${group}/leave`, port)
    await ask(client, 'POST', `${group}/leave`, port)
    const guarded = await stage.gateway({ token: 'a-token-of-this-test' })
    for (const [path, item] of Object.entries(paths)) {
      if (path === '/healthz' || path === '/readyz') continue
      for (const method of Object.keys(item))
        if (method !== 'parameters') await ask(guarded, method.toUpperCase(), path, port)
    }
    // Every success but those of streams has been seen.
    const successes = Object.entries(paths).flatMap(([path, item]) =>
      Object.entries(item).flatMap(([method, { responses = {} }]) =>
        Object.keys(responses)
          .filter((status) => status.startsWith('2'))
          .map((status) => `${method.toUpperCase()} ${path} ${status}`),
      ),
    )
    const unseen = successes.filter((one) => !seen.has(one))
    expect(unseen.filter((one) => one !== 'GET /openapi.json 200')).toEqual(['GET /groups/{port}/events 200'])
  })

  test('of outcomes', async () => {
    const { kernel, rim } = fakeKernel()
    const client = await stage.gateway({ kernel, groups: { fake: {} } })
    for (const [token, outcome] of [
      [1, 'unknown'],
      [2, 'refused'],
    ] as const) {
      const sending = client.send('fake', 'x')
      await poll('the send', () => rim.machines[0]!.callsOf('send').length === token)
      rim.machines[0]!.emit({ output: 'failed', token, code: 'ERR_EXPELLED', message: 'no', outcome })
      holds('POST', '/groups/{port}/messages', await sending)
    }
  })
})

describe('events have the form that the document says', () => {
  function holdsEvent({ event, data }: Pick<StreamEvent, 'event' | 'data'>): void {
    const name = `Event${event[0]!.toUpperCase()}${event.slice(1)}`
    expect(check(named(name), data), `${event} ${JSON.stringify(data)}`).toEqual([])
  }

  test('of streams, and of WebSockets', async () => {
    const port = uniquePort()
    const client = await stage.gateway({ groups: { [port]: {} }, ringMessages: 20 })
    const events = await client.events(port)
    const socket = await client.socket(port)
    const member = await (await stage.kernel()).joinGroup<Uint8Array>(port, {
      codec: 'binary',
      header: Uint8Array.of(1),
    })
    await member.sendToGroup(Uint8Array.of(1), { header: Uint8Array.of(1) })
    await client.send(port, '{}', { type: 'application/json', key: 'k' })
    socket.send({ type: 'send', id: 1, text: 'x' })
    socket.send({ type: 'send', id: 2 })
    await client.ask('POST', `${groupPath(port)}/reset`)
    await member.leaveGroup()
    await events.event('leave')
    const anew = await client.events(port, { after: '00c0ffee00c0ffee-1-1-1' })
    await anew.event('gap')
    await client.gateway.close()
    await Promise.all([events.over(), anew.over()])
    const all = [...events.all, ...anew.all]
    for (const event of all) holdsEvent(event)
    const names = new Set(all.map(({ event }) => event))
    for (const name of ['open', 'message', 'join', 'leave', 'reset', 'gap', 'end'])
      expect(names).toContain(name)
    for (const told of socket.arrivals.all) {
      const schema = { ordered: 'SocketOrdered', failed: 'SocketFailed', event: 'SocketEvent' }[
        told.type as string
      ]!
      expect(check(named(schema), told), JSON.stringify(told)).toEqual([])
    }
    expect(new Set(socket.arrivals.all.map(({ type }) => type))).toEqual(
      new Set(['ordered', 'failed', 'event']),
    )
  })

  test('of what happens beside the order', async () => {
    const { kernel, rim } = fakeKernel()
    const client = await stage.gateway({ kernel, groups: { fake: { rejoin: false } } })
    const events = await client.events('fake')
    const machine = rim.machines[0]!
    machine.emit({ output: 'event', event: { event: 'suspect', member: 2, reason: 'silent' } })
    machine.emit({ output: 'event', event: { event: 'stopped', reason: 'too few', present: 1, needed: 2 } })
    machine.emit({ output: 'event', event: { event: 'slow', member: 2, lagMessages: 9 } })
    machine.emit({ output: 'event', event: { event: 'split', incarnation: 4, coordinator: 3 } })
    machine.emit({ output: 'event', event: { event: 'expelled', reason: 'cut off' } })
    machine.emit({ output: 'event', event: { event: 'closed', code: 'ERR_EXPELLED', reason: 'cut off' } })
    await events.over()
    for (const event of events.all) holdsEvent(event)
    expect(events.all.map(({ event }) => event)).toEqual([
      'open',
      'suspect',
      'stopped',
      'slow',
      'split',
      'expelled',
      'end',
    ])
    expect(events.all.at(-1)?.data).toMatchObject({ code: 'ERR_EXPELLED' })
  })
})
