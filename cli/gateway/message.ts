/** What a client says about its message, checked. */
import { ErrorCode, GroupError } from '../../kernel/errors.ts'
import { isEnvelopeText } from './envelope.ts'
import { bodyKind } from './events.ts'

/** An idempotency key: as it is, or as a string in quotes, the way the IETF's draft on the header writes it. */
export function checkKey(field: string, value: unknown): string {
  const key = typeof value === 'string' ? (/^"([^"\\]+)"$/.exec(value)?.[1] ?? value) : ''
  if (isEnvelopeText(key)) return key
  throw refused(`${field} must be 1 to 255 printable ASCII characters`)
}

/** A media type. What is called JSON must be JSON, so that every reader can trust it. */
export function checkContent(field: string, value: unknown, body: Uint8Array): string {
  if (
    typeof value !== 'string' ||
    !isEnvelopeText(value) ||
    !/^[\w!#$&^.+-]+\/[\w!#$&^.+-]+\s*(;.*)?$/.test(value)
  ) {
    throw refused(`${field} must be a media type of at most 255 characters, such as application/json`)
  }
  if (bodyKind(value) === 'json') checkJson(body)
  return value
}

function checkJson(body: Uint8Array): void {
  try {
    JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(body))
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause)
    throw refused(`the body is said to be JSON, and is not: ${reason}`)
  }
}

function refused(message: string): GroupError {
  return new GroupError(ErrorCode.invalid, message, { outcome: 'refused' })
}
