/**
 * The checkers of crashes and recovery can fail: a judge is fed by hand with what machines would say, right and
 * wrong. Members 1 to n have joined; events come at seq n on.
 */
import { describe, expect, it } from 'vitest'
import { ErrorCode } from '../../kernel/errors.ts'
import { Right } from '../../kernel/identity.ts'
import type { GroupParameters } from '../../kernel/parameters.ts'
import { Violation } from './checkers/checker.ts'
import { isProgressDemanded, missing } from './checkers/progress.ts'
import { Scene } from './scene.ts'

/** `NAME: sentence`, or nothing where all is right. */
function verdictOf(tell: () => void): string {
  try {
    tell()
    return ''
  } catch (error) {
    if (error instanceof Violation) return `${error.invariant}: ${error.message}`
    throw error
  }
}

function expectWrong(invariant: string, tell: () => void): void {
  expect(verdictOf(tell)).toMatch(new RegExp(`^${invariant}: `))
}

function scene(members: number, parameters: Partial<GroupParameters> = {}): Scene {
  return new Scene(members, parameters)
}

/** Member 1 delivers a message and dies; the others drop it in a reset that removes `removed`. */
function droppedTail(members: number, resilience: number, removed: number[], lossPossible = true): Scene {
  const it = scene(members, { resilience })
  const place = it.next
  it.hold(place)
  it.deliver(it.life(1), it.message(it.send(1), place))
  for (const id of removed) it.crash(id)
  const reset = it.reset(place, 2, removed, { coordinator: it.living[0]!, lossPossible })
  for (const id of it.living) it.deliver(it.life(id), reset)
  it.finish()
  return it
}

describe('I1, the tail of the lost', () => {
  it('may be missing at r = 0, or where more than r were lost at once', () => {
    expect(verdictOf(() => droppedTail(3, 0, [1]))).toBe('')
    expect(verdictOf(() => droppedTail(5, 0, [1]))).toBe('')
    expect(verdictOf(() => droppedTail(5, 1, [1, 5]))).toBe('')
  })
  it('may not be missing otherwise', () => {
    expectWrong('I1', () => droppedTail(5, 1, [1]))
    expectWrong('I1', () => droppedTail(8, 2, [1, 5]))
  })
  it('may be missing below a majority', () => {
    const it = scene(5, { resilience: 1, minMembers: 1 })
    it.deliver(it.life(1), it.message(it.send(1), 5))
    expect(verdictOf(() => it.deliver(it.life(2), it.reset(5, 2, [1], { coordinator: 2 })))).toBe('')
  })
  it('may not be that of one who lives and was not expelled', () => {
    const it = scene(5)
    it.deliver(it.life(1), it.message(it.send(1), 5))
    const reset = it.reset(5, 2, [1], { coordinator: 2 })
    for (const id of [2, 3, 4, 5]) it.deliver(it.life(id), reset)
    expectWrong('I1', () => it.finish())
  })
  it('is no excuse for two events of one incarnation at one place', () => {
    const it = scene(5)
    it.deliver(it.life(1), it.message(it.send(1), 5))
    it.crash(1)
    expectWrong('I1', () => it.deliver(it.life(2), it.message(it.send(2), 5)))
  })
})

describe('I12, a quorum', () => {
  it('lets nobody accept beside it at r of half the view', () => {
    expectWrong('I12', () => droppedTail(3, 1, [1]))
    expectWrong('I12', () => droppedTail(5, 2, [1, 2]))
  })
  it('lets only one side reset the group', () => {
    const twoSides = (minMembers: number | 'majority') => {
      const it = scene(5, { minMembers })
      it.deliver(it.life(1), it.reset(5, 2, [4, 5], { coordinator: 1 }))
      it.deliver(it.life(4), it.reset(5, 3, [1, 2], { coordinator: 4 }))
    }
    expectWrong('I12', () => twoSides('majority'))
    expectWrong('I12', () => twoSides(3))
    expect(verdictOf(() => twoSides(2))).toBe('')
  })
  it('finds the two sides behind other events too', () => {
    const it = scene(5)
    it.deliver(it.life(1), it.message(it.send(1), 5), it.reset(6, 2, [4, 5], { coordinator: 1 }))
    expectWrong('I12', () => it.deliver(it.life(4), it.reset(5, 3, [1, 2], { coordinator: 4 })))
  })
})

