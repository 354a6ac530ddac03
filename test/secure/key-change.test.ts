/** Another group key while the group goes on, in one process over real UDP: nothing is lost, and nothing is forgotten too early. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import type { Group, Kernel } from '../../group/index.ts'
import { drawKey } from '../../kernel/node/secure/group-key.ts'
import { Kernels, PATIENCE, uniquePort } from '../support/kernels.ts'
import { idOf } from './key-texts.ts'
import { Diary } from './wire.ts'

const kernels = new Kernels()
let old = ''
let fresh = ''

beforeEach(() => {
  old = drawKey()
  fresh = drawKey()
})

afterEach(() => kernels.closeAll())

interface Seat {
  readonly kernel: Kernel
  readonly group: Group<string>
  readonly diary: Diary
  readonly changes: { readonly keyId: string; readonly before: string | undefined; readonly seq: number }[]
}

async function sit(port: string, keys: readonly string[]): Promise<Seat[]> {
  const seats: Seat[] = []
  for (const key of keys) {
    const kernel = await kernels.start({ key })
    const group =
      seats.length === 0
        ? await kernel.createGroup<string>(port, { memberName: 'm1' })
        : await kernel.joinGroup<string>(port, { memberName: `m${seats.length + 1}` })
    const changes: Seat['changes'] = []
    group.on('key', (change) => changes.push(change))
    seats.push({ kernel, group, diary: new Diary(group), changes })
  }
  return seats
}

const leastRise = (now: readonly number[], before: readonly number[]): number =>
  Math.min(...now.map((count, i) => count - before[i]!))

const allAt = (seats: readonly Seat[], keyId: string): Promise<void> =>
  vi.waitFor(() => {
    for (const { group } of seats) expect(group.getInfoGroup().keyId).toBe(keyId)
  }, PATIENCE)

test('under traffic: the change has one place, nothing is lost, and the old key goes', async () => {
  const port = uniquePort('keys')
  const seats = await sit(port, [old, old, old])
  let isTalking = true
  const said = [0, 0, 0]
  const talking = seats.map(async ({ group }, i) => {
    while (isTalking) await group.sendToGroup(`${i} ${said[i]!++}`)
  })
  for (const { kernel } of seats) {
    const before = [...said]
    expect(kernel.setKeys([fresh, old])).toBe(true)
    await vi.waitFor(() => expect(leastRise(said, before)).toBeGreaterThan(20), PATIENCE)
  }
  await allAt(seats, idOf(fresh))
  await vi.waitFor(() => {
    for (const { changes } of seats) expect(changes).toHaveLength(1)
  }, PATIENCE)
  const [change] = seats[0]!.changes
  expect(change).toMatchObject({ keyId: idOf(fresh), before: idOf(old) })
  for (const { changes } of seats) expect(changes).toEqual([change])
  // once everybody has heard of it, and not before
  for (const { kernel } of seats) await vi.waitFor(() => expect(kernel.setKeys(fresh)).toBe(true), PATIENCE)
  const before = [...said]
  await vi.waitFor(() => expect(leastRise(said, before)).toBeGreaterThan(20), PATIENCE)
  isTalking = false
  await Promise.all(talking)
  const total = said.reduce((sum, count) => sum + count, 0)
  await vi.waitFor(() => {
    for (const { diary } of seats) expect(diary.messages).toHaveLength(total)
  }, PATIENCE)
  for (const { diary } of seats) {
    expect(diary.messages).toEqual(seats[0]!.diary.messages)
    expect(diary.alarms).toEqual([])
  }
  const page = await seats[1]!.kernel.registry.metrics()
  expect(page).toMatch(/^amoebacast_key_changes_total\{.*\} 1$/m)
  expect(page).toMatch(new RegExp(`^amoebacast_key_id\\{.*\\} ${Number.parseInt(idOf(fresh), 16)}$`, 'm'))
})

test('a member without the new key holds the change up, and the group says who', async () => {
  const port = uniquePort('keys')
  const seats = await sit(port, [old, old, old])
  seats[0]!.kernel.setKeys([fresh, old])
  seats[1]!.kernel.setKeys([fresh, old])
  await vi.waitFor(async () => {
    const { keyId, abilities } = await seats[2]!.kernel.inspectGroup(port)
    expect(keyId).toBe(idOf(old))
    expect(abilities.map(({ newestKey }) => newestKey)).toEqual([idOf(fresh), idOf(fresh), idOf(old)])
  }, PATIENCE)
  await seats[2]!.group.sendToGroup('still with the old one')
  expect(seats.map(({ group }) => group.getInfoGroup().keyId)).toEqual([idOf(old), idOf(old), idOf(old)])
  // it goes, and is not waited for any more
  await seats[2]!.group.leaveGroup()
  await allAt(seats.slice(0, 2), idOf(fresh))
})

describe('a joiner', () => {
  test('that has only the old key is refused by name of the new one', async () => {
    const port = uniquePort('keys')
    const seats = await sit(port, [old, old])
    for (const { kernel } of seats) kernel.setKeys([fresh, old])
    await allAt(seats, idOf(fresh))
    const late = await kernels.start({ key: old })
    for (const how of ['joinGroup', 'joinOrCreateGroup'] as const) {
      const refusal = await late[how](port).catch((error: unknown) => error as Error & { code: string })
      expect(refusal).toMatchObject({ code: 'ERR_NOT_AUTHORIZED' })
      expect((refusal as Error).message).toContain(idOf(fresh))
      expect((refusal as Error).message).toContain('--key-file')
    }
    await expect(late.inspectGroup(port)).rejects.toMatchObject({ code: 'ERR_NOT_AUTHORIZED' })
    late.setKeys([fresh, old])
    await late.joinGroup(port)
    expect(seats[0]!.group.getInfoGroup().view.members).toHaveLength(3)
  })

  test('that has both finds a group under either, and goes by its key', async () => {
    const port = uniquePort('keys')
    const [first] = await sit(port, [old])
    const both = await kernels.start({ key: [fresh, old] })
    const group = await both.joinGroup<string>(port)
    const seq = await group.sendToGroup('under the old one')
    await vi.waitFor(() => expect(first!.diary.messages).toHaveLength(1), PATIENCE)
    expect(seq).toBeGreaterThan(0)
    expect(first!.group.getInfoGroup().keyId).toBe(idOf(old))
  })
})

describe('a key is not taken away', () => {
  test('while the group seals with it, or may begin to', async () => {
    const port = uniquePort('keys')
    const seats = await sit(port, [old, old])
    const [{ kernel }] = seats as [Seat, Seat]
    expect(() => kernel.setKeys(fresh)).toThrow(
      new RegExp(`^the key ${idOf(old)} cannot be taken away yet: the group ".*" seals with it`),
    )
    kernel.setKeys([fresh, old])
    expect(() => kernel.setKeys(old)).toThrow(
      new RegExp(`^the key ${idOf(fresh)} cannot be taken away yet: .* told that this process holds it`),
    )
    // in another order it may be
    expect(kernel.setKeys([old, fresh])).toBe(true)
    await seats[1]!.group.sendToGroup('and nothing has changed')
    expect(kernel.setKeys([old, fresh])).toBe(false)
  })

  test('before every member has heard of the change', async () => {
    const port = uniquePort('keys')
    const [first] = await sit(port, [old])
    const slow = await kernels.start({ key: old })
    const group = await slow.joinGroup<string>(port, { memberName: 'slow one' })
    // its program does not take this, nor what lies behind it, the change among it: that is not stable
    await first!.group.sendToGroup('not taken')
    slow.setKeys([fresh, old])
    first!.kernel.setKeys([fresh, old])
    await allAt([first!], idOf(fresh))
    expect(() => first!.kernel.setKeys(fresh)).toThrow(
      /has changed to another, and waits for slow one to hear of it/,
    )
    await group.receiveFromGroup()
    await vi.waitFor(() => expect(first!.kernel.setKeys(fresh)).toBe(true), PATIENCE)
  })

  test('nor may a process begin or cease to seal, or hold what is no key', async () => {
    const open = await kernels.start()
    expect(() => open.setKeys(fresh)).toThrow('restart it with the other setting')
    const kernel = await kernels.start({ key: old })
    expect(() => kernel.setKeys('amoebacast-key-1:short')).toThrow('the key in the option key')
    expect(() => kernel.reloadKeys()).toThrow('without keyFile')
    expect(() => kernel.setKeys([])).toThrow('holds no key')
  })
})

describe('a key file', () => {
  let folder = ''
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'amoebacast-keys-'))
  })
  afterEach(() => rmSync(folder, { recursive: true, force: true }))

  test('is read again by itself; what cannot be taken over is told, and tried again', async () => {
    const keyFile = join(folder, 'group.key')
    writeFileSync(keyFile, `${old}\n`)
    const kernel = await kernels.start({ keyFile })
    const port = uniquePort('keys')
    const group = await kernel.createGroup<string>(port)
    const refusals: string[] = []
    group.on('keyRefused', ({ reason }) => refusals.push(reason))
    writeFileSync(keyFile, `${fresh}\n`)
    // what is needed is held on to, and what is new is taken over: the group can change
    await vi.waitFor(() => expect(refusals).toEqual([expect.stringContaining('seals with it')]), PATIENCE)
    await vi.waitFor(() => expect(group.getInfoGroup().keyId).toBe(idOf(fresh)), PATIENCE)
    // and then the old one goes by itself
    const stranger = await kernels.start({ key: old })
    await vi.waitFor(
      () => expect(stranger.joinGroup(port)).rejects.toMatchObject({ code: 'ERR_GROUP_NOT_FOUND' }),
      PATIENCE,
    )
    writeFileSync(keyFile, 'half a fi')
    await vi.waitFor(() => expect(refusals).toHaveLength(2), PATIENCE)
    expect(kernel.reloadKeys.bind(kernel)).toThrow('does not begin with')
    await group.sendToGroup('a group of one goes on')
  })
})
