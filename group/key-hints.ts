/**
 * Who has no key, or another one than the others, hears them and cannot read them. A packet that cannot be read does not
 * say which port it is for, so nothing is refused because of it: sealed and open groups may share a network, several ports
 * share a group address by chance, and a single forged packet would keep a port from being created. What was heard is a
 * line in the log (kernel/node/secure/warnings.ts), and a hint where nobody was found.
 */
import { ErrorCode, GroupError } from '../kernel/errors.ts'

/** Packets that were dropped because of a key, by what they were. Only rise. */
export interface Unread {
  /** Sealed; this process has no key. */
  readonly sealed: number
  /** Not sealed; this process has a key. */
  readonly plain: number
  /** Sealed with a key that this process does not hold. */
  readonly key: number
}

const hints: Readonly<Record<keyof Unread, string>> = {
  sealed:
    'packets that are sealed with a group key were heard meanwhile, and this process has none: give it the key file of the others (--key-file, or the option keyFile)',
  plain:
    'packets that are not sealed were heard meanwhile, and this process has a group key: give it to the others as well, or start this one without',
  key: 'packets that are sealed with another group key were heard meanwhile: all must have one key in common (--key-file, or the option keyFile)',
}

/** The same failure, saying also which packets could not be read meanwhile, where that may be why nobody was found. */
export function namingKeys(error: unknown, before: Unread, now: Unread): unknown {
  if (!(error instanceof GroupError) || error.code !== ErrorCode.notFound) return error
  const heard = (Object.keys(hints) as (keyof Unread)[]).filter((what) => now[what] > before[what])
  if (heard.length === 0) return error
  const message = [error.message, ...heard.map((what) => hints[what])].join('; ')
  return new GroupError(error.code, message, { cause: error })
}
