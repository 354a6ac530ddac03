/** An answer on a connection that Node has given away with its `upgrade` event. */
import { STATUS_CODES } from 'node:http'
import type { Duplex } from 'node:stream'
import type { Failure } from './errors.ts'

export function refuseUpgrade(stream: Duplex, { status, retryAfter, body }: Failure): void {
  const text = JSON.stringify(body)
  const lines = [
    `HTTP/1.1 ${status} ${STATUS_CODES[status]}`,
    'Connection: close',
    'Content-Type: application/json; charset=utf-8',
    `Content-Length: ${Buffer.byteLength(text)}`,
    ...(retryAfter === undefined ? [] : [`Retry-After: ${retryAfter}`]),
    ...(status === 401 ? ['WWW-Authenticate: Bearer'] : []),
  ]
  stream.end(`${lines.join('\r\n')}\r\n\r\n${text}`)
}
