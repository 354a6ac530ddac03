#!/usr/bin/env node
/** The command `amoebacast`: runs what the command line means (parse.ts, commands.ts), and sets the exit status. */
import { benchCommand, runBench } from './bench-command.ts'
import { describeError, ExitStatus, exitStatusOf } from './errors.ts'
import { Output } from './output.ts'
import { parse } from './parse.ts'
import { listenForStop } from './stop.ts'

async function main(): Promise<number> {
  const stop = listenForStop()
  // Whoever reads the complaints may be gone too; that is no reason to die of it.
  process.stderr.on('error', () => {})
  const output = new Output(process.stdout, stop.ask)
  try {
    const args = process.argv.slice(2)
    // It has words beside its options, and a help of its own.
    if (args[0] === benchCommand.name) return await runBench(args.slice(1), stop)
    const parsed = await parse(args, process.env)
    if (parsed.kind === 'text') {
      output.line(parsed.text)
      return ExitStatus.success
    }
    const { command, options } = parsed
    return await command.run({ options, output, stop, isJson: options.flag('json') })
  } catch (error) {
    process.stderr.write(`amoebacast: ${describeError(error)}\n`)
    return exitStatusOf(error)
  } finally {
    await output.end()
    stop.dispose()
  }
}

// Not process.exit: what has been printed must reach its reader. Every command closes what it opened.
process.exitCode = await main()
