/**
 * Many that "join or create" at the same moment (design 4.8). One group comes of it if between every two starters one
 * probe and its answer get through and delays stay below T/2, where T is the time of all probes together. Outside of
 * that there may be two groups, and they are told of each other.
 */
import { describe, expect, test } from 'vitest'
import { detectionPresets } from '../../group/member/options.ts'
import { decodeLocate, LocatePurpose } from '../../kernel/meeting-packets.ts'
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

/** Two starters within `spread`, packets up to `slowest` under way. As candidates each hears one question of the other, the kth. */
function startMissing(seed: number, spread: number, slowest: number): GroupOf {
  const prng = new Prng(seed)
  const group = new GroupOf()
  group.delayOf = () => prng.between(50, slowest)
  const startedAt = new Map<Seat, number>()
  group.isLost = ({ from, kind, bytes }) => {
    if (kind !== 'locate' || decodeLocate(bytes)?.purpose !== LocatePurpose.candidate) return false
    const intervals = (group.queue.now - startedAt.get(from)!) / (locateIntervalMs * 1000)
    // an answer to the other's question comes in between
    return Number.isInteger(intervals) && intervals !== locateTries - 1
  }
  const isLowerFirst = prng.unit() < 0.5
  for (const nonce of isLowerFirst ? [1n, 2n] : [2n, 1n]) {
    const seat = new Seat(group, group.seats.length, { nonce, seed: prng.u32(), peers: [] })
    group.seats.push(seat)
    const at = group.seats.length === 1 ? 0 : prng.below(spread + 1)
    startedAt.set(seat, at)
    group.queue.at(at, () => seat.open('joinOrCreate', completeParameters()))
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

describe('two starters that miss each other at first', () => {
  test('end in one group, though the last question and its answer are all that gets through', () => {
    for (let seed = 1; seed <= 300; seed++) {
      const group = startMissing(seed, 10_000, locateIntervalMs * 1000 - 1000)
      group.until(() => group.seats.every(({ memberId }) => memberId !== 0), `seed ${seed}: both are members`)
      expect(groupsOf(group).size, `seed ${seed}`).toBe(1)
    }
  })
})

describe('who is alone', () => {
  test('creates after one interval more than its questions take, and not later', () => {
    const group = new GroupOf()
    const seat = new Seat(group, 0, { peers: [] })
    group.seats.push(seat)
    seat.open('joinOrCreate', completeParameters())
    group.advance(T / 1000 + locateIntervalMs - 1)
    expect(seat.memberId).toBe(0)
    group.advance(1)
    expect(seat.memberId).toBe(1)
    expect(group.counts().locate).toBe(locateTries + 1)
  })
})
