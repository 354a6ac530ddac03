/** Exit statuses, wrong usage, and how a failure becomes one line. */
import { GroupError } from '../kernel/errors.ts'

export const ExitStatus = { success: 0, failure: 1, usage: 2 } as const
export type ExitStatus = (typeof ExitStatus)[keyof typeof ExitStatus]

/** The command line cannot be understood: exit status 2. */
export class UsageError extends Error {
  override readonly name = 'UsageError'
}

/** The command was understood and could not be done: exit status 1, and no stack for people. */
export class CommandError extends Error {
  override readonly name = 'CommandError'
}

export function exitStatusOf(error: unknown): ExitStatus {
  if (error instanceof UsageError) return ExitStatus.usage
  // A value that the command line let through and the library refuses is still the caller's spelling.
  return error instanceof GroupError && error.code === 'ERR_INVALID_ARGUMENT'
    ? ExitStatus.usage
    : ExitStatus.failure
}

/**
 * What people read: one line, whatever is in the message. A fault of the program itself keeps its stack,
 * because that one has to be reported.
 */
export function describeError(error: unknown): string {
  if (error instanceof UsageError || error instanceof CommandError) return oneLine(error.message)
  if (error instanceof GroupError) return `${oneLine(error.message)} [${error.code}]`
  if (error instanceof Error) return error.stack ?? oneLine(error.message)
  return oneLine(String(error))
}

function oneLine(text: string): string {
  return text.replace(/\s*\n\s*/g, '; ')
}
