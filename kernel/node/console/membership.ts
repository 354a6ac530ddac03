/** One membership as the console sees it: what is read of it each second, and what it has been told meanwhile. */
import { hex64, rightNames, roleNames } from '../../identity.ts'
import type { GroupInspection, MemberInfo, Output } from '../../port.ts'
import type { TraceMessage } from '../diagnostics.ts'
import type { MemberSource } from '../metrics.ts'
import { ResetWatch } from './reset-watch.ts'
import { SampleRings, type Totals } from './series.ts'
import type { GroupSnapshot, LagSnapshot, ViewSnapshot, WallMs } from './snapshot.ts'
import type { TimeLine } from './time-line.ts'

/** Members listed of a view; more are counted. */
export const MEMBERS_MAX = 128

/** What the console reads and asks; the same as metrics read, and the way to the sequencer. */
export interface ConsoleSource extends MemberSource {
  /** As in the machine's traces. */
  readonly nonce: bigint
  /** What the sequencer says of the group; rejects if nobody answers in time. */
  inspect(signal: AbortSignal): Promise<Pick<GroupInspection, 'lags'>>
}

/** Milliseconds between two questions to the sequencer, and how long one may take. */
const ASK_EVERY_MS = 2_000
const ASK_WITHIN_MS = 4_000
/** What the sequencer has said holds for so long. */
const LAGS_HOLD_MS = 8_000

export class Membership {
  readonly key: number
  readonly source: ConsoleSource
  readonly timeLine: TimeLine
  private readonly resets = new ResetWatch()
  private readonly samples: SampleRings
  private parameters: GroupSnapshot['parameters']
  private told: { readonly at: WallMs; readonly lags: MemberInfo['lags'] } | undefined
  private askedAt: WallMs = 0
  private asking: AbortController | undefined

  constructor(key: number, source: ConsoleSource, timeLine: TimeLine) {
    this.key = key
    this.source = source
    this.timeLine = timeLine
    this.samples = new SampleRings(this.totals())
  }

  noteTrace(message: TraceMessage): void {
    const now = Date.now()
    const hasStopped = this.resets.note(message, message.at, now)
    if (hasStopped) this.timeLine.stopped(this.resets.snapshot(now, true)?.reason, now)
  }

  noteOutput(output: Output): void {
    if (output.output === 'joined') this.parameters = output.parameters
    if (output.output === 'sent' || output.output === 'failed') return
    this.timeLine.note(output, Date.now(), () => this.resets.takeFinished())
    const isOver = output.output === 'event' && ['expelled', 'closed'].includes(output.event.event)
    if (isOver) this.resets.clear()
  }

  sendAnswered(seconds: number): void {
    this.samples.sendAnswered(seconds)
  }

  sample(seconds: number): void {
    this.samples.sample(this.totals(), seconds)
  }

  /** Asks the sequencer for the lags, if it is somebody else, and not more often than every two seconds. */
  askForLags(now: WallMs): void {
    const { isSequencer, phase } = this.source.info()
    if (isSequencer || phase !== 'member' || this.asking !== undefined || now - this.askedAt < ASK_EVERY_MS) {
      return
    }
    this.askedAt = now
    const asking = new AbortController()
    this.asking = asking
    const timer = setTimeout(() => asking.abort(), ASK_WITHIN_MS)
    timer.unref()
    this.source
      .inspect(asking.signal)
      .then(
        ({ lags }) => {
          this.told = { at: Date.now(), lags }
        },
        // the page says that it is not known
        () => {},
      )
      .finally(() => {
        clearTimeout(timer)
        this.asking = undefined
      })
  }

  close(): void {
    this.asking?.abort()
    this.resets.clear()
  }

  snapshot(now: WallMs): GroupSnapshot {
    const info = this.source.info()
    const { phase, memberId, isSequencer, view } = info
    const { seq, received, accepted, taken, stable, historyMessages, historyBytes } = info
    const { waitingSends, outstandingSends, queuedRequests } = info
    return {
      key: this.key,
      port: this.source.group,
      name: this.source.name,
      phase,
      memberId,
      isSequencer,
      view: view && viewOf(view, memberId),
      seq,
      received,
      accepted,
      taken,
      stable,
      historyMessages,
      historyBytes,
      waitingSends,
      outstandingSends,
      queuedRequests,
      parameters: this.parameters,
      lags: this.lags(info, now),
      series: this.samples.series,
      reset: this.resets.snapshot(now, phase === 'failed'),
      timeLine: this.timeLine.entries,
    }
  }

  private lags({ isSequencer, lags, memberId, seq, taken }: MemberInfo, now: WallMs): LagSnapshot {
    if (isSequencer) return { messages: byId(lags), at: now }
    const own = { [memberId]: Math.max(0, seq - taken) }
    const { told } = this
    if (told === undefined || now - told.at > LAGS_HOLD_MS) return { messages: own, at: undefined }
    return { messages: { ...byId(told.lags), ...own }, at: told.at }
  }

  private totals(): Totals {
    const { counters } = this.source
    return {
      messages: counters.deliveries.message,
      sequencerBusySeconds: this.source.sequencerBusySeconds(),
    }
  }
}

function byId(lags: MemberInfo['lags']): Record<string, number> {
  return Object.fromEntries(lags.slice(0, MEMBERS_MAX).map(({ id, messages }) => [String(id), messages]))
}

/** The sequencer and this member are listed, however many there are. */
function viewOf(view: NonNullable<MemberInfo['view']>, self: number): ViewSnapshot {
  const { incarnation, coordinator, seq, sequencer } = view
  const first = view.members.filter(({ id }) => id === sequencer || id === self)
  const rest = view.members.filter(({ id }) => id !== sequencer && id !== self)
  const listed = [...first, ...rest].slice(0, MEMBERS_MAX).sort((a, b) => a.id - b.id)
  return {
    groupId: hex64(view.groupId),
    incarnation,
    coordinator,
    seq,
    sequencer,
    members: listed.map(({ id, name, address, role, right }) => ({
      id,
      name,
      address,
      role: roleNames[role],
      right: rightNames[right],
    })),
    hidden: view.members.length - listed.length,
  }
}
