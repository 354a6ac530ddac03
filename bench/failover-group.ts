/**
 * A group whose sequencer is killed again and again: all send, the sequencer goes, the survivors go on, and a new
 * process takes the empty place. After every kill all that was delivered is compared.
 */
import { randomBytes } from 'node:crypto'
import { setTimeout as wait } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { BenchError, Child } from './child.ts'
import type { FailoverOrder, FromFailover, Mark, RoundReport, ToFailover } from './failover-messages.ts'
import type { Metrics } from './metrics.ts'
import { sharedClock } from './shared-clock.ts'

const script = fileURLToPath(new URL('./failover-member.js', import.meta.url))

const ANSWER_WITHIN_MS = 30_000
/** All send for so long before the kill, and a little longer from kill to kill: it meets every moment of a beat. */
const FLOW_MS = 100
const FLOW_STEP_MS = 7
const FLOW_STEPS = 10
/** Members that live and are taken for dead before a single kill. */
const LOST_MAX = 20

export interface FailoverSettings extends Pick<FailoverOrder, 'resilience' | 'detection' | 'size'> {
  readonly members: number
  /** A command to run the members under. */
  readonly prefix: readonly string[]
  readonly signal: 'SIGKILL' | 'SIGSTOP'
  readonly execArgv: readonly string[]
}

interface Member {
  readonly child: Child<FromFailover, ToFailover>
  memberId: number
  /** Sends of this round of which it has said that they had returned. */
  returned: number
}

/** What a survivor said of its first message after the kill. */
export interface Next {
  readonly at: number
  readonly marks: readonly Mark[]
}

export class FailoverGroup {
  private readonly settings: FailoverSettings
  private readonly port = `bench-${randomBytes(8).toString('hex')}`
  private members: Member[] = []
  private kills = 0

  constructor(settings: FailoverSettings) {
    this.settings = settings
  }

  /** Kills the sequencer once; throws a BenchError if what was delivered is wrong. */
  async kill(): Promise<Metrics> {
    for (let lost = 0; lost <= LOST_MAX; ) {
      lost += await this.flow()
      const metrics = await this.killOnce()
      if (metrics !== undefined) return { ...metrics, expelled: lost + (metrics.expelled ?? 0) }
      lost++
    }
    throw tooBusy()
  }

  /** Undefined if the others had left the sequencer behind just before it was killed. */
  private async killOnce(): Promise<Metrics | undefined> {
    const [aimed] = await this.askAll(this.members, 'aimed', { say: 'aim' })
    const victim = this.members.find(({ memberId }) => memberId === aimed!.sequencer)
    if (victim === undefined) throw new BenchError(`member ${aimed!.sequencer}, the sequencer, is not known`)
    const survivors = this.members.filter((member) => member !== victim)
    await this.askAll(survivors, 'watching', { say: 'watch', victim: victim.memberId })
    const going = this.askAll(survivors, 'next', undefined)
    const killedAt = sharedClock()
    victim.child.kill(this.settings.signal)
    this.members = survivors
    let nexts: readonly (Next & { readonly isExpelled: boolean })[]
    try {
      nexts = await going
    } finally {
      victim.child.kill()
    }
    await victim.child.gone
    const stopped = await this.askAll(survivors, 'stopped', { say: 'stop' })
    const isIn = (_: unknown, i: number): boolean => !stopped[i]!.isExpelled
    const expelled = survivors.filter((member, i) => !isIn(member, i))
    for (const { child } of expelled) child.kill()
    this.members = survivors.filter(isIn)
    const lastSeq = Math.max(...stopped.filter(isIn).map((each) => each.lastSeq))
    const answers = await this.askAll(this.members, 'report', { say: 'finish', lastSeq })
    checkRound(
      this.members.map(({ memberId }, i) => ({ memberId, report: answers[i]!.report })),
      [victim, ...expelled],
    )
    const present = nexts.filter((next) => !next.isExpelled)
    const isReset = present.some(({ marks }) =>
      marks.some(({ mark, at }) => mark === 'reset' && at > killedAt),
    )
    if (!isReset) return undefined
    return { ...stagesOf(killedAt, victim.memberId, present), expelled: expelled.length }
  }

  /** All send, until a group of full size is in its stride; returns how many it lost on the way, without a kill. */
  private async flow(): Promise<number> {
    for (let lost = 0; lost <= LOST_MAX; ) {
      while (this.members.length < this.settings.members) await this.add()
      for (const member of this.members) member.returned = 0
      await this.askAll(this.members, 'begun', { say: 'begin' })
      await this.askAll(this.members, 'sending', { say: 'send' })
      await wait(FLOW_MS + (this.kills++ % FLOW_STEPS) * FLOW_STEP_MS)
      const aimed = await this.askAll(this.members, 'aimed', { say: 'aim' })
      const isIn = (_: Member, i: number): boolean => !aimed[i]!.isExpelled
      const expelled = this.members.filter((member, i) => !isIn(member, i))
      if (expelled.length === 0) return lost
      lost += expelled.length
      for (const { child } of expelled) child.kill()
      this.members = this.members.filter(isIn)
      await this.askAll(this.members, 'stopped', { say: 'stop' })
    }
    throw tooBusy()
  }

