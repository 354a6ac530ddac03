/**
 * The checker's command: one configuration, or the tables. Exit code 0 if nothing is wrong (with --suite: all
 * is as expected), 1 if something is, 64 wrong usage.
 */
import yargs from 'yargs'
import { hideBin } from 'yargs/helpers'
import { Prng } from '../../kernel/prng.ts'
import { explore } from './explore.ts'
import { NONE, violations } from './invariants.ts'
import { Model } from './model.ts'
import { type OptionName, optionTable, parseOptions, parseSize } from './options.ts'
import { replay } from './replay.ts'
import { doRun, isAsExpected } from './run.ts'
import { isQuick, type Run, suite } from './suite.ts'
import { walk } from './walk.ts'

const EXIT_WRONG = 1
const EXIT_USAGE = 64
const LOOK_EVERY_MS = 10_000

interface Arguments {
  options: readonly string[]
  size: string
  blocked: boolean
  limit?: number
  seconds?: number
  walk?: number
  seed: number
  quiet: boolean
  path: boolean
  suite?: string
}

async function parseArguments(): Promise<Arguments> {
  const whole = (name: string) => (value: number) => {
    if (!Number.isSafeInteger(value) || value < 0) throw new Error(`--${name} must be a whole number from 0`)
    return value
  }
  const parsed = await yargs(hideBin(process.argv))
    .scriptName('node dist/test/model/main.js')
    .usage(
      '$0 [options] [NAME=VALUE...]\n\nChecks every state that a small group can come to: order, resilience, view changes, recovery.',
    )
    .option('size', {
      type: 'string',
      default: '3_0_3',
      describe: 'MEMBERS_JOINERS_VIEWS; of the views, the first one needs no attempt',
    })
    .option('blocked', {
      type: 'boolean',
      default: false,
      describe: 'also look for states from which a live majority cannot recover',
    })
    .option('limit', { type: 'number', describe: 'stop at so many states', coerce: whole('limit') })
    .option('seconds', { type: 'number', describe: 'stop after so long', coerce: whole('seconds') })
    .option('walk', {
      type: 'number',
      describe: 'random walks of so many steps, instead of all states; needs --seconds',
      coerce: whole('walk'),
      implies: 'seconds',
    })
    .option('seed', { type: 'number', default: 1, describe: 'of the walks', coerce: whole('seed') })
    .option('quiet', { type: 'boolean', default: false, describe: 'no counter-example, the verdict only' })
    .option('path', { type: 'boolean', default: false, describe: "also print the steps' numbers" })
    .option('suite', {
      type: 'string',
      choices: ['', 'all', 'quick'],
      describe: 'run the tables: all (an hour), or quick (without the runs of more than about a minute)',
    })
    .epilogue(optionLines().join('\n'))
    .strictOptions()
    .version(false)
    .fail(false)
    .parseAsync()
  return { ...parsed, options: parsed._.map(String) }
}

function optionLines(): string[] {
  const lines = (Object.keys(optionTable) as OptionName[]).map((name) => {
    const { values, normal, section, meaning } = optionTable[name]
    const shown = values === 'number' ? `${name}=${normal}` : `${name}=${values.join('|')}`
    return `  ${shown}\n      ${section === undefined ? '' : `${section}: `}${meaning}`
  })
  return [
    'NAME=VALUE, the default first; 4.x is the section of the design with the rule taken away:',
    ...lines,
  ]
}

function runSuite(isQuickOnly: boolean): number {
  let wrong = 0
  for (const { title, runs } of suite) {
    const chosen = isQuickOnly ? runs.filter(isQuick) : runs
    if (chosen.length > 0) console.log(`# ${title}`)
    for (const run of chosen) if (!suiteLine(run)) wrong++
  }
  console.log(wrong === 0 ? 'all as expected' : `${wrong} not as expected: see the lines marked !`)
  return wrong === 0 ? 0 : EXIT_WRONG
}

function suiteLine(run: Run): boolean {
  const began = performance.now()
  const outcome = doRun(run)
  const seconds = (performance.now() - began) / 1000
  const asExpected = isAsExpected(run, outcome)
  const columns = [
    asExpected ? ' ' : '!',
    outcome.verdict.padEnd(7),
    (outcome.steps === 0 ? '' : String(outcome.steps)).padStart(3),
    outcome.invariant.padEnd(3),
    String(outcome.states).padStart(10),
    `${seconds.toFixed(1)} s`.padStart(8),
    run.size,
    run.options,
  ]
  console.log(columns.join(' ') + (run.note === undefined ? '' : `   # ${run.note}`))
  return asExpected
}

function runWalks(model: Model, given: Arguments, length: number): number {
  const until = performance.now() + (given.seconds ?? 0) * 1000
  console.log(`walks of up to ${length} steps, seed ${given.seed}`)
  const totals = walk(model, new Prng(given.seed), length, () => performance.now() > until)
  console.log(
    `${totals.walks} walks, ${totals.steps} steps, longest ${totals.longest}, ${totals.acceptedResults} accepted results`,
  )
  return report(model, given, totals.violation === NONE ? 'bound' : 'bad', totals.violation, totals.path)
}

function runOne(given: Arguments): number {
  const model = new Model(parseSize(given.size), parseOptions(given.options))
  if (given.walk !== undefined) return runWalks(model, given, given.walk)
  const began = performance.now()
  const until = given.seconds === undefined ? Number.POSITIVE_INFINITY : began + given.seconds * 1000
  let saidAt = began
  const outcome = explore(model, {
    blocked: given.blocked,
    limit: given.limit ?? Number.POSITIVE_INFINITY,
    isTimeUp: () => performance.now() > until,
    onLevel: (depth, states) => {
      if (performance.now() - saidAt < LOOK_EVERY_MS) return
      saidAt = performance.now()
      console.error(`depth ${depth}, ${states} states`)
    },
  })
  console.log(
    `${outcome.states} states, ${outcome.transitions} steps between them, depth ${outcome.depth}, ${outcome.statesWithAccepted} states with an accepted result, at most ${outcome.mostAccepted} of them, ${((performance.now() - began) / 1000).toFixed(1)} s`,
  )
  if (outcome.verdict === 'blocked') console.log(`alive and blocked: ${outcome.alive}`)
  return report(model, given, outcome.verdict, outcome.violation, outcome.path)
}

const verdicts = {
  ok: 'complete, nothing is wrong',
  bound: 'nothing is wrong up to the bound',
  blocked: 'a live majority cannot recover',
  bad: 'violation',
}

function report(
  model: Model,
  given: Arguments,
  verdict: keyof typeof verdicts,
  violation: number,
  path: readonly number[],
): number {
  const [name, sentence] = violations[violation]!
  const after = path.length === 0 ? '' : ` after ${path.length} steps`
  console.log(`${verdicts[verdict]}${after}${violation === NONE ? '' : `: ${name}, ${sentence}`}`)
  if (!given.quiet && path.length > 0) {
    for (const [i, line] of replay(model, path).lines.entries()) {
      console.log(`${String(i + 1).padStart(3)}. ${line}`)
    }
  }
  if (given.path && path.length > 0) console.log(`path: ${path.join(' ')}`)
  return verdict === 'ok' || verdict === 'bound' ? 0 : EXIT_WRONG
}

try {
  const given = await parseArguments()
  process.exitCode = given.suite === undefined ? runOne(given) : runSuite(given.suite === 'quick')
} catch (error) {
  console.error(error instanceof Error ? error.message : String(error))
  process.exitCode = EXIT_USAGE
}