describe('I5, resilience through resets', () => {
  const returned = (members: number, resilience: number, removed: number[], lossPossible = true) => {
    const it = scene(members, { resilience })
    const place = it.next
    const send = it.send(1)
    it.hold(place)
    it.sent(1, send, place)
    for (const id of removed) it.crash(id)
    const reset = it.reset(place, 2, removed, { coordinator: it.living[0]!, lossPossible })
    for (const id of it.living) it.deliver(it.life(id), reset)
    it.finish()
  }
  it('keeps what has returned', () => {
    expectWrong('I5', () => returned(5, 1, [1]))
    expectWrong('I12', () => returned(5, 2, [1, 2]))
    expect(verdictOf(() => returned(5, 1, [1, 5]))).toBe('')
    expect(verdictOf(() => returned(5, 0, [1]))).toBe('')
  })
  it('says so where something may be lost', () => {
    expectWrong('I5', () => returned(5, 0, [1], false))
    expectWrong('I5', () => droppedTail(5, 0, [1], false))
  })
  it('lets a leaver hear of its sends as the witness of a reset', () => {
    const witnessed = (isOfficial: boolean) => {
      const it = scene(3, { resilience: 2 })
      const [one, two] = [it.life(1), it.life(2)]
      it.holdAt(3, 2)
      it.hold(5)
      const send = it.send(1)
      const message = it.message(send, 3)
      const before = two.view!
      const left = { ...before, seq: 4, sequencer: 2, members: before.members.slice(1) }
      const header = new Uint8Array(0)
      const leave = { kind: 'leave', seq: 4, sender: 1, header, view: left } as const
      const reset = { ...it.reset(5, 2, [1, 3], { coordinator: 2 }), removed: [3] }
      it.judge.call(one, { call: 'leave', token: 99, header })
      if (isOfficial) it.deliver(two, message, leave, reset)
      it.judge.output(one, { output: 'sent', token: send.token, count: 1, seq: 3 })
      it.deliver(one, message)
    }
    expect(verdictOf(() => witnessed(true))).toBe('')
    expectWrong('I5', () => witnessed(false))
  })
  it('has a reset held by its whole view', () => {
    const it = scene(3)
    it.crash(1)
    it.holdAt(3, it.next - 1)
    expectWrong('I5', () => it.deliver(it.life(2), it.reset(3, 2, [1], { coordinator: 2 })))
  })
})

describe('I7 and I8, one way from view to view', () => {
  it('finds two that come into one view by different ways', () => {
    const it = scene(5)
    it.deliver(it.life(2), it.message(it.send(2), 5), it.reset(6, 2, [1], { coordinator: 2 }))
    expectWrong('I7', () => it.deliver(it.life(3), it.reset(5, 2, [1], { coordinator: 2 })))
  })
  it('finds two views of one name at one place', () => {
    const it = scene(5)
    it.deliver(it.life(2), it.reset(5, 2, [1], { coordinator: 2 }))
    expectWrong('I8', () => it.deliver(it.life(3), it.reset(5, 2, [5], { coordinator: 2 })))
  })
  it('finds two views of one incarnation', () => {
    const it = scene(5)
    it.deliver(it.life(2), it.reset(5, 2, [1], { coordinator: 2 }))
    expectWrong('I8', () => it.deliver(it.life(2), it.reset(6, 2, [], { coordinator: 3 })))
  })
  it('tells the sides of a split apart where their names clash', () => {
    // each side takes in a member 3, which makes the next view of its side
    const twoSides = (second: { host: number; key: number }) => {
      const it = scene(2, { minMembers: 1 })
      for (const alone of [1, 2])
        it.deliver(it.life(alone), it.reset(2, 2, [3 - alone], { coordinator: alone }))
      it.join(1, 3)
      if (second.key !== 3) it.join(second.host, 3, second.key)
      it.deliver(it.life(3), it.reset(4, 3, [], { coordinator: 3 }))
      it.deliver(it.life(second.host), it.message(it.send(second.host), 4))
      it.deliver(it.life(second.host), it.reset(5, 3, [], { coordinator: second.key }))
    }
    expect(verdictOf(() => twoSides({ host: 2, key: 30 }))).toBe('')
    expectWrong('I7', () => twoSides({ host: 1, key: 3 }))
  })
  it('has everybody told who is out', () => {
    const it = scene(3)
    const reset = it.reset(3, 2, [1], { coordinator: 2 })
    for (const id of [2, 3]) it.deliver(it.life(id), reset)
    expect(missing(it.judge.ledger)).toMatch(/^n1 is out of the view at 3, and has not been told/)
    expectWrong('I8', () => it.finish())
    it.expel(1)
    expect(missing(it.judge.ledger)).toBeUndefined()
    expect(verdictOf(() => it.finish())).toBe('')
  })
  it('expels nobody who is in', () => {
    const it = scene(3)
    it.expel(3)
    expectWrong('I8', () => it.finish())
  })
})

