/** `amoebacast top`: a live group, asked again and again without joining it, and shown in place. */
import { setTimeout as sleep } from 'node:timers/promises'
import { createLogUpdate } from 'log-update'
import { ErrorCode, GroupError, type GroupReport, type Kernel, startKernel } from '../group/index.ts'
import type { Command, CommandContext } from './command.ts'
import { ExitStatus } from './errors.ts'
import { type SortKey, sortKeys } from './group-table.ts'
import { CTRL_C, listenForKeys } from './keys.ts'
import { kernelOptions } from './network.ts'
import { jsonOption, networkOptions } from './options.ts'
import { type TopState, topJson, topLine, topScreen } from './top-lines.ts'

export const topCommand: Command = {
  name: 'top',
  describe: 'Watch a live group: view, seqs, history and lags, again and again',
  options: {
    group: { kind: 'text', placeholder: 'PORT', describe: "The group's name", required: true },
    interval: {
      kind: 'whole',
      min: 100,
      max: 3_600_000,
      placeholder: 'MS',
      describe: 'Milliseconds between two questions',
      fallback: '1000',
    },
    sort: { kind: 'choice', choices: sortKeys, describe: 'How members are sorted', fallback: 'id' },
    count: { kind: 'whole', min: 1, placeholder: 'N', describe: 'End after so many refreshes' },
    ...jsonOption,
    ...networkOptions,
  },
  examples: [
    ['amoebacast top --group chat', 'until q is pressed; i, l and n sort by id, lag and name'],
    [
      'amoebacast top --group chat --json --interval 5000 >> chat.log',
      'an object a line, every five seconds',
    ],
    ['amoebacast top --group chat --sort lag --count 1', 'who is slow, once'],
  ],
  run: runTop,
}

async function runTop(context: CommandContext): Promise<number> {
  const { options, stop } = context
  const kernel = await startKernel(kernelOptions(options))
  const view = openView(context)
  try {
    const left = options.whole('count')
    await new Watcher(kernel, options.text('group')!, stop.signal).run(
      options.whole('interval')!,
      left ?? Number.POSITIVE_INFINITY,
      (state) => view.show(state),
    )
    return ExitStatus.success
  } finally {
    view.close()
    await kernel.close()
  }
}

/** Asks the group, and knows what has changed since. */
class Watcher {
  private readonly kernel: Kernel
  private readonly port: string
  private readonly signal: AbortSignal
  private last: { readonly report: GroupReport; readonly at: number } | undefined
  private goneSince: number | undefined

  constructor(kernel: Kernel, port: string, signal: AbortSignal) {
    this.kernel = kernel
    this.port = port
    this.signal = signal
  }

  /** Until the signal fires, or `count` states have been shown. */
  async run(interval: number, count: number, show: (state: TopState) => Promise<void> | void): Promise<void> {
    const { signal } = this
    for (let shown = 0; shown < count && !signal.aborted; shown++) {
      if (shown > 0) await sleep(interval, undefined, { signal }).catch(() => {})
      const state = await this.ask()
      if (state !== undefined) await show(state)
    }
  }

  /** Undefined if the signal came first. */
  private async ask(): Promise<TopState | undefined> {
    const { kernel, port, signal, last } = this
    try {
      const report = await kernel.inspectGroup(port, { signal })
      const at = Date.now()
      this.last = { report, at }
      this.goneSince = undefined
      const isSame = last?.report.view.groupId === report.view.groupId
      const rate = isSame ? Math.max(0, report.seq - last.report.seq) / ((at - last.at) / 1000) : undefined
      return { port, at, report, rate, goneSince: undefined }
    } catch (error) {
      if (signal.aborted) return undefined
      if (!(error instanceof GroupError && unanswered.has(error.code))) throw error
      const at = Date.now()
      this.goneSince ??= at
      return { port, at, report: last?.report, rate: undefined, goneSince: this.goneSince }
    }
  }
}

/** There is no group, or it has no sequencer at present. */
const unanswered: ReadonlySet<ErrorCode> = new Set([ErrorCode.notFound, ErrorCode.memberFailed])

interface View {
  show(state: TopState): Promise<void> | void
  close(): void
}

function openView(context: CommandContext): View {
  const { output, isJson, options } = context
  const sort = options.text('sort') as SortKey
  if (isJson || !process.stdout.isTTY || options.whole('count') !== undefined) {
    return {
      show: (state) => {
        if (isJson) output.json(topJson(state))
        else output.line(topLine(state, sort))
        return output.ready()
      },
      close: () => {},
    }
  }
  return openScreen(context, process.stdout, sort)
}

const ENTER_SCREEN = '\u001b[?1049h\u001b[H'
const LEAVE_SCREEN = '\u001b[?1049l'
const CLEAR_SCREEN = '\u001b[2J\u001b[H'

/** The terminal's other screen, so that what stood there before is there again afterwards. */
function openScreen({ stop }: CommandContext, stream: NodeJS.WriteStream, first: SortKey): View {
  const update = createLogUpdate(stream)
  let sort = first
  let last: TopState | undefined
  const draw = (): void => {
    if (last !== undefined) update(topScreen(last, sort, { columns: stream.columns, rows: stream.rows }))
  }
  const resize = (): void => {
    // the terminal has broken the lines anew: what lies where is known to nobody
    update.clear()
    stream.write(CLEAR_SCREEN)
    draw()
  }
  const onKey = (key: string): void => {
    const wanted = sortKeys.find((name) => name.startsWith(key))
    // as with signals: a second time ends at once
    if (key === CTRL_C && stop.signal.aborted) process.exit(130)
    if (key === 'q' || key === CTRL_C) stop.ask()
    else if (wanted !== undefined) {
      sort = wanted
      draw()
    }
  }
  const leave = (): void => {
    stream.write(LEAVE_SCREEN)
  }
  stream.write(ENTER_SCREEN)
  stream.on('resize', resize)
  process.once('exit', leave)
  const stopListening = process.stdin.isTTY ? listenForKeys(process.stdin, onKey) : () => {}
  return {
    show(state) {
      last = state
      draw()
    },
    close() {
      stopListening()
      stream.off('resize', resize)
      process.off('exit', leave)
      update.clear()
      update.done()
      leave()
      // what was seen last stays to be read
      if (last !== undefined) stream.write(`${topLine(last, sort)}\n`)
    },
  }
}
