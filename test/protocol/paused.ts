/** A process that stands still and wakes, and who is accused of what meanwhile. */
import type { Input } from '../../kernel/machine.ts'
import type { GroupOf, Seat } from './group-of.ts'

/** Nothing reaches it meanwhile, its own clock neither; when it wakes everything comes at once, the clock first. */
export function pause(group: GroupOf, seat: Seat, ms: number): void {
  const held: Input[] = []
  seat.input = (input) => void held.push(input)
  group.advance(ms)
  Reflect.deleteProperty(seat, 'input')
  const isTick = ({ kind }: Input): boolean => kind === 'tick'
  for (const input of [...held.filter(isTick), ...held.filter((one) => !isTick(one))]) seat.input(input)
}

/** All members send now and then, until the function that this gives is called. */
export function keepSending(group: GroupOf, everyMs: number): () => void {
  let isOver = false
  for (const seat of group.seats) {
    seat.onAnswered = ({ seq }) => {
      if (seq === undefined || isOver) return
      group.queue.after(everyMs * 1000, () => {
        if (!seat.isOver && !isOver) seat.send(10)
      })
    }
    seat.send(10)
  }
  return () => {
    isOver = true
  }
}

/** Whom these have taken for dead. */
export function suspects(seats: readonly Seat[]): number[] {
  return seats.flatMap(({ events }) => events.flatMap((one) => (one.event === 'suspect' ? [one.member] : [])))
}
