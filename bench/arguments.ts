/** The bench's command line: which measurements, of what, how long, where the results go. */
import yargs from 'yargs'
import { benchOptions } from '../cli/bench-command.ts'
import { UsageError } from '../cli/errors.ts'
import { checkOptions, refuseUnknownOptions, yargsOptions } from '../cli/options.ts'
import { type Method, type PeerName, peerNames } from './messages.ts'
import type { Bench, BenchOptions } from './plan.ts'

/**
 * For all member processes, those of the floor as well. Large packets are memory outside V8's heap that counts against a
 * limit which follows the heap's size; at 10 MiB of heap the collector goes through all of it a dozen times a second.
 */
export const MEMBER_FLAGS = ['--initial-old-space-size=128']

export interface Arguments extends BenchOptions {
  readonly which: readonly Bench[]
  /** Nothing is measured: the page is made again of what is in `out`. */
  readonly isReport: boolean
  readonly out: string
}

const ALL = 'all'
const REPORT = 'report'
const MINUTES_MAX = 10_000
const SECONDS_MAX = 600

/** Undefined if help was asked for, and given. Throws a UsageError. */
export async function parse(
  args: readonly string[],
  benches: readonly Bench[],
): Promise<Arguments | undefined> {
  const names = [...benches.map(({ name }) => name), ALL, REPORT]
  refuseUnknownOptions(benchOptions, args)
  let text = ''
  const given = await yargs()
    .scriptName(process.env.AMOEBACAST_BENCH_CALLED_AS ?? 'npm run bench --')
    .usage(
      `$0 [${names.join('|')}]… [options]\n\nMeasures groups of processes on this machine, beside the bare packet pattern and other systems.\n\n${benches.map(({ name, describe }) => `  ${name.padEnd(12)}${describe}`).join('\n')}\n  ${REPORT.padEnd(12)}makes the page and the pictures again, of the results in --out`,
    )
    .options(yargsOptions(benchOptions))
    .example('$0', 'all benches, with their defaults')
    .example('$0 latency --against redis,nats', 'lone sends, beside Redis Streams and NATS JetStream')
    .example('$0 throughput --size 100 --seconds 2', 'the rate of small messages')
    .example('$0 resilience --members 5', 'what each crash more to be survived costs')
    .example('$0 methods --packet-size 1400 --out reports/methods', 'both methods with small packets')
    .example('$0 failover --kills 30 --members 3,5', 'from the death of the sequencer to the next delivery')
    .example('$0 soak --minutes 30', 'memory and latency over half an hour')
    .example('$0 report --out reports/methods', 'the page of an earlier run, made again')
    .parserConfiguration({ 'duplicate-arguments-array': false, 'parse-numbers': false })
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
  const wanted = given._.length === 0 ? [ALL] : given._.map(String)
  for (const name of wanted)
    if (!names.includes(name))
      throw new UsageError(`there is no bench ${name}; there are ${names.join(', ')}`)
  const isReport = wanted.includes(REPORT)
  if (isReport && wanted.length > 1)
    throw new UsageError('report measures nothing: it goes without names of benches')
  const options = checkOptions(benchOptions, given, {})
  const profile = options.text('profile')
  return {
    which: benches.filter(({ name }) => wanted.includes(ALL) || wanted.includes(name)),
    isReport,
    members: numbers('members', 2, 64, options.text('members')),
    sizes: numbers('size', 8, 2 ** 20, options.text('size')),
    packetSizes: numbers('packet-size', 512, 65_507, options.text('packet-size')),
    against: peers(options.text('against')),
    method: options.text('method') as Method,
    seconds: fraction('seconds', SECONDS_MAX, options.text('seconds')!),
    runs: options.whole('runs')!,
    kills: options.whole('kills')!,
    minutes: fraction('minutes', MINUTES_MAX, options.text('minutes')!),
    out: options.text('out')!,
    execArgv: [
      ...MEMBER_FLAGS,
      ...(profile === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${profile}`]),
    ],
  }
}

function fraction(name: string, most: number, text: string): number {
  const value = Number(text)
  if (!(value > 0 && value <= most))
    throw new UsageError(`--${name} takes a number above 0, to ${most}, not "${text}"`)
  return value
}

function numbers(name: string, least: number, most: number, given: string | undefined): number[] | undefined {
  return given?.split(',').map((text) => {
    const value = Number(text)
    if (text.trim() === '' || !Number.isInteger(value) || value < least || value > most)
      throw new UsageError(`--${name} takes whole numbers from ${least} to ${most}, not "${text}"`)
    return value
  })
}

function peers(given: string | undefined): PeerName[] {
  const names = (given?.split(',') ?? []).map((text) => {
    const name = peerNames.find((each) => each === text.trim())
    if (name === undefined) throw new UsageError(`--against takes ${peerNames.join(', ')}, not "${text}"`)
    return name
  })
  return [...new Set(names)]
}
