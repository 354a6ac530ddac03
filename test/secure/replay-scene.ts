/** A group whose wire is recorded, what happens to it, and the playing back. */
import { expect, vi } from 'vitest'
import type { Group, KernelOptions } from '../../group/index.ts'
import { PATIENCE } from '../support/kernels.ts'
import { Diary, type Recorded, startTapped, type TappedKernel } from './wire.ts'

const open: TappedKernel[] = []

/** To be called after each test. */
export async function closeAll(): Promise<void> {
  for (const { kernel } of open.splice(0)) await kernel.abandon('the test is over')
}

export interface SceneMember {
  readonly tapped: TappedKernel
  readonly group: Group<string>
  readonly diary: Diary
}

/** A group in this process over real UDP, whose wire is listened to. */
export class Scene {
  readonly members: SceneMember[] = []
  /** Of those that have left, or were killed. */
  private readonly left: TappedKernel[] = []
  private readonly port: string
  private readonly options: KernelOptions
  private readonly rejoin: boolean

  constructor(port: string, options: KernelOptions, rejoin = false) {
    this.port = port
    this.options = options
    this.rejoin = rejoin
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
        ? await kernel.createGroup<string>(this.port, { rejoin: this.rejoin })
        : await kernel.joinGroup<string>(this.port, { rejoin: this.rejoin })
    this.members.push({ tapped, group, diary: new Diary(group) })
    await this.settle()
  }

  /** Until everybody has heard of the last join or leave. */
  private async settle(): Promise<void> {
    await this.agree()
    await vi.waitFor(() => {
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

  /** Its process is killed: the others go on in a new view. */
  async kill(index: number): Promise<void> {
    const [member] = this.members.splice(index, 1)
    member!.tapped.tap.isCut = true
    await member!.tapped.kernel.abandon('killed')
    this.left.push(member!.tapped)
    await this.agree()
  }

  /** ResetGroup, by one of them. */
  async reset(index: number): Promise<void> {
    const { incarnation } = this.members[0]!.group.view
    await this.members[index]!.group.resetGroup()
    await this.agree()
    expect(this.members[0]!.group.view.incarnation).not.toBe(incarnation)
  }

  /** One is cut off until the others have gone on without it, and finds itself expelled; it comes back by itself. */
  async cutOff(index: number): Promise<void> {
    const { tapped, group } = this.members[index]!
    const { memberId } = group
    const others = this.members.filter((_, i) => i !== index)
    tapped.tap.isCut = true
    await vi.waitFor(() => {
      for (const other of others) expect(other.group.view.members).toHaveLength(others.length)
    }, PATIENCE)
    tapped.tap.isCut = false
    await vi.waitFor(() => expect(group.memberId).not.toBe(memberId), PATIENCE)
    await this.agree()
  }

  /** Until all that are here, and nobody else, are in one view. */
  private async agree(): Promise<void> {
    await vi.waitFor(() => {
      const views = this.members.map(({ group }) => group.getInfoGroup().view)
      expect(views[0]!.members).toHaveLength(this.members.length)
      for (const view of views) expect(view).toEqual(views[0])
    }, PATIENCE)
  }

  get record(): Recorded[] {
    return [...this.members.map(({ tapped }) => tapped), ...this.left].flatMap(({ tap }) => tap.recorded)
  }

  isOneOrder(): void {
    const [first, ...others] = this.members
    for (const { diary } of others) {
      const theirs = diary.sinceReturn
      const from = first!.diary.messages.indexOf(theirs[0]!)
      expect(theirs).toEqual(first!.diary.messages.slice(from))
    }
  }

  messages(): readonly (readonly string[])[] {
    return this.members.map(({ diary }) => diary.messages.slice())
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
export async function play(record: readonly Recorded[], scene: Scene): Promise<void> {
  for (let i = 0; i < record.length; i += 20) {
    for (const packet of record.slice(i, i + 20))
      for (const { tapped } of scene.members) tapped.tap.arrive(packet)
    await new Promise((resolve) => setImmediate(resolve))
  }
}
