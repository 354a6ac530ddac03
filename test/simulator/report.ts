/** What people read at the end: the sums over all runs, and each failure with what is needed to look into it. */
import { type NetworkCounts, noDrops } from './network.ts'
import { drawOptions, type OptionName, type Overrides, type RunOptions } from './options.ts'
import type { Outcome, Statistics, Status } from './run.ts'

export const exitCodes: Record<Status, number> = { ok: 0, wrong: 1, stuck: 2, crash: 3 }

/** Sums over runs; plain data, so that workers can send theirs. */
export interface Totals {
  runs: number
  failed: number
  /** The worst status so far: a crash before stuck before wrong. */
  worst: Status
  sums: Statistics
}

export function noTotals(): Totals {
  const packets: NetworkCounts = {
    sent: 0,
    bytes: 0,
    delivered: 0,
    dropped: noDrops(),
  }
  const sums: Statistics = {
    lives: 0,
    joins: 0,
    leaves: 0,
    faults: 0,
    crashes: 0,
    expulsions: 0,
    resets: 0,
    blocked: 0,
    sends: 0,
    delivered: 0,
    ordered: 0,
    events: 0,
    virtualTime: 0,
    packets,
    marks: {},
  }
  return { runs: 0, failed: 0, worst: 'ok', sums }
}

export function addOutcome(totals: Totals, { status, statistics }: Outcome): void {
  add(totals, { runs: 1, failed: status === 'ok' ? 0 : 1, worst: status, sums: statistics })
}

export function add(totals: Totals, more: Totals): void {
  totals.runs += more.runs
  totals.failed += more.failed
  if (exitCodes[more.worst] > exitCodes[totals.worst]) totals.worst = more.worst
  addNumbers(totals.sums, more.sums)
}

/** Adds number to number, record to record. */
function addNumbers<T extends object>(to: T, from: T): void {
  for (const [key, value] of Object.entries(from)) {
    const sums = to as Record<string, unknown>
    if (typeof value === 'number') sums[key] = ((sums[key] as number | undefined) ?? 0) + value
    else if (typeof value === 'object' && value !== null) {
      sums[key] ??= {}
      addNumbers(sums[key] as object, value)
    }
  }
}

/** The summary, one line for each group of numbers; README.md explains each. */
export function summary({ runs, failed, sums }: Totals, seconds: number): string[] {
  const { packets, marks } = sums
  const dropped = Object.entries(packets.dropped).map(([reason, count]) => `${reason} ${thousands(count)}`)
  const seen = Object.entries(marks).sort(([a], [b]) => (a < b ? -1 : 1))
  return [
    `runs      ${thousands(runs)}, ${failed === 0 ? 'none failed' : `${thousands(failed)} FAILED`}`,
    `messages  ${thousands(sums.sends)} sent, ${thousands(sums.ordered)} events ordered, ${thousands(sums.delivered)} deliveries`,
    `members   ${thousands(sums.lives)} lives, ${thousands(sums.joins)} joins, ${thousands(sums.leaves)} leaves`,
    `faults    ${thousands(sums.faults)} came to pass, ${thousands(sums.crashes)} crashes, ${thousands(sums.expulsions)} expelled, ${thousands(sums.resets)} resets, ${thousands(sums.blocked)} runs too small to go on`,
    `packets   ${thousands(packets.sent)} sent (${thousands(Math.round(packets.bytes / 1e6))} MB), ${thousands(packets.delivered)} delivered, dropped: ${dropped.join(', ')}`,
    `marks     ${seen.map(([mark, count]) => `${mark} ${thousands(count)}`).join(', ') || 'none'}`,
    `time      ${seconds.toFixed(1)} s, ${Math.round(runs / seconds)} runs/s, ${thousands(Math.round(sums.virtualTime / 1e6))} s of virtual time, ${thousands(sums.events)} events`,
  ]
}

/** A failure in full; the trace comes last, so that its end is what one sees first. */
export function failureReport(outcome: Outcome): string[] {
  const { seed, status, invariant, sentence, options, at, trace } = outcome
  return [
    `seed ${seed}: ${status} (${invariant}) at ${(at / 1000).toFixed(3)} ms: ${sentence}`,
    `options: ${Object.entries(options)
      .map(([name, value]) => `${name}=${value}`)
      .join(' ')}`,
    ...trace,
    `again with: npm run sim -- --seed ${seed}${onlyFlags(seed, options)}`,
  ]
}

/** What has to be set so that `seed` runs with `options`. */
export function onlyFlags(seed: number, options: RunOptions): string {
  const flags: string[] = []
  // what depends on an option that is set is drawn to fit: until nothing else has to be
  for (let set: Overrides = {}, isDone = false; !isDone; ) {
    const drawn = drawOptions(seed, set)
    const names = (Object.keys(options) as OptionName[]).filter((name) => drawn[name] !== options[name])
    isDone = names.length === 0
    for (const name of names) {
      set = { ...set, [name]: options[name] }
      flags.push(` --only ${name}=${options[name]}`)
    }
  }
  return flags.join('')
}

export function verdict({ seed, status, invariant, sentence, statistics }: Outcome): string {
  if (status !== 'ok') return `seed ${seed}: ${status} (${invariant}): ${sentence}`
  const { ordered, delivered, joins, leaves, packets } = statistics
  return `seed ${seed}: ok, ${ordered} events ordered, ${delivered} deliveries, ${joins} joins, ${leaves} leaves, ${packets.sent} packets`
}

function thousands(value: number): string {
  return value.toLocaleString('en-US')
}
