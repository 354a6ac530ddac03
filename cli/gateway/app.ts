/** The HTTP side: a Fastify instance with the gateway's rules for access, errors and bodies, and its routes. */
import { type FastifyInstance, type FastifyReply, fastify } from 'fastify'
import { type GatewayContext, REQUEST_MS } from './context.ts'
import { type Failure, failureOf, GatewayCode, GatewayError, isFault } from './errors.ts'
import type { GatewayLog } from './options.ts'
import { addRoutes } from './routes.ts'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Served without a token, and while the gateway stops: for probes. */
    isPublic?: boolean
  }
}

/** Ports have up to 255 bytes; in a path each may take three. */
const PORT_TEXT_MAX = 3 * 255

export function makeApp(context: GatewayContext): FastifyInstance {
  const { access, log } = context
  const app = fastify({
    logger: false,
    exposeHeadRoutes: false,
    return503OnClosing: false,
    requestTimeout: REQUEST_MS,
    routerOptions: { maxParamLength: PORT_TEXT_MAX },
    frameworkErrors: (error, _request, reply) => answerFailure(reply, failureOf(error)),
  })
  // Bodies are read by the handlers, who know the limit of the group.
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('*', (_request, _payload, done) => done(null))
  app.addHook('onRequest', async (request, reply) => {
    if (request.routeOptions.config.isPublic) return
    const refusal = access.refusal(request.headers) ?? context.refusal()
    if (refusal === undefined) return
    if (refusal.code === GatewayCode.tokenRequired) reply.header('www-authenticate', 'Bearer')
    if (refusal.code === GatewayCode.stopping) reply.header('connection', 'close')
    throw refusal
  })
  app.setErrorHandler((error, request, reply) => {
    const failure = failureOf(error)
    noteFault(log, failure, error, `${request.method} ${request.routeOptions.url}`)
    return answerFailure(reply, failure)
  })
  app.setNotFoundHandler((request) => {
    const message = `there is no ${request.method} ${request.url.split('?', 1)[0]}; GET /openapi.json tells what there is`
    throw new GatewayError(GatewayCode.noRoute, message)
  })
  addRoutes(app, context)
  return app
}

/** Only faults of the gateway's own: what clients do wrong is theirs to see. */
export function noteFault(log: GatewayLog, failure: Failure, error: unknown, route: string): void {
  if (isFault(failure)) log.error({ err: error, route }, 'a fault of the gateway')
}

function answerFailure(reply: FastifyReply, { status, retryAfter, body }: Failure): FastifyReply {
  if (retryAfter !== undefined) reply.header('retry-after', String(retryAfter))
  return reply.code(status).header('cache-control', 'no-store').send(body)
}
