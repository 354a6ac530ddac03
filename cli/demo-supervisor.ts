/**
 * The demo's member processes as their supervisor sees them: it starts them, knows each one's pid and which
 * is the sequencer, and takes them through ready, sending, stopped, reported and gone. Every wait has an end.
 */
import { type ChildProcess, fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import type { FromMember, MemberOrder, ResetSeen, ToMember } from './demo-messages.ts'
import type { MemberRow } from './demo-screen.ts'
import type { MemberReport } from './demo-verdict.ts'
import { CommandError } from './errors.ts'
import type { Returned } from './trail.ts'

const GONE_WITHIN_MS = 5_000
/** Of a member's standard error, its last characters are kept for the verdict. */
const KEPT_ERROR_CHARACTERS = 2_000

const script = fileURLToPath(new URL('./demo-member.js', import.meta.url))

type Stats = Pick<Extract<FromMember, { say: 'stats' }>, 'seq' | 'rate' | 'p50Us' | 'p99Us'>

export class MemberProcess {
  readonly name: string
  readonly child: ChildProcess
  /** Resolves with where the member receives. */
  readonly ready: Promise<string>
  readonly stopped: Promise<number>
  /** The first reset that the member delivers. */
  readonly reset: Promise<ResetSeen>
  /** The member says how many of its sends have returned; only when it is told to. */
  readonly counted: Promise<Returned>
  readonly report: Promise<MemberReport>
  readonly gone: Promise<void>
  memberId: number | undefined
  /** The sequencer's id, as far as this member knows. */
  sequencer = 0
  /** How many of its sends are known to have returned, when it last said so. */
  returned: Returned | undefined
  hasEnded = false
  /** Set when the supervisor itself ends the process: then its end is no problem. */
  isEndedOnPurpose = false
  problem: string | undefined
  private stats: Stats = { seq: 0, rate: 0, p50Us: null, p99Us: null }
  private answered: (() => void) | undefined
  private errorText = ''

  constructor(order: MemberOrder) {
    this.name = order.name
    this.child = fork(script, [JSON.stringify(order)], { stdio: ['ignore', 'ignore', 'pipe', 'ipc'] })
    this.child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.errorText = (this.errorText + text).slice(-KEPT_ERROR_CHARACTERS)
    })
    this.gone = new Promise((resolve) => {
      this.child.on('error', (error) => this.end(`could not be started: ${error.message}`, resolve))
      // Not 'close': it never comes when it was this side that disconnected the channel.
      this.child.on('exit', (code, signal) => {
        const settle = (): void => this.end(endOf(code, signal), resolve)
        if (this.child.stderr === null || this.child.stderr.closed) settle()
        else this.child.stderr.once('close', settle)
      })
    })
    this.child.on('message', (message) => this.hear(message as FromMember))
    this.ready = this.first('ready', ({ address }) => address)
    this.stopped = this.first('stopped', ({ lastSeq }) => lastSeq)
    this.reset = this.first('reset', (reset) => reset)
    this.counted = this.first('returned', ({ returned }) => returned)
    this.report = this.first('report', ({ report }) => report)
  }

  get pid(): number {
    return this.child.pid ?? 0
  }

  row(isSequencer: boolean): MemberRow {
    const { name, pid, memberId } = this
    const { seq, rate, p50Us, p99Us } = this.stats
    const running = memberId === undefined ? 'starting' : 'running'
    const ended = this.isEndedOnPurpose ? 'killed' : 'ended'
    const state = this.hasEnded ? ended : running
    return { name, pid, memberId, isSequencer, state, seq, rate: this.hasEnded ? 0 : rate, p50Us, p99Us }
  }

  tell(message: ToMember): void {
    if (this.child.connected) this.child.send(message, () => {})
  }

  /** Asks how it is; resolves when the answer is here, or the process gone. */
  async ask(): Promise<void> {
    const answer = new Promise<void>((resolve) => {
      this.answered = resolve
    })
    this.tell({ say: 'ask' })
    await Promise.race([answer, this.gone])
  }

  /** The member leaves its group when it is on its own. */
  letGo(): void {
    if (this.child.connected) this.child.disconnect()
  }

  /** Ends the process if it does not end by itself. */
  async endSoon(): Promise<void> {
    const timer = setTimeout(() => this.kill('SIGKILL'), GONE_WITHIN_MS)
    await this.gone
    clearTimeout(timer)
  }

  kill(signal: NodeJS.Signals): void {
    if (!this.hasEnded) this.child.kill(signal)
  }

  private hear(message: FromMember): void {
    if (message.say === 'stats') {
      this.stats = message
      this.answered?.()
    } else if (message.say === 'ready') {
      this.memberId = message.memberId
      this.sequencer = message.sequencer
    } else if (message.say === 'view') this.sequencer = message.sequencer
    else if (message.say === 'returned' || message.say === 'stopped') this.returned = message.returned
    else if (message.say === 'failed') this.problem ??= message.message
  }

  private end(how: string, resolve: () => void): void {
    if (this.hasEnded) return
    this.hasEnded = true
    const lastLine = this.errorText.trim().split('\n').at(-1)
    if (how !== '' && !this.isEndedOnPurpose)
      this.problem ??= lastLine === undefined || lastLine === '' ? how : `${how}: ${lastLine}`
    resolve()
  }

  /** The first message of this kind; rejects if the process ends without it. */
  private first<Say extends FromMember['say'], Result>(
    say: Say,
    take: (message: Extract<FromMember, { say: Say }>) => Result,
  ): Promise<Result> {
    const promise = new Promise<Result>((resolve, reject) => {
      this.child.on('message', (message) => {
        const heard = message as FromMember
        if (heard.say === say) resolve(take(heard as Extract<FromMember, { say: Say }>))
      })
      void this.gone.then(() => reject(new CommandError(this.describeProblem())))
    })
    // Whoever waits hears of it; a wait that nobody makes is no fault.
    promise.catch(() => {})
    return promise
  }

  /** What went wrong with this process, or that it is gone. */
  describeProblem(): string {
    return `${this.name} (pid ${this.pid}): ${this.problem ?? 'ended too early'}`
  }
}

/** Waits for all of these members; one that takes longer than `ms` has failed. */
export async function allWithin<T>(
  ms: number,
  task: string,
  members: readonly MemberProcess[],
  wait: (member: MemberProcess) => Promise<T>,
): Promise<PromiseSettledResult<T>[]> {
  const timers: NodeJS.Timeout[] = []
  const results = await Promise.allSettled(
    members.map((member) => {
      const late = new Promise<never>((_resolve, reject) => {
        const why = `${member.name} (pid ${member.pid}) did not ${task} within ${ms / 1000} s`
        timers.push(setTimeout(() => reject(new CommandError(why)), ms))
      })
      return Promise.race([wait(member), late])
    }),
  )
  for (const timer of timers) clearTimeout(timer)
  return results
}

function endOf(code: number | null, signal: NodeJS.Signals | null): string {
  if (signal !== null) return `was ended by ${signal}`
  return code === 0 ? '' : `ended with status ${code}`
}
