/** Groups with keys over real UDP: who gets in, who does not, what is told, and keys that change without a stop. */
import { networkInterfaces } from 'node:os'
import { pino } from 'pino'
import { afterEach, describe, expect, test, vi } from 'vitest'
import type { Group, Kernel, KernelOptions } from '../../group/index.ts'
import { silentLog } from '../../kernel/node/log.ts'
import { drawKey } from '../../kernel/node/secure/group-key.ts'
import { faultTeller, warnWithoutKey } from '../../kernel/node/secure/warnings.ts'
import { Kernels, PATIENCE, uniquePort } from '../support/kernels.ts'
import { Diary } from './wire.ts'

const kernels = new Kernels()

afterEach(() => kernels.closeAll())

async function series(kernel: Kernel, reason: string): Promise<number> {
  const page = await kernel.registry.metrics()
  return Number(
    new RegExp(`^amoebacast_seal_rejected_total\\{reason="${reason}"\\} (\\d+)`, 'm').exec(page)?.[1],
  )
}

describe('who has no key, or another one', () => {
  test.each([
    ['none', undefined, 'plain'],
    ['another one', drawKey(), 'key'],
  ])('%s: finds no group, and is counted', async (_, key, reason) => {
    const port = uniquePort('sealed')
    const member = await kernels.start({ key: drawKey() })
    const group = await member.createGroup<string>(port)
    const stranger = await kernels.start({ key, peers: [member.address] })
    await expect(stranger.joinGroup(port)).rejects.toMatchObject({ code: 'ERR_GROUP_NOT_FOUND' })
    expect(await series(member, reason)).toBeGreaterThan(0)
    await group.sendToGroup('still here')
    expect(group.getInfoGroup().view.members).toHaveLength(1)
  })

  test('the other way round, an open group means nothing to who has a key', async () => {
    const port = uniquePort('sealed')
    const open = await kernels.start()
    await open.createGroup(port)
    const careful = await kernels.start({ key: drawKey(), peers: [open.address] })
    await expect(careful.joinGroup(port)).rejects.toMatchObject({ code: 'ERR_GROUP_NOT_FOUND' })
  })

  test.each([
    [
      'no key',
      undefined,
      drawKey(),
      'sealed with a group key were heard meanwhile, and this process has none',
    ],
    ['another key', drawKey(), drawKey(), 'sealed with another group key were heard meanwhile'],
    ['a key, and the others none', drawKey(), undefined, 'that are not sealed were heard meanwhile'],
  ])(
    '%s: the error names the key where packets were heard that cannot be read',
    async (_, own, key, says) => {
      const port = uniquePort('sealed')
      const member = await kernels.start({ key })
      await member.createGroup(port)
      const stranger = await kernels.start({ key: own })
      const asking = setInterval(() => void member.inspectGroup(port).catch(() => {}), 20)
      try {
        for (const call of ['joinGroup', 'inspectGroup'] as const)
          await expect(stranger[call](port)).rejects.toMatchObject({
            code: 'ERR_GROUP_NOT_FOUND',
            message: expect.stringMatching(new RegExp(`^no group answered.* the group key.*${says}`)),
          })
      } finally {
        clearInterval(asking)
      }
    },
  )

  test.each([
    ['plain', 'no group key', 'key file'],
    ['key', 'another group key', '--key-file'],
    ['version', 'another version of amoebacast', 'the same version'],
    ['sealed', 'this process has none', '--key-file'],
  ] as const)('the line for %s says what is wrong and what to do', (fault, isWrong, toDo) => {
    const lines: [unknown, string][] = []
    faultTeller({ ...silentLog, warn: (...line: [unknown, string]) => lines.push(line) } as never)(
      '10.0.0.1:1',
      fault,
    )
    expect(lines).toEqual([[{ from: '10.0.0.1:1' }, expect.stringContaining(isWrong)]])
    expect(lines[0]![1]).toContain(toDo)
  })

  test('each source and fault is told once', () => {
    const lines: unknown[][] = []
    const log = { ...silentLog, warn: (...line: unknown[]) => lines.push(line) } as never
    const tell = faultTeller(log)
    for (let i = 0; i < 3; i++) {
      tell('10.0.0.1:1', 'plain')
      tell('10.0.0.1:1', 'key')
      tell('10.0.0.2:1', 'forged')
    }
    expect(lines).toHaveLength(2)
    for (let i = 0; i < 1000; i++) tell(`10.0.1.1:${i}`, 'plain')
    expect(lines.length).toBeLessThan(100)
  })
})

describe('without a key', () => {
  const warned = (address: string, isMeant: boolean): unknown[][] => {
    const lines: unknown[][] = []
    warnWithoutKey(
      { ...silentLog, warn: (...line: unknown[]) => lines.push(line) } as never,
      address,
      isMeant,
    )
    return lines
  }

  test('beyond loopback one warning says what to do', () => {
    const lines = warned('10.0.0.5', false)
    expect(lines).toHaveLength(1)
    for (const word of ['amoebacast keygen', '--key-file', '--insecure', 'forge'])
      expect(lines[0]![1]).toContain(word)
    expect(warned('fd00::1', false)).toHaveLength(1)
  })

  test('none on loopback, and none where it is meant', () => {
    expect([warned('127.0.0.1', false), warned('::1', false), warned('10.0.0.5', true)]).toEqual([[], [], []])
  })
})

