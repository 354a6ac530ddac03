/** What stands in the text of a group key. */
import type { RightName } from '../../kernel/identity.ts'
import { type GroupKey, parseKeys } from '../../kernel/node/secure/group-key.ts'
import { keyText } from '../../kernel/settings.ts'

export function keysOf(...texts: readonly string[]): GroupKey[] {
  return parseKeys('the test', texts.join('\n'))
}

/** As people are told it. */
export function idOf(key: string): string {
  return keyText(keysOf(key)[0]!.id)
}

export function tokenOf(key: string, right: RightName): string {
  return keysOf(key)[0]!.token(right)!
}
