/**
 * Every failure that a program can meet is a GroupError with one of these codes. The message says what
 * happened and what to do about it.
 */
export const ErrorCode = {
  /** createGroup: a group with this port is alive. */
  exists: 'ERR_GROUP_EXISTS',
  /** joinGroup: nobody answered for this port. */
  notFound: 'ERR_GROUP_NOT_FOUND',
  /** joinGroup: the group has `maxMembers` members. */
  full: 'ERR_GROUP_FULL',
  /**
   * joinGroup: the group is alive, and for half a minute (two with the times for long distances) it has had no time for this
   * joiner, or has not decided about it.
   */
  busy: 'ERR_GROUP_BUSY',
  /** The member has left, or its kernel is closed. */
  closed: 'ERR_GROUP_CLOSED',
  /**
   * A member does not answer any more; a reset is needed before the group can go on. joinGroup: a group is there, and lets
   * nobody in at present for that reason.
   */
  memberFailed: 'ERR_MEMBER_FAILED',
  /** Too few members answered for the group to be rebuilt, or none that may rebuild it. */
  resetFailed: 'ERR_RESET_FAILED',
  /** The others have gone on without this member. */
  expelled: 'ERR_EXPELLED',
  /** The message is larger than the group's `maxMessageSize`. */
  tooLarge: 'ERR_MESSAGE_TOO_LARGE',
  /** An argument or option is of the wrong kind or out of its bounds. */
  invalid: 'ERR_INVALID_ARGUMENT',
  /** The key or token does not allow this. */
  notAuthorized: 'ERR_NOT_AUTHORIZED',
  /** The other side speaks another version of the wire format. */
  incompatible: 'ERR_INCOMPATIBLE',
  /** An address or port cannot be used on this machine. */
  address: 'ERR_ADDRESS',
  /** The caller's AbortSignal fired. */
  aborted: 'ERR_ABORTED',
  /** The send waits for room that only this same program can make by receiving. */
  wouldBlock: 'ERR_WOULD_BLOCK',
} as const
export type ErrorCode = (typeof ErrorCode)[keyof typeof ErrorCode]

/**
 * How a send that failed ended: `refused` means that it never was and never will be ordered; `unknown`
 * is said only when it cannot be known (invariant I11).
 */
export type Outcome = 'refused' | 'unknown'

export class GroupError extends Error {
  override readonly name = 'GroupError'
  readonly code: ErrorCode
  /** Set on failed sends only. */
  readonly outcome: Outcome | undefined

  constructor(code: ErrorCode, message: string, options: { outcome?: Outcome; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.code = code
    this.outcome = options.outcome
  }
}

/**
 * Why a call that opens has failed, where its code alone does not tell whoever may ask again: `missingKey`, the group seals
 * with a key that this process does not hold yet; `standstill`, a group is there, and lets nobody in at present.
 */
export type OpenFailure = 'missingKey' | 'standstill'

export class OpenError extends GroupError {
  readonly openFailure: OpenFailure

  constructor(code: ErrorCode, message: string, openFailure: OpenFailure) {
    super(code, message)
    this.openFailure = openFailure
  }
}

/** A refused argument, in one form everywhere: which field, what was given, what is allowed, what was probably meant. */
export function invalidArgument(field: string, given: unknown, allowed: string, meant?: string): GroupError {
  const hint = meant === undefined ? '' : `; did you mean '${meant}'?`
  return new GroupError(ErrorCode.invalid, `${field} is ${show(given)}; it must be ${allowed}${hint}`)
}

function show(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value.length > 60 ? `${value.slice(0, 60)}…` : value)
  if (typeof value === 'object' && value !== null) return Object.prototype.toString.call(value).slice(8, -1)
  return String(value)
}
