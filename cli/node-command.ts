/** `amoebacast node`: one member of a group. Lines of standard input are sent, deliveries are printed. */
import { type Group, type Kernel, startKernel } from '../group/index.ts'
import { readSmallFile } from '../kernel/node/small-file.ts'
import { parameterLimits } from '../kernel/parameters.ts'
import type { Command, CommandContext } from './command.ts'
import { CommandError, UsageError } from './errors.ts'
import { kernelOptions, pageSettings } from './network.ts'
import { NodeSession } from './node-session.ts'
import { httpOptions, jsonOption, networkOptions, type OptionValues } from './options.ts'
import { reloadOnHangup } from './reload.ts'

const { maxMembers, historySize, maxMessageSize } = parameterLimits

export const nodeCommand: Command = {
  name: 'node',
  describe: 'Be one member: send the lines of standard input, print what the group delivers',
  options: {
    group: { kind: 'text', placeholder: 'PORT', describe: "The group's name", required: true },
    create: { kind: 'flag', describe: 'Create the group; an error if it lives' },
    join: { kind: 'flag', describe: 'Join the group; an error if nobody answers [neither: join or create]' },
    'member-name': { kind: 'text', placeholder: 'NAME', describe: 'What people see beside the member id' },
    stay: { kind: 'flag', describe: 'Stay in the group after the end of input' },
    count: {
      kind: 'whole',
      min: 1,
      placeholder: 'N',
      describe: 'Stay until N messages are delivered, then leave',
    },
    'metrics-port': {
      kind: 'whole',
      min: 0,
      max: 65_535,
      placeholder: 'PORT',
      describe: 'Serve the console (a page for a browser), /metrics, /healthz and /readyz here',
    },
    ...httpOptions,
    resilience: {
      kind: 'wholeOrMajority',
      min: 0,
      max: maxMembers - 1,
      placeholder: 'R',
      describe: 'For a new group: crashes at once that lose nothing',
    },
    'min-members': {
      kind: 'wholeOrMajority',
      min: 1,
      max: maxMembers,
      placeholder: 'N',
      describe: 'For a new group: fewer than this never go on',
    },
    'min-starters': {
      kind: 'whole',
      min: 1,
      max: maxMembers,
      placeholder: 'N',
      describe: 'Join, or create only when so many starters have met',
    },
    recovery: {
      kind: 'choice',
      choices: ['auto', 'manual'],
      describe: 'For a new group: who starts a reset',
    },
    rejoin: {
      kind: 'flag',
      describe: 'Come back as a new member when the others have gone on without this one',
    },
    'join-token-file': {
      kind: 'text',
      placeholder: 'FILE',
      describe: 'Its first line is shown to the authorize function of the programs that let this member in',
    },
    'history-size': {
      kind: 'whole',
      min: 1,
      max: historySize,
      placeholder: 'N',
      describe: 'For a new group: messages kept until all have them',
    },
    'max-message-size': {
      kind: 'whole',
      min: 0,
      max: maxMessageSize,
      placeholder: 'BYTES',
      describe: 'For a new group: bytes of one message',
    },
    ...jsonOption,
    ...networkOptions,
  },
  examples: [
    ['amoebacast node --group chat', 'join the group, or create it; every line typed is sent'],
    ['seq 1000 | amoebacast node --group work --create --stay', 'send a file, then keep listening'],
    ['amoebacast node --group work --join --count 1000 --json', 'print 1000 messages, then leave'],
    ['amoebacast node --group chat --metrics-port 9400', 'the console is at http://127.0.0.1:9400/'],
    [
      'amoebacast node --group work --interface 10.0.0.5 --peers work.svc:7788',
      'find the others by a DNS name',
    ],
  ],
  run: runNode,
}

async function runNode(context: CommandContext): Promise<number> {
  const { options, stop } = context
  if (options.flag('create') && options.flag('join')) {
    throw new UsageError(
      '--create and --join exclude each other; with neither, the group is joined or created',
    )
  }
  const alone = ['create', 'join'].find((how) => options.flag(how))
  if (alone !== undefined && options.whole('min-starters') !== undefined) {
    throw new UsageError(
      `--min-starters cannot go with --${alone}, which waits for no starters; leave --${alone} out to join or create`,
    )
  }
  let kernel: Kernel | undefined
  const stopReloading = reloadOnHangup(() => kernel, options.text('key-file'))
  try {
    kernel = await startKernel({
      ...kernelOptions(options),
      ...pageSettings(options, ['http-interface', 'http-token-file']),
    })
    const group = await open(kernel, options, stop.signal)
    if (group === undefined) throw new CommandError('interrupted before the group was joined')
    return await new NodeSession(context, group).run(kernel.metricsAddress)
  } finally {
    await kernel?.close()
    stopReloading()
  }
}

/** Undefined if Ctrl-C came first. */
async function open(
  kernel: Kernel,
  options: OptionValues,
  signal: AbortSignal,
): Promise<Group<unknown> | undefined> {
  const port = options.text('group')!
  const token = joinToken(options.text('join-token-file'))
  const own = { memberName: options.text('member-name'), rejoin: options.flag('rejoin'), token, signal }
  const parameters = {
    resilience: options.wholeOrMajority('resilience'),
    minMembers: options.wholeOrMajority('min-members'),
    recovery: options.text('recovery') as 'auto' | 'manual' | undefined,
    historySize: options.whole('history-size'),
    maxMessageSize: options.whole('max-message-size'),
  }
  try {
    if (options.flag('join')) return await kernel.joinGroup<unknown>(port, { ...parameters, ...own })
    if (options.flag('create')) return await kernel.createGroup<unknown>(port, { ...parameters, ...own })
    const minStarters = options.whole('min-starters')
    return await kernel.joinOrCreateGroup<unknown>(port, { ...parameters, ...own, minStarters })
  } catch (error) {
    if (signal.aborted) return undefined
    throw error
  }
}

/** What a program's authorize function looks at is the program's affair: any line that is not empty. */
function joinToken(path: string | undefined): string | undefined {
  if (path === undefined) return undefined
  const token = readSmallFile('the token file', path).split('\n', 1)[0]!.trim()
  if (token === '')
    throw new CommandError(`the token file ${path} begins with an empty line; put the token there`)
  return token
}
