/** How what a group says about itself is shown to people. */
import type { GroupReport } from '../group/index.ts'

export function infoLines(report: Omit<GroupReport, 'parameters'>): string[] {
  const { port, view, seq, accepted, stable, historyMessages, historySize, historyBytes, lags } = report
  const lagOf = new Map(lags.map(({ id, messages }) => [id, messages]))
  const head = ['id', 'name', 'address', 'role', 'behind']
  const rows = view.members.map(({ id, name, address, role }) => {
    const duty = id === view.sequencer ? 'sequencer' : role === 'full' ? 'member' : role
    return [String(id), name, address, duty, String(lagOf.get(id) ?? 0)]
  })
  const widths = head.map((title, i) => Math.max(title.length, ...rows.map((row) => row[i]!.length)))
  const draw = (row: readonly string[]): string =>
    row
      .map((cell, i) => cell.padEnd(widths[i]!))
      .join('  ')
      .trimEnd()
  return [
    `group ${port} (${view.groupId}), incarnation ${view.incarnation} by member ${view.coordinator}, view since seq ${view.seq}`,
    `seq ${seq}, accepted ${accepted}, stable ${stable}`,
    `history ${historyMessages} of ${historySize} messages, ${historyBytes} bytes`,
    '',
    draw(head),
    ...rows.map(draw),
  ]
}
