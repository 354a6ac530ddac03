/**
 * A process starts in the very moment in which the sequencer has died, and nobody knows as yet: an idle group hears nothing of
 * its sequencer for many heartbeats before it takes it for silent. The port has its group all the same.
 */
import { expect, test } from 'vitest'
import { createTestNetwork } from '../../group/testing.ts'

const cases = (['default', 'fast', 'wan'] as const).flatMap((detection) =>
  (['joinOrCreateGroup', 'joinGroup', 'createGroup'] as const).flatMap((how) =>
    [0, 20, 100, 250, 500].map((after) => [detection, how, after] as const),
  ),
)

test.each(cases)('detection %s: %s, %i ms after', { timeout: 60_000 }, async (detection, how, after) => {
  const network = createTestNetwork({ seed: 3 })
  const [first, second, third, newcomer] = await Promise.all(
    Array.from({ length: 4 }, () => network.startKernel({ detection })),
  )
  await network.run(first!.createGroup('orders'))
  const group = await network.run(second!.joinGroup('orders'))
  await network.run(third!.joinGroup('orders'))
  await network.advance(1050)
  await network.crash(first!)
  await network.advance(after)
  const opening = newcomer![how]('orders')
  if (how === 'createGroup')
    await expect(network.run(opening)).rejects.toMatchObject({ code: 'ERR_GROUP_EXISTS' })
  else expect((await network.run(opening)).view.groupId).toBe(group.view.groupId)
})

test('who asks about a group that stands still is told so, and not that there is none', async () => {
  const network = createTestNetwork({ seed: 3 })
  const [first, second, asker] = await Promise.all(Array.from({ length: 3 }, () => network.startKernel()))
  await network.run(first!.createGroup('orders'))
  await network.run(second!.joinGroup('orders'))
  await network.crash(first!)
  await network.advance(20)
  await expect(network.run(asker!.inspectGroup('orders'))).rejects.toMatchObject({
    code: 'ERR_MEMBER_FAILED',
    message: expect.stringMatching(/^there is a group on port "orders", and its sequencer, at .*ask again/),
  })
  await network.advance(30_000)
  await expect(network.run(asker!.inspectGroup('orders'))).rejects.toMatchObject({
    code: 'ERR_MEMBER_FAILED',
    message: expect.stringContaining('it stands still: too few of its members answer'),
  })
})
