/**
 * The log: pino, to standard error. One line for each event that an operator cares for, nothing for each
 * message. Standard output belongs to the program.
 */
import { type DestinationStream, destination, type LevelWithSilent, type Logger, pino } from 'pino'
import { ErrorCode } from '../errors.ts'
import { hex64, type Micros } from '../identity.ts'
import type { MemberEvent, OrderedEvent, Output } from '../port.ts'
import type { View } from '../view.ts'

type Reset = Extract<OrderedEvent, { kind: 'reset' }>
type JoinOrLeave = Extract<OrderedEvent, { kind: 'join' | 'leave' }>

/** What parts of the rim need of a logger. */
export type Log = Pick<Logger, 'debug' | 'info' | 'warn' | 'error'>

export const silentLog: Log = pino({ level: 'silent' })

const STANDARD_ERROR = 2

/** How creating or joining ends without a fault: the caller is told, and the log need not shout it as well. */
const refusals: ReadonlySet<ErrorCode> = new Set([
  ErrorCode.exists,
  ErrorCode.notFound,
  ErrorCode.full,
  ErrorCode.aborted,
])

/** Written at once, not behind the program's back: a line about a crash must be out before the crash. */
export function startLog(level: LevelWithSilent = 'warn', stream?: DestinationStream): Logger {
  return pino({ name: 'amoebacast', level }, stream ?? destination({ fd: STANDARD_ERROR, sync: true }))
}

/**
 * Says what an operator should know about an output; most are none of his business. Resets are told by `logReset`,
 * where it is known how long they took.
 */
export function logOutput(log: Log, group: string, output: Output): void {
  if (output.output === 'deliveries') {
    for (const event of output.deliveries) {
      if (event.kind === 'join' || event.kind === 'leave') logViewChange(log, group, event)
    }
  } else if (output.output === 'joined') {
    log.info({ group, member: output.memberId, ...viewFields(output.view) }, 'is a member')
  } else if (output.output === 'left') {
    log.info({ group }, 'has left')
  } else if (output.output === 'reset') {
    log.info({ group, members: output.size }, 'the group was rebuilt')
  } else if (output.output === 'event') {
    logEvent(log, group, output.event)
  }
}

/** The group was rebuilt, and `micros` is the time from the first sign of it here to its end. */
export function logReset(log: Log, group: string, event: Reset, micros: Micros): void {
  const { seq, sender, view, removed, lossPossible } = event
  const fields = { group, seq, by: sender, ...viewFields(view), removed, lossPossible, ms: micros / 1000 }
  log.warn(fields, 'a reset')
}

/** A member that was expelled is back; said as loudly as the expulsion, so that the end of it is seen as well. */
export function logRejoined(log: Log, { port, memberId, view }: Extract<Output, { output: 'joined' }>): void {
  log.warn({ group: port, member: memberId, ...viewFields(view) }, 'has come back as a new member')
}

function logViewChange(log: Log, group: string, event: JoinOrLeave): void {
  const fields = { group, seq: event.seq, by: event.sender, ...viewFields(event.view) }
  log.info(fields, event.kind === 'join' ? 'a member joined' : 'a member left')
}

function logEvent(log: Log, group: string, event: MemberEvent): void {
  switch (event.event) {
    case 'suspect':
      log.warn({ group, member: event.member, reason: event.reason }, 'a member does not answer')
      break
    case 'slow':
      log.warn({ group, member: event.member, lagMessages: event.lagMessages }, 'a member holds the group up')
      break
    case 'expelled':
      log.error({ group, reason: event.reason }, 'the others have gone on without this member')
      break
    case 'split': {
      const { incarnation, coordinator } = event
      log.error({ group, incarnation, coordinator }, 'there are two groups on this port, after a partition')
      break
    }
    case 'closed':
      if (event.code === undefined) log.info({ group, reason: event.reason }, 'closed')
      else if (refusals.has(event.code))
        log.info({ group, code: event.code, reason: event.reason }, 'not opened')
      else log.error({ group, code: event.code, reason: event.reason }, 'closed by a failure')
      break
  }
}

function viewFields(view: View): Record<string, unknown> {
  const { groupId, incarnation, sequencer, members } = view
  return { groupId: hex64(groupId), incarnation, sequencer, members: members.length }
}
