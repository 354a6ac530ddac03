/** How what a group says about itself is shown to people. */
import type { GroupReport } from '../group/index.ts'
import { settingsLines } from './group-settings.ts'
import { bytesText, drawMembers, historyLine, memberRows } from './group-table.ts'
import { bodyText } from './output.ts'

export function infoLines(report: GroupReport): string[] {
  const { port, view, seq, accepted, stable, parameters } = report
  const { resilience, minMembers, recovery, maxMembers, maxMessageSize, slowMember } = parameters
  const { members, incarnation, coordinator, sequencer } = view
  const slow = slowMember === 'block' ? 'wait for it' : `expel it after ${slowMember.expelAfterMs} ms`
  return [
    `group ${bodyText(port)}, id ${view.groupId}`,
    `view of ${members.length} members since seq ${view.seq}: incarnation ${incarnation} by member ${coordinator}, sequencer ${sequencer}`,
    `seq ${seq}, accepted ${accepted}, stable ${stable}`,
    historyLine(report),
    '',
    ...drawMembers(memberRows(report, 'id')),
    '',
    `resilience ${resilience}, minimum ${minMembers}, at most ${maxMembers} members, recovery ${recovery}`,
    `messages up to ${bytesText(maxMessageSize)}, slow member: ${slow}`,
    ...settingsLines(report),
  ]
}
