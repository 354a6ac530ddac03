/** Messages of 1 MiB from all of three members over real UDP on loopback, compared by digest. */
import { createHash } from 'node:crypto'
import { expect, test } from 'vitest'
import type { Group, KernelOptions } from '../../group/index.ts'
import { Kernels, uniquePort } from '../support/kernels.ts'

const MIB = 2 ** 20

function bodyOf(sender: number, index: number): Uint8Array {
  const body = new Uint8Array(MIB)
  for (let i = 0, x = 1 + sender * 1000 + index; i < MIB; i++) {
    x = (Math.imul(x, 1103515245) + 12345) & 0x7fffffff
    body[i] = x >>> 16
  }
  return body
}

const digestOf = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex')

async function receive(group: Group<Uint8Array>, count: number): Promise<string[]> {
  const got: string[] = []
  for await (const { kind, seq, sender, body } of group) {
    if (kind === 'message') got.push(`${seq} ${sender} ${digestOf(body!)}`)
    if (got.length === count) break
  }
  return got
}

const cases: [string, KernelOptions][] = [
  ['default', {}],
  ['method 1', { method: 'pb' }],
  ['method 2', { method: 'bb' }],
  ['packets of 1,400 bytes', { packetSize: 1400 }],
  ['unicast fan-out', { transport: 'unicast' }],
]

test.each(cases)('1 MiB from each of three members, %s', async (_name, options) => {
  const kernels = new Kernels()
  try {
    const port = uniquePort('large')
    const groups: Group<Uint8Array>[] = []
    for (let i = 0; i < 3; i++) {
      const peers = options.transport === 'unicast' && i > 0 ? [kernels.all[0]!.address] : []
      const kernel = await kernels.start({ peers, ...options })
      const parameters = { codec: 'binary', maxMessageSize: MIB } as const
      groups.push(
        i === 0 ? await kernel.createGroup(port, parameters) : await kernel.joinGroup(port, parameters),
      )
    }
    const each = 5
    const receiving = groups.map((group) => receive(group, 3 * each))
    const sending = groups.map((group, s) =>
      Promise.all(Array.from({ length: each }, (_, i) => group.sendToGroup(bodyOf(s, i)))),
    )
    const [first, ...others] = await Promise.all(receiving)
    await Promise.all(sending)
    for (const other of others) expect(other).toEqual(first)
    for (const [s, { memberId }] of groups.entries()) {
      const own = first!
        .filter((line) => line.split(' ')[1] === String(memberId))
        .map((line) => line.split(' ')[2])
      expect(own).toEqual(Array.from({ length: each }, (_, i) => digestOf(bodyOf(s, i))))
    }
  } finally {
    await kernels.closeAll()
  }
})
