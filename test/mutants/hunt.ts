/**
 * Runs in a copy of the sources, as a process of its own: `hunt.js FROM COUNT [OPTION=VALUE...]` runs seeds until
 * one fails. It prints a line of JSON before each seed, so that whoever reads knows which one never ends, and one for the
 * failure.
 */
import { type Overrides, parseOverride } from '../simulator/options.ts'
import { runSeed } from '../simulator/run.ts'

const [from = 1, count = 0] = process.argv.slice(2, 4).map(Number)
// crashes and the like only where the patch asks for them: without them seeds say more about the rest, and sooner
const overrides: Overrides = Object.assign({ faults: false }, ...process.argv.slice(4).map(parseOverride))
for (let seed = from; seed < from + count; seed++) {
  console.log(JSON.stringify({ seed }))
  const { status, invariant, sentence } = runSeed(seed, { overrides })
  if (status === 'ok') continue
  console.log(JSON.stringify({ seed, status, invariant, sentence }))
  break
}
