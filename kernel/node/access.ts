/**
 * Who may read the pages of a listener. With a token: whoever shows it, as `Authorization: Bearer`, or once as
 * `?token=`, which a browser gets a cookie for. Without one, on loopback only: everybody on this machine, but not
 * a page of a foreign site that has its name point here (the Host header gives it away).
 */
import { createHmac } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { isIP } from 'node:net'
import { bearerToken, isSameToken } from './token.ts'

export type Verdict =
  | 'allowed'
  /** The token came in the address: the answer sets the cookie and asks for the same page without it. */
  | 'welcome'
  /** No token, or a wrong one. */
  | 'no token'
  /** The request is for a host name that nobody has given this listener. */
  | 'foreign host'

/** Seconds; a browser that is left open shows the page again the next day. */
const COOKIE_SECONDS = 7 * 24 * 60 * 60

export class Access {
  private readonly token: string | undefined
  /** Says that its holder has shown the token, and is not the token: cookies go to every port of a host. */
  private readonly pass: string | undefined
  private readonly cookie: string

  constructor(token: string | undefined, port: number) {
    this.token = token
    this.pass = token && createHmac('sha256', token).update('amoebacast pages').digest('hex')
    this.cookie = `amoebacast-${port}`
  }

  judge(request: IncomingMessage): Verdict {
    const { token, pass } = this
    if (token === undefined || pass === undefined) return isKnownHost(request) ? 'allowed' : 'foreign host'
    if (isSameToken(bearerToken(request), token)) return 'allowed'
    if (isSameToken(cookieOf(request, this.cookie), pass)) return 'allowed'
    const shown = urlOf(request).searchParams.get('token') ?? undefined
    return isSameToken(shown, token) ? 'welcome' : 'no token'
  }

  /** Answers one who came with the token in the address: a cookie, and the same page without it. */
  welcome(request: IncomingMessage, response: ServerResponse): void {
    const url = urlOf(request)
    url.searchParams.delete('token')
    response.writeHead(303, {
      // relative, for those behind a proxy with a path of its own
      location: `./${url.pathname.slice(url.pathname.lastIndexOf('/') + 1)}${url.search}`,
      'set-cookie': `${this.cookie}=${this.pass}; HttpOnly; SameSite=Strict; Path=/; Max-Age=${COOKIE_SECONDS}`,
      'cache-control': 'no-store',
      'referrer-policy': 'no-referrer',
      'content-length': 0,
    })
    response.end()
  }
}

export function urlOf(request: IncomingMessage): URL {
  try {
    return new URL(request.url ?? '/', 'http://listener')
  } catch {
    return new URL('http://listener/')
  }
}

function cookieOf({ headers }: IncomingMessage, name: string): string | undefined {
  for (const pair of (headers.cookie ?? '').split(';')) {
    const at = pair.indexOf('=')
    if (pair.slice(0, at).trim() === name) return pair.slice(at + 1).trim()
  }
  return undefined
}

function isKnownHost({ headers }: IncomingMessage): boolean {
  const { host } = headers
  if (host === undefined) return true
  const name = host.replace(/:\d+$/, '').replace(/^\[(.*)\]$/, '$1')
  return name === 'localhost' || name.endsWith('.localhost') || isIP(name) !== 0
}
