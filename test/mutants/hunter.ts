/** Has a built copy run seeds until one fails, and says what found the fault. */
import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import type { Mutant } from './patches.ts'
import type { Workshop } from './workshop.ts'

export interface Find {
  /** 0 where a schedule made by hand has found it. */
  readonly seed: number
  /** An invariant, `assertion` for the machine's own, `crash` for any other exception, `hang` for no end. */
  readonly by: string
  readonly sentence: string
}

export interface Verdict {
  readonly mutant: Mutant
  readonly isFound: boolean
  readonly find: Find | undefined
  /** Why there was no hunt. */
  readonly error: string | undefined
}

export interface Seeds {
  readonly from: number
  readonly count: number
}

/** A seed takes some hundredths of a second; one that takes so long never ends. */
const SEED_MS = 60_000

/** `baseline` is the script of the copy without a fault. */
export async function judgeMutant(
  workshop: Workshop,
  mutant: Mutant,
  seeds: Seeds,
  baseline: string,
): Promise<Verdict> {
  try {
    const { options, expected, scene } = mutant
    const script = await workshop.build(mutant.path)
    const find = scene === undefined ? await hunt(script, seeds, options) : await play(script, scene)
    if (scene !== undefined) {
      const other = await play(baseline, scene)
      if (other !== undefined)
        throw new Error(`the scene ${scene} fails without the fault: ${other.sentence}`)
    } else if (find !== undefined && options.length > 0) {
      // with options of its own, the seeds have not been tried without the fault yet
      const other = await hunt(baseline, { from: seeds.from, count: find.seed - seeds.from + 1 }, options)
      if (other !== undefined)
        throw new Error(
          `seed ${other.seed} with ${options.join(' ')} fails without the fault: ${other.sentence}`,
        )
    }
    return { mutant, isFound: find !== undefined && expected.includes(find.by), find, error: undefined }
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error)
    return { mutant, isFound: false, find: undefined, error: message }
  } finally {
    workshop.discard(mutant.path)
  }
}

/** The first of `seeds` that fails; undefined if none does. */
export function hunt(
  script: string,
  { from, count }: Seeds,
  options: readonly string[] = [],
): Promise<Find | undefined> {
  return listen(script, [String(from), String(count), ...options], from)
}

/** What goes wrong in a schedule made by hand; undefined if nothing does. */
function play(script: string, scene: string): Promise<Find | undefined> {
  return listen(script, ['scene', scene], 0)
}

async function listen(script: string, args: readonly string[], from: number): Promise<Find | undefined> {
  const child = spawn(process.execPath, [script, ...args], { stdio: ['ignore', 'pipe', 'pipe'] })
  let stderr = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr = (stderr + text).slice(-2000)
  })
  const ended = new Promise<{ code: number | null; signal: string | null }>((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (code, signal) => resolve({ code, signal }))
  })
  let seed = from
  let find: Find | undefined
  let hangs = false
  const watch = setTimeout(() => {
    hangs = true
    child.kill('SIGKILL')
  }, SEED_MS)
  try {
    for await (const line of createInterface({ input: child.stdout })) {
      watch.refresh()
      const said = JSON.parse(line) as { seed: number; status?: string; invariant: string; sentence: string }
      seed = said.seed
      if (said.status !== undefined) find = { seed, by: byWhom(said), sentence: firstLine(said.sentence) }
    }
    const { code, signal } = await ended
    if (hangs)
      return {
        seed,
        by: 'hang',
        sentence: `${seed === 0 ? 'it' : `seed ${seed}`} has not ended after ${SEED_MS / 1000} s`,
      }
    if (find === undefined && code !== 0)
      return { seed, by: 'crash', sentence: `the process ended with ${code ?? signal}: ${stderr.trim()}` }
    return find
  } finally {
    clearTimeout(watch)
    if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL')
  }
}

function byWhom({ invariant, sentence }: { invariant: string; sentence: string }): string {
  if (invariant !== 'exception') return invariant
  return sentence.startsWith('AssertionError') ? 'assertion' : 'crash'
}

function firstLine(text: string): string {
  return text.split('\n', 1)[0] ?? ''
}
