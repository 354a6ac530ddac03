/** Runs benches one after the other. One that fails does not lose what it has measured, nor the others. */
import { mkdirSync } from 'node:fs'
import type { Bench, BenchOptions } from './plan.ts'
import { carryOut, secondsOf } from './plan.ts'
import { showProgress } from './progress.ts'
import type { Result } from './results.ts'
import { table } from './table.ts'
import { type Origin, sectionsOf, writeReport, writeResults } from './write-report.ts'

/**
 * Writes results into `out` as they come, the page after each bench, and says its tables. Gives what failed, by bench; rejects if
 * `signal` says so, with all that was measured by then on the disk, and on the page.
 */
export async function measureAll(
  which: readonly Bench[],
  options: BenchOptions,
  machine: Omit<Origin, 'failures'>,
  out: string,
  signal: AbortSignal,
  say: (text: string) => void,
): Promise<Origin['failures']> {
  const results: Result[] = []
  const failures: Record<string, string> = {}
  const origin: Origin = { ...machine, failures }
  // it must be possible to write there; what an earlier run has left stays until there is something new
  mkdirSync(out, { recursive: true })
  for (const bench of which) {
    const { name, describe } = bench
    const shown = showProgress(name)
    try {
      await carryOut(bench, options, shown.progress, signal, (found) => {
        results.push(...found)
        writeResults(out, results, origin)
      })
    } catch (error) {
      failures[name] = error instanceof Error ? error.message : String(error)
      writeResults(out, results, origin)
      // who has stopped it sees what there is
      if (signal.aborted) writeReport(out, results, origin)
      signal.throwIfAborted()
    } finally {
      shown.stop()
    }
    const section = sectionsOf(results, failures).find((each) => each.name === name)
    const tables = section?.tables ?? []
    const warning = section?.warning === undefined ? '' : `\n${section.warning}\n`
    const failed = failures[name] === undefined ? '' : `\nfailed: ${failures[name]}\n`
    say(`\n${name}: ${describe}\n${failed}${warning}\n${tables.map(table).join('\n\n')}\n`)
    writeReport(out, results, origin)
  }
  return failures
}

/** About how long these take on a machine that has nothing else to do, and which of them how long. */
export function estimateOf(which: readonly Bench[], options: BenchOptions): string {
  const each = which.map((bench) => ({ name: bench.name, seconds: secondsOf(bench, options) }))
  const all = each.reduce((sum, { seconds }) => sum + seconds, 0)
  const parts = each.map(({ name, seconds }) => `${name} ${inWords(seconds)}`)
  return `about ${inWords(all)}${each.length > 1 ? ` (${parts.join(', ')})` : ''}`
}

function inWords(seconds: number): string {
  return seconds < 90 ? `${Math.ceil(seconds)} s` : `${Math.round(seconds / 60)} min`
}
