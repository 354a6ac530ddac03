/** A former key that a process was given first by mistake, over real UDP: it goes soon, and no old packet brings it back. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, expect, test, vi } from 'vitest'
import { type Group, type Kernel, startKernel } from '../../group/index.ts'
import { drawKey, parseKeys } from '../../kernel/node/secure/group-key.ts'
import { keyText } from '../../kernel/settings.ts'
import { Diary, type Recorded, startTapped, type TappedKernel } from './wire.ts'

const PATIENCE = { timeout: 40_000, interval: 20 }
const kernels: Kernel[] = []
const folders: string[] = []

afterEach(async () => {
  for (const kernel of kernels.splice(0)) await kernel.close()
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true })
})

const idOf = (key: string): string => keyText(parseKeys('a key', key)[0]!.id)

function isAt(groups: readonly Group<string>[], key: string): void {
  for (const group of groups) expect(group.getInfoGroup().keyId).toBe(idOf(key))
}

test('out of the key file again, it is let go of with the next message', async () => {
  const port = `mistaken ${process.pid} ${Math.random()}`
  const [old, fresh] = [drawKey(), drawKey()]
  const folder = mkdtempSync(join(tmpdir(), 'amoebacast-keys-'))
  folders.push(folder)
  const keyFile = join(folder, 'group.key')
  writeFileSync(keyFile, `${fresh}\n`)
  const other = await startKernel({ logLevel: 'silent', key: fresh })
  const kernel = await startKernel({ logLevel: 'silent', keyFile })
  const stranger = await startKernel({ logLevel: 'silent', key: old })
  kernels.push(other, kernel, stranger)
  const groups = [await kernel.createGroup<string>(port), await other.joinGroup<string>(port)]
  const diaries = groups.map((group) => new Diary(group))
  writeFileSync(keyFile, `${old}\n${fresh}\n`)
  kernel.reloadKeys()
  await expect(stranger.joinGroup(port)).rejects.toMatchObject({ code: 'ERR_NOT_AUTHORIZED' })
  writeFileSync(keyFile, `${fresh}\n`)
  expect(() => kernel.reloadKeys()).toThrow(
    new RegExp(`^the key ${idOf(old)} cannot be taken away yet: .* may still change to it; put another`),
  )
  await groups[0]!.sendToGroup('the next')
  await vi.waitFor(() => kernel.reloadKeys(), PATIENCE)
  await expect(stranger.joinGroup(port)).rejects.toMatchObject({ code: 'ERR_GROUP_NOT_FOUND' })
  await groups[1]!.sendToGroup('and it goes on')
  isAt(groups, fresh)
  for (const { alarms } of diaries) expect(alarms).toEqual([])
})

test('when it is gone, nothing that was on the wire brings the group back to it, whoever is the sequencer', async () => {
  const port = `brought back ${process.pid} ${Math.random()}`
  const [old, fresh] = [drawKey(), drawKey()]
  const open: TappedKernel[] = []
  const groups: Group<string>[] = []
  for (let i = 0; i < 3; i++) {
    const tapped = await startTapped({ key: fresh })
    open.push(tapped)
    kernels.push(tapped.kernel)
    groups.push(
      i === 0 ? await tapped.kernel.createGroup<string>(port) : await tapped.kernel.joinGroup<string>(port),
    )
  }
  const diaries = groups.map((group) => new Diary(group))
  const last = open[2]!.kernel
  const { tap } = open[0]!
  // of its words some come at once, and some much later
  last.setKeys([old, fresh])
  for (const group of groups) await group.sendToGroup('while the former key is its first')
  const { members } = groups[0]!.getInfoGroup().view
  tap.delayedFrom = members[2]!.address
  const sending = groups[2]!.sendToGroup('delayed')
  await vi.waitFor(() => expect(tap.delayed.length).toBeGreaterThan(2), PATIENCE)
  last.setKeys([fresh, old])
  tap.delayedFrom = undefined
  await sending
  await groups[0]!.sendToGroup('and no more')
  await vi.waitFor(() => expect(last.setKeys(fresh)).toBe(true), PATIENCE)
  // the others would go back to it, if only the last one would
  for (const { kernel } of open.slice(0, 2)) kernel.setKeys([old, fresh])
  await groups[1]!.sendToGroup('of which its sequencer hears')
  for (const packet of tap.delayed) tap.arrive(packet)
  await groups[1]!.sendToGroup('after the delayed ones')
  isAt(groups, fresh)
  const recorded: Recorded[] = open.flatMap(({ tap }) => tap.recorded.slice())
  const playBack = async (living: readonly Group<string>[]): Promise<void> => {
    for (let round = 0; round < 3; round++) {
      for (const { tap } of open) for (const packet of recorded) tap.arrive(packet)
      for (const group of living) await group.sendToGroup(`round ${round}`)
    }
    isAt(living, fresh)
  }
  await playBack(groups)
  await groups[0]!.leaveGroup()
  await vi.waitFor(() => expect(groups[1]!.isSequencer).toBe(true), PATIENCE)
  await playBack(groups.slice(1))
  for (const { alarms } of diaries) expect(alarms).toEqual([])
  // (the last one's own word is believed)
  last.setKeys([old, fresh])
  await vi.waitFor(() => isAt(groups.slice(1), old), PATIENCE)
})
