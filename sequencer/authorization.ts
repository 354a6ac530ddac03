/**
 * Joiners about whom the sequencer's program decides (the `authorize` function of its group options): who is waited for,
 * and what was decided. A program that never says yes has said no, so nothing here needs a timer: a joiner asks again
 * and again, and finds the time over.
 *
 * BOUNDED: so many are decided about at once, and so many decisions are remembered, for so long.
 */
import type { Address, Micros, Nonce } from '../kernel/identity.ts'
import type { JoinRequest } from '../kernel/meeting-packets.ts'

/** Undecided at once; who comes beyond is told that the sequencer is busy. */
export const DECIDING_MAX = 64
/** How long a program may take; after that it has refused. */
export const DECISION_LIMIT: Micros = 5_000_000
/** A decision holds for so long, because its word, or the joiner's next question, may get lost. */
const DECISION_KEPT: Micros = 10_000_000
const DECISIONS_MAX = 256

/** A joiner, as it has asked for the first time. */
export interface Applicant {
  /** Where its packets come from; the same as `address` but for address translation and hosts with several addresses. */
  readonly from: Address
  /** Where it says that it receives. It has repeated a challenge that was sent there, and everything it is told goes there. */
  readonly address: Address
  readonly nonce: Nonce
  /** The first that came: what was decided is about this one, whatever is repeated later. */
  readonly request: JoinRequest
  /** Ids of group keys that it holds, as far as known: the group may have changed its own while it waits. */
  keys: readonly number[]
}

export type Verdict = 'deciding' | 'admitted' | 'refused'

interface Case {
  readonly applicant: Applicant
  verdict: Verdict
  /** Since when it is what it is. */
  since: Micros
  heardAt: Micros
}

export class Authorization {
  private readonly cases = new Map<Nonce, Case>()
  private readonly ask: (applicant: Applicant) => void

  /** `ask` puts the question to the program; `decide` is the answer. */
  constructor(ask: (applicant: Applicant) => void) {
    this.ask = ask
  }

  has(nonce: Nonce): boolean {
    return this.cases.has(nonce)
  }

  /** When the joiner was heard last, and what it asked for; undefined if it is not known here. */
  find(nonce: Nonce): { readonly applicant: Applicant; readonly heardAt: Micros } | undefined {
    return this.cases.get(nonce)
  }

  /** A joiner has shown that it holds its right, and asks, for the first time or once more. */
  onAsked(applicant: Applicant, now: Micros): Verdict | 'busy' {
    this.forget(now)
    const { nonce, address } = applicant
    const known = this.cases.get(nonce)
    if (known !== undefined) {
      // somebody else under this nonce has no part in the decision
      if (known.applicant.address !== address) return 'busy'
      known.heardAt = now
      known.applicant.keys = applicant.keys
      return known.verdict
    }
    const deciding = [...this.cases.values()].filter(({ verdict }) => verdict === 'deciding').length
    if (deciding >= DECIDING_MAX || this.cases.size >= DECISIONS_MAX) return 'busy'
    this.cases.set(nonce, { applicant, verdict: 'deciding', since: now, heardAt: now })
    this.ask(applicant)
    return 'deciding'
  }

  /** The program's answer; undefined if nobody waits for it any more. */
  decide(nonce: Nonce, isAllowed: boolean, now: Micros): Applicant | undefined {
    this.forget(now)
    const one = this.cases.get(nonce)
    if (one?.verdict !== 'deciding') return undefined
    one.verdict = isAllowed ? 'admitted' : 'refused'
    one.since = now
    return one.applicant
  }

  /** The joiner lives no more: whatever the program says, nobody is let in. False if it is not known here. */
  drop(from: Address, nonce: Nonce): boolean {
    return this.cases.get(nonce)?.applicant.from === from && this.cases.delete(nonce)
  }

  private forget(now: Micros): void {
    for (const [nonce, one] of this.cases) {
      if (one.verdict === 'deciding' && now - one.since >= DECISION_LIMIT) {
        one.verdict = 'refused'
        one.since += DECISION_LIMIT
      }
      if (one.verdict !== 'deciding' && now - one.since >= DECISION_KEPT) this.cases.delete(nonce)
    }
  }
}
