/** The WebSockets of a gateway: the upgrade, with the same rules as for requests, and all that are open. */
import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import type { Socket as NetSocket } from 'node:net'
import { WebSocketServer } from 'ws'
import { noteFault } from './app.ts'
import { type GatewayContext, REQUEST_MS } from './context.ts'
import { failureOf, GatewayCode, GatewayError } from './errors.ts'
import type { HostedGroup } from './hosted-group.ts'
import { serveWithoutUpgrade } from './plain-upgrade.ts'
import { refuseUpgrade } from './refuse-upgrade.ts'
import { startOf } from './routes.ts'
import { Socket } from './socket.ts'

/** Of a message's JSON beside the body. */
const FRAME_OVERHEAD = 4096

/** Base64 takes four bytes for three; escapes in a text may take six for one, so such a text must be base64. */
function frameLimit(maxMessageSize: number): number {
  return FRAME_OVERHEAD + Math.ceil((maxMessageSize * 4) / 3)
}

export class Sockets {
  private readonly context: GatewayContext
  /** Gives plain requests that ask for another protocol to the routes. */
  private readonly serve: (request: IncomingMessage, response: ServerResponse) => void
  /** One for each group, since the frames' limit is the group's. */
  private readonly servers = new WeakMap<HostedGroup, WebSocketServer>()
  /** BOUNDED by maxReaders. */
  private readonly open = new Map<Socket, HostedGroup>()

  constructor(context: GatewayContext, serve: (request: IncomingMessage, response: ServerResponse) => void) {
    this.context = context
    this.serve = serve
  }

  listen(server: Server): void {
    server.on('upgrade', (request, stream, head) => this.upgrade(request, stream as NetSocket, head))
  }

  heartbeat(): void {
    for (const socket of this.open.keys()) socket.heartbeat()
  }

  check(now: number): void {
    for (const [socket, hosted] of this.open) {
      if (hosted.isOver) socket.close('the gateway is out of the group')
      socket.check(now)
    }
  }

  /** Ends those that have no events to be ended by. */
  close(reason: string): void {
    for (const socket of this.open.keys()) socket.close(reason)
  }

  terminate(): void {
    for (const socket of this.open.keys()) socket.terminate()
  }

  private upgrade(request: IncomingMessage, stream: NetSocket, head: Buffer): void {
    stream.on('error', () => stream.destroy())
    if (request.headers.upgrade?.toLowerCase() !== 'websocket') {
      return serveWithoutUpgrade(request, stream, head, REQUEST_MS, this.serve)
    }
    try {
      this.accept(request, stream, head)
    } catch (error) {
      const failure = failureOf(error)
      noteFault(this.context.log, failure, error, 'GET /groups/:port/socket')
      refuseUpgrade(stream, failure)
    }
  }

  private accept(request: IncomingMessage, stream: NetSocket, head: Buffer): void {
    const { access, groups, limits, streams } = this.context
    const refusal = access.refusal(request.headers) ?? this.context.refusal()
    if (refusal !== undefined) throw refusal
    const { port, query } = parseTarget(request.url ?? '')
    const hosted = groups.get(port)
    const start =
      query.events === 'false' ? undefined : startOf({ ...query, lastEventId: query.resume }, undefined)
    const leave = streams.enter()
    stream.on('close', leave)
    this.serverFor(hosted).handleUpgrade(request, stream, head, (webSocket) => {
      const client = request.socket.remoteAddress ?? 'unknown'
      const socket = new Socket(webSocket, hosted, { start, client, stuckMs: limits.stuckMs })
      this.open.set(socket, hosted)
      webSocket.on('close', () => this.open.delete(socket))
    })
  }

  private serverFor(hosted: HostedGroup): WebSocketServer {
    const known = this.servers.get(hosted)
    if (known !== undefined) return known
    const server = new WebSocketServer({
      noServer: true,
      clientTracking: false,
      perMessageDeflate: false,
      maxPayload: frameLimit(hosted.maxMessageSize),
    })
    this.servers.set(hosted, server)
    return server
  }
}

function parseTarget(url: string): { port: string; query: Record<string, string> } {
  const { pathname, searchParams } = new URL(url, 'http://gateway')
  const match = /^\/groups\/([^/]+)\/socket\/?$/.exec(pathname)
  if (match === null) {
    throw new GatewayError(GatewayCode.noRoute, 'WebSockets are served at /groups/{port}/socket')
  }
  try {
    return { port: decodeURIComponent(match[1]!), query: Object.fromEntries(searchParams) }
  } catch {
    throw new GatewayError(GatewayCode.badRequest, 'the path is not UTF-8 in percent encoding')
  }
}
