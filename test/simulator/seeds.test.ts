/** Some hundred seeds of the real machine; the base seed is printed, and can be set to repeat a run. */
import { expect, it } from 'vitest'
import { addOutcome, failureReport, noTotals, summary, verdict } from './report.ts'
import { runSeed } from './run.ts'

const SEEDS = 300
const BASE = Number(process.env.AMOEBACAST_SIM_BASE ?? 1)

/**
 * Seeds that have found something once: two lives on one node (17416, 18336, 90608); a result that only the dead know
 * to be official (83217, 89563); ids of two sides of a split (88432); a leaver that bears witness (110525), and one
 * that finds nobody (139815); one that was cut off during more resets than a notice of expulsion names (900029); one without
 * every right whose whole view has gone (3012598); one whose votes count as sent twice (5005287); the only
 * member that may coordinate has missed joins (7001273, 7006208), or joined when its sequencer was gone (9074513); old and new
 * sequencer dead together, and one that has missed the handover (9081960); bytes that were asked for too late (13000702); one
 * that was cut off before a change of key (40030208); a leaver that holds a change of key behind its leave (72007182); one that
 * stood still for less than casts doubt (72008836); a successor that missed the handover to it (73047479);
 * joins that are refused after two minutes, one after the other (74001764); one that hears what is stable before it hears of the
 * reset (74008686); a handover that waits for a dead joiner's answer (74027453, 74029917).
 */
const KNOWN = [
  17416, 18336, 83217, 88432, 89563, 90608, 110525, 139815, 900029, 3012598, 5005287, 7001273, 7006208,
  9074513, 9081960, 13000702, 40030208, 72007182, 72008836, 73047479, 74001764, 74008686, 74027453, 74029917,
]

it.each(KNOWN)('seed %i, which has found something once', { timeout: 60_000 }, (seed) => {
  const outcome = runSeed(seed)
  expect(outcome.status, verdict(outcome)).toBe('ok')
})

it('two sides of a split, whose views have one name', { timeout: 60_000 }, () => {
  const overrides = { recovery: 'manual', resets: 0.5, members: 4, loss: 0.2, aimed: 2, pauses: 1 } as const
  const outcome = runSeed(34, { overrides })
  expect(outcome.status, verdict(outcome)).toBe('ok')
})

it('one who voted, and whom the coordinator knows by the vote of a dead one only, is invited again', {
  timeout: 60_000,
}, () => {
  const faults = {
    minMembers: 1,
    loss: 0.3,
    members: 4,
    aimed: 3,
    restarts: 3,
    crashes: 2,
    partitions: 2,
  } as const
  const outcome = runSeed(49000588, { overrides: { ...faults, comeBack: 1 } })
  expect(outcome.status, verdict(outcome)).toBe('ok')
})

it('many answers at one moment, and room for few: not of the same members each time', {
  timeout: 60_000,
}, () => {
  const outcome = runSeed(159, { overrides: { faults: false, members: 13, queuePackets: 8 } })
  expect(outcome.status, verdict(outcome)).toBe('ok')
})

it(`runs ${SEEDS} seeds from ${BASE} on`, { timeout: 300_000 }, () => {
  const began = performance.now()
  const totals = noTotals()
  const failed: string[] = []
  for (let seed = BASE; seed < BASE + SEEDS; seed++) {
    const outcome = runSeed(seed)
    addOutcome(totals, outcome)
    if (outcome.status === 'ok') continue
    if (failed.length === 0) console.log(failureReport(runSeed(seed, { trace: 40 })).join('\n'))
    failed.push(verdict(outcome))
  }
  console.log([`base seed ${BASE}`, ...summary(totals, (performance.now() - began) / 1000)].join('\n'))
  expect(failed).toEqual([])
  for (const mark of ['created', 'join-numbered', 'handover-numbered', 'lingering', 'new-sequencer']) {
    expect(totals.sums.marks[mark], `no seed reaches ${mark}`).toBeGreaterThan(0)
  }
})
