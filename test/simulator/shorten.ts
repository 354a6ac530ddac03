/**
 * Makes a failing run smaller: faults left out one by one, fewer members and sends, a kinder network; each step
 * is kept if the same invariant still fails. Greedy, within a bound of runs and of real time.
 */
import { drawPlan } from './faults.ts'
import type { Overrides, RunOptions } from './options.ts'
import type { Outcome } from './run.ts'

const RUNS_MOST = 150
const MILLISECONDS_MOST = 60_000

/** What a run is without something. */
const PLAIN: Overrides = {
  late: 0, early: 0, leavers: 0, rejoins: 0, sequencerLeaves: false, everybodyLeaves: false, joinOrCreate: false,
  secondCreate: false, loss: 0, duplication: 0, corruption: 0, garbage: 0, tail: 0, jitter: 0, reorder: false,
  service: 0, queuePackets: 100_000, queueBytes: 2 ** 28, large: 0, startNear: 0, sendMany: 0, burst: 1, outstanding: 0,
  cancels: 0, oversized: 0, slow: 0, pause: 0, drift: 0, resets: 0, comeBack: 0, restarts: 0, crashTogether: 1, silent: 0,
  oneWay: 0, resilience: 0, transport: 'multicast', method: 'pb', packetSize: 1400, historySize: 5000,
} // biome-ignore format: one list

export interface Shortened {
  readonly overrides: Overrides
  /** How many runs it took. */
  readonly runs: number
}

export function shorten(
  failed: Outcome,
  run: (overrides: Overrides) => Outcome,
  bounds = { runs: RUNS_MOST, milliseconds: MILLISECONDS_MOST },
): Shortened {
  const began = performance.now()
  // everything as it was drawn, so that one option changes no other
  let best: RunOptions = { ...failed.options }
  let runs = 0
  const isBounded = () => runs < bounds.runs && performance.now() - began < bounds.milliseconds
  for (let hasShrunk = true; hasShrunk && isBounded(); ) {
    hasShrunk = false
    for (const smaller of candidates(failed.seed)) {
      if (!isBounded()) break
      const tried = smaller(best)
      if (tried === undefined) continue
      runs++
      const { status, invariant } = run(tried)
      if (status !== failed.status || invariant !== failed.invariant) continue
      best = tried
      hasShrunk = true
    }
  }
  return { overrides: best, runs }
}

/** Gives a smaller run; undefined if it is as small already. */
type Candidate = (options: RunOptions) => RunOptions | undefined

function* candidates(seed: number): Generator<Candidate> {
  const faults = (options: RunOptions) => drawPlan(seed, options).map(({ index }) => index)
  // as many as there may ever be: one that is left out does not change the numbers of the others
  for (let index = 0; index < FAULTS_MOST; index++)
    yield (options) =>
      faults(options).includes(index)
        ? { ...options, skip: [options.skip, index].filter(isSaid).join() }
        : undefined
  yield (options) => withMembers(options, Math.ceil(options.members / 2))
  yield (options) => withMembers(options, options.members - 1)
  for (const share of [4, 2, 1.2]) yield (options) => withSends(options, Math.floor(options.sends / share))
  for (const [name, value] of Object.entries(PLAIN))
    yield (options) =>
      options[name as keyof RunOptions] === value ? undefined : { ...options, [name]: value }
}

const FAULTS_MOST = 40

function isSaid(part: string | number): boolean {
  return part !== ''
}

function withSends(options: RunOptions, sends: number): RunOptions | undefined {
  return sends === options.sends ? undefined : { ...options, sends }
}

function withMembers(options: RunOptions, members: number): RunOptions | undefined {
  if (members < 1 || members === options.members) return undefined
  const late = Math.min(options.late, members - 1)
  return { ...options, members, late, early: Math.min(options.early, members - 1 - late) }
}
