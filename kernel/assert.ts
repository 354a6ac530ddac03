/**
 * Assertions stay on, in production too: a broken invariant stops one member with the numbers involved,
 * which is better than a group that goes on out of order.
 */
export class AssertionError extends Error {
  override readonly name = 'AssertionError'
}

export function assert(condition: boolean, message: string, ...details: unknown[]): asserts condition {
  if (!condition) fail(message, details)
}

function fail(message: string, details: readonly unknown[]): never {
  throw new AssertionError(details.length === 0 ? message : `${message} (${details.map(String).join(', ')})`)
}
