import { expect, test } from 'vitest'
import { duration, progressLine, secondsLeft } from './progress.ts'

const forSeeds = { seeds: 1000, duration: Number.POSITIVE_INFINITY }
const forTime = { seeds: Number.POSITIVE_INFINITY, duration: 60_000 }

test('the time left follows from what is done', () => {
  expect(secondsLeft(forSeeds, 0, 5_000)).toBeUndefined()
  expect(secondsLeft(forSeeds, 250, 30_000)).toBe(90)
  expect(secondsLeft(forSeeds, 1000, 30_000)).toBe(0)
  expect(secondsLeft(forTime, 0, 15_000)).toBe(45)
  expect(secondsLeft(forTime, 70, 65_000)).toBe(0)
})

test('a line says what is done and what is left', () => {
  expect(progressLine(forSeeds, { runs: 250, failed: 2 }, 30_000)).toBe(
    '250 of 1000 seeds, 2 failed, 1 min 30 s left',
  )
  expect(progressLine(forSeeds, { runs: 0, failed: 0 }, 10)).toBe('0 of 1000 seeds, 0 failed')
  expect(progressLine(forTime, { runs: 77, failed: 0 }, 15_000)).toBe('77 seeds, 0 failed, 45 s left')
  expect([59.6, 3600, 5400].map(duration)).toEqual(['1 min 0 s', '1 h 0 min', '1 h 30 min'])
})
