/**
 * A group one of whose members lies: what it sends is changed on the way, with the header right, while members join, leave,
 * crash and rebuild the group. A liar can do harm, and does; what is looked for is a machine that throws, never stops, or
 * grows.
 */
import { detectionPresets, type MemberOptions } from '../../group/member/options.ts'
import { HEADER_BYTES } from '../../kernel/packet.ts'
import { Prng } from '../../kernel/prng.ts'
import { GroupOf, type Passing } from '../protocol/group-of.ts'
import { credentialsFor } from '../simulator/credentials.ts'
import { mutate } from './mutate.ts'
import { BYTES_MAX, THINGS_MAX } from './siege.ts'
import { type Size, sizeOf } from './size.ts'

export interface LiarCounts {
  /** Packets of a liar that arrived changed. */
  packets: number
  groups: number
  largest: Size
}

const KIB = 1024
const SEATS = 4
const ACTIONS = 30
const PARAMETERS = { historySize: 128, historyBytes: 256 * KIB, maxMessageSize: 64 * KIB }

/** Lives of groups until at least so many packets have lied. */
export function fuzzLiars(seed: number, packets: number): LiarCounts {
  const counts: LiarCounts = { packets: 0, groups: 0, largest: { things: 0, bytes: 0 } }
  for (let i = 0; counts.packets < packets; i++) {
    try {
      oneGroup(new Prng(seed * 1_000_003 + i), counts)
    } catch (error) {
      const what = error instanceof Error ? error.stack : String(error)
      throw new Error(`liar, seed ${seed}, group ${i}, after ${counts.packets} packets: ${what}`)
    }
  }
  return counts
}

function oneGroup(prng: Prng, counts: LiarCounts): void {
  counts.groups++
  const group = new GroupOf({
    parameters: { ...PARAMETERS, resilience: prng.below(2) },
    member: { packetSize: prng.pick([1400, 600]), detection: detectionPresets.fast },
  })
  // in some groups members differ in what they may do, the liar too
  const rights = prng.chance(1, 3) ? (['all', 'send', 'receive'] as const) : (['all'] as const)
  const anyRight = () => ({ credentials: credentialsFor(prng.pick(rights)) })
  group.add({ credentials: credentialsFor('all') })
  for (let i = 1; i < SEATS; i++) group.add(anyRight())
  const liar = group.seats[prng.below(SEATS)]!
  // rarely enough that the group is alive for most of it
  const rarity = prng.pick([2, 4, 20])
  const lies = new Set<Passing['bytes']>()
  group.isLost = ({ from, to, bytes }) => {
    if (from !== liar || lies.has(bytes) || !prng.chance(1, rarity)) return false
    counts.packets++
    const lie = mutate(prng, bytes, HEADER_BYTES)
    if (lie.length >= HEADER_BYTES)
      group.queue.after(group.delay, () => to.input({ kind: 'packet', from: from.address, bytes: lie }))
    return true
  }
  for (let i = 0; i < ACTIONS; i++) {
    act(prng, group, anyRight)
    group.advance(prng.pick([0.5, 5, 50]))
    if (i % 10 === 9) measure(group, counts)
  }
}

function act(prng: Prng, group: GroupOf, anyRight: () => Partial<MemberOptions>): void {
  const open = group.living.filter(({ memberId }) => memberId !== 0)
  if (open.length === 0) return
  const seat = prng.pick(open)
  switch (prng.below(12)) {
    case 0:
      if (group.seats.length < 12) group.begin(anyRight())
      return
    case 1:
      if (!seat.isOver && open.length > 2) seat.leave()
      return
    case 2:
      if (open.length > 2) seat.crash()
      return
    case 3:
      seat.reset()
      return
    case 4:
      seat.send(20_000)
      return
    case 5:
      seat.holds = !seat.holds
      if (!seat.holds) seat.take()
      return
    default:
      for (let i = prng.below(6); i >= 0; i--) seat.send(prng.pick([10, 100, 900]))
  }
}

function measure(group: GroupOf, { largest }: LiarCounts): void {
  for (const { machine, isOver } of group.seats) {
    if (isOver) continue
    const { things, bytes } = sizeOf(machine)
    largest.things = Math.max(largest.things, things)
    largest.bytes = Math.max(largest.bytes, bytes)
    if (things > THINGS_MAX || bytes > BYTES_MAX)
      throw new Error(`a machine has grown to ${things} things and ${bytes} bytes`)
  }
}
