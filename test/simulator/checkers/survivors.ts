/**
 * What those that are left must have, looked at from the end.
 * I5: what a send returned for at degree r is in the order of the survivors, if no more than r were lost at once.
 * I8: all that live are in one view, and whoever was expelled is not in it; a member that was stopped, and was
 * put out meanwhile, delivers nothing after its wake, and nothing is sent there, that the others have not.
 */
import { detectionPresets } from '../../../group/member/options.ts'
import { resilienceFor } from '../../../kernel/parameters.ts'
import type { View } from '../../../kernel/view.ts'
import { describeEvent, describeView } from '../trace.ts'
import { type Checker, check } from './checker.ts'
import { lostBetween } from './forks.ts'
import { isLiving, type Ledger, type LifeRecord, type Pause, type SendRecord } from './ledger.ts'
import {
  forkOf,
  isOnLineTo,
  needsMajority,
  nextTo,
  type OrderedRecord,
  placeBefore,
  recordAt,
} from './order.ts'
import { strayed } from './progress.ts'

export class Survivors implements Checker {
  readonly invariant = 'I5'
  private readonly ledger: Ledger
  private readonly longStall: number

  constructor(ledger: Ledger, options: { detection?: keyof typeof detectionPresets }) {
    this.ledger = ledger
    const { tries, maxRtoMs, heartbeatIdleMs } = detectionPresets[options.detection ?? 'default']
    // half of the longest that suspicion can take, all its waits (pace.ts), from the deadline on that is missed: a machine
    // notices any stall as long (seed 72008836 stood still for less, with learnt times near their cap)
    this.longStall = 1000 * (((tries + 1) * maxRtoMs) / 2 + heartbeatIdleMs)
  }

  finished(): void {
    for (const life of this.ledger.lives) {
      if (life.at === undefined) continue
      const { order } = life.at
      if (!this.ledger.lives.some((one) => isLiving(one) && one.group === order.group)) continue
      if (isLiving(life)) {
        const problem = strayed(this.ledger, life)
        check(problem === undefined, 'I8', () => problem!)
      }
      if (life.isExpelled) this.checkExpelled(life)
      if (!needsMajority(order)) continue
      for (const send of life.sends) if (send.state === 'sent') this.checkSent(life, send)
      for (const pause of life.pauses) this.checkPause(life, pause)
    }
  }

  private checkExpelled(life: LifeRecord): void {
    const { tip, parameters } = this.ledger.orderOf(life)
    check(
      parameters.minMembers !== 'majority' || tip.view.members.every(({ nonce }) => nonce !== life.nonce),
      'I8',
      () =>
        `${life.name} was told that it is expelled, and is in the ${describeView(tip.view)} of the others`,
    )
  }

  private checkSent(life: LifeRecord, send: SendRecord): void {
    const { tip, parameters } = life.at!.order
    const { seq, answeredAt } = send
    const found = recordAt(tip, seq!)
    if (found !== undefined && send.places.includes(found)) return
    const fork = answeredAt && forkOf(life.at!, tip)
    if (fork === undefined) return
    // the last place that is common, and before the message
    const common = fork.last < seq! ? fork : placeBefore(fork, seq!)
    const before = common.view
    const reset = resetAfter(common, tip)
    const words = () =>
      `the send ${send.counter} of ${life.name} returned at ${seq}, and the survivors have ${found?.event === undefined ? 'nothing' : describeEvent(found.event)} there`
    check(reset !== undefined, 'I5', words)
    const degree = degreeOf(life, before, reset.parent!.view)
    const half = Math.floor((before.members.length - 1) / 2)
    check(
      degree === 0 || degree < half,
      'I12',
      () =>
        `${words()}, although the minimum is a majority and the resilience ${resilienceInWords(parameters)}`,
    )
    const lost = Math.max(lostBetween(before, reset.view), lostBetween(reset.parent!.view, reset.view))
    check(
      lost > degree,
      'I5',
      () => `${words()}, although only ${lost} were lost at once and the resilience is ${degree}`,
    )
    check(
      reset.event?.kind !== 'reset' || reset.event.lossPossible,
      'I5',
      () => `${words()}; the reset at ${reset.event!.seq} says that nothing is lost`,
    )
  }

  /** One that was stopped while the others, all but the dead, reset the group without it. */
  private checkPause(life: LifeRecord, { from, to, length, at }: Pause): void {
    if (to === undefined || at === undefined || this.ledger.wasPartitioned) return
    const { tip } = at.order
    const fork = forkOf(at, tip)
    const reset = fork && resetAfter(fork, tip)
    if (reset?.parent === undefined) return
    const before = reset.parent.view
    if (reset.moment < from || reset.moment > to) return
    if (!this.isOnlyOneOut(life, before, reset.view)) return
    if (resilienceFor(at.order.parameters, before.members.length) === 0 && length < this.longStall) return
    for (let one = life.at; one !== undefined && one.moment > to && one.by === life; one = one.parent) {
      const strange = one
      check(
        isOnLineTo(one, tip),
        'I8',
        () =>
          `${life.name} was stopped, is out, and delivers ${describeEvent(strange.event!)} after its wake, which the others do not have`,
      )
    }
    for (const { answeredMoment, state, counter, seq, places } of life.sends) {
      check(
        state !== 'sent' || answeredMoment <= to || places.some((place) => isOnLineTo(place, tip)),
        'I8',
        () =>
          `${life.name} was stopped, is out, and its send ${counter} returned at ${seq} after its wake; the others do not have it`,
      )
    }
  }

  private isOnlyOneOut(life: LifeRecord, before: View, after: View): boolean {
    const isIn = (view: View, { nonce }: LifeRecord) => view.members.some((member) => member.nonce === nonce)
    if (!isIn(before, life) || isIn(after, life)) return false
    const others = this.ledger.livesOf(before).filter((one) => one !== life && !isIn(after, one))
    return others.every(({ phase }) => phase === 'crashed')
  }
}

/** The first reset after `place` on the line to `tip`. */
function resetAfter(place: OrderedRecord, tip: OrderedRecord): OrderedRecord | undefined {
  let next = nextTo(place, tip)
  while (next !== undefined && next.event?.kind !== 'reset')
    next = next === tip ? undefined : nextTo(next, tip)
  return next
}

/** The least degree that a send may have returned at. */
function degreeOf(life: LifeRecord, ...views: View[]): number {
  return Math.min(...views.map((view) => resilienceFor(life.parameters!, view.members.length)))
}

function resilienceInWords({ resilience }: { resilience: number | 'majority' }): string {
  return `is ${resilience}`
}
