/**
 * Where a reset stands, by the marks that the machine traces at its turning points (recovery/, silence.ts): from
 * the first suspicion to the new view. It knows what the marks mean to people, and nothing of the protocol.
 */
import type { Micros } from '../../identity.ts'
import type { TraceEvent } from '../../trace.ts'
import type { ResetPhase, ResetSnapshot, ResetStep, WallMs } from './snapshot.ts'

/** Steps kept of one reset; an attempt has four. */
const STEPS_MAX = 12
/** A suspicion that nothing has come of for so long was a false alarm. */
const ALARM_MS = 10_000

interface Running {
  readonly since: WallMs
  readonly began: Micros
  phase: ResetPhase
  member: number | undefined
  incarnation: number | undefined
  attempts: number
  reason: string | undefined
  readonly steps: ResetStep[]
}

export interface FinishedReset {
  readonly ms: number
  readonly steps: readonly ResetStep[]
}

export class ResetWatch {
  private running: Running | undefined
  private finished: FinishedReset | undefined

  /** `at` is the machine's clock, `wall` that of people. True if the group has just come to stand still. */
  note({ mark, detail }: TraceEvent, at: Micros, wall: WallMs): boolean {
    const number = (name: string) => (typeof detail[name] === 'number' ? detail[name] : undefined)
    switch (mark) {
      case 'suspect':
      case 'deaf':
        if (this.running === undefined || this.running.phase === 'suspected') {
          this.enter('suspected', at, wall, { member: number('member') })
        }
        return false
      case 'testimony-alive':
        // the others hear it: whoever has doubted does so no more, unless somebody has begun already
        if (this.running?.phase === 'suspected') this.running = undefined
        return false
      case 'inviting': {
        const running = this.enter('inviting', at, wall, { incarnation: number('incarnation') })
        running.attempts++
        return false
      }
      case 'voted':
        this.enter('voted', at, wall, {
          incarnation: number('incarnation'),
          member: number('coordinator'),
        })
        return false
      case 'collecting':
        this.enter('catching up', at, wall)
        return false
      case 'proposing':
        this.enter('waiting for acks', at, wall)
        return false
      case 'result':
        this.enter('following', at, wall)
        return false
      case 'result-held':
        this.enter('acked', at, wall)
        return false
      case 'attempt-failed':
        if (this.running !== undefined) this.running.reason = text(detail.reason)
        return false
      case 'too-few': {
        const hasStopped = this.running?.phase !== 'stopped' && !this.hasStoppedBefore()
        this.enter('stopped', at, wall, { reason: text(detail.reason) })
        return hasStopped
      }
      case 'reset':
      case 'resumed':
        this.end(at)
        return false
      default:
        return false
    }
  }

  /** The reset that has ended last, told once: its delivery comes right after its last mark. */
  takeFinished(): FinishedReset | undefined {
    const { finished } = this
    this.finished = undefined
    return finished
  }

  /** The membership is over, or the suspect has left. */
  clear(): void {
    this.running = undefined
  }

  /** `isFailed`: the group waits for somebody to call resetGroup, so that no alarm was false. */
  snapshot(wall: WallMs, isFailed: boolean): ResetSnapshot | undefined {
    const { running } = this
    if (running === undefined) return undefined
    if (running.phase === 'suspected' && !isFailed && wall - running.since > ALARM_MS) {
      this.running = undefined
      return undefined
    }
    const { since, phase, member, incarnation, attempts, reason, steps } = running
    return { since, phase, member, incarnation, attempts, reason, steps }
  }

  private enter(
    phase: ResetPhase,
    at: Micros,
    wall: WallMs,
    fields: Partial<Pick<Running, 'member' | 'incarnation' | 'reason'>> = {},
  ): Running {
    this.running ??= {
      since: wall,
      began: at,
      phase,
      member: undefined,
      incarnation: undefined,
      attempts: 0,
      reason: undefined,
      steps: [],
    }
    const { running } = this
    running.phase = phase
    for (const [name, value] of Object.entries(fields)) {
      if (value !== undefined) Object.assign(running, { [name]: value })
    }
    running.steps.push({ phase, ms: Math.round((at - running.began) / 100) / 10 })
    // of very many attempts the first step and the last ones tell the story
    if (running.steps.length > STEPS_MAX) running.steps.splice(1, 1)
    return running
  }

  private hasStoppedBefore(): boolean {
    return this.running?.steps.some(({ phase }) => phase === 'stopped') ?? false
  }

  private end(at: Micros): void {
    const { running } = this
    if (running === undefined) return
    this.running = undefined
    this.finished = { ms: Math.round((at - running.began) / 100) / 10, steps: running.steps }
  }
}

function text(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined
}
