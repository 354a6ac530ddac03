/** Secrets that stand for less than a group key, and the proofs made with them. */
import { describe, expect, test } from 'vitest'
import type { Asked } from '../../kernel/credentials.ts'
import type { RightName } from '../../kernel/identity.ts'
import { PROOF_BYTES } from '../../kernel/meeting-packets.ts'
import { drawKey, parseKeys } from '../../kernel/node/secure/group-key.ts'
import { type RightSecret, rights } from '../../kernel/node/secure/rights.ts'

const secretOf = (text: string): RightSecret => parseKeys('the test', text)[0]!.rights
const text = drawKey()
const all = secretOf(text)
const asked: Asked = { groupId: 7n, nonce: 2n ** 64n - 1n, challenge: 12_345n, address: '10.0.0.1:7788' }
const pairs = rights.flatMap((holds) => rights.map((claims): [RightName, RightName] => [holds, claims]))

describe('rights', () => {
  test.each(pairs)('who holds %s and claims %s', (holds, claims) => {
    const holder = all.lower(holds)!
    const mayClaim = rights.indexOf(holds) <= rights.indexOf(claims)
    expect(holder.lower(claims) !== undefined).toBe(mayClaim)
    // With the secret that it has, it proves no other right than the one that the secret is for.
    expect(all.verify(claims, asked, holder.prove(asked))).toBe(holds === claims)
    if (mayClaim) expect(all.verify(claims, asked, holder.lower(claims)!.prove(asked))).toBe(true)
  })

  test('a lower one cannot judge a higher one', () => {
    const proof = all.prove(asked)
    for (const right of ['send', 'receive'] as const)
      expect(all.lower(right)!.verify('all', asked, proof)).toBe(false)
    expect(all.lower('send')!.verify('receive', asked, all.lower('receive')!.prove(asked))).toBe(true)
  })

  test('a proof is for one group, one life at one address, and one challenge, and under one key', () => {
    const proof = all.prove(asked)
    expect(proof).toHaveLength(PROOF_BYTES)
    expect(secretOf(text).verify('all', asked, proof)).toBe(true)
    expect(secretOf(drawKey()).verify('all', asked, proof)).toBe(false)
    for (const field of ['groupId', 'nonce', 'challenge'] as const)
      expect(all.verify('all', { ...asked, [field]: asked[field] - 1n }, proof)).toBe(false)
    expect(all.verify('all', { ...asked, address: '10.0.0.2:7788' }, proof)).toBe(false)
    for (let at = 0; at < PROOF_BYTES; at++) {
      const damaged = Uint8Array.from(proof)
      damaged[at]! ^= 1
      expect(all.verify('all', asked, damaged)).toBe(false)
    }
    for (const length of [0, PROOF_BYTES - 1])
      expect(all.verify('all', asked, proof.slice(0, length))).toBe(false)
    expect(all.verify('all', asked, new Uint8Array(PROOF_BYTES + 1))).toBe(false)
  })
})
