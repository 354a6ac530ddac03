/** Two groups on one port whose creators could not hear each other. */
import { completeParameters } from '../../kernel/parameters.ts'
import type { MemberEvent } from '../../kernel/port.ts'
import { GroupOf, type GroupOfOptions, Seat } from './group-of.ts'

export type Split = Extract<MemberEvent, { event: 'split' }>

export function splitsAt({ events }: Seat): Split[] {
  return events.filter((event) => event.event === 'split')
}

export interface TwoGroups {
  readonly group: GroupOf
  readonly seats: readonly [Seat, Seat, Seat, Seat]
  readonly heal: () => void
}

/** Two groups of two, m0 with m1 and m2 with m3, which do not hear each other until `heal`. */
export function twoGroups(
  options: GroupOfOptions & { peersOf?: (number: number) => string[] } = {},
): TwoGroups {
  const { peersOf = () => [], ...rest } = options
  const group = new GroupOf(rest)
  let isCut = true
  const sideOf = (seat: Seat): boolean => group.seats.indexOf(seat) < 2
  group.isLost = ({ from, to }) => isCut && sideOf(from) !== sideOf(to)
  for (let number = 0; number < 4; number++) {
    const seat = new Seat(group, number, { peers: peersOf(number) })
    group.seats.push(seat)
    seat.open(number % 2 === 0 ? 'create' : 'join', completeParameters())
    group.until(() => seat.memberId !== 0 || seat.openFailed !== undefined, `${seat.name} is in`)
    if (seat.openFailed !== undefined) throw new Error(`${seat.name}: ${seat.openFailed}`)
  }
  const [a, b, c, d] = group.seats as [Seat, Seat, Seat, Seat]
  const ids = [a, b, c, d].map(({ view }) => view.groupId)
  if (ids[0] !== ids[1] || ids[2] !== ids[3] || ids[0] === ids[2]) throw new Error('they are not two groups')
  return {
    group,
    seats: [a, b, c, d],
    heal: () => {
      isCut = false
    },
  }
}
