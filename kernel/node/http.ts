/** The small HTTP server for operators: /metrics, /healthz, /readyz, and whatever pages are added later. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { ErrorCode, GroupError, invalidArgument } from '../errors.ts'
import type { MemberInfo } from '../port.ts'
import { formatAddress } from './addresses.ts'

export type Route = (request: IncomingMessage, response: ServerResponse) => void | Promise<void>

export interface HttpOptions {
  /** Default 127.0.0.1: the page says much about a group, and asks nobody who they are. */
  readonly host?: string
  /** 0 lets the system choose. */
  readonly port: number
}

export class HttpServer {
  readonly url: string
  readonly port: number
  private readonly server: Server
  /** By path; bounded by the program's code. */
  private readonly routes: Map<string, Route>
  private closing: Promise<void> | undefined

  /** Throws ERR_ADDRESS if the port cannot be had, saying why and what to do. */
  static async open({ host = '127.0.0.1', port }: HttpOptions): Promise<HttpServer> {
    if (!Number.isInteger(port) || port < 0 || port > 65_535) {
      throw invalidArgument('metricsPort', port, 'a whole number from 0 to 65535')
    }
    const routes = new Map<string, Route>()
    const server = createServer((request, response) => void answer(routes, request, response))
    await new Promise<void>((resolve, reject) => {
      server.once('error', (error) => reject(listenError(error, host, port)))
      server.listen({ host, port, exclusive: true }, resolve)
    })
    // A page does not keep a process alive; an open group does.
    server.unref()
    return new HttpServer(server, routes)
  }

  private constructor(server: Server, routes: Map<string, Route>) {
    const { address, port } = server.address() as AddressInfo
    this.server = server
    this.routes = routes
    this.port = port
    this.url = `http://${formatAddress(address, port)}`
  }

  /** Answers GET and HEAD of `path`. A route may keep its response open (server-sent events); close() ends it. */
  route(path: string, route: Route): void {
    this.routes.set(path, route)
  }

  close(): Promise<void> {
    this.closing ??= new Promise((resolve) => {
      this.server.close(() => resolve())
      this.server.closeAllConnections()
    })
    return this.closing
  }
}

export interface Health {
  readonly metrics: { page(): Promise<string>; readonly contentType: string }
  /** Every membership of the kernel, open or being opened. */
  members(): Iterable<Pick<MemberInfo, 'port' | 'view'>>
}

/**
 * /healthz: the process works, which its answering shows. /readyz: 200 if the kernel has members and each is
 * in a view, else 503 and which is not; one without members does no work that could be sent to it.
 */
export function addHealthRoutes(server: HttpServer, { metrics, members }: Health): void {
  server.route('/metrics', async (_request, response) => {
    const page = await metrics.page()
    reply(response, 200, page, metrics.contentType)
  })
  server.route('/healthz', (_request, response) => reply(response, 200, 'ok\n'))
  server.route('/readyz', (_request, response) => {
    const all = [...members()]
    const waiting = all.filter(({ view }) => view === undefined).map(({ port }) => port)
    if (all.length === 0) reply(response, 503, 'not ready: no group is open\n')
    else if (waiting.length > 0) reply(response, 503, `not ready: not in a view of ${waiting.join(', ')}\n`)
    else reply(response, 200, 'ready\n')
  })
}

export function reply(
  response: ServerResponse,
  status: number,
  body: string,
  type = 'text/plain; charset=utf-8',
): void {
  response.writeHead(status, {
    'content-type': type,
    'content-length': Buffer.byteLength(body),
    'cache-control': 'no-store',
    'x-content-type-options': 'nosniff',
  })
  response.end(body)
}

async function answer(
  routes: Map<string, Route>,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const path = (request.url ?? '/').split('?', 1)[0]!
  const route = routes.get(path)
  if (route === undefined) {
    reply(response, 404, `nothing here; there are ${[...routes.keys()].join(', ')}\n`)
    return
  }
  if (request.method !== 'GET' && request.method !== 'HEAD') {
    response.setHeader('allow', 'GET, HEAD')
    reply(response, 405, 'only GET and HEAD\n')
    return
  }
  try {
    await route(request, response)
  } catch (error) {
    if (response.headersSent) response.destroy()
    else reply(response, 500, `${error instanceof Error ? error.message : String(error)}\n`)
  }
}

function listenError(error: NodeJS.ErrnoException, host: string, port: number): GroupError {
  const where = formatAddress(host, port)
  const advice: Record<string, string> = {
    EADDRINUSE: 'is used by another program; choose another, or 0 for a free one',
    EACCES: 'may not be used by this user; choose a port above 1023',
    EADDRNOTAVAIL: 'is not an address of this machine; choose another host',
  }
  const reason = advice[error.code ?? ''] ?? `cannot be used (${error.message})`
  return new GroupError(ErrorCode.address, `metrics port ${where} ${reason}`, { cause: error })
}
