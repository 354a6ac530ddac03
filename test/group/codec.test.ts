import { execFileSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { pino } from 'pino'
import { describe, expect, test } from 'vitest'
import { type Codec, codecFor, decoderFor } from '../../group/codec.ts'
import { createTestNetwork } from '../../group/testing.ts'
import { bytes, fakeKernel, messages, text } from './fake.ts'

const values = [
  null,
  undefined,
  true,
  0,
  -1,
  1.5,
  2 ** 40,
  'text',
  '',
  'ünï',
  [1, [2]],
  { op: 'add', id: 7 },
  { list: [undefined, null] },
  12345678901234567890n,
  new Date(5),
  new Set([1, 'a']),
  new Uint8Array([1, 2, 3]),
  new Float64Array([1.5, 2]),
]

describe('codecs', () => {
  test('msgpack gives back what was sent, with and without copies', () => {
    for (const copy of [false, true]) {
      const codec = codecFor<unknown>('msgpack', copy)
      for (const value of values) expect(codec.decode(new Uint8Array(codec.encode(value)))).toEqual(value)
    }
  })

  test('msgpack reads a body where it lies, and nothing of its neighbours', () => {
    for (const copy of [false, true]) {
      const codec = codecFor<unknown>('msgpack', copy)
      const decode = decoderFor(codec)
      const bodies = values.map((value) => codec.encode(value).slice())
      const block = new Uint8Array(7 + bodies.reduce((sum, { length }) => sum + length, 0) + 9).fill(1)
      let at = 7
      for (const [i, body] of bodies.entries()) {
        block.set(body, at)
        expect(decode(block, at, at + body.length)).toEqual(values[i])
        // one that ends too early must not go on in what lies behind it, and one that is too long is none
        expect(() => decode(block, at, at + body.length - 1)).toThrow()
        expect(() => decode(block, at, at + body.length + 1)).toThrow()
        expect(() => decode(block, at, at)).toThrow()
        expect(decode(block, at, at + body.length)).toEqual(values[i])
        at += body.length
      }
    }
  })

  test("a program's own codec is given the body alone, whatever else it has", () => {
    const own = { encode: bytes, decode: text, decodeAt: () => 'wrong' }
    const decode = decoderFor(codecFor<string>(own, false))
    expect(decode(bytes('abcd'), 1, 3)).toBe('bc')
  })

  test('encoded bodies stay as they are while others are encoded', () => {
    const codec = codecFor<unknown>(undefined, false)
    const encoded = Array.from({ length: 5000 }, (_, i) => codec.encode({ i }))
    for (const [i, body] of encoded.entries()) expect(codec.decode(body)).toEqual({ i })
  })

  test('msgpack works without its native part', () => {
    const script = `
      import { isNativeAccelerationEnabled, Packr } from 'msgpackr'
      if (isNativeAccelerationEnabled) throw new Error('native')
      const long = { s: 'x'.repeat(100), list: Array.from({ length: 50 }, (_, i) => 'item ' + i), n: 2 ** 40 }
      const packr = new Packr({ useRecords: false, moreTypes: true })
      process.stdout.write(JSON.stringify(packr.unpack(packr.pack(long))) === JSON.stringify(long) ? 'same' : 'different')`
    const env = { ...process.env, MSGPACKR_NATIVE_ACCELERATION_DISABLED: 'true' }
    const cwd = fileURLToPath(new URL('../..', import.meta.url))
    expect(
      execFileSync(process.execPath, ['--input-type=module', '-e', script], { env, cwd }).toString(),
    ).toBe('same')
  })

  test("a codec of the program's own is used both ways", async () => {
    const codec: Codec<number> = {
      encode: (value) => bytes(String(value)),
      decode: (body) => Number(text(body)),
    }
    const { kernel, rim } = fakeKernel()
    const group = await kernel.createGroup<number>('test', { codec })
    void group.sendToGroup(42)
    const machine = rim.machines[0]!
    expect(text(machine.callsOf('send')[0]!.body)).toBe('42')
    machine.deliver(messages(2, ['43']))
    expect(await group.receiveFromGroup()).toMatchObject({ body: 43 })
  })

  test('a body that cannot be encoded is refused', async () => {
    const { kernel } = fakeKernel()
    const group = await kernel.createGroup('test')
    const refused = { code: 'ERR_INVALID_ARGUMENT', outcome: 'refused' }
    await expect(group.sendToGroup(Symbol('no'))).rejects.toMatchObject(refused)
    const wrong = await kernel.createGroup('test', {
      codec: { encode: () => 'text' as never, decode: () => 0 },
    })
    await expect(wrong.sendToGroup(1)).rejects.toMatchObject(refused)
  })

  test('a body that cannot be decoded keeps its place', async () => {
    const { kernel, rim } = fakeKernel()
    const group = await kernel.createGroup<string>('test')
    const { encode } = codecFor<unknown>('msgpack', false)
    const cut = encode('a longer text').subarray(0, 5)
    rim.machines[0]!.deliver(
      messages(2, [{ body: encode('a') }, { body: cut, header: bytes('h') }, { body: encode('b') }]),
    )
    const got = await group.receiveBatch()
    expect(got.map(({ seq, body }) => [seq, body])).toEqual([
      [2, 'a'],
      [3, undefined],
      [4, 'b'],
    ])
    const bad = got[1]!
    expect(text(bad.header)).toBe('h')
    expect(bad.kind === 'message' && bad.error).toMatchObject({
      code: 'ERR_INVALID_ARGUMENT',
      cause: expect.any(Error),
    })
  })

  const json: Codec<unknown> = {
    encode: (value) => bytes(JSON.stringify(value)),
    decode: (body) => JSON.parse(text(body)),
  }
  test.each([
    ['binary', 'msgpack', bytes('plain text'), "codec 'msgpack'"],
    ['json', 'msgpack', json.encode({ pay: 17 }), "codec 'msgpack'"],
    ['binary', 'json', bytes('plain text'), "the program's own codec"],
    ['msgpack', 'json', codecFor<unknown>('msgpack', false).encode({ pay: 17 }), "the program's own codec"],
  ] as const)(
    'a body of %s where this member has %s: sender and codec are named',
    async (_theirs, own, body, named) => {
      const { kernel, rim } = fakeKernel()
      const group = await kernel.createGroup<unknown>('test', { codec: own === 'json' ? json : own })
      const machine = rim.machines[0]!
      machine.deliver(messages(2, [{ body }, { body }], 1))
      const { error } = (await group.receiveFromGroup()) as { error?: Error }
      const name = group.view.members[0]!.name
      expect(error?.message).toContain(
        `the body at seq 2 from member 1 (${name}) cannot be decoded with ${named}, `,
      )
      expect(error?.message).toMatch(/; all members of a group must use the same codec$/)
      group.tryReceive()
      expect(machine.undecodables).toEqual([`1 ${named}`, `1 ${named}`])
    },
  )

  test('not every other codec is noticed: a text of one character is a number, and bytes are bytes', () => {
    expect(codecFor<unknown>('msgpack', false).decode(bytes('7'))).toBe(55)
    expect(codecFor<unknown>('binary', false).decode(json.encode({ pay: 17 }))).toEqual(bytes('{"pay":17}'))
  })

  test('another codec among the members is told in the log, once, without what was sent', async () => {
    await using network = createTestNetwork()
    const lines: string[] = []
    const logger = pino({ level: 'warn' }, { write: (line: string) => void lines.push(line) })
    const [first, second] = [await network.startKernel({ logger }), await network.startKernel()]
    const one = await network.run(first.createGroup<unknown>('work', { codec: json }))
    const other = await network.run(second.joinGroup<Uint8Array>('work', { codec: 'binary' }))
    await network.run(other.sendMany([bytes('a secret'), bytes('another secret')]))
    const got = await network.run(one.receiveBatch())
    const errors = got.flatMap((delivery) => ('error' in delivery && delivery.error ? [delivery.error] : []))
    expect(errors).toHaveLength(2)
    const told = lines.filter((line) => line.includes('codec'))
    expect(told).toHaveLength(1)
    expect(told[0]).toContain(
      `a body from member ${other.memberId} cannot be decoded with the program's own codec`,
    )
    expect(told[0]).not.toContain('secret')
  })

  test('a wrong codec is named', () => {
    for (const wrong of ['json', 5, null, {}, { encode: () => bytes('') }]) {
      expect(() => codecFor(wrong as never, false)).toThrow(/codec is .*'msgpack', 'binary' or/)
    }
  })
})