describe('a member that was stopped', () => {
  const woken = (after: (it: Scene) => void, resilience: number, seconds = 0) => {
    const it = scene(5, { resilience })
    it.judge.paused(it.life(1))
    const reset = it.reset(5, 2, [1], { coordinator: 2 })
    for (const id of [2, 3, 4, 5]) it.deliver(it.life(id), reset)
    it.now += seconds * 1e6
    it.judge.woke(it.life(1))
    after(it)
    it.expel(1)
    it.finish()
  }
  it('delivers nothing that the others have not', () => {
    const delivers = (it: Scene) => it.deliver(it.life(1), it.message(it.send(1), 5))
    expectWrong('I8', () => woken(delivers, 0, 10))
    // at r = 0 a short stop goes unnoticed, and is not to blame
    expect(verdictOf(() => woken(delivers, 0, 0.001))).toBe('')
    expect(verdictOf(() => woken(() => {}, 1, 10))).toBe('')
  })
  it('is told of nothing sent that the others have not', () => {
    expectWrong('I8', () => woken((it) => it.sent(1, it.send(1), 6), 0, 10))
  })
})

describe('I6, resets in the order', () => {
  const first = (options: { removed?: number[]; sender?: number; incarnation?: number; seq?: number }) => {
    const it = scene(3)
    it.crash(1)
    it.hold(3)
    const right = it.reset(3, options.incarnation ?? 2, [1], { coordinator: 2 })
    const event = { ...right, ...options, removed: options.removed ?? right.removed }
    it.deliver(it.life(2), event)
  }
  it('lead from the view before to the one after', () => {
    expect(verdictOf(() => first({}))).toBe('')
    expectWrong('I6', () => first({ removed: [] }))
    expectWrong('I6', () => first({ removed: [1, 3] }))
    expectWrong('I6', () => first({ sender: 3 }))
    expectWrong('I6', () => first({ incarnation: 0 }))
  })
  it('are delivered by nobody whom they put out', () => {
    const it = scene(3)
    const reset = it.reset(3, 2, [1], { coordinator: 2 })
    expectWrong('I6', () => it.deliver(it.life(1), reset))
  })
  it('take in nobody', () => {
    const it = scene(3)
    const stranger = it.begin(9)
    const right = it.reset(3, 2, [1], { coordinator: 2 })
    const view = { ...right.view, members: [...right.view.members, it.member(stranger, 9)] }
    it.hold(3)
    expectWrong('I6', () => it.deliver(it.life(2), { ...right, view }))
  })
  it('return the size of a view that a reset has made', () => {
    const it = scene(3)
    const call = { call: 'reset', token: -10, minMembers: 1, header: new Uint8Array(0) } as const
    it.judge.call(it.life(2), call)
    expect(missing(it.judge.ledger)).toBe('n2 has no answer to its reset')
    it.crash(1)
    it.deliver(it.life(2), it.reset(3, 2, [1], { coordinator: 2 }))
    it.judge.output(it.life(2), { output: 'reset', token: -10, size: 3 })
    expectWrong('I6', () => it.judge.stepped(it.life(2)))
    expectWrong('I9', () => it.judge.output(it.life(2), { output: 'reset', token: -10, size: 2 }))
  })
})

describe('I11, no doubt', () => {
  it('orders nothing that was refused, on no branch', () => {
    const it = scene(3)
    const send = it.send(2)
    it.deliver(it.life(3), it.message(send, 3))
    expectWrong('I11', () => it.failed(2, send, ErrorCode.expelled, 'refused'))
  })
  it('orders nothing after a manual reset that had failed before it', () => {
    const manual = (orderedAfter: boolean) => {
      const it = scene(3, { recovery: 'manual' })
      const send = it.send(2)
      it.failed(2, send, ErrorCode.memberFailed, 'unknown')
      it.crash(1)
      if (!orderedAfter) it.deliver(it.life(2), it.message(send, 3))
      const at = orderedAfter ? 3 : 4
      it.deliver(it.life(2), it.reset(at, 2, [1], { coordinator: 2 }))
      if (orderedAfter) it.deliver(it.life(2), it.message(send, 4))
    }
    expectWrong('I11', () => manual(true))
    expect(verdictOf(() => manual(false))).toBe('')
  })
  it('fails no send for the group where recovery is automatic', () => {
    const it = scene(3)
    expectWrong('I11', () => it.failed(2, it.send(2), ErrorCode.memberFailed, 'unknown'))
  })
  it('says that one is expelled to those only who are', () => {
    const it = scene(3)
    it.failed(2, it.send(2), ErrorCode.expelled, 'unknown')
    expectWrong('I11', () => it.finish())
  })
  it('orders once what a reset has taken over', () => {
    const it = scene(5)
    const send = it.send(2)
    it.deliver(it.life(2), it.message(send, 5), it.reset(6, 2, [1], { coordinator: 2 }))
    expectWrong('I2', () => it.deliver(it.life(2), it.message(send, 7)))
    // on another branch it is another matter
    const other = scene(5)
    const again = other.send(2)
    other.deliver(other.life(1), other.message(again, 5))
    other.crash(1)
    other.deliver(other.life(2), other.reset(5, 2, [1], { coordinator: 2 }))
    expect(verdictOf(() => other.deliver(other.life(2), other.message(again, 6)))).toBe('')
  })
})

