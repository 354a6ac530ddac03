/** The small HTTP server for operators: /metrics, /healthz, /readyz, and the console's pages (console/). */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { ErrorCode, GroupError, invalidArgument } from '../errors.ts'
import type { MemberInfo } from '../port.ts'
import { Access, urlOf, type Verdict } from './access.ts'
import { formatAddress, isLoopback } from './addresses.ts'
import { tokenPage } from './console/pages.ts'
import { whyProcessNotReady } from './readiness.ts'
import { reply, replyPage } from './reply.ts'
import { checkToken } from './token.ts'

/** Who asks: whether the request may see what is not for everybody. */
export interface Asker {
  readonly isAllowed: boolean
}

export type Route = (request: IncomingMessage, response: ServerResponse, asker: Asker) => void | Promise<void>

export interface HttpOptions {
  /** Default 127.0.0.1. Beyond loopback there must be a token: the pages say much about a group. */
  readonly host?: string
  /** 0 lets the system choose. */
  readonly port: number
  /** What a request must show for every page that is not open; see access.ts. */
  readonly token?: string | undefined
}

interface Entry {
  readonly route: Route
  readonly isOpen: boolean
}

/** Scrapers, probes and browsers; more than these are turned away. */
const CONNECTIONS_MAX = 128

export class HttpServer {
  readonly url: string
  readonly port: number
  private readonly server: Server
  /** By path; bounded by the program's code. */
  private readonly routes = new Map<string, Entry>()
  private readonly access: Access
  private closing: Promise<void> | undefined

  /** Throws ERR_ADDRESS if the port cannot be had, saying why and what to do. */
  static async open({ host = '127.0.0.1', port, token }: HttpOptions): Promise<HttpServer> {
    if (!Number.isInteger(port) || port < 0 || port > 65_535) {
      throw invalidArgument('metricsPort', port, 'a whole number from 0 to 65535')
    }
    if (token !== undefined) checkToken('httpToken', token)
    else if (!isLoopback(host)) {
      const advice = 'give httpToken (--http-token-file), or listen on 127.0.0.1'
      throw new GroupError(ErrorCode.invalid, `pages on ${host}, beyond loopback, need a token; ${advice}`)
    }
    const server = createServer()
    server.maxConnections = CONNECTIONS_MAX
    await new Promise<void>((resolve, reject) => {
      server.once('error', (error) => reject(listenError(error, host, port)))
      server.listen({ host, port, exclusive: true }, resolve)
    })
    // A page does not keep a process alive; an open group does.
    server.unref()
    server.on('connection', (socket) => socket.unref())
    return new HttpServer(server, token)
  }

  private constructor(server: Server, token: string | undefined) {
    const { address, port } = server.address() as AddressInfo
    this.server = server
    this.port = port
    this.access = new Access(token, port)
    this.url = `http://${formatAddress(address, port)}`
    server.on('request', (request, response) => void this.answer(request, response))
  }

  /**
   * Answers GET and HEAD of `path`. A route may keep its response open (server-sent events); close() ends it.
   * `isOpen`: for everybody who can reach the listener, with or without a token; `asker` tells which.
   */
  route(path: string, route: Route, { isOpen = false }: { readonly isOpen?: boolean } = {}): void {
    this.routes.set(path, { route, isOpen })
  }

  close(): Promise<void> {
    this.closing ??= new Promise((resolve) => {
      this.server.close(() => resolve())
      this.server.closeAllConnections()
    })
    return this.closing
  }

  private async answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    try {
      await this.dispatch(request, response)
    } catch (error) {
      if (response.headersSent) response.destroy()
      else reply(response, 500, `${error instanceof Error ? error.message : String(error)}\n`)
    }
  }

  private async dispatch(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const entry = this.routes.get(urlOf(request).pathname)
    const verdict = this.access.judge(request)
    const isAllowed = verdict === 'allowed'
    if (!isAllowed && entry?.isOpen !== true) this.refuse(verdict, request, response)
    else if (entry === undefined) {
      // what the pages load for themselves is nothing to look for
      const pages = [...this.routes.keys()].filter((path) => path.lastIndexOf('/') === 0)
      reply(response, 404, `nothing here; there are ${pages.join(', ')}\n`)
    } else if (request.method !== 'GET' && request.method !== 'HEAD') {
      response.setHeader('allow', 'GET, HEAD')
      reply(response, 405, 'only GET and HEAD\n')
    } else {
      await entry.route(request, response, { isAllowed })
    }
  }

  private refuse(verdict: Verdict, request: IncomingMessage, response: ServerResponse): void {
    if (verdict === 'welcome') return this.access.welcome(request, response)
    if (verdict === 'foreign host') {
      reply(response, 403, 'this listener answers to addresses and to localhost, not to other names\n')
      return
    }
    response.setHeader('www-authenticate', 'Bearer realm="amoebacast"')
    if (request.headers.accept?.includes('text/html')) replyPage(response, 401, tokenPage)
    else reply(response, 401, 'a token is needed: Authorization: Bearer TOKEN\n')
  }
}

export interface Health {
  readonly metrics: { page(): Promise<string>; readonly contentType: string }
  /** Every membership of the kernel, open or being opened. */
  members(): Iterable<Pick<MemberInfo, 'port' | 'phase' | 'view'>>
}

/**
 * /healthz: the process works, which its answering shows. /readyz: 200 if the kernel has members and each is
 * in a view that may go on, else 503 and why not (readiness.ts). Both are for everybody, since who probes has no
 * token to show; the names of groups are not.
 */
export function addHealthRoutes(server: HttpServer, { metrics, members }: Health): void {
  server.route('/metrics', async (_request, response) => {
    const page = await metrics.page()
    reply(response, 200, page, metrics.contentType)
  })
  server.route('/healthz', (_request, response) => reply(response, 200, 'ok\n'), { isOpen: true })
  const ready: Route = (_request, response, { isAllowed }) => {
    const why = whyProcessNotReady(members(), isAllowed ? 'with names' : 'without names')
    if (why === undefined) reply(response, 200, 'ready\n')
    else reply(response, 503, `not ready: ${why}\n`)
  }
  server.route('/readyz', ready, { isOpen: true })
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
