import fc from 'fast-check'
import { expect, test } from 'vitest'
import { Deque } from '../../kernel/deque.ts'

type Action = (deque: Deque<number>, model: number[]) => void

const action: fc.Arbitrary<Action> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.integer().map(
      (n): Action =>
        (deque, model) =>
          void [deque.push(n), model.push(n)],
    ),
  },
  { weight: 3, arbitrary: fc.constant<Action>((deque, model) => expect(deque.shift()).toBe(model.shift())) },
  { weight: 1, arbitrary: fc.constant<Action>((deque, model) => expect(deque.pop()).toBe(model.pop())) },
  {
    weight: 1,
    arbitrary: fc.tuple(fc.nat(), fc.array(fc.integer(), { maxLength: 3 })).map(
      ([at, items]): Action =>
        (deque, model) => {
          if (model.length === 0) return
          const index = at % model.length
          deque.replace(index, ...items)
          model.splice(index, 1, ...items)
        },
    ),
  },
  {
    weight: 1,
    arbitrary: fc.nat().map(
      (at): Action =>
        (deque, model) => {
          const wanted = model[at % Math.max(1, model.length)]
          expect(deque.remove((item) => item === wanted)).toBe(wanted)
          if (wanted !== undefined) model.splice(model.indexOf(wanted), 1)
        },
    ),
  },
  {
    weight: 1,
    arbitrary: fc.integer({ min: 2, max: 5 }).map(
      (divisor): Action =>
        (deque, model) => {
          const wanted = (n: number) => n % divisor !== 0
          deque.keepOnly(wanted)
          model.splice(0, model.length, ...model.filter(wanted))
        },
    ),
  },
)

test('a queue is what an array is', () => {
  fc.assert(
    fc.property(fc.array(action, { maxLength: 200 }), (actions) => {
      const deque = new Deque<number>()
      const model: number[] = []
      for (const act of actions) {
        act(deque, model)
        expect(deque.length).toBe(model.length)
        expect([...deque]).toEqual(model)
        expect(deque.first()).toBe(model[0])
        expect(deque.last()).toBe(model.at(-1))
        for (const at of [-1, 0, 3, model.length]) expect(deque.at(at)).toBe(at < 0 ? undefined : model[at])
      }
      deque.clear()
      expect([deque.length, deque.first(), deque.shift()]).toEqual([0, undefined, undefined])
    }),
  )
})
