/**
 * Requests that ask, on the way, for another protocol than WebSocket: some HTTP clients say on their first request that
 * they would like HTTP/2 (`Upgrade: h2c`; Java's do by default). A server may ignore that, but Node gives such a
 * request away unparsed as soon as anybody listens for upgrades. Here it is put together again and served as usual.
 */
import { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { failureOf, GatewayCode, GatewayError } from './errors.ts'
import { refuseUpgrade } from './refuse-upgrade.ts'

/** `timeoutMs`: how long the client may take to send the body. */
export function serveWithoutUpgrade(
  request: IncomingMessage,
  socket: Socket,
  head: Buffer,
  timeoutMs: number,
  serve: (request: IncomingMessage, response: ServerResponse) => void,
): void {
  if (request.headers['transfer-encoding'] !== undefined) {
    const message = 'send this with a Content-Length, or without an Upgrade header'
    refuseUpgrade(socket, failureOf(new GatewayError(GatewayCode.badRequest, message, 'refused')))
    return
  }
  const plain = copyOf(request, socket)
  const response = new ServerResponse(plain)
  response.shouldKeepAlive = false
  response.assignSocket(socket)
  response.on('finish', () => socket.end())
  socket.on('drain', () => response.emit('drain'))
  // As for other requests: a client that closes its side has gone.
  socket.on('end', () => socket.destroy())
  socket.on('close', () => plain.destroy())
  feedBody(plain, socket, head, timeoutMs)
  serve(plain, response)
}

/** The request as given is at its end already, whatever it has announced; this one can be given a body. */
function copyOf(request: IncomingMessage, socket: Socket): IncomingMessage {
  const { method, url, httpVersion, httpVersionMajor, httpVersionMinor, headers, rawHeaders } = request
  const facts = { method, url, httpVersion, httpVersionMajor, httpVersionMinor, headers, rawHeaders }
  return Object.assign(new IncomingMessage(socket), facts)
}

/** Hands on as many bytes as the request has announced. */
function feedBody(request: IncomingMessage, socket: Socket, head: Buffer, timeoutMs: number): void {
  let left = Number(request.headers['content-length'] ?? 0)
  const feed = (chunk: Buffer): void => {
    const part = chunk.subarray(0, left)
    left -= part.length
    if (part.length > 0) request.push(part)
    if (left > 0) return
    socket.off('data', feed)
    socket.setTimeout(0)
    // Read on, so that the end of the connection is noticed.
    socket.resume()
    request.complete = true
    request.push(null)
  }
  socket.setTimeout(timeoutMs, () => socket.destroy())
  socket.on('data', feed)
  feed(head)
}
