#!/usr/bin/env node
/** The bench's command. Exit status 1: a run was wrong, or did not come to its end; 2: the command line is wrong. */
import { join } from 'node:path'
import { UsageError } from '../cli/errors.ts'
import { type Arguments, parse } from './arguments.ts'
import { BenchError } from './child.ts'
import { failoverBench } from './failover.ts'
import { latencyBench } from './latency.ts'
import { describeMachine, type Machine } from './machine.ts'
import { methodsBench } from './methods.ts'
import { lookFor, type PeerHere, type PeerMissing } from './peers/installed.ts'
import { type Bench, carryOut } from './plan.ts'
import { showProgress } from './progress.ts'
import type { Section } from './report/page.ts'
import { nameOf } from './report/series.ts'
import { resilienceBench } from './resilience.ts'
import type { Result } from './results.ts'
import { scaleBench } from './scale.ts'
import { secureBench } from './secure.ts'
import { slowBench } from './slow.ts'
import { soakBench } from './soak.ts'
import { table } from './table.ts'
import { throughputBench } from './throughput.ts'
import { writeReport } from './write-report.ts'

const benches: readonly Bench[] = [
  resilienceBench,
  latencyBench,
  throughputBench,
  methodsBench,
  failoverBench,
  scaleBench,
  slowBench,
  soakBench,
  secureBench,
]
const EXIT_USAGE = 2

type Facts = readonly (readonly [name: string, value: string])[]

function factsOf(
  given: Arguments,
  machine: Machine,
  here: readonly PeerHere[],
  missing: readonly PeerMissing[],
): Facts {
  const { runs, seconds, kills, minutes, which } = given
  const { cpu, cores, memoryGiB, system, node, commit, date } = machine
  const has = (name: string): boolean => which.some((bench) => bench.name === name)
  return [
    ['machine', `${cores} cores (${cpu}), ${memoryGiB} GiB, ${system}`],
    ['versions', `Node ${node}, commit ${commit}`],
    ['date', date],
    [
      'runs',
      [
        `${runs} of ${seconds} s each, after one for warming up`,
        ...(has('failover') ? [`${kills} kills in each setting of failover`] : []),
        ...(has('soak') ? [`${minutes} minutes of soak`] : []),
      ].join('; '),
    ],
    ...here.map(({ name, version, settings }) => [nameOf(name), `${version}; ${settings}`] as const),
    ...missing.map(({ name, why }) => [nameOf(name), `not measured: ${why}`] as const),
  ]
}

async function measure(given: Arguments, signal: AbortSignal): Promise<void> {
  const { which, out, against } = given
  const { here, missing } = await lookFor(against)
  const machine = describeMachine()
  const facts = factsOf(given, machine, here, missing)
  for (const [name, value] of facts) process.stdout.write(`${name}: ${value}\n`)
  const options = { ...given, against: here.map(({ name }) => name) }
  const results: Result[] = []
  const sections: Section[] = []
  for (const bench of which) {
    const { name, describe } = bench
    const shown = showProgress(name)
    let found: Result[]
    try {
      found = await carryOut(bench, options, shown.progress, signal)
    } finally {
      shown.stop()
    }
    const report = bench.report(found)
    results.push(...found)
    sections.push({ name, describe, ...report })
    process.stdout.write(`\n${name}: ${describe}\n\n${report.tables.map(table).join('\n\n')}\n`)
    // After each, so that what is measured is kept if a later one fails.
    writeReport(out, { results, machine, facts, sections })
  }
  process.stdout.write(`\nwritten to ${join(out, 'report.html')} and ${join(out, 'results.json')}\n`)
}

async function main(): Promise<number> {
  const stopping = new AbortController()
  const stop = (): void => stopping.abort(new BenchError('stopped'))
  process.once('SIGINT', stop)
  process.once('SIGTERM', stop)
  try {
    const given = await parse(process.argv.slice(2), benches)
    if (given !== undefined) await measure(given, stopping.signal)
    return 0
  } catch (error) {
    process.stderr.write(`bench: ${error instanceof Error ? error.message : String(error)}\n`)
    return error instanceof UsageError ? EXIT_USAGE : 1
  } finally {
    process.off('SIGINT', stop)
    process.off('SIGTERM', stop)
  }
}

process.exitCode = await main()
