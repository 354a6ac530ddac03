/** Every route of the gateway. openapi.ts describes them; a test holds the two together. */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { invalidArgument } from '../../kernel/errors.ts'
import { readBody } from './body.ts'
import type { GatewayContext } from './context.ts'
import { parseCursor } from './cursor.ts'
import { GatewayCode, GatewayError } from './errors.ts'
import type { Start } from './event-reader.ts'
import { groupFacts } from './hosted-group.ts'
import { checkContent, checkKey } from './message.ts'
import { openApiDocument } from './openapi.ts'
import { checkMode } from './options.ts'
import type { OutgoingMessage } from './sends.ts'
import { SseSink } from './sse-sink.ts'

/** Of the JSON bodies that open and reset groups. */
const CONTROL_BYTES = 65_536

type Request = FastifyRequest<{
  Params: { port: string }
  Querystring: Readonly<Record<string, string | undefined>>
}>

export function addRoutes(app: FastifyInstance, context: GatewayContext): void {
  const { groups, kernel, streams } = context
  const isPublic = { config: { isPublic: true } }

  app.get('/healthz', isPublic, async () => ({ ok: true }))

  app.get('/readyz', isPublic, async (_request, reply) => {
    const reason = context.unreadiness()
    if (reason === undefined) return { ready: true }
    return reply.code(503).send({ ready: false, reason })
  })

  app.get('/openapi.json', async () => openApiDocument)

  app.get('/groups', async () => ({
    groups: groups.all.map(({ group, isReady, readerCount }) => {
      const { port, memberId, view } = group
      return { port, memberId, members: view.members.length, isReady, readers: readerCount }
    }),
  }))

  app.get('/groups/:port', async (request: Request, reply) => {
    const { port } = request.params
    const hosted = groups.find(port)
    if (hosted !== undefined) return hosted.info()
    const report = await kernel.inspectGroup(port, { signal: clientSignal(reply) })
    return { isMember: false, ...groupFacts(report) }
  })

  app.post('/groups/:port', async (request: Request, reply) => {
    const { mode = 'join-or-create', ...options } = await readObject(request)
    checkMode(mode)
    const { group, isNew } = await groups.open(request.params.port, mode, options, clientSignal(reply))
    return reply.code(isNew ? 201 : 200).send(group.info())
  })

  app.post('/groups/:port/leave', async (request: Request) => {
    await readObject(request, [])
    await groups.leave(request.params.port)
    return { left: true }
  })

  app.post('/groups/:port/reset', async (request: Request, reply) => {
    const { group } = groups.get(request.params.port)
    const { minMembers } = await readObject(request, ['minMembers'])
    const members = await group.resetGroup(minMembers as number | undefined, { signal: clientSignal(reply) })
    return { members }
  })

  app.post('/groups/:port/messages', async (request: Request, reply) => {
    const hosted = groups.get(request.params.port)
    const signal = clientSignal(reply)
    const ticket = hosted.admission.enter()
    try {
      const body = await readBody(request.raw, hosted.maxMessageSize, ticket)
      return await hosted.send(messageOf(request, body), signal)
    } finally {
      ticket.leave()
    }
  })

  app.get('/groups/:port/events', async (request: Request, reply) => {
    const hosted = groups.get(request.params.port)
    const start = startOf(request.query, request.headers['last-event-id'])
    const leave = streams.enter()
    reply.hijack()
    const response = reply.raw
    const reader = hosted.read(new SseSink(response), start, request.ip)
    response.on('drain', () => reader.ready(Date.now()))
    response.on('error', () => {})
    const over = (): void => {
      hosted.drop(reader)
      leave()
    }
    if (response.destroyed) over()
    else response.on('close', over)
  })

  app.get('/groups/:port/socket', async (_request, reply) => {
    reply.header('upgrade', 'websocket').header('connection', 'Upgrade')
    throw new GatewayError(GatewayCode.upgradeRequired, 'open this as a WebSocket')
  })
}

/** Where a stream begins: `Last-Event-ID` (or `lastEventId`) first, else `from`. Throws ERR_INVALID_ARGUMENT. */
export function startOf(
  query: Readonly<Record<string, unknown>>,
  lastEventId: string | string[] | undefined,
): Start {
  const id = lastEventId || query.lastEventId || undefined
  if (id !== undefined) {
    if (typeof id !== 'string') throw invalidArgument('Last-Event-ID', id, 'one id')
    return parseCursor(id, 'Last-Event-ID')
  }
  const { from = 'now' } = query
  if (from !== 'now' && from !== 'oldest') throw invalidArgument('from', from, "'now' or 'oldest'")
  return from
}

function messageOf({ headers }: Request, body: Buffer): OutgoingMessage {
  const contentType = headers['content-type']
  const key = headers['idempotency-key']
  return {
    body,
    contentType: contentType === undefined ? undefined : checkContent('Content-Type', contentType, body),
    key: key === undefined ? undefined : checkKey('Idempotency-Key', key),
  }
}

/** A JSON object, whatever it says it is; nothing stands for an empty one. */
async function readObject(request: Request, known?: readonly string[]): Promise<Record<string, unknown>> {
  const body = await readBody(request.raw, CONTROL_BYTES)
  if (body.length === 0) return {}
  let value: unknown
  try {
    value = JSON.parse(body.toString())
  } catch (cause) {
    throw new GatewayError(GatewayCode.badRequest, `the body is not JSON: ${(cause as Error).message}`)
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new GatewayError(GatewayCode.badRequest, 'the body must be a JSON object')
  }
  const unknown = known && Object.keys(value).find((field) => !known.includes(field))
  if (unknown !== undefined) {
    throw invalidArgument('field', unknown, known?.length === 0 ? 'left out' : `one of ${known?.join(', ')}`)
  }
  return value as Record<string, unknown>
}

/** Fires when the client goes away before it has been answered. */
function clientSignal(reply: FastifyReply): AbortSignal {
  const controller = new AbortController()
  const { raw } = reply
  raw.on('close', () => {
    if (!raw.writableFinished) controller.abort()
  })
  if (raw.destroyed) controller.abort()
  return controller.signal
}
