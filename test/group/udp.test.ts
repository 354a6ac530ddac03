/** Three members in one process over real UDP sockets on loopback, and programs that must end by themselves. */
import { execFile } from 'node:child_process'
import { mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { describe, expect, test } from 'vitest'
import { type Group, type KernelOptions, startKernel } from '../../group/index.ts'
import { drawKey } from '../../kernel/node/secure/group-key.ts'
import { uniquePort } from '../support/kernels.ts'
import { freeUdpPort } from '../support/ports.ts'

async function collect(group: Group<Uint8Array>, count: number): Promise<string[]> {
  const got: string[] = []
  while (got.length < count) {
    for (const { kind, seq, sender, body } of await group.receiveBatch()) {
      if (kind === 'message') got.push(`${seq} ${sender} ${body?.length} ${body?.[0]}`)
    }
  }
  return got
}

async function oneOrder(options: (i: number, first: string) => KernelOptions, port: string): Promise<void> {
  const first = await startKernel(options(0, ''))
  const kernels = [
    first,
    await startKernel(options(1, first.address)),
    await startKernel(options(2, first.address)),
  ]
  try {
    const groups = [await first.createGroup<Uint8Array>(port, { codec: 'binary' })]
    for (const kernel of kernels.slice(1))
      groups.push(await kernel.joinGroup<Uint8Array>(port, { codec: 'binary' }))
    const each = 500
    const receiving = groups.map((group) => collect(group, 3 * each))
    const sending = groups.map(async (group, i) => {
      const bodies = Array.from({ length: each }, (_, k) => new Uint8Array(1 + ((k * 7) % 300)).fill(i))
      const seqs = [
        ...(await group.sendMany(bodies.slice(0, 400))),
        ...(await Promise.all(bodies.slice(400).map((body) => group.sendToGroup(body)))),
      ]
      expect(seqs).toEqual([...seqs].sort((a, b) => a - b))
    })
    const [one, ...others] = await Promise.all(receiving)
    await Promise.all(sending)
    for (const other of others) expect(other).toEqual(one)
    await groups[1]!.leaveGroup()
    expect(groups[0]!.getInfoGroup()).toMatchObject({ isSequencer: true, waitingSends: 0 })
  } finally {
    for (const kernel of kernels) await kernel.close()
  }
}

/** Of two members in one process, the one that does not send, and of one elsewhere: who got other bodies than were sent. */
async function damagedAtThree(method: 'pb' | 'bb', key: string | undefined): Promise<number[]> {
  const [messages, size] = [200, 10_000]
  const common = { transport: 'unicast', method, key, logLevel: 'silent' } as const
  const udpPort = await freeUdpPort()
  const here = await startKernel({ ...common, peers: [`127.0.0.1:${udpPort}`] })
  const there = await startKernel({ ...common, udpPort, peers: [here.address] })
  try {
    const port = uniquePort('udp')
    const sender = await here.createGroup<Uint8Array>(port, { codec: 'binary' })
    const elsewhere = await there.joinGroup<Uint8Array>(port, { codec: 'binary' })
    const sibling = await here.joinGroup<Uint8Array>(port, { codec: 'binary' })
    for (let i = 0; i < messages; i += 20) {
      const bodies = Array.from({ length: 20 }, (_, k) => new Uint8Array(size).fill((i + k) & 255))
      await sender.sendMany(bodies)
    }
    // received when all of it has long been here
    return await Promise.all(
      [sender, sibling, elsewhere].map(async (group) => {
        let damaged = 0
        for (let count = 0; count < messages; ) {
          for (const { kind, body } of await group.receiveBatch()) {
            if (kind !== 'message') continue
            if (body!.length !== size || body!.some((byte) => byte !== (count & 255))) damaged++
            count++
          }
        }
        return damaged
      }),
    )
  } finally {
    await Promise.all([here.close(), there.close()])
  }
}

// What a member of the sender's process had not read yet was written over by packets to come, where there was no multicast.
test.each([
  ['pb', 'without a key', undefined],
  ['bb', 'without a key', undefined],
  ['pb', 'with a key', drawKey()],
] as const)(
  'two members of one process and one elsewhere, unicast, method %s, %s: bodies as sent',
  async (method, _, key) => {
    expect(await damagedAtThree(method, key)).toEqual([0, 0, 0])
  },
)

describe('over UDP on loopback', () => {
  test('multicast', () => oneOrder(() => ({ logLevel: 'silent' }), uniquePort('udp')))

  test('unicast fan-out, found through one peer', () => {
    return oneOrder(
      (i, first) => ({ transport: 'unicast', peers: i === 0 ? [] : [first], logLevel: 'silent' }),
      uniquePort('udp'),
    )
  })

  test('unicast fan-out over IPv6', () => {
    return oneOrder(
      (i, first) => ({ interface: '::1', peers: i === 0 ? [] : [first], logLevel: 'silent' }),
      uniquePort('udp'),
    )
  })

  test('siblings in one kernel', async () => {
    await using kernel = await startKernel({ logLevel: 'silent' })
    const port = uniquePort('udp')
    const one = await kernel.createGroup<string>(port)
    const two = await kernel.joinGroup<string>(port)
    const seq = await two.sendToGroup('hello')
    expect(await two.receiveFromGroup()).toMatchObject({ seq, body: 'hello', sender: two.memberId })
    expect((await one.receiveBatch()).at(0)).toMatchObject({ kind: 'join' })
  })

  test('a metrics page, with send times', async () => {
    await using kernel = await startKernel({ metricsPort: 0, logLevel: 'silent' })
    const group = await kernel.createGroup<string>('metrics')
    await group.sendToGroup('one')
    const page = await (await fetch(`http://${kernel.metricsAddress}/metrics`)).text()
    expect(page).toContain('amoebacast_is_sequencer{group="metrics"} 1')
    expect(page).toMatch(/amoebacast_send_seconds_count\{.*group="metrics".*\} 1/)
    expect((await fetch(`http://${kernel.metricsAddress}/readyz`)).status).toBe(200)
    expect(await kernel.registry.metrics()).toContain('amoebacast_view_members{group="metrics"} 1')
  })

  test('a busy port and a foreign address are errors that say what to do', async () => {
    await using kernel = await startKernel({ metricsPort: 0, logLevel: 'silent' })
    const udpPort = Number(kernel.address.split(':').at(-1))
    const metricsPort = Number(kernel.metricsAddress?.split(':').at(-1))
    const address = { code: 'ERR_ADDRESS' }
    await expect(startKernel({ udpPort })).rejects.toMatchObject(address)
    await expect(startKernel({ metricsPort })).rejects.toMatchObject(address)
    await expect(startKernel({ interface: '192.0.2.1' })).rejects.toMatchObject(address)
  })
})

/** Runs a program against the built package, as its users do, and gives its standard output once it has ended. */
async function runProgram(lines: string): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'amoebacast-'))
  try {
    await symlink(fileURLToPath(new URL('../..', import.meta.url)), join(directory, 'package'))
    const main = join(directory, 'main.mjs')
    await writeFile(
      main,
      lines
        .replaceAll("'amoebacast", "'./package/dist/group/")
        .replaceAll("/'", "/index.js'")
        .replaceAll('//amoeba', '/amoeba.js'),
    )
    const { stdout } = await promisify(execFile)(process.execPath, [main], { timeout: 20_000 })
    return stdout
  } finally {
    await rm(directory, { recursive: true })
  }
}

