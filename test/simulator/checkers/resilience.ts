/**
 * I5, resilience, as far as it goes without crashes: when a send returns at degree r, at least r others hold
 * the message at its seq, so that no r crashes can lose it.
 */
import { resilienceFor } from '../../../kernel/parameters.ts'
import { type Checker, check } from './checker.ts'
import type { Ledger, LifeRecord, SendRecord } from './ledger.ts'

export class Resilience implements Checker {
  readonly invariant = 'I5'
  /** Answers of the step that runs. */
  private readonly answers: { life: LifeRecord; send: SendRecord }[] = []
  private readonly ledger: Ledger
  /** Brings `received` of every life up to date. */
  private readonly sample: () => void

  constructor(ledger: Ledger, sample: () => void) {
    this.ledger = ledger
    this.sample = sample
  }

  answered(life: LifeRecord, send: SendRecord): void {
    if (send.state === 'sent') this.answers.push({ life, send })
  }

  stepped(): void {
    if (this.answers.length === 0) return
    this.sample()
    for (const { life, send } of this.answers) this.judge(life, send)
    this.answers.length = 0
  }

  private judge(life: LifeRecord, { seq, counter }: SendRecord): void {
    if (life.parameters === undefined) return
    const order = this.ledger.orderOf(life)
    const view = order.views.findLast((one) => one.seq < seq!) ?? order.view
    const needed = resilienceFor(life.parameters, view.members.length) + 1
    // by nonce: a joiner holds and acks before it is told that it has joined
    const holders = this.ledger.lives.filter(
      ({ received, nonce }) => received >= seq! && view.members.some((member) => member.nonce === nonce),
    )
    check(
      holders.length >= needed,
      'I5',
      () =>
        `the send ${counter} of ${life.name} returned at ${seq}, held by ${holders.map(({ name }) => name).join(', ') || 'nobody'} only; ${needed} members must hold it`,
    )
  }
}
