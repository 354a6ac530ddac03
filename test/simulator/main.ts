/** The simulator's command: many seeds, or one with its trace. Exit code 0 ok, 1 wrong, 2 stuck, 3 crash. */
import { availableParallelism } from 'node:os'
import yargs from 'yargs'
import { hideBin } from 'yargs/helpers'
import { type Overrides, parseOverride } from './options.ts'
import { runPool } from './pool.ts'
import { makeProgress } from './progress.ts'
import { exitCodes, failureReport, summary, verdict } from './report.ts'
import { type Outcome, runSeed } from './run.ts'
import { shorten } from './shorten.ts'

/** Lines of a replayed seed's trace, which is printed whole. */
const WHOLE_TRACE = 1_000_000
const EXIT_USAGE = 64

interface Arguments {
  seeds?: number
  seed?: number
  from: number
  minutes?: number
  workers: number
  only: readonly string[]
  quiet: boolean
  shorten: boolean
  lines: number
  failures: number
}

async function main(): Promise<number> {
  const given = await parseArguments()
  const overrides: Overrides = Object.assign({}, ...given.only.map(parseOverride))
  return given.seed === undefined ? runMany(given, overrides) : runOne(given.seed, given, overrides)
}

function parseArguments(): Promise<Arguments> {
  const count = (name: string) => (value: number) => {
    if (!Number.isFinite(value) || value < 0) throw new Error(`--${name} must be a number from 0 up`)
    return value
  }
  return yargs(hideBin(process.argv))
    .scriptName('npm run sim --')
    .usage(
      '$0 [options]\n\nRuns groups over a faulty network in virtual time and checks what must always hold.',
    )
    .option('seeds', {
      type: 'number',
      describe: 'how many seeds to run (default 1000)',
      coerce: count('seeds'),
      conflicts: ['minutes', 'seed'],
    })
    .option('from', { type: 'number', default: 1, describe: 'the first seed', coerce: count('from') })
    .option('minutes', {
      type: 'number',
      describe: 'run seeds for so long instead',
      coerce: count('minutes'),
      conflicts: 'seed',
    })
    .option('seed', {
      type: 'number',
      describe: 'replay this one seed and print its trace',
      coerce: count('seed'),
    })
    .option('quiet', { type: 'boolean', default: false, describe: 'with --seed: print the verdict only' })
    .option('shorten', {
      type: 'boolean',
      default: false,
      describe: 'with --seed: look for a smaller run that fails in the same way, and print that one',
    })
    .option('only', {
      type: 'string',
      array: true,
      nargs: 1,
      default: [],
      describe: 'set an option instead of drawing it: OPTION=VALUE, may be repeated',
    })
    .option('workers', {
      type: 'number',
      default: Math.max(1, Math.min(2, availableParallelism())),
      describe: 'threads',
      coerce: count('workers'),
    })
    .option('lines', {
      type: 'number',
      default: 40,
      describe: 'lines of trace to print for a failed seed',
      coerce: count('lines'),
    })
    .option('failures', {
      type: 'number',
      default: 5,
      describe: 'stop after so many failed seeds',
      coerce: count('failures'),
    })
    .example('$0 --seeds 10000', 'seeds 1 to 10000')
    .example('$0 --seed 4711', 'one seed, with its whole trace')
    .example('$0 --seed 4711 --shorten', 'the smallest run that fails as this one does')
    .example('$0 --minutes 30 --from 1000000', 'half an hour of seeds from one million on')
    .example('$0 --seeds 500 --only loss=0.2 --only members=3', 'three members, 20 % loss; the rest is drawn')
    .strict()
    .demandCommand(0, 0)
    .version(false)
    .parseAsync()
}

function runOne(seed: number, given: Arguments, overrides: Overrides): number {
  const isQuiet = given.quiet
  const outcome = runSeed(seed, { overrides, trace: isQuiet || given.shorten ? 0 : WHOLE_TRACE })
  if (given.shorten && outcome.status !== 'ok') {
    console.log(verdict(outcome))
    console.log(shortest(outcome, isQuiet ? 0 : WHOLE_TRACE).join('\n'))
    return exitCodes[outcome.status]
  }
  if (isQuiet || given.shorten) console.log(verdict(outcome))
  else console.log([...outcome.trace, '', optionsLine(outcome.options), verdict(outcome)].join('\n'))
  return exitCodes[outcome.status]
}

/** The smallest run that fails as `outcome` does, with so many lines of its trace. */
function shortest(outcome: Outcome, lines: number): string[] {
  const { seed } = outcome
  const { overrides, runs } = shorten(outcome, (tried) => runSeed(seed, { overrides: tried }))
  return [
    `after ${runs} runs to make it smaller:`,
    ...failureReport(runSeed(seed, { overrides, trace: lines })),
  ]
}

function optionsLine(options: object): string {
  return `options: ${Object.entries(options)
    .map(([name, value]) => `${name}=${value}`)
    .join(' ')}`
}

async function runMany(given: Arguments, overrides: Overrides): Promise<number> {
  const began = performance.now()
  const duration = given.minutes === undefined ? Number.POSITIVE_INFINITY : given.minutes * 60_000
  const seeds = given.minutes === undefined ? (given.seeds ?? 1000) : Number.POSITIVE_INFINITY
  const progress = makeProgress({ seeds, duration, began })
  let hasShortened = false
  const totals = await runPool({
    from: given.from,
    seeds,
    until: began + duration,
    workers: Math.max(1, given.workers),
    overrides,
    maxFailures: Math.max(1, given.failures),
    onProgress: (sums) => progress.update(sums),
    onFailure: ({ seed }) => {
      // the run is a pure function of its seed: once more, with a trace
      const outcome = runSeed(seed, { overrides, trace: given.lines })
      progress.say(failureReport(outcome))
      if (!hasShortened) progress.say(shortest(outcome, given.lines))
      hasShortened = true
    },
  })
  progress.stop()
  console.log(summary(totals, (performance.now() - began) / 1000).join('\n'))
  return exitCodes[totals.worst]
}

try {
  process.exitCode = await main()
} catch (error) {
  console.error(error instanceof Error ? error.message : String(error))
  process.exitCode = EXIT_USAGE
}
