/** `amoebacast info`: asks a live group about itself, without joining it. */
import { startKernel } from '../group/index.ts'
import type { Command, CommandContext } from './command.ts'
import { CommandError, ExitStatus } from './errors.ts'
import { infoLines } from './info-lines.ts'
import { kernelOptions } from './network.ts'
import { jsonOption, networkOptions } from './options.ts'

export const infoCommand: Command = {
  name: 'info',
  describe: "Show a live group's view, seqs, history and lags",
  options: {
    group: { kind: 'text', placeholder: 'PORT', describe: "The group's name", required: true },
    ...jsonOption,
    ...networkOptions,
  },
  examples: [
    ['amoebacast info --group chat', 'who is in it, and how far everybody is'],
    ['amoebacast info --group chat --json', 'the same as one JSON object'],
  ],
  run: runInfo,
}

async function runInfo({ options, output, stop, isJson }: CommandContext): Promise<number> {
  const kernel = await startKernel(kernelOptions(options))
  try {
    const report = await kernel.inspectGroup(options.text('group')!, { signal: stop.signal })
    if (isJson) output.json({ event: 'info', ...report })
    else for (const line of infoLines(report)) output.line(line)
    return ExitStatus.success
  } catch (error) {
    if (stop.signal.aborted) throw new CommandError('interrupted before the group had answered')
    throw error
  } finally {
    await kernel.close()
  }
}
