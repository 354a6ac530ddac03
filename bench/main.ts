#!/usr/bin/env node
/** The bench's command: which measurements, how long, where the results go. Exit status 1: a run was wrong. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { SingleBar } from 'cli-progress'
import yargs from 'yargs'
import { BenchError } from './child.ts'
import { failoverBench } from './failover.ts'
import { latencyBench } from './latency.ts'
import { methodsBench } from './methods.ts'
import { type Bench, type BenchOptions, carryOut, type Progress } from './plan.ts'
import { describeMachine, type Machine, type Result, writeResults } from './results.ts'
import { throughputBench } from './throughput.ts'

const benches: readonly Bench[] = [latencyBench, throughputBench, methodsBench, failoverBench]
const PLAIN_PROGRESS_MS = 10_000
const EXIT_USAGE = 2

interface Arguments extends BenchOptions {
  readonly which: readonly Bench[]
  readonly out: string
}

class UsageError extends Error {}

function numbers(name: string, least: number, most: number) {
  return (given: unknown): number[] | undefined => {
    if (given === undefined) return undefined
    return String(given)
      .split(',')
      .map((text) => {
        const value = Number(text)
        if (text.trim() === '' || !Number.isInteger(value) || value < least || value > most)
          throw new UsageError(`--${name} takes whole numbers from ${least} to ${most}, not ${text}`)
        return value
      })
  }
}

/** Undefined if help was asked for, and given. */
async function parse(args: readonly string[]): Promise<Arguments | undefined> {
  const names = [...benches.map(({ name }) => name), 'all']
  let text = ''
  const parsed = await yargs()
    .scriptName('npm run bench --')
    .usage(
      `$0 [${names.join('|')}] [options]\n\nMeasures groups of processes on this machine, beside the bare packet pattern.\n\n${benches.map(({ name, describe }) => `  ${name.padEnd(12)}${describe}`).join('\n')}`,
    )
    .options({
      members: { type: 'string', describe: 'member processes; several with commas' },
      size: { type: 'string', describe: 'bytes of a message, 8 to 1048576; several with commas' },
      'packet-size': { type: 'string', describe: 'bytes of the largest packet; several with commas' },
      method: {
        choices: ['auto', 'pb', 'bb'] as const,
        default: 'auto' as const,
        describe: 'who broadcasts; the methods bench compares',
      },
      seconds: { type: 'number', default: 1, describe: 'of each run that counts' },
      runs: { type: 'number', default: 5, describe: 'that count, after one for warming up' },
      kills: { type: 'number', default: 30, describe: 'of a sequencer, in each setting of failover' },
      out: { type: 'string', default: 'reports/bench', describe: 'folder for results.json and plots' },
      profile: { type: 'string', describe: 'folder for a processor profile of every member process' },
    })
    .example('$0', 'all benches, with their defaults')
    .example('$0 throughput --size 100 --seconds 2', 'the rate of small messages')
    .example('$0 latency --members 3,5', 'lone sends in groups of three and of five')
    .example('$0 methods --packet-size 1400 --out reports/methods', 'both methods with small packets')
    .example('$0 failover --kills 30 --members 3,5', 'from the death of the sequencer to the next delivery')
    .strict()
    .demandCommand(0, 1, '', 'one bench at a time, or all')
    .version(false)
    .locale('en')
    .exitProcess(false)
    .wrap(Math.min(110, process.stdout.columns || 110))
    .fail((message, error) => {
      throw error ?? new UsageError(message)
    })
    .parse([...args], {}, (_error, _argv, output) => {
      text = output
    })
  if (text !== '') {
    process.stdout.write(`${text}\n`)
    return undefined
  }
  const wanted = String(parsed._[0] ?? 'all')
  if (!names.includes(wanted))
    throw new UsageError(`there is no bench ${wanted}; there are ${names.join(', ')}`)
  const { seconds, runs, kills, out, profile, method } = parsed
  if (!(seconds > 0 && seconds <= 600)) throw new UsageError('--seconds takes a number above 0, to 600')
  if (!(Number.isInteger(runs) && runs >= 1 && runs <= 100))
    throw new UsageError('--runs takes a whole number from 1 to 100')
  if (!(Number.isInteger(kills) && kills >= 1 && kills <= 10_000))
    throw new UsageError('--kills takes a whole number from 1 to 10000')
  return {
    which: benches.filter(({ name }) => wanted === 'all' || name === wanted),
    members: numbers('members', 2, 64)(parsed.members),
    sizes: numbers('size', 8, 2 ** 20)(parsed.size),
    packetSizes: numbers('packet-size', 512, 65_507)(parsed['packet-size']),
    method,
    seconds,
    runs,
    kills,
    out,
    execArgv: profile === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${profile}`],
  }
}

/** A bar with the time left on a terminal, elsewhere a line now and then; on standard error. */
function showProgress(name: string): { progress: Progress; stop: () => void } {
  if (process.stderr.isTTY) {
    const bar = new SingleBar({
      format: `${name} {bar} {value}/{total} runs, {eta_formatted} left: {what}`,
      etaBuffer: 20,
      hideCursor: true,
    })
    bar.start(1, 0, { what: '' })
    return {
      progress: (done, of, what) => {
        bar.setTotal(of)
        bar.update(done, { what })
      },
      stop: () => bar.stop(),
    }
  }
  let saidAt = performance.now()
  return {
    progress: (done, of, what) => {
      if (performance.now() - saidAt < PLAIN_PROGRESS_MS) return
      saidAt = performance.now()
      process.stderr.write(`${name}: ${done} of ${of} runs, now ${what}\n`)
    },
    stop: () => {},
  }
}

function machineLine({ cpu, cores, memoryGiB, system, node, commit }: Machine): string {
  return `${cores} cores (${cpu}), ${memoryGiB} GiB, ${system}, Node ${node}, commit ${commit}`
}

async function main(): Promise<number> {
  const stopping = new AbortController()
  const stop = (): void => stopping.abort(new BenchError('stopped'))
  process.once('SIGINT', stop)
  process.once('SIGTERM', stop)
  try {
    const given = await parse(process.argv.slice(2))
    if (given === undefined) return 0
    const { which, out } = given
    const machine = describeMachine()
    process.stdout.write(
      `${machineLine(machine)}\nmedian of ${given.runs} runs of ${given.seconds} s, or of ${given.kills} kills, with least and most; every run's order checked\n`,
    )
    const results: Result[] = []
    for (const bench of which) {
      const { progress, stop: stopProgress } = showProgress(bench.name)
      let found: Result[]
      try {
        found = await carryOut(bench, given, progress, stopping.signal)
      } finally {
        stopProgress()
      }
      results.push(...found)
      const { text, files = {} } = bench.report(found)
      process.stdout.write(`\n${bench.name}: ${bench.describe}\n\n${text}\n`)
      writeResults(out, results, machine)
      for (const [name, content] of Object.entries(files)) writeFileSync(join(out, name), content)
    }
    process.stdout.write(`\nwritten to ${join(out, 'results.json')}\n`)
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
