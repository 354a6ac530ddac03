/**
 * Somebody in the middle records a whole run, and plays it back: at once, later into the living group, and into the
 * group that the same programs make after they have all been started again. Order, view and deliveries stay as they
 * are, and nobody is suspected. With a key, and as far without one.
 */
import { afterEach, describe, expect, test } from 'vitest'
import { drawKey } from '../../kernel/node/secure/group-key.ts'
import { KIND_AT, packetKindNames } from '../../kernel/packet.ts'
import { uniquePort } from '../support/kernels.ts'
import { closeAll, play, Scene } from './replay-scene.ts'
import type { TappedKernel } from './wire.ts'

afterEach(closeAll)

/** What a counter of one kernel says. */
async function seriesOf({ kernel }: TappedKernel, series: string): Promise<number> {
  const lines = (await kernel.registry.metrics()).split('\n')
  const [name, label] = series.split(/[{}]/)
  return lines
    .filter((line) => line.startsWith(`amoebacast_${name}{`) && line.includes(label!))
    .reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0)
}

const cases = (['multicast', 'unicast'] as const).flatMap((transport) => [
  { name: `sealed, ${transport}`, transport, key: drawKey() as string | undefined },
  { name: `plain, ${transport}`, transport, key: undefined },
])

describe.each(cases)('a replay: $name', ({ transport, key }) => {
  test('at once: everything arrives twice', async () => {
    const scene = new Scene(uniquePort('replay'), { transport, key })
    for (let i = 0; i < 3; i++) await scene.add(true)
    const views = scene.views()
    await scene.talk('doubled')
    expect(scene.views()).toEqual(views)
    expect(scene.alarms).toEqual([])
  })

  test('later, into the living group', async () => {
    const scene = new Scene(uniquePort('replay'), { transport, key })
    await scene.start(3)
    await scene.talk('first')
    await scene.comeAndGo()
    const record = scene.record
    expect(record.length).toBeGreaterThan(100)
    const [views, changes] = [scene.views(), scene.changes]
    const told = scene.members.map(({ diary }) => diary.messages.length)
    await play(record, scene)
    expect(scene.members.map(({ diary }) => diary.messages.length)).toEqual(told)
    await Promise.all([play(record, scene), scene.talk('second')])
    await play(record.slice().reverse(), scene)
    await scene.talk('third')
    expect(scene.views()).toEqual(views)
    expect(scene.changes).toEqual(changes)
    expect(scene.alarms).toEqual([])
    const ordered = scene.members.map(({ diary }) => diary.messages.length).join(', ')
    const said = `${record.length} packets recorded and played back three times; messages delivered, the same in the same order: ${ordered}`
    if (key === undefined) return console.log(said)
    const replayed = await Promise.all(
      scene.members.map(({ tapped }) => seriesOf(tapped, 'seal_rejected_total{reason="replayed"}')),
    )
    console.log(`${said}; dropped as replayed: ${replayed.join(', ')}`)
    for (const count of replayed) expect(count).toBeGreaterThan(100)
  })

  test('after all have been started again', async () => {
    const name = uniquePort('replay')
    const before = new Scene(name, { transport, key })
    await before.start(3)
    await before.talk('first')
    await before.comeAndGo()
    await before.close()
    const { record } = before
    const scene = new Scene(name, { transport, key })
    await scene.start(3)
    const [views, changes] = [scene.views(), scene.changes]
    await Promise.all([play(record, scene), scene.talk('again')])
    await play(record, scene)
    await scene.talk('once more')
    expect(scene.views()).toEqual(views)
    expect(scene.changes).toEqual(changes)
    expect(scene.alarms).toEqual([])
    // They were opened, since the key is the same, and belonged to a group that is no more.
    for (const { tapped } of scene.members)
      expect(await seriesOf(tapped, 'packets_rejected_total{reason="group"}')).toBeGreaterThan(10)
    // Nobody hears of the former life.
    for (const { diary } of scene.members)
      expect(diary.messages.filter((line) => line.includes('first'))).toEqual([])
  })

  test('of a crash, a ResetGroup, an expulsion and a return: later, and after all have been started again', async () => {
    const name = uniquePort('replay')
    const scene = new Scene(name, { transport, key }, true)
    await scene.start(5)
    await scene.talk('first')
    await scene.comeAndGo()
    await scene.kill(0)
    await scene.reset(2)
    await scene.cutOff(2)
    await scene.talk('second', 5)
    const record = scene.record
    if (key === undefined) {
      // as they come out of the seal, too: nothing but the protocol stands against these
      const kinds = new Set(record.map(({ bytes }) => packetKindNames[bytes[KIND_AT]!]))
      for (const kind of ['invite', 'expelled', 'joinRequest', 'hereIs', 'order'] as const)
        expect([...kinds]).toContain(kind)
    }
    const [views, changes, alarms] = [scene.views(), scene.changes, scene.alarms]
    expect(changes.filter((kind) => kind === 'reset').length).toBeGreaterThanOrEqual(3 * 3)
    expect(changes).toContain('rejoin')
    const messages = scene.messages()
    await play(record, scene)
    expect(scene.messages()).toEqual(messages)
    await Promise.all([play(record, scene), scene.talk('third', 5)])
    await play(record.slice().reverse(), scene)
    await scene.talk('fourth', 5)
    expect(scene.views()).toEqual(views)
    expect(scene.changes).toEqual(changes)
    expect(scene.alarms).toEqual(alarms)
    await scene.close()

    const again = new Scene(name, { transport, key })
    await again.start(3)
    const before = { views: again.views(), changes: again.changes }
    await Promise.all([play(record, again), again.talk('again', 5)])
    await again.talk('once more', 5)
    expect({ views: again.views(), changes: again.changes }).toEqual(before)
    expect(again.alarms).toEqual([])
  })
})
