/** What a command is: a name, options as data, examples, and a function that runs until it is done. */
import type { OptionTable, OptionValues } from './options.ts'
import type { Output } from './output.ts'
import type { Stop } from './stop.ts'

export interface CommandContext {
  readonly options: OptionValues
  readonly output: Output
  readonly stop: Stop
  readonly isJson: boolean
}

export interface Command {
  readonly name: string
  /** One line for the list of commands. */
  readonly describe: string
  readonly options: OptionTable
  readonly examples: readonly (readonly [commandLine: string, says: string])[]
  /** Resolves with the exit status; throws what `describeError` can put into one line. */
  run(context: CommandContext): Promise<number>
}
