/**
 * A reset that finds too few: who is told what, with which numbers, and how it ends. (That somebody does not answer is another
 * matter, and accuses somebody: the event `suspect`.)
 */
import { describe, expect, test } from 'vitest'
import { ErrorCode } from '../../kernel/errors.ts'
import { GroupOf, type Seat } from './group-of.ts'

const stopped = ({ events }: Seat) => events.filter((one) => one.event === 'stopped')
const suspects = ({ events }: Seat) => events.flatMap((one) => (one.event === 'suspect' ? [one.member] : []))

describe("recovery: 'manual'", () => {
  test('too few answer: told at each that took part, with numbers; nobody is accused by it', () => {
    const group = GroupOf.open(5, { parameters: { recovery: 'manual' } })
    const [, , third, fourth, fifth] = group.seats
    for (const seat of [third!, fourth!, fifth!]) seat.crash()
    const [first, second] = group.living
    const reset = second!.reset()
    group.until(() => reset.failed !== undefined, 'the reset has failed')
    group.advance(10_000)
    const event = { present: 2, needed: 3, reason: '2 members answer, and it takes 3: call resetGroup' }
    for (const seat of [first!, second!]) expect(stopped(seat)).toMatchObject([event])
    // whoever has been suspected is one of those that are dead
    for (const seat of [first!, second!]) for (const id of suspects(seat)) expect(id).toBeGreaterThan(2)
    expect(reset.message).toMatch(/^2 members answer, and it takes 3; the group stays stopped/)
  })

  test('a caller hears who has asked for more than answer', () => {
    const group = GroupOf.open(5, { parameters: { recovery: 'manual' } })
    const [, second, third, , fifth] = group.seats
    fifth!.crash()
    const [few, many] = [second!.reset(4), third!.reset(5)]
    const calls = [few, many]
    group.until(() => calls.every(({ failed, size }) => (failed ?? size) !== undefined), 'both have ended')
    expect(few.message).toMatch(/^4 members answer, and member 3 has asked for 5;/)
    expect(many.message).toMatch(/^4 members answer, and this member has asked for 5;/)
    for (const seat of group.living)
      expect(stopped(seat)).toMatchObject(stopped(seat).map(() => ({ present: 4, needed: 5 })))
  })

  test('more than the view has: refused, and nothing is changed', () => {
    const group = GroupOf.open(3, { parameters: { recovery: 'manual' } })
    const [first, second] = group.seats
    const reset = second!.reset(4)
    expect(reset.failed).toBe(ErrorCode.resetFailed)
    expect(reset.message).toMatch(/^this call asks for 4 members, and the view has 3; nothing/)
    const sent = first!.send(10)
    group.until(() => sent.seq !== undefined, 'the group goes on')
    expect(group.seats.flatMap(stopped)).toEqual([])
  })
})

describe("recovery: 'auto'", () => {
  test('below its floor: told once, and over when it goes on', () => {
    const group = GroupOf.open(2)
    const [first, second] = group.seats
    let isCut = true
    group.isLost = () => isCut
    const sent = first!.send(10)
    group.advance(30_000)
    const event = { present: 1, needed: 2, reason: '1 member answers, and it takes 2: it goes on trying' }
    for (const seat of [first!, second!]) expect(stopped(seat)).toMatchObject([event])
    isCut = false
    const isReset = ({ delivered }: Seat) => delivered.some(({ kind }) => kind === 'reset')
    group.until(() => group.seats.every(isReset) && sent.seq !== undefined, 'the group goes on')
    isCut = true
    group.advance(30_000)
    for (const seat of [first!, second!]) expect(stopped(seat)).toHaveLength(2)
  })

  test('who wants to leave need not wait for the next attempt', () => {
    const group = GroupOf.open(2)
    const [first, second] = group.seats
    second!.crash()
    // some attempts on, the next is seconds away
    group.advance(20_000)
    first!.leave()
    expect(group.until(() => first!.isOver, 'it has left')).toBeLessThan(10)
  })

  test('a call is told that the group goes on trying', () => {
    const group = GroupOf.open(2)
    const [first, second] = group.seats
    second!.crash()
    const reset = first!.reset()
    group.until(() => reset.failed !== undefined, 'the reset has failed')
    expect(reset.message).toContain('1 member answers, and it takes 2; the group goes on trying')
  })
})

describe('who comes to a group that stands still', () => {
  test.each(['create', 'join'] as const)('%s is told so', (how) => {
    const group = GroupOf.open(3)
    const [first, second] = group.seats
    first!.crash()
    second!.crash()
    group.until(() => stopped(group.living[0]!).length > 0, 'the group has stopped')
    const newcomer = group.begin({}, how)
    group.until(() => newcomer.openFailed !== undefined, 'it is told')
    expect(newcomer.openFailed).toContain(how === 'create' ? ErrorCode.exists : ErrorCode.memberFailed)
    expect(newcomer.openFailed).toContain('stands still')
  })
})
