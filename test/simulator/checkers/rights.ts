/**
 * Rights: who may only receive has nothing in the order; only members with every right number, rebuild a group or create
 * one; each is in the view as what its process may be; and a membership ends for want of such members only where there
 * are none to be reached.
 */
import { ErrorCode } from '../../../kernel/errors.ts'
import { Right, rightNames } from '../../../kernel/identity.ts'
import type { Output } from '../../../kernel/port.ts'
import { findMember, type View } from '../../../kernel/view.ts'
import { describeView } from '../trace.ts'
import { type Checker, check } from './checker.ts'
import { isLiving, type Ledger, type LifeRecord } from './ledger.ts'
import type { OrderedRecord } from './order.ts'

export class Rights implements Checker {
  readonly invariant = 'rights'
  private readonly ledger: Ledger

  constructor(ledger: Ledger) {
    this.ledger = ledger
  }

  joined(life: LifeRecord, view: View): void {
    const right = findMember(view, life.memberId)?.right
    check(
      right === rightOf(life),
      'rights',
      () => `${life.name}, which may ${wordOf(life)}, has joined with the right ${right}`,
    )
    this.checkSequencer(view)
  }

  ordered({ event }: OrderedRecord, before: View): void {
    if (event === undefined) return
    if (event.kind !== 'messages') return this.checkSequencer(event.view)
    check(
      findMember(before, event.sender)?.right !== Right.receive,
      'rights',
      () => `a message of m${event.sender}, which may only receive, is ordered at ${event.seq}`,
    )
  }

  private checkSequencer(view: View): void {
    const right = findMember(view, view.sequencer)?.right
    check(
      right === undefined || right === Right.all,
      'rights',
      () => `m${view.sequencer} numbers in ${describeView(view)}, and may only ${rightNames[right!]}`,
    )
  }

  output(life: LifeRecord, output: Output): void {
    if (output.output === 'reset')
      check(rightOf(life) === Right.all, 'rights', () => `${life.name} may not reset, and has done it`)
    if (output.output === 'event' && output.event.event === 'closed')
      if (output.event.code === ErrorCode.resetFailed) this.checkOrphan(life)
  }

  private checkOrphan(life: LifeRecord): void {
    check(
      rightOf(life) !== Right.all,
      'rights',
      () => `${life.name} has every right, and gives its group up for want of such members`,
    )
    // where somebody was stopped or cut off, nobody can know better
    if (this.ledger.wasPartitioned || this.ledger.lives.some(({ pauses }) => pauses.length > 0)) return
    const view = life.view!
    const patron = this.ledger.livesOf(view).find((one) => isLiving(one) && rightOf(one) === Right.all)
    check(
      patron === undefined || patron.phase === 'leaving' || patron.phase === 'left',
      'rights',
      () => `${life.name} gives its group up, and ${patron?.name} lives and has every right`,
    )
  }
}

export function rightOf({ right }: Pick<LifeRecord, 'right'>): Right {
  return right ?? Right.all
}

function wordOf(life: LifeRecord): string {
  return rightNames[rightOf(life)]
}
