/**
 * The log: pino, to standard error. One line for each event that an operator cares for, nothing for each
 * message. Standard output belongs to the program. README.md of this folder lists the lines.
 */
import { type DestinationStream, destination, type LevelWithSilent, type Logger, pino } from 'pino'
import { ErrorCode } from '../errors.ts'
import { hex64, type Micros } from '../identity.ts'
import type { MemberEvent, OrderedEvent, Output } from '../port.ts'
import { keyText } from '../settings.ts'
import type { TraceEvent } from '../trace.ts'
import type { View } from '../view.ts'
import type { ResetPhase } from './diagnostics.ts'

type Reset = Extract<OrderedEvent, { kind: 'reset' }>
type JoinOrLeave = Extract<OrderedEvent, { kind: 'join' | 'leave' }>

/** What parts of the rim need of a logger. Each member has a child of its own, with the group's name in every line. */
export type Log = Pick<Logger, 'debug' | 'info' | 'warn' | 'error' | 'child'>

export const silentLog: Log = pino({ level: 'silent' })

const STANDARD_ERROR = 2

/** How creating or joining ends without a fault: the caller is told, and the log need not shout it as well. */
const refusals: ReadonlySet<ErrorCode> = new Set([
  ErrorCode.exists,
  ErrorCode.notFound,
  ErrorCode.full,
  ErrorCode.busy,
  ErrorCode.aborted,
  ErrorCode.notAuthorized,
  ErrorCode.incompatible,
])

/** Fields that must never be read in a log, wherever in a line somebody puts them: at the top or in an object. */
const secrets = ['key', 'keys', 'token', 'httpToken', 'secret', 'password', 'authorization', 'cookie']

/** Written at once, not behind the program's back: a line about a crash must be out before the crash. */
export function startLog(level: LevelWithSilent = 'warn', stream?: DestinationStream): Logger {
  const redact = secrets.flatMap((name) => [name, `*.${name}`, `*.*.${name}`])
  return pino(
    { name: 'amoebacast', level, redact },
    stream ?? destination({ fd: STANDARD_ERROR, sync: true }),
  )
}

/**
 * Says what an operator should know about an output of one member, whose log this is; most are none of his
 * business. That the group was rebuilt is told by `logReset`, with the time that it took.
 */
export function logOutput(log: Log, output: Output): void {
  if (output.output === 'deliveries') {
    for (const event of output.deliveries) {
      if (event.kind === 'join' || event.kind === 'leave') logViewChange(log, event)
    }
  } else if (output.output === 'joined') {
    log.info({ member: output.memberId, ...viewFields(output.view) }, 'is a member')
  } else if (output.output === 'left') {
    log.info('has left')
  } else if (output.output === 'reset') {
    log.info({ members: output.size }, 'the group was rebuilt')
  } else if (output.output === 'event') {
    logEvent(log, output.event)
  }
}

const phaseLines: Readonly<Record<ResetPhase, string>> = {
  inviting: 'reset: invites the others to vote',
  voted: 'reset: has voted',
  collecting: 'reset: has the votes, and fetches what it lacks',
  proposing: 'reset: proposes the new view',
  following: 'reset: takes over the new view',
  failed: 'reset: begins anew',
  stopped: 'reset: too few members answer, and the group stands still',
  done: 'reset: done',
}

/**
 * A turn of a reset, with the milliseconds since its first sign here. That the group is stopped is for everybody,
 * once; an automatic group tries again and again, which is for those who want details.
 */
export function logResetPhase(
  log: Log,
  phase: ResetPhase,
  micros: Micros,
  detail: TraceEvent['detail'],
  isStopTold: boolean,
): void {
  const fields = { ms: micros / 1000, ...detail }
  if (phase === 'stopped' && !isStopTold) log.warn(fields, phaseLines[phase])
  else if (isStopTold && phase !== 'done') log.debug(fields, phaseLines[phase])
  else log.info(fields, phaseLines[phase])
}

