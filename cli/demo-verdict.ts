/** Compares what the members of a demo delivered. The judge sees reports only; it takes no member's word for another. */
import type { DigestResult } from './digest.ts'
import type { Returned } from './trail.ts'

/** What one member says at the end. */
export interface MemberReport extends DigestResult {
  readonly memberId: number
  /** Sends of this member that returned with a seq. */
  readonly sent: number
  /** Sends that ended any other way. */
  readonly failed: number
  /** Own messages that came back in another order than they were sent in, or not at all in between. */
  readonly ownOutOfOrder: number
  /** By sender, the trail of its messages here, up to the count of returned sends; null if they are not all here. */
  readonly trails: Readonly<Record<number, string | null>>
}

export interface Verdict {
  readonly ok: boolean
  /** Member processes that took part. */
  readonly members: number
  /** Those that were there at the end: all but the one that was killed. */
  readonly survivors: number
  /** Messages in the common stretch of the order. */
  readonly messages: number
  /** The digest that all agree on, or null. */
  readonly digest: string | null
  /** From the kill of the sequencer to the reset's delivery at the last survivor, in milliseconds; null without one. */
  readonly resetMs: number | null
  /** What is wrong, for people; empty if nothing is. */
  readonly problems: readonly string[]
}

/** What the supervisor knows beside the reports. */
export interface Circumstances {
  /** Members that should have reported. */
  readonly survivors: number
  /** Members that were killed on purpose. */
  readonly killed?: number
  /** What was noticed while the demo ran (a process that ended, one that never answered): none of it is ok. */
  readonly problems?: readonly string[]
  readonly resetMs?: number | null
  /** By sender, also one that was killed: how far it was when it last said so. */
  readonly returned?: ReadonlyMap<number, Returned>
}

export function judge(
  reports: readonly MemberReport[],
  { survivors, killed = 0, problems = [], resetMs = null, returned = new Map() }: Circumstances,
): Verdict {
  const found = [...problems]
  if (reports.length !== survivors) found.push(`${reports.length} of ${survivors} members reported`)
  const first = reports[0]
  if (first === undefined || first.messages === 0) found.push('no message was ordered')
  for (const report of reports) {
    compareWithFirst(report, first!, found)
    checkOwnMessages(report, reports, found)
    for (const [sender, { count, digest }] of returned) {
      if (report.trails[sender] === digest) continue
      found.push(
        `member ${sender} had ${count} sends returned, and member ${report.memberId} does not have all of them at their places`,
      )
    }
  }
  const ok = found.length === 0
  return {
    ok,
    members: survivors + killed,
    survivors,
    messages: Math.max(0, ...reports.map(({ messages }) => messages)),
    digest:
      first !== undefined && reports.every(({ digest }) => digest === first.digest) ? first.digest : null,
    resetMs,
    problems: found,
  }
}

function compareWithFirst(report: MemberReport, first: MemberReport, found: string[]): void {
  if (report.messages !== first.messages) {
    found.push(
      `member ${report.memberId} delivered ${report.messages} messages, member ${first.memberId} delivered ${first.messages}`,
    )
  } else if (report.digest !== first.digest) {
    found.push(
      `member ${report.memberId} delivered other messages or another order than member ${first.memberId}`,
    )
  }
}

function checkOwnMessages(report: MemberReport, all: readonly MemberReport[], found: string[]): void {
  const { memberId, sent, failed, ownOutOfOrder } = report
  for (const other of all) {
    const delivered = other.bySender[memberId] ?? 0
    if (delivered !== sent) {
      found.push(
        `member ${memberId} had ${sent} sends returned, member ${other.memberId} delivered ${delivered} of them`,
      )
    }
  }
  if (failed > 0) found.push(`${failed} sends of member ${memberId} failed`)
  if (ownOutOfOrder > 0)
    found.push(`member ${memberId} received ${ownOutOfOrder} of its own messages out of order`)
}
