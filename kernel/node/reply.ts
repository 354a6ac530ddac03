/** Whole answers of the HTTP listener, with the headers that every one of them has. */
import type { ServerResponse } from 'node:http'

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

/**
 * What a page of ours may do: load what this listener serves, talk to this listener, and nothing else; no script or
 * style inside the page runs.
 */
const PAGE_POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "connect-src 'self'",
  'img-src data:',
  "base-uri 'none'",
  "form-action 'self'",
  "frame-ancestors 'none'",
].join('; ')

export function replyPage(response: ServerResponse, status: number, html: string): void {
  response.setHeader('content-security-policy', PAGE_POLICY)
  response.setHeader('referrer-policy', 'no-referrer')
  reply(response, status, html, 'text/html; charset=utf-8')
}