  async close(): Promise<void> {
    for (const { child } of this.members) child.close({ say: 'close' })
    const timer = setTimeout(() => this.end(), ANSWER_WITHIN_MS)
    await Promise.all(this.members.map(({ child }) => child.gone))
    clearTimeout(timer)
  }

  end(): void {
    for (const { child } of this.members) child.kill()
  }

  private async add(): Promise<void> {
    const { resilience, detection, size, prefix, execArgv, members } = this.settings
    const isCreator = this.members.length === 0
    const order: FailoverOrder = { port: this.port, isCreator, resilience, detection, size }
    const name = `a member of ${members} (${detection})`
    const onHeard = (told: FromFailover): void => {
      if (told.say === 'returned') member.returned = told.count
    }
    const child = new Child<FromFailover, ToFailover>({ name, script, order, execArgv, prefix, onHeard })
    const member: Member = { child, memberId: 0, returned: 0 }
    this.members.push(member)
    member.memberId = (await child.ask('ready', undefined, ANSWER_WITHIN_MS)).memberId
  }

  private askAll<S extends FromFailover['say']>(
    members: readonly Member[],
    say: S,
    told: ToFailover | undefined,
  ): Promise<Extract<FromFailover, { say: S }>[]> {
    return Promise.all(members.map(({ child }) => child.ask(say, told, ANSWER_WITHIN_MS)))
  }
}

function tooBusy(): BenchError {
  return new BenchError('members that live are taken for dead again and again: this machine is too busy')
}

/**
 * Survivors have the same messages in the same order, all of their own, and at least those whose sends had returned of
 * the killed one and of any that was expelled.
 */
export function checkRound(
  survivors: readonly { readonly memberId: number; readonly report: RoundReport }[],
  lost: readonly { readonly memberId: number; readonly returned: number }[],
): void {
  const [first] = survivors
  for (const { memberId, report } of survivors) {
    if (report.outOfOrder > 0)
      throw new BenchError(
        `member ${memberId} received ${report.outOfOrder} messages out of their sender's order`,
      )
    if (report.digest !== first!.report.digest)
      throw new BenchError(
        `members ${first!.memberId} and ${memberId} received the messages in different orders; this run is wrong`,
      )
    for (const other of survivors) {
      const received = report.bySender[other.memberId] ?? 0
      if (received !== other.report.sent)
        throw new BenchError(
          `of ${other.report.sent} messages of member ${other.memberId} member ${memberId} received ${received}; this run is wrong`,
        )
    }
    for (const { memberId: id, returned } of lost) {
      const received = report.bySender[id] ?? 0
      if (received < returned)
        throw new BenchError(
          `of ${returned} messages that member ${id}, now lost, was told to be sent member ${memberId} received ${received}; this run is wrong`,
        )
    }
  }
}

/** Where the time went, by the marks of all survivors; milliseconds, and they add up to `failover`. */
export function stagesOf(killedAt: number, victim: number, nexts: readonly Next[]): Metrics {
  const last = Math.max(...nexts.map(({ at }) => at))
  const all = nexts.flatMap(({ marks }) => marks).filter(({ at }) => at >= killedAt && at <= last)
  const times = (marks: readonly Mark[], name: string): number[] =>
    marks.filter(({ mark }) => mark === name).map(({ at }) => at)
  const suspected = Math.min(
    ...all.filter(({ mark, member }) => mark === 'suspect' && member === victim).map(({ at }) => at),
    last,
  )
  const invited = Math.max(suspected, Math.min(...times(all, 'inviting'), last))
  const reset = Math.max(invited, ...times(all, 'reset'))
  // The attempt that came to the reset is the last that went so far, at whoever ended it.
  const coordinator = nexts.find(({ marks }) => times(marks, 'reset').includes(reset))?.marks ?? all
  const collecting = times(coordinator, 'collecting').filter((at) => at >= invited && at <= reset)
  const chosen = Math.max(invited, ...collecting)
  const ms = (from: number, to: number): number => (to - from) / 1000
  return {
    failover: ms(killedAt, last),
    detection: ms(killedAt, suspected),
    inquiry: ms(suspected, invited),
    phase1: ms(invited, chosen),
    phase2: ms(chosen, reset),
    first: ms(reset, last),
    attempts: times(all, 'inviting').length,
  }
}
