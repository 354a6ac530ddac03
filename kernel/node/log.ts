/**
 * The log: pino, to standard error. One line for each event that an operator cares for, nothing for each
 * message. Standard output belongs to the program.
 */
import { type DestinationStream, destination, type LevelWithSilent, type Logger, pino } from 'pino'
import { ErrorCode } from '../errors.ts'
import { hex64 } from '../identity.ts'
import type { MemberEvent, OrderedEvent, Output } from '../port.ts'
import type { View } from '../view.ts'

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

/** Says what an operator should know about an output; most are none of his business. */
export function logOutput(log: Log, group: string, output: Output): void {
  if (output.output === 'deliveries') {
    for (const event of output.deliveries) if (event.kind !== 'messages') logViewChange(log, group, event)
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

function logViewChange(log: Log, group: string, event: Exclude<OrderedEvent, { kind: 'messages' }>): void {
  const fields = { group, seq: event.seq, by: event.sender, ...viewFields(event.view) }
  if (event.kind === 'reset') {
    log.warn({ ...fields, removed: event.removed, lossPossible: event.lossPossible }, 'a reset')
  } else {
    log.info(fields, event.kind === 'join' ? 'a member joined' : 'a member left')
  }
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
