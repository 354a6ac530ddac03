/** The check of a run: a fast wrong run is a failed run. */
import { BenchError } from './child.ts'
import type { RunReport, Subject } from './messages.ts'

/** What a system promises of one run: the same order everywhere, each sender's order and all of it, or nothing. */
export type Guarantee = 'order' | 'sender order' | 'nothing'

export function guaranteeOf(subject: Subject): Guarantee {
  if (subject === 'floor' || subject === 'floor-delivered') return 'nothing'
  return subject === 'nats-core' ? 'sender order' : 'order'
}

/**
 * Throws a BenchError if members received different things, or not all that was sent. Who was expelled in the run
 * has missed something, and was told so: of it only what it did receive is looked at.
 */
export function checkRun(reports: readonly RunReport[], guarantee: Guarantee = 'order'): void {
  if (guarantee === 'nothing') return
  const sent = reports.reduce((sum, report) => sum + report.sent, 0)
  const hint = reports.some(({ resets = 0 }) => resets > 0)
    ? ' (in it members were taken for dead: is this machine too busy?)'
    : ''
  const first = reports.findIndex(({ expelled = 0 }) => expelled === 0)
  for (const [i, report] of reports.entries()) {
    if ((report.expelled ?? 0) > 0) continue
    if (report.total !== sent)
      throw new BenchError(
        `of ${sent} messages member ${i} received ${report.total}, by sender ${JSON.stringify(report.bySender)}; this run is wrong${hint}`,
      )
    if (report.outOfOrder > 0)
      throw new BenchError(`member ${i} received ${report.outOfOrder} messages out of their sender's order`)
    if (guarantee === 'sender order') continue
    const { digest, bySender } = reports[first]!
    if (report.digest !== digest || !isSame(report.bySender, bySender))
      throw new BenchError(
        `members ${first} and ${i} received the messages in different orders; this run is wrong${hint}`,
      )
  }
}

function isSame(a: RunReport['bySender'], b: RunReport['bySender']): boolean {
  return Object.keys(a).length === Object.keys(b).length && Object.keys(a).every((key) => a[key] === b[key])
}
