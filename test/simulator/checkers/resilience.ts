/**
 * I5, resilience, as far as it goes without crashes: when a send returns at degree r, at least r others hold
 * the message at its seq, so that no r crashes can lose it. A join or leave that is delivered is held by r + 1
 * of the view after (a leaver's copy goes with it), and by more than half of the view before and of that after; or
 * a reset has taken it over in the same step. A reset is held by its whole new view. What crashes make of it is
 * in survivors.ts.
 */
import { resilienceFor } from '../../../kernel/parameters.ts'
import { majorityOf, type View } from '../../../kernel/view.ts'
import { type Checker, check } from './checker.ts'
import { isLiving, type Ledger, type LifeRecord, type SendRecord } from './ledger.ts'
import { isOnLineTo, needsMajority, type OrderedRecord, placeBefore } from './order.ts'

export class Resilience implements Checker {
  readonly invariant = 'I5'
  /** Answers of the step that runs. */
  private readonly answers: { life: LifeRecord; send: SendRecord }[] = []
  /** Changes of view that somebody has delivered in the step that runs, as the first. */
  private readonly changes: { life: LifeRecord; before: View; after: View; isReset: boolean }[] = []
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
    if (event === undefined || event.kind === 'messages') return
    this.changes.push({ life: by, before, after: event.view, isReset: event.kind === 'reset' })
  }

  /** Half of a step cannot be judged: a reset may have been to come. */
  crashed(): void {
    this.answers.length = this.changes.length = 0
  }

  stepped(): void {
    if (this.answers.length === 0 && this.changes.length === 0) return
    this.sample()
    for (const { life, send } of this.answers) this.judge(life, send)
    this.changes.forEach(({ life, before, after, isReset }, i) => {
      // a reset takes over what is before it, other resets too
      if (this.changes.slice(i + 1).some((one) => one.isReset && one.life === life)) return
      if (isReset) this.judgeReset(life, after)
      else this.judgeChange(life, before, after)
    })
    this.answers.length = this.changes.length = 0
  }

  private judge(life: LifeRecord, { seq, counter }: SendRecord): void {
    if (life.parameters === undefined) return
    // what a reset has taken over is held by all of its view, as many as they are
    const { view } = this.resetBehind(life, seq!) ?? placeBefore(life.at!, seq!)
    const lives = this.ledger.livesOf(view)
    const holders = lives.filter(({ heldMost }) => heldMost >= seq!)
    // where fewer are left, all that are left must hold it
    const left = lives.filter((one) => one.heldMost >= seq! || !isOver(one)).length
    const needed = Math.min(resilienceFor(life.parameters, view.members.length) + 1, left)
    check(
      holders.length >= needed,
      'I5',
      () =>
        `the send ${counter} of ${life.name} returned at ${seq}, held by ${holders.map(({ name }) => name).join(', ') || 'nobody'} only; ${needed} members must hold it`,
    )
  }

  /**
   * A leaver never gets to a reset behind its own leave: it is told that its sends have returned when it hears, as a
   * witness, that the reset is official; somebody has delivered that by then.
   */
  private resetBehind({ at, phase, isExpelled }: LifeRecord, seq: number): OrderedRecord | undefined {
    const { tip } = at!.order
    const isLeaver = phase !== 'member' && !isExpelled && isOnLineTo(at!, tip)
    return resetAfter(at!, seq) ?? (isLeaver ? resetAfter(tip, seq) : undefined)
  }

  /** A reset is accepted when all that are in the new view have acked it. */
  private judgeReset({ name, at }: LifeRecord, after: View): void {
    // below a majority one that has acked it may have gone over to another side since
    if (!needsMajority(at!.order)) return
    const without = this.ledger.livesOf(after).filter(({ heldMost }) => heldMost < after.seq)
    check(
      without.length === 0,
      'I5',
      () =>
        `${name} delivers the reset at ${after.seq}, and ${without.map((one) => one.name).join(', ')} of the new view never held it`,
    )
  }

  /** Of those whose life is over nothing can be expected; they cannot be part of another majority either. */
  private judgeChange({ name, parameters }: LifeRecord, before: View, after: View): void {
    if (parameters === undefined) return
    const bound = (view: View) =>
      this.ledger.livesOf(view).filter((life) => life.heldMost >= after.seq || isOver(life)).length
    const lives = this.ledger.livesOf(after)
    // one that has acked it and crashed since has held it; of the others that are over nothing can be expected
    const holders = lives.filter(({ heldMost }) => heldMost >= after.seq).length
    const left = lives.filter((life) => life.heldMost >= after.seq || !isOver(life)).length
    const needed = Math.min(resilienceFor(parameters, after.members.length) + 1, left)
    check(
      holders >= needed && bound(before) >= majorityOf(before) && bound(after) >= majorityOf(after),
      'I5',
      () =>
        `${name} delivers the change of view at ${after.seq}, held by ${bound(before)} of the ${before.members.length} before and ${bound(after)} of the ${after.members.length} after, ${holders} of them themselves; ${majorityOf(before)}, ${majorityOf(after)} and ${needed} must hold it`,
    )
  }
}

/** The last reset behind `seq` on the line to `at`. */
function resetAfter(at: OrderedRecord, seq: number): OrderedRecord | undefined {
  for (let one: OrderedRecord | undefined = at; one !== undefined && one.last > seq; one = one.parent)
    if (one.event?.kind === 'reset') return one
  return undefined
}

/** A joiner holds and acks before it is told that it has joined. */
function isOver(life: LifeRecord): boolean {
  return !isLiving(life) && life.phase !== 'opening'
}
