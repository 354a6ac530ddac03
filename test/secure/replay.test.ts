/**
 * Somebody in the middle records a whole run, and plays it back: at once, later into the living group, and into the
 * group that the same programs make after they have all been started again. Order, view and deliveries stay as they
 * are, and nobody is suspected. With a key, and as far without one.
 */
import { afterEach, describe, expect, test, vi } from 'vitest'
import type { Group, KernelOptions } from '../../group/index.ts'
import { drawKey } from '../../kernel/node/secure/group-key.ts'
import { Diary, type Recorded, startTapped, type TappedKernel } from './wire.ts'

const PATIENCE = { timeout: 40_000, interval: 20 }
const open: TappedKernel[] = []

afterEach(async () => {
  for (const { kernel } of open.splice(0)) await kernel.abandon('the test is over')
})

class Scene {
  readonly members: { tapped: TappedKernel; group: Group<string>; diary: Diary }[] = []
  private readonly port: string
  private readonly options: KernelOptions

  constructor(port: string, options: KernelOptions) {
    this.port = port
    this.options = options
  }

  async start(count: number): Promise<void> {
    for (let i = 0; i < count; i++) await this.add()
  }

  async add(isDoubling = false): Promise<void> {
    const peers = this.members.map(({ tapped }) => tapped.kernel.address)
    const tapped = await startTapped({ ...this.options, peers })
    tapped.tap.isDoubling = isDoubling
    open.push(tapped)
    const { kernel } = tapped
    const group =
      this.members.length === 0
        ? await kernel.createGroup<string>(this.port)
        : await kernel.joinGroup<string>(this.port)
    this.members.push({ tapped, group, diary: new Diary(group) })
    await this.settle()
  }

  /** Until everybody has heard of the last join or leave. */
  private async settle(): Promise<void> {
    await vi.waitFor(() => {
      const views = this.members.map(({ group }) => group.getInfoGroup().view)
      expect(views[0]!.members).toHaveLength(this.members.length)
      for (const view of views) expect(view).toEqual(views[0])
      const lasts = this.members.map(({ diary }) => diary.changes.length)
      expect(lasts).toEqual(lasts.map((_, i) => lasts[0]! - i))
    }, PATIENCE)
  }

  /** All send, a few large messages among them; resolves when all have everything. */
  async talk(word: string, each = 20): Promise<void> {
    const before = this.members[0]!.diary.messages.length
    await Promise.all(
      this.members.map(async ({ group }, i) => {
        await group.sendMany(Array.from({ length: each }, (_, k) => `${word} ${i} ${k}`))
        await group.sendToGroup(`${word} ${i} ${'large'.repeat(20_000)}`)
      }),
    )
    await vi.waitFor(() => {
      expect(this.members[0]!.diary.messages.length).toBe(before + this.members.length * (each + 1))
      this.isOneOrder()
    }, PATIENCE)
  }

  /** One has left: its packets, and the answers to them, are in the record too. */
  async comeAndGo(): Promise<void> {
    await this.add()
    await this.talk('guest', 5)
    const { group, tapped } = this.members.pop()!
    await group.leaveGroup()
    this.left.push(tapped)
    await this.settle()
  }

  readonly left: TappedKernel[] = []

  get record(): Recorded[] {
    return [...this.members.map(({ tapped }) => tapped), ...this.left].flatMap(({ tap }) => tap.recorded)
  }

  isOneOrder(): void {
    const [first, ...others] = this.members
    for (const { diary } of others) {
      const from = first!.diary.messages.indexOf(diary.messages[0]!)
      expect(diary.messages).toEqual(first!.diary.messages.slice(from))
    }
  }

  views(): unknown[] {
    return this.members.map(({ group }) => {
      const { view, memberId } = group.getInfoGroup()
      return { view, memberId }
    })
  }

  get alarms(): string[] {
    return this.members.flatMap(({ diary }) => diary.alarms)
  }

  get changes(): string[] {
    return this.members.flatMap(({ diary }) => diary.changes)
  }

  async close(): Promise<void> {
    for (const { tapped } of this.members) await tapped.kernel.close()
    for (const tapped of this.left) await tapped.kernel.close()
  }
}

/** Every packet to everyone, whoever it was for, from the source that it had; in pieces, so that members go on. */
async function play(record: readonly Recorded[], scene: Scene): Promise<void> {
  for (let i = 0; i < record.length; i += 20) {
    for (const packet of record.slice(i, i + 20))
      for (const { tapped } of scene.members) tapped.tap.arrive(packet)
    await new Promise((resolve) => setImmediate(resolve))
  }
}

/** What a counter of one kernel says. */
async function seriesOf({ kernel }: TappedKernel, series: string): Promise<number> {
  const lines = (await kernel.registry.metrics()).split('\n')
  const [name, label] = series.split(/[{}]/)
  return lines
    .filter((line) => line.startsWith(`amoebacast_${name}{`) && line.includes(label!))
    .reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0)
}

const port = (): string => `replay ${process.pid} ${Math.random()}`
const cases = (['multicast', 'unicast'] as const).flatMap((transport) => [
  { name: `sealed, ${transport}`, transport, key: drawKey() as string | undefined },
  { name: `plain, ${transport}`, transport, key: undefined },
])

describe.each(cases)('a replay: $name', ({ transport, key }) => {
  test('at once: everything arrives twice', async () => {
    const scene = new Scene(port(), { transport, key })
    for (let i = 0; i < 3; i++) await scene.add(true)
    const views = scene.views()
    await scene.talk('doubled')
    expect(scene.views()).toEqual(views)
    expect(scene.alarms).toEqual([])
  })

  test('later, into the living group', async () => {
    const scene = new Scene(port(), { transport, key })
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
    if (key === undefined) return
    for (const { tapped } of scene.members)
      expect(await seriesOf(tapped, 'seal_rejected_total{reason="replayed"}')).toBeGreaterThan(100)
  })

  test('after all have been started again', async () => {
    const name = port()
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
})