describe('three members with keys', () => {
  const cases: readonly [string, (i: number, first: string) => KernelOptions][] = [
    ['multicast', () => ({})],
    ['unicast', (_, first) => ({ transport: 'unicast', peers: first === '' ? [] : [first] })],
    ['small packets', () => ({ packetSize: 700 })],
    ['IPv6', (_, first) => ({ interface: '::1', peers: first === '' ? [] : [first] })],
  ]
  test.each(cases)('%s: one order, large messages too', async (_, optionsOf) => {
    const key = drawKey()
    const port = uniquePort('sealed')
    const first = await kernels.start({ ...optionsOf(0, ''), key })
    const members = [first]
    for (const i of [1, 2]) members.push(await kernels.start({ ...optionsOf(i, first.address), key }))
    const groups: Group<string>[] = [await first.createGroup<string>(port, { resilience: 1 })]
    for (const kernel of members.slice(1)) groups.push(await kernel.joinGroup<string>(port))
    const diaries = groups.map((group) => new Diary(group))
    await Promise.all(
      groups.map(async (group, i) => {
        await group.sendMany(Array.from({ length: 200 }, (_, k) => `${i} ${k} ${'x'.repeat((k * 37) % 900)}`))
        await group.sendToGroup(`${i} ${'y'.repeat(200_000)}`)
      }),
    )
    await vi.waitFor(() => {
      for (const { messages } of diaries) expect(messages).toHaveLength(603)
    }, PATIENCE)
    expect(diaries[1]!.messages).toEqual(diaries[0]!.messages)
    expect(diaries[2]!.messages).toEqual(diaries[0]!.messages)
    for (const reason of ['forged', 'replayed', 'plain', 'key', 'hurried'])
      expect([reason, await series(first, reason)]).toEqual([reason, 0])
  })

  test('siblings in one kernel', async () => {
    const kernel = await kernels.start({ key: drawKey() })
    const port = uniquePort('sealed')
    await kernel.createGroup<string>(port)
    const other = await kernel.joinGroup<string>(port)
    const seq = await other.sendToGroup('hello')
    expect(await other.receiveFromGroup()).toMatchObject({ seq, body: 'hello' })
  })

  test('a packet size that leaves no room for a packet is refused', async () => {
    await expect(kernels.start({ key: drawKey(), packetSize: 520 })).rejects.toThrow(
      'at least 560 with a key',
    )
  })
})

test('a new key without a stop: members restarted one after another, three times', async () => {
  const port = uniquePort('sealed')
  const [old, fresh] = [drawKey(), drawKey()]
  const steps: readonly (readonly string[])[] = [[old], [old, fresh], [fresh, old], [fresh]]
  const seats: { kernel: Kernel; group: Group<string>; diary: Diary }[] = []
  const sit = async (place: number, keys: readonly string[]): Promise<void> => {
    const kernel = await kernels.start({ key: keys })
    const group =
      seats.length === 0 ? await kernel.createGroup<string>(port) : await kernel.joinGroup<string>(port)
    seats[place] = { kernel, group, diary: new Diary(group) }
  }
  for (let place = 0; place < 3; place++) await sit(place, steps[0]!)
  const groupIdOf = async (kernel: Kernel): Promise<unknown> => (await kernel.inspectGroup(port)).view.groupId
  const groupId = await groupIdOf(seats[0]!.kernel)
  let said = 0
  for (const keys of steps.slice(1)) {
    for (let place = 0; place < 3; place++) {
      await seats[place]!.group.leaveGroup()
      await seats[place]!.kernel.close()
      await sit(place, keys)
      // After every single restart all three talk to each other.
      for (const { group } of seats) {
        const word = `word ${said++}`
        await group.sendToGroup(word)
        await vi.waitFor(() => {
          for (const { diary } of seats) expect(diary.messages.at(-1)).toContain(word)
        }, PATIENCE)
      }
    }
  }
  expect(await groupIdOf(seats[0]!.kernel)).toEqual(groupId)
  for (const { kernel, diary } of seats) {
    expect(diary.alarms).toEqual([])
    expect(await series(kernel, 'key')).toBe(0)
  }
  // Who has only the old one is out for good.
  const late = await kernels.start({ key: old })
  await expect(late.joinGroup(port)).rejects.toMatchObject({ code: 'ERR_GROUP_NOT_FOUND' })
})

describe('a kernel on a network of this machine', () => {
  const address = Object.values(networkInterfaces())
    .flatMap((all) => all ?? [])
    .find(({ family, internal }) => family === 'IPv4' && !internal)?.address

  // Nothing is sent: there is no group, and nobody is looked for.
  test.skipIf(address === undefined)(
    'warns once at the start if it has no key, and nobody said so',
    async () => {
      const lines: string[] = []
      const logger = pino({ level: 'warn' }, { write: (line: string) => lines.push(line) })
      const about = (): string[] =>
        lines.filter((line) => line.includes('neither encrypted nor authenticated'))
      await kernels.start({ interface: address!, logger })
      expect(about()).toHaveLength(1)
      await kernels.start({ interface: address!, logger, insecure: true })
      await kernels.start({ interface: address!, logger, key: drawKey() })
      await kernels.start({ logger })
      expect(about()).toHaveLength(1)
    },
  )
})