describe('I9, progress', () => {
  const living = (members: number, crashed: number[], parameters: Partial<GroupParameters> = {}) => {
    const it = scene(members, parameters)
    for (const id of crashed) it.crash(id)
    return it
  }
  it('is demanded where the minimum of the newest view lives', () => {
    expect(isProgressDemanded(living(5, [1, 2]).judge.ledger)).toBe(true)
    expect(isProgressDemanded(living(5, [1, 2, 3]).judge.ledger)).toBe(false)
    expect(isProgressDemanded(living(5, [1, 2, 3], { minMembers: 2 }).judge.ledger)).toBe(true)
    expect(isProgressDemanded(living(2, [1], { minMembers: 1 }).judge.ledger)).toBe(true)
  })
  it('is not where only the lost know that the view is a smaller one', () => {
    const it = scene(4)
    it.crash(1)
    const reset = it.reset(4, 2, [1], { coordinator: 2 })
    it.deliver(it.life(2), reset)
    it.crash(2)
    expect(isProgressDemanded(it.judge.ledger)).toBe(false)
    it.deliver(it.life(3), reset)
    expect(isProgressDemanded(it.judge.ledger)).toBe(true)
  })
  it('is not where a lost coordinator or joiner may have changed the view', () => {
    const it = living(5, [])
    it.judge.marked(it.life(1), 'proposing')
    for (const id of [1, 2]) it.crash(id)
    expect(isProgressDemanded(it.judge.ledger)).toBe(false)
    const joining = living(3, [3])
    expect(isProgressDemanded(joining.judge.ledger)).toBe(true)
    joining.judge.crashed(joining.begin(9))
    expect(isProgressDemanded(joining.judge.ledger)).toBe(false)
  })
  it('means that sends return and that all have delivered everything', () => {
    const it = living(3, [1])
    const send = it.send(2)
    expect(missing(it.judge.ledger)).toMatch(/^n2 has no answer to 1 of its 1 sends/)
    it.deliver(it.life(3), it.message(send, 3))
    it.hold(3)
    it.sent(2, send, 3)
    expect(missing(it.judge.ledger)).toBe('n2 has delivered up to 2, and the order goes on to 3')
  })
})

describe('rights', () => {
  const withRights = (rights: Readonly<Record<number, Right>>) => new Scene(3, {}, rights)
  const closed = (it: Scene, id: number) => {
    const event = { event: 'closed', code: ErrorCode.resetFailed, reason: 'nobody may rebuild it' } as const
    it.judge.output(it.life(id), { output: 'event', event })
  }

  it('who may only receive has nothing in the order', () => {
    const sends = (right: Right) => {
      const it = withRights({ 2: right })
      it.deliver(it.life(1), it.message(it.send(2), it.next))
    }
    expect(verdictOf(() => sends(Right.send))).toBe('')
    expectWrong('rights', () => sends(Right.receive))
  })
  it('only one with every right rebuilds the group, and is told that it has', () => {
    const resets = (right: Right) => {
      const it = withRights({ 2: right })
      it.crash(1)
      it.deliver(it.life(2), it.reset(it.next, 2, [1], { coordinator: 2 }))
    }
    expect(verdictOf(() => resets(Right.all))).toBe('')
    expectWrong('rights', () => resets(Right.send))
    expectWrong('rights', () => {
      const it = withRights({ 2: Right.send })
      it.judge.output(it.life(2), { output: 'reset', token: 5, size: 2 })
    })
  })
  it('a group is given up only by one who may not rebuild it, and for want of one who may', () => {
    const givesUp = (right: Right, isAlone: boolean) => {
      const it = withRights({ 2: right, 3: Right.receive })
      if (isAlone) it.crash(1)
      closed(it, 2)
    }
    expect(verdictOf(() => givesUp(Right.send, true))).toBe('')
    expectWrong('rights', () => givesUp(Right.send, false))
    expectWrong('I6', () => givesUp(Right.all, true))
  })
  it('progress is demanded while one with every right is left', () => {
    const demanded = (rights: Readonly<Record<number, Right>>) => {
      const it = withRights(rights)
      it.crash(1)
      return isProgressDemanded(it.judge.ledger)
    }
    expect(demanded({})).toBe(true)
    expect(demanded({ 2: Right.receive })).toBe(true)
    expect(demanded({ 2: Right.receive, 3: Right.send })).toBe(false)
  })
})