/** The machine's other turning points that operators may want to know of. */
export function logTrace(log: Log, { mark, detail }: TraceEvent): void {
  if (mark === 'stalled') {
    log.info(
      { ms: Number(detail.micros) / 1000 },
      'this process stood still, and asks whether it is still a member',
    )
  } else if (mark === 'doubt-resolved') {
    log.info({ ms: Number(detail.micros) / 1000 }, 'it goes on after it had stood still')
  } else if (mark === 'new-sequencer') {
    log.info(detail, 'another member numbers the messages now')
  }
}

/** Packets of another version of the wire format; told once for each source. */
export function logIncompatible(log: Log, from: string, version: number, own: number): void {
  log.warn(
    { from, version, own },
    'packets of another version come from there, and are dropped; run the same version everywhere',
  )
}

/** The group was rebuilt, and `micros` is the time from the first sign of it here to its end. */
export function logReset(log: Log, group: string, event: Reset, micros: Micros): void {
  const { seq, sender, view, removed, lossPossible } = event
  const fields = { group, seq, by: sender, ...viewFields(view), removed, lossPossible, ms: micros / 1000 }
  log.warn(fields, 'a reset')
}

/**
 * What became of a member that was expelled and asks to be let in again: that it is back is said as loudly as the
 * expulsion, so that the end of it is seen as well; and so is a refusal, since no caller waits for it.
 */
export function logReturn(log: Log, group: string, output: Output): void {
  if (output.output === 'joined') {
    const { memberId, view } = output
    log.warn({ group, member: memberId, ...viewFields(view) }, 'has come back as a new member')
  } else if (output.output === 'event' && output.event.event === 'closed') {
    const { code, reason, openFailure } = output.event
    // it goes on trying, which is said once where it is known
    if (openFailure === 'missingKey') return
    if (code === ErrorCode.notAuthorized || code === ErrorCode.incompatible)
      log.error({ group, code, reason }, 'the group does not let it come back')
  }
}

function logViewChange(log: Log, event: JoinOrLeave): void {
  const fields = { seq: event.seq, by: event.sender, ...viewFields(event.view) }
  log.info(fields, event.kind === 'join' ? 'a member joined' : 'a member left')
}

function logEvent(log: Log, event: MemberEvent): void {
  switch (event.event) {
    case 'suspect':
      log.warn({ member: event.member, reason: event.reason }, 'a member does not answer')
      break
    case 'slow':
      log.warn({ member: event.member, lagMessages: event.lagMessages }, 'a member holds the group up')
      break
    case 'stopped':
      // the turn of the reset that has found too few is told of
      break
    case 'expelled':
      log.error({ reason: event.reason }, 'the others have gone on without this member')
      break
    case 'split': {
      const { event: _, groupId, ...other } = event
      const fields = groupId === undefined ? other : { ...other, groupId: hex64(groupId) }
      log.error(fields, 'there are two groups on this port')
      break
    }
    case 'settings': {
      const { settings, before } = event
      const { seq } = settings
      if (settings.keyId !== before.keyId) {
        const fields = { seq, keyId: keyText(settings.keyId), before: keyText(before.keyId) }
        log.info(fields, 'the group seals with another key')
      }
      if (settings.version !== before.version) {
        const fields = { seq, version: settings.version, before: before.version }
        log.info(fields, 'the group writes another version of the wire format')
      }
      break
    }
    case 'closed':
      if (event.code === undefined) log.info({ reason: event.reason }, 'closed')
      else if (event.openFailure !== undefined || refusals.has(event.code))
        log.info({ code: event.code, reason: event.reason }, 'not opened')
      else log.error({ code: event.code, reason: event.reason }, 'closed by a failure')
      break
  }
}

function viewFields(view: View): Record<string, unknown> {
  const { groupId, incarnation, sequencer, members } = view
  return { groupId: hex64(groupId), incarnation, sequencer, members: members.length }
}
