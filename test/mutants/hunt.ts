/**
 * Runs in a copy of the sources, as a process of its own: `hunt.js FROM COUNT [OPTION=VALUE...]` runs seeds until
 * one fails. It prints a line of JSON before each seed, so that whoever reads knows which one never ends, and one for the
 * failure. `hunt.js scene NAME` plays a schedule made by hand, and prints the same.
 */
import { scenes } from '../protocol/scenes.ts'
import { Violation } from '../simulator/checkers/checker.ts'
import { type Overrides, parseOverride } from '../simulator/options.ts'
import { runSeed } from '../simulator/run.ts'

const [first = '', second = '', ...options] = process.argv.slice(2)
if (first === 'scene') play(second)
else hunt(Number(first), Number(second), options)

function hunt(from: number, count: number, given: readonly string[]): void {
  // crashes and the like only where the patch asks for them: without them seeds say more about the rest, and sooner
  const overrides: Overrides = Object.assign({ faults: false }, ...given.map(parseOverride))
  for (let seed = from; seed < from + count; seed++) {
    console.log(JSON.stringify({ seed }))
    const { status, invariant, sentence } = runSeed(seed, { overrides })
    if (status === 'ok') continue
    console.log(JSON.stringify({ seed, status, invariant, sentence }))
    return
  }
}

function play(name: string): void {
  const scene = scenes[name]
  if (scene === undefined) throw new Error(`there is no scene ${JSON.stringify(name)}`)
  try {
    scene()
  } catch (error) {
    const said =
      error instanceof Violation
        ? { invariant: error.invariant, sentence: error.message }
        : { invariant: 'exception', sentence: String(error) }
    console.log(JSON.stringify({ seed: 0, status: 'wrong', ...said }))
  }
}
