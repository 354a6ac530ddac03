/**
 * Proves that each checker checks: plants one fault after the other into a copy of the sources, and has the
 * simulator look for it. Exit code 0 if each is found by what it says, 1 if not, 64 wrong usage.
 */
import { availableParallelism } from 'node:os'
import { SingleBar } from 'cli-progress'
import yargs from 'yargs'
import { hideBin } from 'yargs/helpers'
import { hunt, judgeMutant, type Seeds, type Verdict } from './hunter.ts'
import { type Mutant, readMutants } from './patches.ts'
import { Workshop } from './workshop.ts'

const EXIT_USAGE = 64
const EXIT_INTERRUPTED = 130

interface Arguments {
  names: readonly string[]
  seeds: number
  from: number
  jobs: number
  sentences: boolean
}

function parseArguments(): Promise<Arguments> {
  const whole = (name: string) => (value: number) => {
    if (!Number.isSafeInteger(value) || value < 1) throw new Error(`--${name} must be a whole number from 1`)
    return value
  }
  return yargs(hideBin(process.argv))
    .scriptName('npm run mutants --')
    .usage(
      '$0 [options] [NAME...]\n\nPlants the faults of test/mutants/*.patch into copies; the simulator must find each.',
    )
    .option('seeds', {
      type: 'number',
      default: 200,
      describe: 'within how many seeds each must be found',
      coerce: whole('seeds'),
    })
    .option('from', { type: 'number', default: 1, describe: 'the first seed', coerce: whole('from') })
    .option('jobs', {
      type: 'number',
      default: Math.min(2, availableParallelism()),
      describe: 'mutants at once',
      coerce: whole('jobs'),
    })
    .option('sentences', {
      type: 'boolean',
      default: false,
      describe: 'print what the simulator said of each',
    })
    .example('$0', 'all of them')
    .example('$0 early-request-numbered --sentences', 'one, and how it was found')
    .strictOptions()
    .version(false)
    .parseAsync()
    .then(({ _, seeds, from, jobs, sentences }) => ({ names: _.map(String), seeds, from, jobs, sentences }))
}

async function main({ seeds: count, from, jobs, sentences }: Arguments, mutants: readonly Mutant[]) {
  const seeds = { from, count }
  using workshop = new Workshop()
  // an interrupted run leaves nothing behind either
  for (const signal of ['SIGINT', 'SIGTERM'] as const)
    process.once(signal, () => {
      workshop[Symbol.dispose]()
      process.exit(EXIT_INTERRUPTED)
    })
  const baseline = await workshop.build()
  if (!(await passesWithout(baseline, seeds, jobs))) return 1
  const progress = makeProgress(mutants.length)
  const verdicts: Verdict[] = []
  await inParallel(jobs, mutants, async (mutant) => {
    const verdict = await judgeMutant(workshop, mutant, seeds, baseline)
    verdicts.push(verdict)
    progress.done(verdict)
  })
  progress.stop()
  verdicts.sort((a, b) => (a.mutant.name < b.mutant.name ? -1 : 1))
  console.log(table(verdicts, from, sentences).join('\n'))
  const failed = verdicts.filter(({ isFound }) => !isFound)
  const slowest = Math.max(0, ...verdicts.map(({ find }) => (find === undefined ? 0 : find.seed - from + 1)))
  console.log(
    failed.length === 0
      ? `\n${verdicts.length} mutants, all found; the hardest took ${slowest} of ${count} seeds (from ${from})`
      : `\n${verdicts.length} mutants, ${failed.length} NOT FOUND as expected: ${failed.map(({ mutant }) => mutant.name).join(', ')}`,
  )
  return failed.length === 0 ? 0 : 1
}

/** What is found in the protocol as it is would be found in every mutant. */
async function passesWithout(script: string, { from, count }: Seeds, jobs: number): Promise<boolean> {
  console.error(`without a fault: ${count} seeds from ${from}`)
  const share = Math.ceil(count / jobs)
  const parts = Array.from({ length: jobs }, (_, i) => ({
    from: from + i * share,
    count: Math.max(0, Math.min(share, count - i * share)),
  }))
  const finds = await Promise.all(parts.map((part) => hunt(script, part)))
  for (const find of finds) {
    if (find !== undefined)
      console.log(`seed ${find.seed} fails without any fault (${find.by}): ${find.sentence}; mend that first`)
  }
  return finds.every((find) => find === undefined)
}

async function inParallel<T>(jobs: number, items: readonly T[], work: (item: T) => Promise<void>) {
  const queue = items.values()
  const worker = async () => {
    for (const item of queue) await work(item)
  }
  await Promise.all(Array.from({ length: jobs }, worker))
}

function makeProgress(total: number): { done(verdict: Verdict): void; stop(): void } {
  let finished = 0
  if (!process.stderr.isTTY) {
    return {
      done: (verdict) =>
        console.error(`${++finished} of ${total}  ${verdict.mutant.name}: ${outcome(verdict)}`),
      stop: () => {},
    }
  }
  const bar = new SingleBar({
    format: '{bar} {value} of {total} mutants | last {name}: {outcome} | {eta_formatted} left',
    stream: process.stderr,
    clearOnComplete: true,
  })
  bar.start(total, 0, { name: 'none yet', outcome: '' })
  return {
    done: (verdict) => bar.update(++finished, { name: verdict.mutant.name, outcome: outcome(verdict) }),
    stop: () => bar.stop(),
  }
}

function outcome({ find, error }: Verdict): string {
  if (error !== undefined) return error
  if (find === undefined) return 'not found'
  return find.seed === 0 ? `${find.by} in its scene` : `${find.by} at seed ${find.seed}`
}

/** One row for each mutant: as README.md shows them. */
function table(verdicts: readonly Verdict[], from: number, sentences: boolean): string[] {
  const rows = verdicts.map(({ mutant, isFound, find }) => [
    mutant.name,
    mutant.expected.join(' or '),
    `${find?.by ?? 'nothing'}${isFound ? '' : ' !!'}`,
    find === undefined ? '' : find.seed === 0 ? 'scene' : String(find.seed - from + 1),
    mutant.rule,
    mutant.scene ?? mutant.options.join(' '),
  ])
  const head = ['mutant', 'expected', 'found by', 'seeds', 'rule', 'with']
  const widths = head.map((title, i) => Math.max(title.length, ...rows.map((row) => row[i]!.length)))
  // the last column is seldom used, and long
  widths[widths.length - 1] = 'with'.length
  const line = (cells: readonly string[]) =>
    `| ${cells.map((cell, i) => cell.padEnd(widths[i]!)).join(' | ')} |`
  const lines = [line(head), line(widths.map((width) => '-'.repeat(width)))]
  verdicts.forEach(({ find, error }, i) => {
    lines.push(line(rows[i]!))
    if (error !== undefined) lines.push(`  ${error}`)
    else if (sentences && find !== undefined) lines.push(`  ${find.sentence}`)
  })
  return lines
}

let given: { args: Arguments; mutants: Mutant[] } | undefined
try {
  const args = await parseArguments()
  given = { args, mutants: readMutants(args.names) }
} catch (error) {
  console.error(error instanceof Error ? error.message : String(error))
  process.exitCode = EXIT_USAGE
}
if (given !== undefined) process.exitCode = await main(given.args, given.mutants)
