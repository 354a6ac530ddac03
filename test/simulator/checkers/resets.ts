/**
 * I6 for resets: a reset leads from the view before to fewer or the same members of it, under a higher
 * incarnation, in the name of its coordinator; it names those removed. The caller of ResetGroup is told the size
 * of a view that a reset has made.
 */
import type { Output } from '../../../kernel/port.ts'
import { findMember, type View } from '../../../kernel/view.ts'
import { describeView } from '../trace.ts'
import { type Checker, check } from './checker.ts'
import type { LifeRecord } from './ledger.ts'
import type { OrderedRecord } from './order.ts'
import { memberKey } from './views.ts'

export class Resets implements Checker {
  readonly invariant = 'I6'
  /** Answers of the step that runs. */
  private readonly answers: { life: LifeRecord; size: number }[] = []

  ordered({ event }: OrderedRecord, before: View): void {
    if (event?.kind !== 'reset') return
    const { view, removed, sender, seq } = event
    const kept = before.members.filter(({ id }) => findMember(view, id) !== undefined)
    const gone = before.members.filter(({ id }) => findMember(view, id) === undefined).map(({ id }) => id)
    const words = () => `the reset at ${seq} leads from ${describeView(before)} to ${describeView(view)}`
    check(
      view.seq === seq && view.groupId === before.groupId && sender === view.coordinator,
      'I6',
      () => `${words()}, in the name of m${sender}`,
    )
    check(kept.length > 0 && memberKey(view.members) === memberKey(kept), 'I6', words)
    check(findMember(view, view.sequencer) !== undefined, 'I6', () => `${words()}, without its sequencer`)
    check(view.incarnation > before.incarnation, 'I6', () => `${words()}, and the incarnation does not rise`)
    check(
      [...removed].sort((a, b) => a - b).join() === gone.join(),
      'I6',
      () => `${words()}, and says that ${removed.join(', ') || 'nobody'} was removed`,
    )
  }

  output(life: LifeRecord, output: Output): void {
    if (output.output === 'reset') this.answers.push({ life, size: output.size })
  }

  crashed(): void {
    this.answers.length = 0
  }

  stepped(): void {
    for (const { life, size } of this.answers) {
      let at = life.at
      while (at !== undefined && at.event?.kind !== 'reset') at = at.parent
      const found = at?.view.members.length
      check(
        found === size,
        'I6',
        () =>
          `the reset of ${life.name} returned ${size}, and its last reset made a view of ${found ?? 'nobody'}`,
      )
    }
    this.answers.length = 0
  }
}
