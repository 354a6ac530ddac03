/** A seeded part of the fuzzing; `node dist/test/fuzz/main.js` runs as many more as wanted. */
import { describe, expect, test } from 'vitest'
import { packetKindNames } from '../../kernel/packet.ts'
import { fuzzAdmission } from './admission.ts'
import { recordCorpus } from './corpus.ts'
import { fuzzDecoders } from './decoding.ts'
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
