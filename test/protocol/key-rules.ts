/**
 * Schedules made by hand, as in recovery-rules.ts, about a key that a member has announced and thought better of: what lets
 * go of it, and whose word counts. Chance leads the simulator there hardly ever (key-withdrawn.test.ts has denser dice).
 */
import { PacketKind } from '../../kernel/packet.ts'
import { readOrderHead } from '../../kernel/packets.ts'
import { check } from '../simulator/checkers/checker.ts'
import { GroupOf, type Passing, type Seat } from './group-of.ts'

const OLD = 0x0a0a0a0a
const NEW = 0x0b0b0b0b

const keyOf = ({ machine }: Seat): number => machine.info().settings.keyId
const needs = ({ machine }: Seat, key: number): boolean =>
  machine.keysInUse().some(({ keyId }) => keyId === key)

/** What a member says to the sequencer is kept back, for the scene to hand in. */
class Delay {
  readonly kept: Passing[] = []
  isKeeping = false
  private readonly from: Seat
  private readonly to: Seat

  constructor(from: Seat, to: Seat) {
    this.from = from
    this.to = to
  }

  keeps(packet: Passing): boolean {
    if (!this.isKeeping || packet.from !== this.from || packet.to !== this.to) return false
    this.kept.push({ ...packet, bytes: Uint8Array.from(packet.bytes) })
    return true
  }

  handIn(): void {
    for (const { bytes } of this.kept.splice(0))
      this.to.input({ kind: 'packet', from: this.from.address, bytes })
  }
}

interface Three {
  readonly group: GroupOf
  readonly first: Seat
  readonly second: Seat
  readonly third: Seat
  readonly delay: Delay
}

/** They go by the new key; the third has put the old one first for a moment, and its sequencer has not heard of it yet. */
function thirdWasMistaken(): Three {
  const group = new GroupOf()
  const [first, second, third] = [1, 2, 3].map(() => group.add({ keys: [NEW, OLD] })) as [Seat, Seat, Seat]
  group.settle()
  const delay = new Delay(third, first)
  group.isLost = (packet) => delay.keeps(packet)
  delay.isKeeping = true
  third.call({ call: 'keys', keys: [OLD, NEW] })
  group.until(() => delay.kept.length > 0, 'it says so')
  third.call({ call: 'keys', keys: [NEW, OLD] })
  return { group, first, second, third, delay }
}

/** Its word comes when it has let go of that key, and the others would go back to it. */
function lateWordCountsNoMore(): void {
  const { group, first, second, third, delay } = thirdWasMistaken()
  delay.isKeeping = false
  second.send(10)
  group.until(() => !needs(third, OLD), 'it lets go of the old key')
  for (const seat of [first, second]) seat.call({ call: 'keys', keys: [OLD, NEW] })
  group.advance(200)
  delay.handIn()
  group.advance(200)
  check(
    keyOf(first) === NEW,
    'settings',
    () => `the group takes a key that ${third.name} has let go of, at an old word of its`,
  )
}

/** Its word comes in time, and it misses the change that follows, but not how far all have come. */
function keyIsKeptForWhatIsMissed(): void {
  const { group, first, second, third, delay } = thirdWasMistaken()
  const word = delay.kept.splice(0)
  for (const seat of [first, second]) seat.call({ call: 'keys', keys: [OLD, NEW] })
  const before = first.machine.info().seq
  second.send(10)
  group.until(() => third.machine.info().taken > before, 'it has the next event')
  // it says that it has taken it, and has other keys by now; the word from before is faster
  const later = delay.kept.splice(0)
  delay.kept.push(...word)
  let isDeaf = true
  group.isLost = ({ to, header, bytes }) => {
    const { kind } = header
    if (!isDeaf || to !== third || (kind !== PacketKind.order && kind !== PacketKind.repair)) return false
    return readOrderHead(bytes)!.entries > 0
  }
  delay.handIn()
  group.until(() => keyOf(first) === OLD, 'the group goes back')
  delay.kept.push(...later)
  delay.handIn()
  const assertKept = (): void => {
    check(
      needs(third, OLD),
      'settings',
      () => `the group goes by a key that ${third.name} would let go of: it has missed the change`,
    )
  }
  const until = group.queue.now + 300_000
  group.queue.at(until, () => {})
  group.until(() => {
    assertKept()
    return group.queue.now >= until
  }, 'it has been told how far all are')
  isDeaf = false
  group.until(() => keyOf(third) === OLD, 'it has the change')
  assertKept()
}

export const keyScenes: Readonly<Record<string, () => void>> = {
  'key-of-a-late-word': lateWordCountsNoMore,
  'key-of-a-missed-change': keyIsKeptForWhatIsMissed,
}
