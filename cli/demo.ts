/**
 * `amoebacast demo`: some member processes on this machine, all sending, and at the end a comparison of what
 * each of them delivered.
 */
import { randomBytes } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Command, CommandContext } from './command.ts'
import type { ToMember } from './demo-messages.ts'
import { type DemoScreen, jsonScreen, liveScreen, plainScreen } from './demo-screen.ts'
import { allWithin, MemberProcess } from './demo-supervisor.ts'
import { judge, type MemberReport, type Verdict } from './demo-verdict.ts'
import { CommandError, describeError, ExitStatus } from './errors.ts'
import { kernelOptions } from './network.ts'
import { jsonOption, networkOptions } from './options.ts'

const OUTSTANDING = 16
const MESSAGE_BYTES = 100
const READY_WITHIN_MS = 20_000
const STOPPED_WITHIN_MS = 10_000
const REPORT_WITHIN_MS = 10_000

export const demoCommand: Command = {
  name: 'demo',
  describe: 'Start member processes that all send, and check that all receive the same',
  options: {
    members: {
      kind: 'whole',
      min: 1,
      max: 32,
      placeholder: 'N',
      describe: 'Member processes',
      fallback: '3',
    },
    seconds: {
      kind: 'whole',
      min: 1,
      max: 86_400,
      placeholder: 'N',
      describe: 'How long they send',
      fallback: '10',
    },
    resilience: {
      kind: 'wholeOrMajority',
      min: 0,
      max: 31,
      placeholder: 'R',
      describe: 'Crashes at once that lose nothing',
      fallback: '1',
    },
    ...jsonOption,
    ...networkOptions,
  },
  examples: [
    ['amoebacast demo', 'three members for ten seconds'],
    ['amoebacast demo --members 5 --seconds 30', 'five members for half a minute'],
    ['amoebacast demo --seconds 4 --json', 'one JSON object a line; the last is the verdict'],
  ],
  run: (context) => new Demo(context).run(),
}

class Demo {
  private readonly context: CommandContext
  private readonly screen: DemoScreen
  private readonly members: MemberProcess[] = []
  private readonly size: number
  private readonly seconds: number
  /** Unlike any other run's, so that two demos on one machine never meet. */
  private readonly port = `demo-${process.pid}-${randomBytes(6).toString('hex')}`
  private readonly problems: string[] = []

  constructor(context: CommandContext) {
    const { options, output, isJson } = context
    this.context = context
    this.size = options.whole('members')!
    this.seconds = options.whole('seconds')!
    // Some terminals say that they have no rows: nothing could be drawn there.
    const isLive = process.stdout.isTTY === true && process.stdout.rows > 0
    this.screen = isJson
      ? jsonScreen(output)
      : isLive
        ? liveScreen(output, process.stdout)
        : plainScreen(output)
  }

  async run(): Promise<number> {
    try {
      if (!(await this.start())) throw new CommandError('interrupted before all members had joined')
      await this.watch()
      const verdict = await this.finish()
      this.screen.verdict(verdict)
      if (verdict.ok) return ExitStatus.success
      throw new CommandError(`the members do not agree: ${verdict.problems[0]}`)
    } finally {
      // Whatever happened, no process stays behind.
      for (const member of this.members) member.letGo()
      await Promise.all(this.members.map((member) => member.endSoon()))
    }
  }

  /** The first creates the group, the others join it; false if Ctrl-C came first. */
  private async start(): Promise<boolean> {
    this.spawn('create')
    // Without multicast the others have to be told where the first is.
    const [peer] = await this.allReady()
    while (this.members.length < this.size && !this.isStopped) this.spawn('join', peer)
    await this.allReady()
    return !this.isStopped
  }

