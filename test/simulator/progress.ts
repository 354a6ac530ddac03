/** How far a run of many seeds is, and how long it will still take: a bar on a terminal, else a line now and then. */
import { SingleBar } from 'cli-progress'
import type { Totals } from './report.ts'

/** Without a terminal, so often a line says that it goes on. */
const PLAIN_PROGRESS_MS = 10_000

export interface Progress {
  update(totals: Totals): void
  /** Prints lines above the bar. */
  say(lines: readonly string[]): void
  stop(): void
}

/** One of the two ends the run: the number of seeds, or the time; the other one is infinite. */
export interface Plan {
  readonly seeds: number
  /** Milliseconds. */
  readonly duration: number
  /** As performance.now() said. */
  readonly began: number
}

/** Seconds that are left, by what has been done so far; undefined where that says nothing yet. */
export function secondsLeft(
  plan: Pick<Plan, 'seeds' | 'duration'>,
  runs: number,
  elapsedMs: number,
): number | undefined {
  const byTime = plan.duration - elapsedMs
  const bySeeds = runs === 0 ? Number.POSITIVE_INFINITY : ((plan.seeds - runs) / runs) * elapsedMs
  const left = Math.max(0, Math.min(byTime, bySeeds)) / 1000
  return Number.isFinite(left) ? Math.ceil(left) : undefined
}

export function duration(seconds: number): string {
  const whole = Math.round(seconds)
  if (whole < 60) return `${whole} s`
  const minutes = Math.floor(whole / 60)
  return minutes < 60 ? `${minutes} min ${whole % 60} s` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`
}

/** One line: what is done, and what is left. */
export function progressLine(
  plan: Pick<Plan, 'seeds' | 'duration'>,
  { runs, failed }: Pick<Totals, 'runs' | 'failed'>,
  elapsedMs: number,
): string {
  const of = Number.isFinite(plan.seeds) ? ` of ${plan.seeds}` : ''
  const left = secondsLeft(plan, runs, elapsedMs)
  return `${runs}${of} seeds, ${failed} failed${left === undefined ? '' : `, ${duration(left)} left`}`
}

export function makeProgress(plan: Plan): Progress {
  return process.stderr.isTTY ? barProgress(plan) : plainProgress(plan)
}

function barProgress(plan: Plan): Progress {
  const { seeds, began } = plan
  const isTimed = !Number.isFinite(seeds)
  const total = isTimed ? Math.round(plan.duration / 1000) : seeds
  const bar = new SingleBar({
    format: '{bar} {percentage}% | {line}',
    stream: process.stderr,
    clearOnComplete: true,
  })
  let done = 0
  let line = 'starting'
  const start = (): void => bar.start(total, done, { line })
  start()
  return {
    update(totals) {
      const elapsed = performance.now() - began
      done = isTimed ? Math.min(total, Math.round(elapsed / 1000)) : totals.runs
      line = progressLine(plan, totals, elapsed)
      bar.update(done, { line })
    },
    say(lines) {
      bar.stop()
      console.log(`${lines.join('\n')}\n`)
      start()
    },
    stop: () => bar.stop(),
  }
}

function plainProgress(plan: Plan): Progress {
  let saidAt = performance.now()
  return {
    update(totals) {
      const now = performance.now()
      if (now - saidAt < PLAIN_PROGRESS_MS) return
      saidAt = now
      console.error(progressLine(plan, totals, now - plan.began))
    },
    say: (lines) => console.log(`${lines.join('\n')}\n`),
    stop: () => {},
  }
}
