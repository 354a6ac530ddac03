/** From the words of a command line to the command that is meant and its checked options, or to a text to print. */
import { readFileSync } from 'node:fs'
import yargs from 'yargs'
import { nearest } from '../kernel/nearest.ts'
import type { Command } from './command.ts'
import { commands } from './commands.ts'
import { COMPLETION_QUESTION, complete } from './complete.ts'
import { refuseUnknownVariables } from './environment.ts'
import { UsageError } from './errors.ts'
import {
  checkOptions,
  environmentName,
  fromEnvironment,
  networkOptions,
  type OptionValues,
  readFlags,
  refuseRepeatedOptions,
  refuseUnknownOptions,
  yargsOptions,
} from './options.ts'

export type Parsed =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'run'; readonly command: Command; readonly options: OptionValues }

/** Throws a UsageError, or says what to print or to run. */
export async function parse(args: readonly string[], environment: NodeJS.ProcessEnv): Promise<Parsed> {
  if (args[0] === COMPLETION_QUESTION) {
    // the shell hands over its whole line, the program's name first
    return { kind: 'text', text: complete(commands, args.slice(2)).join('\n') }
  }
  const wanted = args.find((arg) => !arg.startsWith('-'))
  const command = commands.find(({ name }) => name === wanted)
  const isAboutItself = args.some((arg) => arg === '--help' || arg === '-h' || arg === '--version')
  if (command === undefined && (wanted !== undefined || !isAboutItself)) {
    refuseUnknownOptions({}, args.slice(0, wanted === undefined ? args.length : args.indexOf(wanted)))
    throw unknownCommand(wanted)
  }
  const table = command?.options ?? {}
  refuseUnknownOptions(table, args)
  refuseRepeatedOptions(table, args)

  const { parsed, text } = await split(readFlags(table, args))
  if (text !== '') return { kind: 'text', text }
  if (command === undefined) throw unknownCommand(undefined)
  const extra = (parsed._ as unknown[] | undefined)?.slice(1) ?? []
  if (extra.length > 0) {
    throw new UsageError(
      `${command.name} takes options only, and does not know what ${JSON.stringify(extra[0])} is for`,
    )
  }
  refuseUnknownVariables(environment, onLineOnly())
  return {
    kind: 'run',
    command,
    options: checkOptions(command.options, parsed, fromEnvironment(environment)),
  }
}

/** Options of any command, whichever is run: the environment is for all of them. */
function onLineOnly(): string[] {
  return commands.flatMap(({ options }) => Object.keys(options))
}

function unknownCommand(given: string | undefined): UsageError {
  const names = commands.map(({ name }) => name)
  if (given === undefined)
    return new UsageError(`which command? ${names.join(', ')} (amoebacast --help explains them)`)
  const suggestion = nearest(given, names)
  const hint = suggestion === undefined ? `there are ${names.join(', ')}` : `did you mean ${suggestion}?`
  return new UsageError(`unknown command ${given}; ${hint}`)
}

/** Lets yargs split the arguments; `text` is what --help or --version have to say. */
async function split(args: readonly string[]): Promise<{ parsed: Record<string, unknown>; text: string }> {
  const parser = yargs()
    .scriptName('amoebacast')
    .usage(
      '$0 COMMAND [options]\n\nOrdered group communication: every member receives every message, all in one order.',
    )
    .locale('en')
    .version(packageVersion())
    .alias('help', 'h')
    .exitProcess(false)
    .parserConfiguration({
      'duplicate-arguments-array': false,
      'dot-notation': false,
      'parse-numbers': false,
    })
    .wrap(Math.min(110, process.stdout.columns || 110))
    .fail((message, error) => {
      throw error ?? new UsageError(message)
    })
    .epilogue('amoebacast COMMAND --help explains the options of a command.')
  for (const command of commands) {
    parser.command(command.name, command.describe, (sub) => {
      sub
        .usage(`$0 ${command.name} [options]\n\n${command.describe}`)
        .options(yargsOptions(command.options))
        .example(command.examples.map(([line, says]): [string, string] => [line, says]))
      const usesNetwork = Object.keys(networkOptions).every((name) => name in command.options)
      sub.epilogue(
        usesNetwork
          ? `The network options can also be set in the environment, as ${environmentName('interface')}, ${environmentName('udp-port')} and so on.`
          : '',
      )
      return sub
    })
  }
  let text = ''
  const parsed = await parser.parse([...args], {}, (_error, _argv, output) => {
    text = output
  })
  return { parsed: parsed as Record<string, unknown>, text }
}

function packageVersion(): string {
  // dist/cli/main.js and cli/main.ts lie at different depths.
  for (const path of ['../../package.json', '../package.json']) {
    try {
      const { name, version } = JSON.parse(readFileSync(new URL(path, import.meta.url), 'utf8')) as Record<
        string,
        string
      >
      if (name === 'amoebacast' && version !== undefined) return version
    } catch {}
  }
  return 'unknown'
}