  private spawn(how: 'create' | 'join', peer?: string): void {
    const { options } = this.context
    const kernel = kernelOptions(options)
    const wanted = options.wholeOrMajority('resilience')!
    const member = new MemberProcess({
      port: this.port,
      how,
      name: `m${this.members.length + 1}`,
      // More than all the others cannot be asked for: a demo of one member goes at resilience 0.
      group: {
        resilience: wanted === 'majority' ? wanted : Math.min(wanted, this.size - 1),
        maxMembers: Math.max(this.size, 2),
      },
      kernel: {
        ...kernel,
        // Only one of them can have the port that was asked for.
        udpPort: how === 'create' ? kernel.udpPort : undefined,
        peers: [...(kernel.peers ?? []), ...(peer === undefined ? [] : [peer])],
      },
      outstanding: OUTSTANDING,
      messageBytes: MESSAGE_BYTES,
    })
    this.members.push(member)
  }

  /** Resolves with the members' addresses. */
  private async allReady(): Promise<string[]> {
    const results = await this.unlessStopped(
      allWithin(READY_WITHIN_MS, 'join the group', this.members, (member) => member.ready),
    )
    return (results ?? []).map((result) => {
      if (result.status === 'rejected') throw result.reason
      return result.value
    })
  }

  private async watch(): Promise<void> {
    this.tellAll({ say: 'start' })
    const { everyMs } = this.screen
    const startedAt = performance.now()
    const endsAt = startedAt + this.seconds * 1000
    for (let at = startedAt + everyMs; at <= endsAt && !this.isStopped; at += everyMs) {
      await this.unlessStopped(sleep(Math.max(0, at - performance.now())))
      // A member that is too busy to answer by the next time is shown as it was.
      await this.unlessStopped(allWithin(everyMs, 'say how it is', this.members, (member) => member.ask()))
      this.show((performance.now() - startedAt) / 1000)
      const ended = this.members.filter((member) => member.hasEnded)
      if (ended.length > 0) return
    }
  }

  private show(seconds: number): void {
    const sequencer = this.sequencer?.memberId
    this.screen.show({
      port: this.port,
      seconds: Math.round(seconds * 10) / 10,
      totalSeconds: this.seconds,
      rows: this.members.map((member) => member.row(member.memberId === sequencer)),
    })
  }

  /** The member that the living agree to be the sequencer, as far as they have said. */
  private get sequencer(): MemberProcess | undefined {
    const id = this.members.find((member) => !member.hasEnded)?.sequencer
    return this.members.find((member) => member.memberId === id)
  }

  private async finish(): Promise<Verdict> {
    this.tellAll({ say: 'stop' })
    const stopped = await allWithin(
      STOPPED_WITHIN_MS,
      'stop sending',
      this.members,
      (member) => member.stopped,
    )
    const lastSeqs = this.fulfilled(stopped)
    this.tellAll({ say: 'finish', lastSeq: Math.max(0, ...lastSeqs) })
    const reporting = this.members.filter((_member, i) => stopped[i]?.status === 'fulfilled')
    const reported = await allWithin(REPORT_WITHIN_MS, 'report', reporting, (member) => member.report)
    const reports: MemberReport[] = this.fulfilled(reported)
    await Promise.all(this.members.map((member) => member.endSoon()))
    for (const member of this.members) if (member.problem !== undefined) this.notice(member.describeProblem())
    return judge(reports, this.size, this.problems)
  }

  private fulfilled<T>(results: readonly PromiseSettledResult<T>[]): T[] {
    for (const result of results) if (result.status === 'rejected') this.notice(describeError(result.reason))
    return results.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []))
  }

  private notice(problem: string): void {
    if (!this.problems.includes(problem)) this.problems.push(problem)
  }

  private tellAll(message: ToMember): void {
    for (const member of this.members) member.tell(message)
  }

  private get isStopped(): boolean {
    return this.context.stop.signal.aborted
  }

  /** The result, or undefined if Ctrl-C comes first. */
  private async unlessStopped<T>(work: Promise<T>): Promise<T | undefined> {
    const { signal } = this.context.stop
    if (signal.aborted) return undefined
    let onAbort = (): void => {}
    const stopped = new Promise<undefined>((resolve) => {
      onAbort = () => resolve(undefined)
      signal.addEventListener('abort', onAbort, { once: true })
    })
    try {
      return await Promise.race([work, stopped])
    } finally {
      signal.removeEventListener('abort', onAbort)
    }
  }
}
