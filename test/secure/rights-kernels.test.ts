/** Tokens and the `authorize` function with real kernels over loopback, the keys in files, as operators have them. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pino } from 'pino'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import type { Applicant, Kernel } from '../../group/index.ts'
import type { RightName } from '../../kernel/identity.ts'
import { drawKey } from '../../kernel/node/secure/group-key.ts'
import { Kernels, PATIENCE, uniquePort } from '../support/kernels.ts'
import { tokenOf } from './key-texts.ts'

const kernels = new Kernels()
let folder = ''

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'amoebacast-rights-'))
})

afterEach(async () => {
  await kernels.closeAll()
  await rm(folder, { recursive: true })
})

/** A kernel for each right, with its key file. */
async function startAll(key: string): Promise<Record<RightName, Kernel>> {
  const entries = await Promise.all(
    (['all', 'send', 'receive'] as const).map(async (right) => {
      const keyFile = join(folder, `${right}.key`)
      await writeFile(keyFile, `# ${right}\n${right === 'all' ? key : tokenOf(key, right)}\n`)
      return [right, await kernels.start({ keyFile })] as const
    }),
  )
  return Object.fromEntries(entries) as Record<RightName, Kernel>
}

const NOT_AUTHORIZED = { code: 'ERR_NOT_AUTHORIZED' }

describe('key files with tokens', () => {
  test('each member may do what its token says', async () => {
    const port = uniquePort('rights')
    const by = await startAll(drawKey())
    for (const right of ['send', 'receive'] as const) {
      await expect(by[right].createGroup(port)).rejects.toMatchObject(NOT_AUTHORIZED)
      await expect(by[right].joinOrCreateGroup(port)).rejects.toMatchObject(NOT_AUTHORIZED)
    }
    const founder = await by.all.createGroup<string>(port)
    const sender = await by.send.joinOrCreateGroup<string>(port)
    const reader = await by.receive.joinGroup<string>(port)
    const seq = await sender.sendToGroup('hello')
    await vi.waitFor(async () => expect((await reader.receiveFromGroup()).seq).toBe(seq), PATIENCE)
    await expect(reader.sendToGroup('no')).rejects.toMatchObject({ ...NOT_AUTHORIZED, outcome: 'refused' })
    await expect(reader.sendMany(['no', 'no'])).rejects.toMatchObject(NOT_AUTHORIZED)
    await expect(reader.resetGroup()).rejects.toMatchObject(NOT_AUTHORIZED)
    await expect(sender.resetGroup()).rejects.toMatchObject(NOT_AUTHORIZED)
    expect(await founder.resetGroup()).toBe(3)
    const { view } = await by.receive.inspectGroup(port)
    expect(view.members.map(({ right }) => right)).toEqual(['all', 'send', 'receive'])
    expect(reader.getInfoGroup()).toMatchObject({ right: 'receive' })
  })

  test('when the last with every right leaves, the others are told', async () => {
    const port = uniquePort('rights')
    const by = await startAll(drawKey())
    const founder = await by.all.createGroup<string>(port)
    const reader = await by.receive.joinGroup<string>(port)
    await founder.leaveGroup()
    const { code, reason } = await reader.closed
    expect(code).toBe('ERR_RESET_FAILED')
    expect(reason).toContain('the last member with every right has left')
  })

  test('a token of another key opens nothing', async () => {
    const port = uniquePort('rights')
    const member = await kernels.start({ key: drawKey() })
    await member.createGroup(port)
    const stranger = await kernels.start({ key: tokenOf(drawKey(), 'receive'), peers: [member.address] })
    await expect(stranger.joinGroup(port)).rejects.toMatchObject({ code: 'ERR_GROUP_NOT_FOUND' })
  })

  test('during a change of keys a token of either is good', async () => {
    const port = uniquePort('rights')
    const [old, fresh] = [drawKey(), drawKey()]
    const member = await kernels.start({ key: [old, fresh] })
    await member.createGroup(port)
    for (const keys of [[old], [fresh, old]]) {
      const kernel = await kernels.start({
        key: keys.map((key) => tokenOf(key, 'send')),
        peers: [member.address],
      })
      const group = await kernel.joinGroup<string>(port)
      await group.sendToGroup('hello')
    }
  })
})

describe('authorize', () => {
  test('decides about who has shown its right, by what the joiner shows it', async () => {
    const port = uniquePort('rights')
    const key = drawKey()
    const asked: [Applicant, string][] = []
    const lines: string[] = []
    const logger = pino({ level: 'warn' }, { write: (line: string) => lines.push(line) })
    const member = await kernels.start({ key, logger })
    const answers: Record<string, () => boolean | Promise<boolean>> = {
      yes: () => true,
      later: () => new Promise((resolve) => setTimeout(() => resolve(true), 300)),
      no: () => false,
      odd: () => 'yes' as never,
      throws: () => {
        throw new Error('the database is down')
      },
      rejects: () => Promise.reject(new Error('the database is down')),
    }
    const group = await member.createGroup<string>(port, {
      authorize: (applicant, token) => {
        const word = Buffer.from(token).toString()
        asked.push([applicant, word])
        return answers[word]!()
      },
    })
    const joiner = await kernels.start({ key: tokenOf(key, 'send'), peers: [member.address], name: 'joiner' })
    for (const token of ['no', 'odd', 'throws', 'rejects'])
      await expect(joiner.joinGroup(port, { token })).rejects.toMatchObject(NOT_AUTHORIZED)
    await joiner.joinGroup(port, { token: 'yes' })
    await joiner.joinGroup(port, { token: Buffer.from('later') })
    expect(group.getInfoGroup().view.members).toHaveLength(3)
    expect(asked.map(([, word]) => word)).toEqual(['no', 'odd', 'throws', 'rejects', 'yes', 'later'])
    for (const [applicant] of asked)
      expect(applicant).toEqual({ name: 'joiner', address: joiner.address, role: 'full', right: 'send' })
    expect(lines.filter((line) => line.includes('the database is down'))).toHaveLength(2)
    expect(lines.filter((line) => line.includes('has refused a joiner'))).toHaveLength(2)
  })

  test('one that never answers has refused', async () => {
    const port = uniquePort('rights')
    const lines: string[] = []
    const member = await kernels.start({
      logger: pino({ level: 'warn' }, { write: (line: string) => lines.push(line) }),
    })
    await member.createGroup<string>(port, { authorize: () => new Promise(() => {}) })
    const joiner = await kernels.start({ peers: [member.address] })
    await expect(joiner.joinGroup(port)).rejects.toMatchObject(NOT_AUTHORIZED)
    const says = (line: string) => line.includes('the authorize function has not answered in 5 s')
    await vi.waitFor(() => expect(lines.filter(says)).toHaveLength(1), PATIENCE)
  })

  test('the options are checked, and what the token is stays out of the message', async () => {
    const kernel = await kernels.start({})
    const secret = 'tell nobody'.repeat(100)
    for (const [options, says] of [
      [{ token: secret }, 'token is "1100 bytes long"; it must be at most 1024 bytes'],
      [{ token: 7 }, 'token is 7; it must be a string or a Uint8Array'],
      [{ authorize: 'yes' }, 'authorize is "yes"; it must be a function'],
    ] as const) {
      const error = await kernel.joinGroup('x', options as never).catch((error: Error) => error)
      expect(error).toMatchObject({ code: 'ERR_INVALID_ARGUMENT', message: expect.stringContaining(says) })
      expect((error as Error).message).not.toContain('tell nobody')
    }
  })
})
