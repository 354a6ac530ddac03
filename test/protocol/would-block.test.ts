/** `for await (…) await sendToGroup(…)` in every member never hangs (design section 4.9). */
import { describe, expect, test } from 'vitest'
import { type Group, GroupError } from '../../group/index.ts'
import { createTestNetwork, type TestNetwork } from '../../group/testing.ts'

async function open(
  size: number,
  parameters: object,
): Promise<{ network: TestNetwork; groups: Group<number>[] }> {
  const network = createTestNetwork()
  const groups: Group<number>[] = []
  for (let i = 0; i < size; i++) {
    const kernel = await network.startKernel()
    const opening =
      i === 0 ? kernel.createGroup<number>('echo', parameters) : kernel.joinGroup<number>('echo')
    groups.push(await network.run(opening))
  }
  return { network, groups }
}

function isWouldBlock(error: unknown): boolean {
  return error instanceof GroupError && error.code === 'ERR_WOULD_BLOCK'
}

const multiplying = [
  [3, 4],
  [3, 32],
  [5, 8],
] as const

describe.each([[2, 1] as const, ...multiplying])(
  '%i members, a history of %i messages',
  (size, historySize) => {
    test('each answers every message that it receives: it goes on, or is told that it would block', async () => {
      const { network, groups } = await open(size, { historySize })
      const enough = 60
      let refused = 0
      const echo = async (group: Group<number>): Promise<number> => {
        let received = 0
        for await (const { kind } of group) {
          if (kind !== 'message') continue
          if (++received === enough) break
          try {
            await group.sendToGroup(received)
          } catch (error) {
            if (!isWouldBlock(error)) throw error
            expect((error as GroupError).message).toMatch(/receive|take/)
            refused++
          }
        }
        await group.leaveGroup()
        return received
      }
      const echoes = groups.map(echo)
      await network.run(groups[0]!.sendToGroup(0))
      expect(await network.run(Promise.all(echoes))).toEqual(groups.map(() => enough))
      // every message makes as many new ones as there are members, so it cannot have gone on for ever
      expect(refused).toBeGreaterThan(0)
      await network[Symbol.asyncDispose]()
    })
  },
)

// with one echo in a group of two nothing would multiply
describe.each(multiplying)(
  '%i members of which all but one echo, a history of %i messages',
  (size, historySize) => {
    test('the loop as people write it ends with the error, and the others go on when that member leaves', async () => {
      const { network, groups } = await open(size, { historySize })
      const echo = async (group: Group<number>): Promise<unknown> => {
        try {
          for await (const { kind, body } of group) if (kind === 'message') await group.sendToGroup(body! + 1)
          return 'ended'
        } catch (error) {
          return error
        } finally {
          await group.leaveGroup()
        }
      }
      const echoes = groups.slice(1).map(echo)
      const last = groups[0]!
      const sending = last.sendToGroup(0)
      const drain = (async () => {
        let received = 0
        for await (const { view } of last) {
          received++
          if (view.members.length === 1) return received
        }
        return 0
      })()
      await network.run(sending)
      for (const ended of await network.run(Promise.all(echoes))) expect(isWouldBlock(ended)).toBe(true)
      expect(await network.run(drain)).toBeGreaterThan(0)
      await network[Symbol.asyncDispose]()
    })
  },
)

test('a program that receives beside sending is never refused, however small the history', async () => {
  const { network, groups } = await open(3, { historySize: 2 })
  const each = 100
  const running = groups.map(async (group) => {
    const sending = (async () => {
      for (let i = 0; i < each; i++) await group.sendToGroup(i)
    })()
    let received = 0
    for await (const { kind } of group) if (kind === 'message' && ++received === each * groups.length) break
    await sending
  })
  await network.run(Promise.all(running))
  await network[Symbol.asyncDispose]()
})
