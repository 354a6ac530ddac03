/** From the options `key` and `keyFile` to keys. */
import { ErrorCode, GroupError, invalidArgument } from '../../errors.ts'
import { type GroupKey, parseKeys, readKeyFile } from './group-key.ts'

/** None of both: no keys. ERR_INVALID_ARGUMENT says what is wrong, and never shows a key. */
export function groupKeys({
  key,
  keyFile,
}: {
  readonly key: unknown
  readonly keyFile: unknown
}): GroupKey[] {
  if (key !== undefined && keyFile !== undefined)
    throw new GroupError(ErrorCode.invalid, 'key and keyFile exclude each other; give one of them')
  if (keyFile !== undefined) {
    if (typeof keyFile !== 'string' || keyFile === '')
      throw invalidArgument('keyFile', keyFile, 'the path of a file')
    return readKeyFile(keyFile)
  }
  if (key === undefined) return []
  const texts: readonly unknown[] = Array.isArray(key) ? key : [key]
  // What was given may be a key of another kind: it is not shown.
  if (!texts.every((text) => typeof text === 'string'))
    throw new GroupError(
      ErrorCode.invalid,
      "key must be a text as 'amoebacast keygen' writes it, or a list of such",
    )
  return parseKeys('the option key', texts.join('\n'))
}
