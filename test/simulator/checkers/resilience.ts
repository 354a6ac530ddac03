/**
 * I5, resilience, as far as it goes without crashes: when a send returns at degree r, at least r others hold
 * the message at its seq, so that no r crashes can lose it. A join or leave that is delivered is held by r + 1
 * of the view after (a leaver's copy goes with it), and by more than half of the view before and of that after.
 */
import { resilienceFor } from '../../../kernel/parameters.ts'
import { majorityOf, type View } from '../../../kernel/view.ts'
import { type Checker, check } from './checker.ts'
import type { Ledger, LifeRecord, OrderedRecord, SendRecord } from './ledger.ts'

export class Resilience implements Checker {
  readonly invariant = 'I5'
  /** Answers of the step that runs. */
  private readonly answers: { life: LifeRecord; send: SendRecord }[] = []
  /** Changes of view that somebody has delivered in the step that runs, as the first. */
  private readonly changes: { life: LifeRecord; before: View; after: View }[] = []
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

  ordered({ event, by }: OrderedRecord, before: View): void {
    if (event.kind !== 'messages') this.changes.push({ life: by, before, after: event.view })
  }

  stepped(): void {
    if (this.answers.length === 0 && this.changes.length === 0) return
    this.sample()
    for (const { life, send } of this.answers) this.judge(life, send)
    for (const { life, before, after } of this.changes) this.judgeChange(life, before, after)
    this.answers.length = this.changes.length = 0
  }

  private judge(life: LifeRecord, { seq, counter }: SendRecord): void {
    if (life.parameters === undefined) return
    const order = this.ledger.orderOf(life)
    const view = order.views.findLast((one) => one.seq < seq!) ?? order.view
    const lives = this.livesOf(view)
    const holders = lives.filter(({ received }) => received >= seq!)
    // where fewer are left, all that are left must hold it
    const left = lives.filter((one) => one.received >= seq! || !isOver(one)).length
    const needed = Math.min(resilienceFor(life.parameters, view.members.length) + 1, left)
    check(
      holders.length >= needed,
      'I5',
      () =>
        `the send ${counter} of ${life.name} returned at ${seq}, held by ${holders.map(({ name }) => name).join(', ') || 'nobody'} only; ${needed} members must hold it`,
    )
  }
  /** Of those whose life is over nothing can be expected; they cannot be part of another majority either. */
  private judgeChange({ name, parameters }: LifeRecord, before: View, after: View): void {
    if (parameters === undefined) return
    const bound = (view: View) =>
      this.livesOf(view).filter((life) => life.received >= after.seq || isOver(life)).length
    const living = this.livesOf(after).filter((life) => !isOver(life))
    const holders = living.filter(({ received }) => received >= after.seq).length
    const needed = Math.min(resilienceFor(parameters, after.members.length) + 1, living.length)
    check(
      holders >= needed && bound(before) >= majorityOf(before) && bound(after) >= majorityOf(after),
      'I5',
      () =>
        `${name} delivers the change of view at ${after.seq}, held by ${bound(before)} of the ${before.members.length} before and ${bound(after)} of the ${after.members.length} after, ${holders} of them living; ${majorityOf(before)}, ${majorityOf(after)} and ${needed} must hold it`,
    )
  }

  /** By nonce: a joiner holds and acks before it is told that it has joined. */
  private livesOf(view: View): LifeRecord[] {
    return this.ledger.lives.filter(({ nonce }) => view.members.some((member) => member.nonce === nonce))
  }
}

function isOver({ phase }: LifeRecord): boolean {
  return phase === 'left' || phase === 'closed' || phase === 'failed'
}
