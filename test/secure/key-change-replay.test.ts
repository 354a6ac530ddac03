/** Whatever was on the wire before and during a change of keys is played back to every member, while it goes on and after it. */
import { afterEach, expect, test, vi } from 'vitest'
import type { Group } from '../../group/index.ts'
import { drawKey } from '../../kernel/node/secure/group-key.ts'
import { PATIENCE, uniquePort } from '../support/kernels.ts'
import { idOf } from './key-texts.ts'
import { Diary, type Recorded, startTapped, type TappedKernel } from './wire.ts'

const open: TappedKernel[] = []

afterEach(async () => {
  for (const { kernel } of open.splice(0)) await kernel.close()
})

test('old packets change nothing: the group goes on under the new key, and nobody goes back', async () => {
  const port = uniquePort('replayed keys')
  const [old, fresh] = [drawKey(), drawKey()]
  const groups: Group<string>[] = []
  for (let i = 0; i < 3; i++) {
    const tapped = await startTapped({ key: old })
    open.push(tapped)
    groups.push(
      i === 0 ? await tapped.kernel.createGroup<string>(port) : await tapped.kernel.joinGroup<string>(port),
    )
  }
  const diaries = groups.map((group) => new Diary(group))
  let sent = 0
  const sendAll = async (): Promise<void> => {
    for (let i = 0; i < 10; i++) for (const group of groups) await group.sendToGroup(`${sent++}`)
    await vi.waitFor(() => {
      for (const { messages } of diaries) expect(messages).toHaveLength(sent)
    }, PATIENCE)
  }
  /** Also to those that they were not for. */
  const playBack = async (): Promise<void> => {
    const recorded: Recorded[] = open.flatMap(({ tap }) => tap.recorded.slice())
    for (const { tap } of open) for (const packet of recorded) tap.arrive(packet)
    await sendAll()
  }
  await sendAll()
  for (const { kernel } of open) {
    kernel.setKeys([fresh, old])
    await playBack()
  }
  await vi.waitFor(() => {
    for (const group of groups) expect(group.getInfoGroup().keyId).toBe(idOf(fresh))
  }, PATIENCE)
  await playBack()
  for (const { kernel } of open) {
    await vi.waitFor(() => expect(kernel.setKeys(fresh)).toBe(true), PATIENCE)
    await playBack()
  }
  for (const [i, { messages, alarms, changes }] of diaries.entries()) {
    expect(messages).toEqual(diaries[0]!.messages)
    expect(alarms).toEqual([])
    expect(changes.filter((kind) => kind !== 'join')).toEqual([])
    expect(groups[i]!.getInfoGroup()).toMatchObject({ keyId: idOf(fresh), view: { incarnation: 1 } })
  }
})
