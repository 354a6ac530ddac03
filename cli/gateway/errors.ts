/** How failures look over HTTP: one table from codes to statuses, for GroupErrors and for the gateway's own. */
import { ErrorCode, GroupError, type Outcome } from '../../kernel/errors.ts'

/** What the gateway itself refuses. */
export const GatewayCode = {
  /** No such route, or another method. */
  noRoute: 'ERR_NO_ROUTE',
  /** The request cannot be understood. */
  badRequest: 'ERR_BAD_REQUEST',
  /** The token is missing or wrong. */
  tokenRequired: 'ERR_TOKEN_REQUIRED',
  /** A page of another origin, or a name that does not stand for this machine. */
  origin: 'ERR_ORIGIN',
  /** The idempotency key has come before with another content. */
  keyReused: 'ERR_KEY_REUSED',
  /** As many requests, readers or groups as the gateway takes. */
  busy: 'ERR_BUSY',
  /** The gateway is being stopped. */
  stopping: 'ERR_STOPPING',
  /** /groups/{port}/socket without an upgrade. */
  upgradeRequired: 'ERR_UPGRADE_REQUIRED',
  /** A fault of the gateway. */
  internal: 'ERR_INTERNAL',
} as const
export type GatewayCode = (typeof GatewayCode)[keyof typeof GatewayCode]

export class GatewayError extends Error {
  override readonly name = 'GatewayError'
  readonly code: GatewayCode
  readonly outcome: Outcome | undefined

  constructor(code: GatewayCode, message: string, outcome?: Outcome) {
    super(message)
    this.code = code
    this.outcome = outcome
  }
}

interface StatusRow {
  readonly status: number
  /** Seconds after which the same request may fare better; sent as Retry-After. */
  readonly retryAfter?: number
}

/** A send whose outcome is unknown is 504, whatever its code. */
const UNKNOWN_OUTCOME: StatusRow = { status: 504 }

export const statusTable: Readonly<Record<ErrorCode | GatewayCode, StatusRow>> = {
  [ErrorCode.exists]: { status: 409 },
  [ErrorCode.notFound]: { status: 404 },
  [ErrorCode.full]: { status: 409 },
  [ErrorCode.busy]: { status: 503, retryAfter: 5 },
  [ErrorCode.closed]: { status: 503, retryAfter: 1 },
  [ErrorCode.memberFailed]: { status: 503, retryAfter: 1 },
  [ErrorCode.resetFailed]: { status: 503, retryAfter: 1 },
  [ErrorCode.expelled]: { status: 503, retryAfter: 1 },
  [ErrorCode.tooLarge]: { status: 413 },
  [ErrorCode.invalid]: { status: 400 },
  [ErrorCode.notAuthorized]: { status: 403 },
  [ErrorCode.incompatible]: { status: 502 },
  [ErrorCode.address]: { status: 500 },
  [ErrorCode.aborted]: { status: 503, retryAfter: 1 },
  [ErrorCode.wouldBlock]: { status: 503, retryAfter: 1 },
  [GatewayCode.noRoute]: { status: 404 },
  [GatewayCode.badRequest]: { status: 400 },
  [GatewayCode.tokenRequired]: { status: 401 },
  [GatewayCode.origin]: { status: 403 },
  [GatewayCode.keyReused]: { status: 422 },
  [GatewayCode.busy]: { status: 503, retryAfter: 1 },
  [GatewayCode.stopping]: { status: 503, retryAfter: 5 },
  [GatewayCode.upgradeRequired]: { status: 426 },
  [GatewayCode.internal]: { status: 500 },
}

/** What the body of an error holds. */
export interface FailureBody {
  readonly code: ErrorCode | GatewayCode
  readonly message: string
  /** Set where a message was to be sent. */
  readonly outcome?: Outcome
}

export interface Failure extends StatusRow {
  readonly body: FailureBody
}

/** Anything that was thrown, as it is answered. A fault of the gateway's own tells nothing of its inside. */
export function failureOf(error: unknown): Failure {
  if (error instanceof GroupError || error instanceof GatewayError) {
    const { code, message, outcome } = error
    const row = outcome === 'unknown' ? UNKNOWN_OUTCOME : statusTable[code]
    return { ...row, body: { code, message, ...(outcome === undefined ? {} : { outcome }) } }
  }
  const { statusCode, message } = error as { statusCode?: unknown; message?: unknown }
  // What the HTTP framework refuses has a status of its own.
  if (typeof statusCode === 'number' && statusCode >= 400 && statusCode < 500) {
    return { status: statusCode, body: { code: GatewayCode.badRequest, message: String(message) } }
  }
  const text = 'the gateway has failed; its log says more'
  return { ...statusTable[GatewayCode.internal], body: { code: GatewayCode.internal, message: text } }
}

/** Whether it is the gateway's own fault, and belongs into its log. */
export function isFault(failure: Failure): boolean {
  return failure.body.code === GatewayCode.internal
}
