#!/usr/bin/env node
/** The bench's command. Exit status 1: a run was wrong, or did not come to its end; 2: the command line is wrong. */
import { join } from 'node:path'
import { UsageError } from '../cli/errors.ts'
import { benches } from './all.ts'
import { type Arguments, parse } from './arguments.ts'
import { BenchError } from './child.ts'
import { describeMachine, type Machine } from './machine.ts'
import { estimateOf, measureAll } from './measure.ts'
import { lookFor, type PeerHere, type PeerMissing } from './peers/installed.ts'
import { nameOf } from './report/series.ts'
import { type Facts, readResults, writeReport } from './write-report.ts'

const EXIT_USAGE = 2

function factsOf(
  given: Arguments,
  machine: Machine,
  here: readonly PeerHere[],
  missing: readonly PeerMissing[],
): Facts {
  const { runs, seconds, kills, minutes, which } = given
  const { cpu, cores, memoryGiB, system, node, commit, date, socketBytesMax } = machine
  const limit = (bytes: number | null): string => (bytes === null ? 'not told' : `${bytes} bytes`)
  const has = (name: string): boolean => which.some((bench) => bench.name === name)
  return [
    ['machine', `${cores} cores (${cpu}), ${memoryGiB} GiB, ${system}`],
    ['sockets', `rmem_max ${limit(socketBytesMax.receive)}, wmem_max ${limit(socketBytesMax.send)}`],
    ['versions', `Node ${node}, commit ${commit}`],
    ['date', date],
    [
      'runs',
      [
        `${runs} of ${seconds} s each, after one for warming up`,
        ...which.flatMap(({ name, runShare }) =>
          runShare === undefined
            ? []
            : [`runs of ${Number((runShare * seconds).toPrecision(3))} s in ${name}`],
        ),
        ...(has('failover') ? [`${kills} kills in each setting of failover`] : []),
        ...(has('soak') ? [`${minutes} minutes of soak`] : []),
      ].join('; '),
    ],
    ...here.map(
      ({ name, version, clients, settings }) =>
        [nameOf(name), [version, ...clients, settings].join('; ')] as const,
    ),
    ...missing.map(({ name, why }) => [nameOf(name), `not measured: ${why}`] as const),
  ]
}

/** False if a bench failed. */
async function measure(given: Arguments, signal: AbortSignal): Promise<boolean> {
  const { which, out, against } = given
  const { here, missing } = await lookFor(against)
  const machine = describeMachine()
  const facts = factsOf(given, machine, here, missing)
  const options = { ...given, against: here.map(({ name }) => name) }
  const print = (text: string): void => {
    process.stdout.write(text)
  }
  // a reader that has seen enough, such as head or less, does not end minutes of measuring: all of it goes to files as well
  for (const stream of [process.stdout, process.stderr]) stream.on('error', () => {})
  for (const [name, value] of facts) print(`${name}: ${value}\n`)
  print(`takes: ${estimateOf(which, options)}\n`)
  const failures = Object.entries(await measureAll(which, options, { ...machine, facts }, out, signal, print))
  print(`\nwritten to ${join(out, 'report.html')} and ${join(out, 'results.json')}\n`)
  for (const [name, why] of failures) process.stderr.write(`bench: ${name} failed: ${why}\n`)
  return failures.length === 0
}

/** Makes the page and the pictures again, of what an earlier run has measured. */
function reportAgain(out: string): void {
  const { results, origin } = readResults(out)
  process.stdout.write(`${results.length} results; written to ${writeReport(out, results, origin)}\n`)
}

async function main(): Promise<number> {
  const stopping = new AbortController()
  const stop = (): void => stopping.abort(new BenchError('stopped'))
  process.once('SIGINT', stop)
  process.once('SIGTERM', stop)
  try {
    const given = await parse(process.argv.slice(2), benches)
    if (given === undefined) return 0
    if (!given.isReport) return (await measure(given, stopping.signal)) ? 0 : 1
    reportAgain(given.out)
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
