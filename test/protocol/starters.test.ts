/**
 * Many that "join or create" at the same moment (design 4.8). One group comes of it if between every two starters one
 * probe and its answer get through and delays stay below T/2, where T is the time of all probes together. Outside of
 * that there may be two groups, and they are told of each other.
 */
import { describe, expect, test } from 'vitest'
import { detectionPresets } from '../../group/member/options.ts'
import { completeParameters } from '../../kernel/parameters.ts'
import { Prng } from '../../kernel/prng.ts'
import { GroupOf, Seat } from './group-of.ts'

const { locateTries, locateIntervalMs } = detectionPresets.default
const T = locateTries * locateIntervalMs * 1000

/** `count` starters within `spread`, packets up to `slowest` under way; of the first probes some are lost. */
function start(seed: number, count: number, spread: number, slowest: number, loss: number): GroupOf {
  const prng = new Prng(seed)
  const group = new GroupOf()
  group.delayOf = () => prng.between(50, slowest)
  // one probe of each reaches each other one: the last of them is never lost
  const probes = new Map<Seat, number>()
  group.isLost = ({ from, to, kind }) => {
    if (kind !== 'locate') return false
    if (to === group.seats.find((seat) => seat !== from)) probes.set(from, (probes.get(from) ?? 0) + 1)
    return (probes.get(from) ?? 0) % locateTries !== 0 && prng.unit() < loss
  }
  const nonces = Array.from({ length: count }, (_, i) => BigInt(i + 1)).sort(() => prng.unit() - 0.5)
  for (const nonce of nonces) {
    const seat = new Seat(group, group.seats.length, { nonce, seed: prng.u32(), peers: [] })
    group.seats.push(seat)
    group.queue.at(prng.below(spread + 1), () => seat.open('joinOrCreate', completeParameters()))
  }
  return group
}

function groupsOf(group: GroupOf): Set<bigint> {
  return new Set(group.living.map(({ view }) => view.groupId))
}

describe('ten starters at the same moment', () => {
  test('end in one group, on every seed', () => {
    for (let seed = 1; seed <= 150; seed++) {
      const group = start(seed, 10, 20_000, T / 2 - 1000, 0)
      group.until(() => group.seats.every(({ memberId }) => memberId !== 0), `seed ${seed}: all are members`)
      expect(groupsOf(group).size, `seed ${seed}`).toBe(1)
    }
  })

  test('with probes lost, as long as one of each gets through', () => {
    for (let seed = 1000; seed <= 1100; seed++) {
      const group = start(seed, 10, 0, 10_000, 0.5)
      group.until(() => group.seats.every(({ memberId }) => memberId !== 0), `seed ${seed}: all are members`)
      expect(groupsOf(group).size, `seed ${seed}`).toBe(1)
    }
  })
})
