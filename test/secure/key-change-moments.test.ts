/** Changes of keys at awkward moments: while a group is opened, and while a kernel starts. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { drawKey } from '../../kernel/node/secure/group-key.ts'
import { Kernels, PATIENCE, uniquePort } from '../support/kernels.ts'
import { idOf } from './key-texts.ts'

const kernels = new Kernels()
let folder = ''
let old = ''
let fresh = ''

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'amoebacast-keys-'))
  old = drawKey()
  fresh = drawKey()
})

afterEach(async () => {
  await kernels.closeAll()
  rmSync(folder, { recursive: true, force: true })
})

test('keys that change while a group is opened are those of its member', async () => {
  const port = uniquePort('moments')
  const kernel = await kernels.start({ key: old })
  const opening = kernel.createGroup<string>(port)
  expect(kernel.setKeys([fresh, old])).toBe(true)
  const group = await opening
  await vi.waitFor(() => expect(group.getInfoGroup().keyId).toBe(idOf(fresh)), PATIENCE)
})

test('keys that change during an inspection count for it', async () => {
  const port = uniquePort('moments')
  const member = await kernels.start({ key: [fresh, old] })
  await member.createGroup<string>(port)
  const asking = await kernels.start({ key: old })
  for (const moment of ['at once', 'a moment later'] as const) {
    const inspection = asking.inspectGroup(port)
    if (moment === 'a moment later') await Promise.resolve()
    asking.setKeys([fresh, old])
    expect((await inspection).keyId).toBe(idOf(fresh))
    asking.setKeys(old)
  }
})

test('a key file that changes while its kernel starts is read again', async () => {
  const keyFile = join(folder, 'group.key')
  writeFileSync(keyFile, `${old}\n`)
  const starting = kernels.start({ keyFile })
  writeFileSync(keyFile, `${fresh}\n${old}\n`)
  const kernel = await starting
  const group = await kernel.createGroup<string>(uniquePort('moments'))
  await vi.waitFor(() => expect(group.getInfoGroup().keyId).toBe(idOf(fresh)), PATIENCE)
})

test('where a file says which keys are held, nothing else does', async () => {
  const keyFile = join(folder, 'group.key')
  writeFileSync(keyFile, `${old}\n`)
  const kernel = await kernels.start({ keyFile })
  expect(() => kernel.setKeys([fresh, old])).toThrow(`this kernel takes its keys from ${keyFile} (keyFile)`)
  writeFileSync(keyFile, `${fresh}\n${old}\n`)
  expect(kernel.reloadKeys()).toBe(true)
  expect(kernel.reloadKeys()).toBe(false)
})

test('a file that changes and changes while the group cannot follow does not pile up keys', async () => {
  const port = uniquePort('moments')
  const keyFile = join(folder, 'group.key')
  const member = await kernels.start({ key: old })
  await member.createGroup<string>(port)
  writeFileSync(keyFile, `${old}\n`)
  const kernel = await kernels.start({ keyFile })
  const group = await kernel.joinGroup<string>(port)
  const refusals: string[] = []
  const keys: string[] = []
  for (let i = 0; i < 10; i++) {
    keys.push(drawKey())
    writeFileSync(keyFile, `${keys[i]}\n`)
    try {
      kernel.reloadKeys()
    } catch (error) {
      refusals.push((error as Error).message)
    }
  }
  expect(refusals).toHaveLength(10)
  const last = keys[6]!
  for (const refusal of refusals.slice(0, 7))
    expect(refusal).toContain(`the key ${idOf(old)} cannot be taken`)
  for (const refusal of refusals.slice(7))
    expect(refusal).toMatch(
      new RegExp(`may hold 8 keys, .* keep 8: .*; put ${idOf(last)} first there, and wait`),
    )
  // as it says
  writeFileSync(keyFile, `${last}\n`)
  member.setKeys([last, old])
  await vi.waitFor(() => expect(group.getInfoGroup().keyId).toBe(idOf(last)), PATIENCE)
})
