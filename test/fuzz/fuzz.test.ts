/** A seeded part of the fuzzing; `node dist/test/fuzz/main.js` runs as many more as wanted. */
import { describe, expect, test } from 'vitest'
import { packetKindNames } from '../../kernel/packet.ts'
import { fuzzAdmission } from './admission.ts'
import { recordCorpus } from './corpus.ts'
import { Coverage } from './coverage.ts'
import { fuzzDecoders } from './decoding.ts'
import { besiegeGuided, fuzzGuided } from './guided.ts'
import { fuzzLiars } from './liar.ts'
import { Siege } from './siege.ts'

const SEED = 20_260_101
const corpus = recordCorpus()

describe('packets from outside', () => {
  test('the corpus has every kind', () => {
    const missing = packetKindNames.filter((name) => name !== undefined && !corpus.has(name))
    expect(missing).toEqual([])
  })

  test('no decoder throws, hangs, or makes more of bytes than they are', () => {
    const { cases, accepted } = fuzzDecoders(corpus, SEED, 200_000)
    // changed packets that nobody reads any more would test nothing but the first check
    expect(accepted).toBeGreaterThan(cases / 3)
  })

  test('the door of a process hands on packets only, and answers no question with a larger packet', async () => {
    const { cases, admitted, answers } = await fuzzAdmission(corpus, SEED, 40_000)
    expect(admitted).toBeGreaterThan(cases / 100)
    expect(answers).toBeGreaterThan(0)
  })

  test.each(['stranger', 'former'] as const)('a %s changes nothing in a group at work', (attacker) => {
    const { packets, ordered } = new Siege(attacker, corpus, SEED).run(100_000)
    expect(ordered).toBe(packets / 40)
  })

  test('a member that lies throws nobody out of step, and makes nobody grow', () => {
    expect(new Siege('member', corpus, SEED).run(60_000).groups).toBeGreaterThan(1)
  })

  test('nor does one whose packets lie through joins, crashes and resets', () => {
    expect(fuzzLiars(SEED, 6_000).groups).toBeGreaterThan(1)
  })
})

describe('guided by coverage', () => {
  test('what is reached is seen branch by branch', () => {
    const branches = (n: number): string => (n > 10 ? (n > 20 ? 'large' : 'middling') : 'small')
    const coverage = new Coverage((url) => url.includes('fuzz.test'))
    try {
      const newOf = (n: number): number => {
        coverage.take()
        branches(n)
        const reached = coverage.take()
        const news = coverage.newIn(reached)
        coverage.merge(reached)
        return news
      }
      expect(newOf(1)).toBeGreaterThan(0)
      expect(newOf(2)).toBe(0)
      expect(newOf(15)).toBeGreaterThan(0)
      expect(newOf(16)).toBe(0)
      expect(newOf(25)).toBeGreaterThan(0)
    } finally {
      coverage.close()
    }
  })

  test('decoders: cases that got somewhere new are kept, and get at least as far', () => {
    const few = 600
    const guided = fuzzGuided(corpus, SEED, few)
    expect(guided.atFirst).toBeGreaterThan(1000)
    expect(guided.reached).toBeGreaterThan(guided.atFirst)
    expect(guided.kept).toBeGreaterThan(0)
  })

  test('members: the same, and nobody outside changes anything', () => {
    const { packets, ordered, kept } = besiegeGuided('stranger', corpus, SEED, 4_000)
    expect(ordered).toBe(packets / 40)
    expect(kept).toBeGreaterThan(0)
  })
})
