/**
 * What V8 has and does not show: things that are not in the language, or not yet. It shows them to contexts that are made while
 * a flag is set. Flags are the whole process's, so only the main thread touches them, and puts them back at once.
 */
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { isMainThread } from 'node:worker_threads'

/** What `expression` is in a context made while `--flag` is set; undefined where it is nothing, or flags cannot be set. */
export function shownUnder(flag: string, expression: string): unknown {
  if (!isMainThread || isFrozen(process.execArgv)) return undefined
  try {
    setFlagsFromString(`--${flag}`)
    try {
      return runInNewContext(expression)
    } finally {
      setFlagsFromString(`--no-${flag}`)
    }
  } catch {
    // not Node's V8, or not one that has such a flag
    return undefined
  }
}

/** To set a flag then is not an error, but the end of the process. */
function isFrozen(flags: readonly string[]): boolean {
  return flags.some((flag) => /--freeze[-_]flags[-_]after[-_]init/.test(flag))
}
