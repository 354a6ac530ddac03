/**
 * Who may use the gateway. With a token: whoever shows it. Without one, on loopback only: programs on this machine,
 * but not the pages that somebody looks at in a browser here. A page of another site can send requests to
 * loopback; such requests carry its `Origin`, or (by DNS rebinding) a `Host` that is a name of its own.
 */
import type { IncomingHttpHeaders } from 'node:http'
import { isIP } from 'node:net'
import { invalidArgument } from '../../kernel/errors.ts'
import { isLoopback } from '../../kernel/node/addresses.ts'
import { bearerToken, checkToken, isSameToken } from '../../kernel/node/token.ts'
import { GatewayCode, GatewayError } from './errors.ts'

export class Access {
  private readonly token: string | undefined

  /** Throws ERR_INVALID_ARGUMENT for a listener beyond loopback without a token. */
  constructor(host: string, token: string | undefined) {
    if (token === undefined && !isLoopback(host)) {
      throw invalidArgument(
        'listen',
        host,
        'an address of loopback (127.0.0.1, ::1), or there must be a token (--http-token-file)',
      )
    }
    if (token !== undefined) checkToken('token', token)
    this.token = token
  }

  /** Why the request is refused; undefined if it is not. */
  refusal(headers: IncomingHttpHeaders): GatewayError | undefined {
    const { token } = this
    if (token === undefined) return isOfThisMachine(headers) ? undefined : foreignOrigin()
    return isSameToken(bearerToken({ headers }), token) ? undefined : tokenRequired()
  }
}

function isOfThisMachine({ host, origin }: IncomingHttpHeaders): boolean {
  if (!isLocalName(hostNameOf(`http://${host ?? ''}`))) return false
  return origin === undefined || origin === `http://${host}`
}

function hostNameOf(url: string): string {
  return URL.canParse(url) ? new URL(url).hostname.replace(/^\[|\]$/g, '') : ''
}

function isLocalName(name: string): boolean {
  return name === 'localhost' || (isIP(name) !== 0 && isLoopback(name))
}

function tokenRequired(): GatewayError {
  return new GatewayError(
    GatewayCode.tokenRequired,
    'send the token of this gateway: Authorization: Bearer TOKEN',
  )
}

function foreignOrigin(): GatewayError {
  return new GatewayError(
    GatewayCode.origin,
    'without a token only programs on this machine are served: use http://127.0.0.1 or localhost, and no page of another site',
  )
}
