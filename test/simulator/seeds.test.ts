/** Some hundred seeds of the real machine; the base seed is printed, and can be set to repeat a run. */
import { expect, it } from 'vitest'
import { addOutcome, failureReport, noTotals, summary, verdict } from './report.ts'
import { runSeed } from './run.ts'

const SEEDS = 300
const BASE = Number(process.env.AMOEBACAST_SIM_BASE ?? 1)

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
