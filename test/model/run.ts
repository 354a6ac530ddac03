/** One run of the suite: done, and compared with what is expected. */
import { Prng } from '../../kernel/prng.ts'
import { type Bounds, explore, type Verdict } from './explore.ts'
import { NONE, violations } from './invariants.ts'
import { Model } from './model.ts'
import { parseOptions, parseSize } from './options.ts'
import type { Run } from './suite.ts'
import { walk } from './walk.ts'

export interface RunOutcome {
  readonly verdict: Verdict
  /** To the violation or the blocked state; 0 if nothing is wrong. */
  readonly steps: number
  /** States seen, or steps walked. */
  readonly states: number
  /** The invariant that is broken; empty if none is. */
  readonly invariant: string
}

export function modelOf(run: Run): Model {
  return new Model(parseSize(run.size), parseOptions(run.options.split(' ').filter((text) => text !== '')))
}

export function doRun(run: Run): RunOutcome {
  return run.walk === undefined ? doExplore(run) : doWalk(run, run.walk)
}

function doExplore(run: Run): RunOutcome {
  const bounds: Bounds = {
    ...(run.limit === undefined ? {} : { limit: run.limit }),
    blocked: run.looksForBlocked === true,
  }
  const { verdict, path, states, violation } = explore(modelOf(run), bounds)
  return { verdict, steps: path.length, states, invariant: violations[violation]![0] }
}

function doWalk(run: Run, { length, walks, seed }: NonNullable<Run['walk']>): RunOutcome {
  const totals = walk(modelOf(run), new Prng(seed), length, (sums) => sums.walks >= walks)
  return {
    verdict: totals.violation === NONE ? 'bound' : 'bad',
    steps: totals.path.length,
    states: totals.steps,
    invariant: violations[totals.violation]![0],
  }
}

/** A run with a bound, and walks, can only be so far without a violation. */
export function isAsExpected(run: Run, outcome: RunOutcome): boolean {
  const isBounded = run.limit !== undefined || run.walk !== undefined
  if (outcome.verdict !== run.expect && !(isBounded && run.expect === 'ok' && outcome.verdict === 'bound')) {
    return false
  }
  if (outcome.steps !== (run.steps ?? 0)) return false
  return run.states === undefined || run.states === outcome.states
}
