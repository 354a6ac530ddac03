/** `amoebacast completion`: the script that lets a shell complete commands, options and values. */
import yargs from 'yargs'
import type { Command, CommandContext } from './command.ts'
import { ExitStatus } from './errors.ts'

const shells = ['bash', 'zsh'] as const

export const completionCommand: Command = {
  name: 'completion',
  describe: 'Print the script that completes commands and options in a shell',
  options: {
    shell: {
      kind: 'choice',
      choices: shells,
      describe: 'For which shell [default: the one in $SHELL, else bash]',
    },
  },
  examples: [
    ['amoebacast completion >> ~/.bashrc', 'for bash, from the next shell on'],
    ['amoebacast completion --shell zsh >> ~/.zshrc', 'for zsh'],
  ],
  run: runCompletion,
}

async function runCompletion({ options, output }: CommandContext): Promise<number> {
  output.line((await script(options.text('shell'))).trimEnd())
  return ExitStatus.success
}

/** yargs has the scripts, and looks at the environment for the shell that they are for. */
async function script(shell: string | undefined): Promise<string> {
  const before = process.env.SHELL
  if (shell !== undefined) process.env.SHELL = shell
  try {
    let text = ''
    await yargs()
      .scriptName('amoebacast')
      .completion('completion')
      .exitProcess(false)
      .parse(['completion'], {}, (_error, _argv, output) => {
        text = output
      })
    return text
  } finally {
    if (before === undefined) delete process.env.SHELL
    else process.env.SHELL = before
  }
}
