import fc from 'fast-check'
import { expect, test } from 'vitest'
import { Allowance } from '../../kernel/allowance.ts'

test('so many at once, then one more each so often, and never more than so many again', () => {
  const allowance = new Allowance(3, 100)
  const taken = (now: number) => Array.from({ length: 5 }, () => allowance.take(now)).filter(Boolean).length
  expect(taken(0)).toBe(3)
  expect(taken(99)).toBe(0)
  expect(taken(100)).toBe(1)
  expect(taken(450)).toBe(3)
  expect(taken(1_000_000)).toBe(3)
})

test('however it is asked, no stretch of time gives more than what was there and what it earns', () => {
  const pauses = fc.array(fc.integer({ min: 0, max: 300 }), { maxLength: 300 })
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 20 }),
      fc.integer({ min: 1, max: 100 }),
      pauses,
      (most, every, waits) => {
        const allowance = new Allowance(most, every)
        let now = 0
        let taken = 0
        for (const pause of waits) {
          now += pause
          if (allowance.take(now)) taken++
          expect(taken).toBeLessThanOrEqual(most + Math.floor(now / every))
        }
      },
    ),
  )
})