describe('the shortest programs', () => {
  test('end by themselves after the last leave', async () => {
    const stdout = await runProgram(`
      import { createGroup, joinGroup } from 'amoebacast'
      const group = await createGroup(${JSON.stringify(uniquePort('udp'))})
      const other = await joinGroup(group.port)
      console.log(await other.sendToGroup('hello'), (await other.receiveFromGroup()).body)
      await other.leaveGroup()
      await group.leaveGroup()
      console.log('left')`)
    expect(stdout).toMatch(/^\d+ hello\nleft\n$/)
  })

  test('end also when nothing was opened', async () => {
    const stdout = await runProgram(`
      import { joinGroup } from 'amoebacast'
      await joinGroup(${JSON.stringify(uniquePort('udp'))}).catch(({ code }) => console.log(code))`)
    expect(stdout).toBe('ERR_GROUP_NOT_FOUND\n')
  })

  test("are written in the paper's calls too", async () => {
    const stdout = await runProgram(`
      import { CreateGroup, LeaveGroup, ReceiveFromGroup, SendToGroup } from 'amoebacast/amoeba'
      const gd = await CreateGroup(${JSON.stringify(uniquePort('udp'))}, 0, 4, 16, 1000)
      await SendToGroup(gd, undefined, new TextEncoder().encode('hi'))
      const { buf, more } = await ReceiveFromGroup(gd)
      console.log(gd, new TextDecoder().decode(buf), more)
      await LeaveGroup(gd)`)
    expect(stdout).toBe('0 hi false\n')
  })
})

test('a program that inspects its own group in a loop lets other work run', async () => {
  const kernel = await startKernel({ logLevel: 'silent' })
  const port = uniquePort('inspected')
  await kernel.createGroup(port)
  let turns = 0
  const timer = setInterval(() => turns++, 1)
  for (let i = 0; i < 2000 && turns < 3; i++) await kernel.inspectGroup(port)
  clearInterval(timer)
  await kernel.close()
  expect(turns).toBeGreaterThan(1)
})

test('a member whose body was transferred away before its send had settled says what to do', async () => {
  const kernel = await startKernel({ logLevel: 'silent' })
  try {
    const group = await kernel.createGroup<Uint8Array>(uniquePort('transferred'), { codec: 'binary' })
    const closed = new Promise<string>((resolve) => group.on('closed', ({ reason }) => resolve(reason)))
    const bodies = [1, 2, 3].map(() => new Uint8Array(30_000))
    const sends = bodies.map((body) => group.sendToGroup(body))
    structuredClone(bodies[2], { transfer: [bodies[2]!.buffer] })
    const ends = await Promise.allSettled(sends)
    expect(ends.at(-1)).toMatchObject({ status: 'rejected', reason: { code: 'ERR_GROUP_CLOSED' } })
    expect(await closed).toMatch(/transferred away.*transfer list.*give a copy/)
  } finally {
    await kernel.close()
  }
})
