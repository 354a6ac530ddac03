/**
 * What nodes are able to, as it rises during a run: group keys in their files, and versions of the wire format that
 * their builds read. By the heal all are able to the same, so that in the end every group must go by it.
 *
 * Keys come to each node at a moment of its own, the newest first, and an old one is taken away now and then where the
 * node's machine says that it can do without it. Another build takes another life.
 */
import type { Address, Micros } from '../../kernel/identity.ts'
import type { Versions } from '../../kernel/meeting-packets.ts'
import { Prng } from '../../kernel/prng.ts'
import type { RunOptions } from './options.ts'

/** Dice of their own, so that all else is as without them. */
export const ABILITY_DICE = 0x61c88647
/** And so have mistakes. */
const MISTAKE_DICE = 0x1b873593
/** The key that all nodes have from the start; the next ones count up from it. */
const FIRST_KEY = 0x1000_0001

export interface Moment {
  readonly at: Micros
  readonly address: Address
  /** The key that comes to the node; undefined where it takes away what it can do without. */
  readonly key: number | undefined
  /** It is put before newer ones. */
  readonly isMistake?: boolean
}

export class Abilities {
  /** What happens to keys, in no order. BOUNDED by keys times nodes. */
  readonly moments: readonly Moment[]
  private readonly upgrades = new Map<Address, readonly Micros[]>()
  private readonly highest: number
  private readonly prng: Prng

  constructor(seed: number, options: RunOptions, addresses: readonly Address[]) {
    const prng = new Prng(seed + ABILITY_DICE)
    const { keys, upgrades, healAt } = options
    const moments: Moment[] = []
    for (let i = 0; i < keys; i++) {
      // some are in a hurry, and others sleep over it
      const begin = prng.below(healAt)
      const spread = prng.pick([1, 10_000, healAt])
      for (const address of addresses) {
        const at = Math.min(healAt, begin + prng.below(spread))
        moments.push({ at, address, key: FIRST_KEY + 1 + i })
        for (let tries = prng.below(4); tries > 0; tries--)
          moments.push({ at: at + prng.below(2 * healAt), address, key: undefined })
      }
    }
    addMistakes(seed, options, addresses, moments)
    this.moments = moments
    for (const address of addresses) {
      const at = Array.from({ length: upgrades }, () => (prng.chance(1, 3) ? 0 : prng.below(healAt)))
      this.upgrades.set(
        address,
        at.sort((a, b) => a - b),
      )
    }
    this.highest = 1 + upgrades
    this.prng = prng.fork()
  }

  /** How soon after a change old keys are tried to be taken away, each time anew; half of the nodes do not hurry. */
  haste(): Micros[] {
    const { prng } = this
    return prng.chance(1, 2) ? [] : [0, prng.below(5_000), prng.below(50_000)]
  }

  /** The keys of every node at the start; none where packets are not sealed. */
  static firstKeys({ keys }: RunOptions): number[] {
    return keys === 0 ? [] : [FIRST_KEY]
  }

  /** Of the build that is on the node at this moment. */
  versionsAt(address: Address, now: Micros): Versions {
    const done = this.upgrades.get(address)?.filter((at) => at <= now).length ?? 0
    return { lowest: 1, highest: Math.min(this.highest, 1 + done) }
  }
}

/**
 * Operators who put a former key first, on some of the nodes or on all, and find out a while later, at the heal at the
 * latest.
 */
function addMistakes(
  seed: number,
  { keys, mistakes, healAt }: RunOptions,
  addresses: readonly Address[],
  moments: Moment[],
): void {
  const prng = new Prng(seed + MISTAKE_DICE)
  // who went back to a former key by mistake may have let go of the newest one, while others have not
  if (mistakes > 0)
    for (const address of addresses) moments.push({ at: healAt, address, key: FIRST_KEY + keys })
  for (let i = 0; i < mistakes; i++) {
    const key = FIRST_KEY + prng.below(Math.max(1, keys))
    const begin = prng.below(healAt)
    const spread = prng.pick([1, 10_000, healAt])
    const lasts = prng.pick([1_000, 20_000, healAt])
    const isEverywhere = prng.chance(1, 2)
    for (const address of addresses) {
      if (!isEverywhere && prng.chance(1, 2)) continue
      const at = Math.min(healAt, begin + prng.below(spread))
      moments.push({ at, address, key, isMistake: true })
      moments.push({ at: Math.min(healAt, at + prng.below(lasts)), address, key: undefined })
      for (let tries = prng.below(4); tries > 0; tries--)
        moments.push({ at: at + lasts + prng.below(200_000), address, key: undefined })
    }
  }
}
