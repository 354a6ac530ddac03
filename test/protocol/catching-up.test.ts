/** How fast a member is back that has lost much at once: by what it asks for, not by waiting for its timers. */
import { expect, test } from 'vitest'
import { GroupOf } from './group-of.ts'

const LOST = 60
const DELAY_MS = 0.1

test.each([
  // a block for each message, spread by its sender, named by the order
  ['bb', 6000],
  // the same blocks, inside the order
  ['pb', 6000],
  ['pb', 100],
] as const)(
  '%s, %i bytes: a member that has lost many packets in a row asks on as soon as it is answered',
  (method, size) => {
    const group = GroupOf.open(3, { delayMs: DELAY_MS, member: { method, packetSize: 8192 } })
    const [, sender, loser] = group.seats
    let isLosing = true
    group.isLost = ({ to, kind }) => isLosing && to === loser && kind === (method === 'bb' ? 'data' : 'order')
    for (let i = 0; i < LOST; i++) {
      sender!.send(size)
      group.advance(0.2)
    }
    group.until(() => sender!.unanswered === 0, 'all sends have returned')
    expect(loser!.messageCount).toBe(0)
    isLosing = false
    group.until(() => loser!.messageCount > 0, 'it has begun')
    const taken = group.until(() => loser!.messageCount === LOST, 'it has all')
    // a round trip for every eight blocks, with something for what it takes to begin
    expect(taken).toBeLessThan((LOST / 8 + 4) * 2 * DELAY_MS + 1)
  },
)
