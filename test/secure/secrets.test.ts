/** What strangers may not guess comes from the system's generator, whatever the seed of a member's dice is. */
import { afterAll, describe, expect, test, vi } from 'vitest'
import { startKernel } from '../../group/index.ts'
import type { MemberOptions } from '../../group/member/options.ts'
import { createTestNetwork } from '../../group/testing.ts'
import { hex64 } from '../../kernel/identity.ts'
import { decodeHereIs, encodeLocate, LocatePurpose } from '../../kernel/meeting-packets.ts'
import { PacketKind } from '../../kernel/packet.ts'
import { Prng } from '../../kernel/prng.ts'
import { GroupOf } from '../protocol/group-of.ts'
import { packetOf } from '../support/packets.ts'

const SEED = 7
const made = vi.hoisted(() => [] as MemberOptions[])

vi.mock('../../kernel/node/random.ts', async (load) => ({
  ...(await load<typeof import('../../kernel/node/random.ts')>()),
  randomSeed: () => SEED,
}))

vi.mock('../../group/member/member.ts', async (load) => {
  const real = await load<typeof import('../../group/member/member.ts')>()
  class Member extends real.Member {
    constructor(options: MemberOptions) {
      made.push(options)
      super(options)
    }
  }
  return { ...real, Member }
})

afterAll(() => {
  vi.restoreAllMocks()
})

test('group ids and challenge keys of real members do not follow from the seed', async () => {
  made.length = 0
  const kernel = await startKernel({ logLevel: 'silent' })
  const ids: string[] = []
  for (const port of ['secrets-1', 'secrets-2']) {
    const group = await kernel.createGroup(port)
    ids.push((await kernel.inspectGroup(port)).view.groupId)
    await group.leaveGroup()
  }
  await kernel.close()
  const secrets = made.map((options) => options.secrets!)
  expect(made.map(({ seed }) => seed)).toEqual([SEED, SEED])
  expect(secrets.map(({ groupId }) => hex64(groupId))).toEqual(ids)
  expect(new Set([...ids, hex64(new Prng(SEED).u64())]).size).toBe(3)
  const words = secrets.flatMap(({ challengeKey }) => challengeKey.words)
  expect(words).toHaveLength(8)
  expect(new Set(words).size).toBe(8)
  for (const word of words) expect(Number.isInteger(word) && word >= 0 && word < 2 ** 32).toBe(true)
})

test('on the test network all dice follow from its seed', async () => {
  made.length = 0
  await using network = createTestNetwork({ seed: 3 })
  const kernel = await network.startKernel()
  await network.run(kernel.createGroup('seeded'))
  expect(made.map(({ secrets }) => secrets)).toEqual([undefined])
})

describe('a challenge', () => {
  const challengeOf = (options: Partial<MemberOptions>): bigint => {
    const group = new GroupOf()
    const { machine } = group.add(options)
    const told: Uint8Array[] = []
    group.unicast = (_, __, bytes) => told.push(bytes)
    const body = encodeLocate({ port: 'group-of', purpose: LocatePurpose.join })
    const question = packetOf(PacketKind.locate, { senderNonce: 99n }, body)
    group.first.input({ kind: 'packet', from: '203.0.113.9:1', bytes: question })
    if (options.secrets !== undefined) expect(machine.info().view!.groupId).toBe(options.secrets.groupId)
    return decodeHereIs(told[0]!)!.challenge
  }
  const secretsWith = (word: number) => ({ groupId: 77n, challengeKey: { words: [word, 2, 3, 4] as const } })

  test('is made under the key that the member is given, and not with its dice', () => {
    const given = challengeOf({ seed: 1, secrets: secretsWith(1) })
    expect(challengeOf({ seed: 2, secrets: secretsWith(1) })).toBe(given)
    expect(challengeOf({ seed: 1, secrets: secretsWith(5) })).not.toBe(given)
    expect(challengeOf({ seed: 1 })).not.toBe(given)
  })
})
