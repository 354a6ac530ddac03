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

/** The candidate that `given` was probably meant to be; undefined if none is near. */
export function nearest(given: string, candidates: readonly string[]): string | undefined {
  let best: string | undefined
  let bestDistance = Math.max(1, Math.floor(given.length / 3)) + 1
  for (const candidate of candidates) {
    const isBeginning = given.length >= 2 && candidate.startsWith(given)
    const distance = isBeginning ? 0.5 : editDistance(given.toLowerCase(), candidate)
    if (distance < bestDistance) {
      best = candidate
      bestDistance = distance
    }
  }
  return best
}

/** Insertions, deletions, replacements and swaps of neighbours that turn `a` into `b`. */
export function editDistance(a: string, b: string): number {
  let beforeLast: number[] = []
  let last = Array.from({ length: b.length + 1 }, (_, i) => i)
  for (let i = 1; i <= a.length; i++) {
    const row = [i]
    for (let j = 1; j <= b.length; j++) {
      const replace = last[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1)
      let cost = Math.min(replace, last[j]! + 1, row[j - 1]! + 1)
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) {
        cost = Math.min(cost, beforeLast[j - 2]! + 1)
      }
      row.push(cost)
    }
    beforeLast = last
    last = row
  }
  return last[b.length]!
}

function oneLine(text: string): string {
  return text.replace(/\s*\n\s*/g, '; ')
}
