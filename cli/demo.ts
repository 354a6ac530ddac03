/**
 * `amoebacast demo`: some member processes on this machine, all sending; half-way the sequencer's is killed, and the
 * others rebuild the group; at the end a comparison of what each of them delivered.
 */
import { randomBytes } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Command, CommandContext } from './command.ts'
import { type ToMember, wallClock } from './demo-messages.ts'
import { type DemoScreen, jsonScreen, liveScreen, plainScreen } from './demo-screen.ts'
import { allWithin, MemberProcess } from './demo-supervisor.ts'
import { judge, type MemberReport, type Verdict } from './demo-verdict.ts'
import { CommandError, describeError, ExitStatus, UsageError } from './errors.ts'
import { kernelOptions } from './network.ts'
import { jsonOption, networkOptions } from './options.ts'
import type { Returned } from './trail.ts'

const OUTSTANDING = 16
const MESSAGE_BYTES = 100
const READY_WITHIN_MS = 20_000
const STOPPED_WITHIN_MS = 10_000
const REPORT_WITHIN_MS = 10_000
const RESET_WITHIN_MS = 10_000
/** How long the one that is to be killed says what has returned before it is. */
const COUNT_WITHIN_MS = 1_000
const COUNT_FOR_MS = 20

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
    'min-members': {
      kind: 'wholeOrMajority',
      min: 1,
      max: 32,
      placeholder: 'N',
      describe: 'Fewer members than this never go on',
      fallback: 'majority',
    },
    kill: {
      kind: 'flag',
      describe: "Kill the sequencer's process half-way; --no-kill leaves it alone",
      fallback: 'true',
    },
    ...jsonOption,
    ...networkOptions,
  },
  examples: [
    ['amoebacast demo', 'three members for ten seconds; after five the sequencer is killed'],
    [
      'amoebacast demo --members 5 --seconds 30 --no-kill',
      'five members for half a minute, nobody is killed',
    ],
    ['amoebacast demo --members 2 --min-members 1', 'two members, and the one that is left goes on alone'],
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
  private readonly kills: boolean
  private resetMs: number | null = null
  private killed: { readonly member: MemberProcess; readonly at: number } | undefined

  constructor(context: CommandContext) {
    const { options, output, isJson } = context
    this.context = context
    this.size = options.whole('members')!
    this.seconds = options.whole('seconds')!
    this.kills = options.flag('kill')
    if (this.kills) refuseHopelessKill(this.size, options.wholeOrMajority('min-members')!)
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
        // What the others may not fall below cannot be more than all.
        minMembers: options.wholeOrMajority('min-members'),
        maxMembers: Math.max(this.size, 2, options.whole('min-members') ?? 0),
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
    const ending = new AbortController()
    const killing = this.kills ? this.killHalfWay(startedAt + this.seconds * 500, ending.signal) : undefined
    for (let at = startedAt + everyMs; at <= endsAt && !this.isStopped; at += everyMs) {
      await this.unlessStopped(sleep(Math.max(0, at - performance.now())))
      // A member that is too busy to answer by the next time is shown as it was.
      await this.unlessStopped(allWithin(everyMs, 'say how it is', this.members, (member) => member.ask()))
      this.show((performance.now() - startedAt) / 1000)
      if (this.survivors.some((member) => member.hasEnded)) break
    }
    ending.abort()
    await killing
  }

  /** All but the one that was killed. */
  private get survivors(): MemberProcess[] {
    return this.members.filter((member) => member !== this.killed?.member)
  }

  /** Does nothing if the signal fires before it is time. */
  private async killHalfWay(at: number, signal: AbortSignal): Promise<void> {
    await sleep(Math.max(0, at - performance.now()), undefined, { signal }).catch(() => {})
    const member = this.sequencer
    if (
      signal.aborted ||
      this.isStopped ||
      member === undefined ||
      this.members.some(({ hasEnded }) => hasEnded)
    )
      return
    member.tell({ say: 'count' })
    await allWithin(COUNT_WITHIN_MS, 'say what has returned', [member], ({ counted }) => counted)
    await sleep(COUNT_FOR_MS)
    if (this.isStopped) return
    member.isEndedOnPurpose = true
    this.killed = { member, at: wallClock() }
    member.kill('SIGKILL')
    await member.gone
    this.screen.killed(member.row(true))
    const resets = this.fulfilled(
      await allWithin(RESET_WITHIN_MS, 'deliver a reset', this.survivors, ({ reset }) => reset),
    )
    const last = resets.toSorted((a, b) => a.at - b.at).at(-1)
    if (last === undefined || resets.length < this.survivors.length) return
    this.resetMs = Math.round((last.at - this.killed.at) * 1000) / 1000
    this.screen.reset(last, this.resetMs)
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
    const { survivors } = this
    this.tellAll({ say: 'stop' })
    const stopped = await allWithin(STOPPED_WITHIN_MS, 'stop sending', survivors, (member) => member.stopped)
    const lastSeqs = this.fulfilled(stopped)
    const returned = this.returned()
    const counts = Object.fromEntries([...returned].map(([id, { count }]) => [id, count]))
    this.tellAll({ say: 'finish', lastSeq: Math.max(0, ...lastSeqs), returned: counts })
    const reporting = survivors.filter((_member, i) => stopped[i]?.status === 'fulfilled')
    const reported = await allWithin(REPORT_WITHIN_MS, 'report', reporting, (member) => member.report)
    const reports: MemberReport[] = this.fulfilled(reported)
    await Promise.all(this.members.map((member) => member.endSoon()))
    for (const member of this.members) if (member.problem !== undefined) this.notice(member.describeProblem())
    return judge(reports, {
      survivors: survivors.length,
      killed: this.killed === undefined ? 0 : 1,
      problems: this.problems,
      resetMs: this.resetMs,
      returned,
    })
  }

  /** What each member last said of its sends, by member id. */
  private returned(): Map<number, Returned> {
    const all = new Map<number, Returned>()
    for (const { memberId, returned } of this.members) {
      if (memberId !== undefined && returned !== undefined) all.set(memberId, returned)
    }
    return all
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

/** Exported for its test. */
export function refuseHopelessKill(members: number, minMembers: number | 'majority'): void {
  const survivors = members - 1
  const needed = minMembers === 'majority' ? Math.floor(members / 2) + 1 : minMembers
  if (survivors >= needed) return
  const enough = minMembers === 'majority' ? 3 : minMembers + 1
  const fewer = survivors > 0 ? `--min-members ${survivors}, ` : ''
  throw new UsageError(
    `--kill would leave ${survivors} of ${members} members, and this group goes on with no fewer than ${needed}; ` +
      `set --members ${enough} or more, ${fewer}or --no-kill`,
  )
}
