/** The envelope: what opens, what does not, and that nothing is ever sealed twice under one nonce. */
import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { promisify } from 'node:util'
import { Worker } from 'node:worker_threads'
import fc from 'fast-check'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { readU32, readU53 } from '../../kernel/bytes.ts'
import { systemCiphers } from '../../kernel/node/secure/ciphers.ts'
import {
  COUNTER_AT,
  KEY_ID_AT,
  SALT_AT,
  SALT_BYTES,
  SEAL_OVERHEAD,
  SEALED_AT,
} from '../../kernel/node/secure/envelope.ts'
import { drawKey, type GroupKey } from '../../kernel/node/secure/group-key.ts'
import { Opener } from '../../kernel/node/secure/opener.ts'
import { ReplayWindow, WINDOW_COUNTERS } from '../../kernel/node/secure/replay-window.ts'
import { SealBuffers } from '../../kernel/node/secure/seal-buffers.ts'
import { SealedTransport } from '../../kernel/node/secure/sealed-transport.ts'
import { Sealer } from '../../kernel/node/secure/sealer.ts'
import { DERIVE_BURST, Senders } from '../../kernel/node/secure/senders.ts'
import { sealKeyOf, writeSealKey } from '../../kernel/packet.ts'
import { FakeTransport, packet } from '../node/support.ts'
import { keysOf } from './key-texts.ts'

const aKey = (): GroupKey => keysOf(drawKey())[0]!
const key = aKey()

afterEach(() => {
  vi.useRealTimers()
})

function sealed(sealer: Sealer, plain: Uint8Array = packet()): Uint8Array {
  const into = new Uint8Array(plain.length + SEAL_OVERHEAD)
  sealer.seal(plain, into)
  return into
}

const saltOf = (bytes: Uint8Array): string =>
  Buffer.from(bytes.subarray(SALT_AT, SALT_AT + SALT_BYTES)).toString('hex')
const nonceOf = (bytes: Uint8Array): string => `${saltOf(bytes)} ${readU53(bytes, COUNTER_AT)}`

describe('sealing and opening', () => {
  test('gives the packet back, of every size, and hides it', () => {
    const sealer = new Sealer(key)
    const opener = new Opener([key])
    for (const size of [0, 1, 100, 1024, 16_256, 60_000]) {
      const plain = packet({ body: new Uint8Array(randomBytes(size)) })
      const bytes = sealed(sealer, plain)
      expect(bytes.length).toBe(plain.length + SEAL_OVERHEAD)
      expect(Buffer.from(bytes).includes(Buffer.from(plain.subarray(0, 16)))).toBe(false)
      expect(Buffer.from(opener.open(bytes, 0) as Uint8Array)).toEqual(Buffer.from(plain))
    }
  })

  test('a change of any byte is noticed', () => {
    const bytes = sealed(new Sealer(key), packet({ body: new Uint8Array(20) }))
    for (let at = 0; at < bytes.length; at++) {
      for (const bit of [1, 128]) {
        const damaged = Uint8Array.from(bytes)
        damaged[at]! ^= bit
        expect(typeof new Opener([key]).open(damaged, 0)).toBe('string')
      }
    }
    for (let length = 0; length < bytes.length; length++)
      expect(typeof new Opener([key]).open(bytes.slice(0, length), 0)).toBe('string')
    expect(typeof new Opener([key]).open(bytes, 0)).toBe('object')
  })

  test('whatever arrives, in whatever order, each is opened once, and what is forged uses up nothing', () => {
    fc.assert(
      fc.property(
        fc.array(fc.record({ which: fc.nat(60), forged: fc.boolean() }), {
          maxLength: 200,
        }),
        (arrivals) => {
          const sealer = new Sealer(key)
          const opener = new Opener([key])
          const plains = Array.from({ length: 61 }, (_, i) => packet({ body: Uint8Array.of(i) }))
          const sent = plains.map((plain) => sealed(sealer, plain))
          const seen = new Set<number>()
          for (const { which, forged } of arrivals) {
            const bytes = Uint8Array.from(sent[which]!)
            if (forged) bytes[SEALED_AT + 3]! ^= 1
            const opened = opener.open(bytes, 0)
            if (seen.has(which)) expect(opened).toBe('replayed')
            else if (forged) expect(opened).toBe('forged')
            else expect((opened as Uint8Array).at(-1)).toBe(which)
            if (!forged) seen.add(which)
          }
        },
      ),
      { numRuns: 60 },
    )
  })

  test('says why it does not open something', () => {
    const bytes = sealed(new Sealer(key))
    const opener = new Opener([key])
    expect(opener.open(packet(), 0)).toBe('plain')
    expect(opener.open(new Uint8Array(0), 0)).toBe('foreign')
    expect(opener.open(Uint8Array.of(1, 2, 3), 0)).toBe('foreign')
    expect(opener.open(sealed(new Sealer(aKey())), 0)).toBe('key')
    const otherVersion = Uint8Array.from(bytes)
    otherVersion[1] = 2
    expect(opener.open(otherVersion, 0)).toBe('version')
    expect(typeof opener.open(bytes, 0)).toBe('object')
    expect(opener.open(bytes, 0)).toBe('replayed')
  })
})

describe('what is replayed', () => {
  test('each counter once, in any order, and nothing that is too old', () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 1, max: 3 * WINDOW_COUNTERS }), { maxLength: 400 }),
        (counters) => {
          const window = new ReplayWindow()
          const seen = new Set<number>()
          let highest = 0
          for (const counter of counters) {
            const isNew = !seen.has(counter) && counter > highest - WINDOW_COUNTERS
            expect(window.isNew(counter)).toBe(isNew)
            if (!isNew) continue
            window.note(counter)
            seen.add(counter)
            highest = Math.max(highest, counter)
          }
        },
      ),
    )
  })

  test('counters near the end of the safe integers', () => {
    const window = new ReplayWindow()
    const last = Number.MAX_SAFE_INTEGER
    for (const counter of [1, last - 5, last, last - 1]) {
      expect(window.isNew(counter)).toBe(true)
      window.note(counter)
    }
    expect([last, last - 1, last - 5, 1].map((counter) => window.isNew(counter))).toEqual(
      Array(4).fill(false),
    )
    expect(window.isNew(last - 2)).toBe(true)
  })

  test('a forged packet does not move the window', () => {
    const sealer = new Sealer(key)
    const opener = new Opener([key])
    opener.open(sealed(sealer), 0)
    const forged = sealed(sealer)
    forged[COUNTER_AT + 3] = 1
    expect(opener.open(forged, 0)).toBe('forged')
    expect(typeof opener.open(sealed(sealer), 0)).toBe('object')
  })
})

describe('what strangers cost', () => {
  test('unknown salts are rationed, and known senders are not touched by it', () => {
    const friend = new Sealer(key)
    const opener = new Opener([key])
    expect(typeof opener.open(sealed(friend), 0)).toBe('object')
    const garbage = sealed(friend)
    const faults = { forged: 0, hurried: 0 } as Record<string, number>
    for (let i = 0; i < 3 * DERIVE_BURST; i++) {
      garbage.set(randomBytes(SALT_BYTES), SALT_AT)
      faults[opener.open(garbage, 0) as string]!++
    }
    expect(faults).toEqual({ forged: DERIVE_BURST - 1, hurried: 2 * DERIVE_BURST + 1 })
    expect(opener.senders.size).toBe(1)
    expect(typeof opener.open(sealed(friend), 0)).toBe('object')
    // A newcomer has its turn again when some time has passed.
    const newcomer = sealed(new Sealer(key))
    expect(opener.open(newcomer, 0)).toBe('hurried')
    expect(typeof opener.open(newcomer, 10_000)).toBe('object')
  })

  test('senders are bounded, and the one not heard for longest goes', () => {
    const opener = new Opener([key], new Senders(3))
    const sealers = Array.from({ length: 4 }, () => new Sealer(key))
    const [a, b, c, d] = sealers.map((sealer) => sealed(sealer))
    for (const bytes of [a, b, c]) expect(typeof opener.open(bytes!, 0)).toBe('object')
    expect(typeof opener.open(sealed(sealers[0]!), 0)).toBe('object')
    expect(typeof opener.open(d!, 0)).toBe('object')
    expect(opener.senders.size).toBe(3)
    expect([a, c, d].map((bytes) => opener.open(bytes!, 0))).toEqual(Array(3).fill('replayed'))
    // The second one is forgotten: only the protocol knows that this is old.
    expect(typeof opener.open(b!, 0)).toBe('object')
    expect(opener.senders.evictions).toBe(2)
  })

  test('buffers are used again only when everything has been read', () => {
    let isIdle = false
    const buffers = new SealBuffers(() => isIdle)
    const first = [buffers.take(100), buffers.take(100), buffers.take(16_000)]
    expect(new Set(first).size).toBe(3)
    isIdle = true
    const again = [buffers.take(2048), buffers.take(1), buffers.take(5000)]
    expect(new Set([...first, ...again]).size).toBe(3)
    expect(buffers.take(20_000).length).toBe(65_536)
    expect(buffers.take(70_000).length).toBe(70_000)
  })
})

describe('no nonce comes twice', () => {
  test('from start to start, with the clock set back in between', () => {
    const nonces = new Set<string>()
    const salts = new Set<string>()
    for (let life = 0; life < 50; life++) {
      // Every clock stands where it stood before: whatever is drawn from one comes again.
      vi.useRealTimers()
      vi.useFakeTimers({ toFake: ['Date', 'performance', 'hrtime'], now: Date.UTC(2030, 0) })
      const sealer = new Sealer(key)
      for (let i = 0; i < 20; i++) {
        const bytes = sealed(sealer)
        expect(nonces.has(nonceOf(bytes))).toBe(false)
        nonces.add(nonceOf(bytes))
        salts.add(saltOf(bytes))
      }
    }
    expect(salts.size).toBe(50)
  })

  test('from one salt to the next: the counter goes on, own packets are still known', () => {
    const sealer = new Sealer(key, systemCiphers, 10)
    const opener = new Opener([key])
    const sent = Array.from({ length: 35 }, () => sealed(sealer))
    expect(sent.map((bytes) => readU53(bytes, COUNTER_AT))).toEqual(sent.map((_, i) => i + 1))
    expect(new Set(sent.map(saltOf)).size).toBe(4)
    expect(sent.every((bytes) => typeof opener.open(bytes, 0) === 'object')).toBe(true)
    expect(sent.slice(20).every((bytes) => sealer.isOwn(bytes))).toBe(true)
    expect(sealer.isOwn(sealed(new Sealer(key)))).toBe(false)
  })

  test('in workers and child processes, which have salts of their own', async () => {
    const path = new URL('../../dist/kernel/node/secure/', import.meta.url)
    const program = `
      const { GroupKey } = await import(${JSON.stringify(`${path}group-key.js`)})
      const { Sealer } = await import(${JSON.stringify(`${path}sealer.js`)})
      const { parentPort } = await import('node:worker_threads')
      const sealer = new Sealer(new GroupKey(new Uint8Array(32)))
      const into = new Uint8Array(256)
      sealer.seal(new Uint8Array(80), into)
      console.log(Buffer.from(into.subarray(8, 24)).toString('hex'))`
    const runs = await Promise.all(
      [1, 2].map(() => promisify(execFile)(process.execPath, ['--input-type=module', '-e', program])),
    )
    const salts = runs.map(({ stdout }) => stdout.trim())
    for (let i = 0; i < 2; i++) salts.push(await saltOfWorker(program))
    for (const salt of salts) expect(salt).toMatch(/^[0-9a-f]{32}$/)
    expect(new Set(salts).size).toBe(4)
  })
})

function saltOfWorker(program: string): Promise<string> {
  const source = program.replace('console.log(', 'parentPort.postMessage(')
  const worker = new Worker(new URL(`data:text/javascript,${encodeURIComponent(source)}`))
  return new Promise((resolve, reject) => {
    worker.once('message', resolve)
    worker.once('error', reject)
  })
}

describe('the transport', () => {
  const sealedOver = (inner: FakeTransport, keys = [key]): SealedTransport =>
    new SealedTransport(inner, { keys, clock: () => 0 })

  test('has a salt and a counter for each key, which go on when the key comes back', () => {
    const inner = new FakeTransport()
    const other = aKey()
    const transport = sealedOver(inner, [other, key])
    const under = (id: number): Uint8Array => {
      const plain = packet()
      writeSealKey(plain, id)
      return plain
    }
    for (const id of [key.id, other.id, key.id]) transport.send('10.0.0.2:1', under(id))
    // under each key held
    transport.send('10.0.0.2:1', under(0))
    transport.setKeys([other])
    transport.send('10.0.0.2:1', under(key.id))
    expect(transport.stats.lostSends.get('key')).toBe(1)
    transport.setKeys([key, other])
    transport.send('10.0.0.2:1', under(key.id))
    const sealed = inner.sent.map(({ packet }) => ({
      keyId: readU32(packet, KEY_ID_AT),
      salt: Buffer.from(packet.subarray(SALT_AT, SALT_AT + SALT_BYTES)).toString('hex'),
      counter: readU53(packet, COUNTER_AT),
    }))
    expect(sealed.map(({ keyId }) => keyId)).toEqual([key.id, other.id, key.id, other.id, key.id, key.id])
    const countersOf = (id: number): number[] =>
      sealed.filter(({ keyId }) => keyId === id).map(({ counter }) => counter)
    const risen = (counters: readonly number[]): boolean =>
      counters.every((counter, i) => i === 0 || counter > counters[i - 1]!)
    expect([risen(countersOf(key.id)), risen(countersOf(other.id))]).toEqual([true, true])
    expect(new Set(sealed.map(({ keyId, salt }) => `${keyId} ${salt}`)).size).toBe(2)
    expect(new Set(sealed.map(({ salt }) => salt)).size).toBe(2)
  })

  test('says of what it opens under which key it came', () => {
    const other = aKey()
    const [inner, opened] = [new FakeTransport(), [] as number[]]
    const reading = new FakeTransport()
    const transport = sealedOver(inner, [other, key])
    sealedOver(reading, [key, other]).onPacket((_, bytes) => opened.push(sealKeyOf(bytes)))
    const plain = packet()
    transport.send('10.0.0.2:1', plain)
    for (const { packet } of inner.sent) reading.arrive('10.0.0.1:1', packet)
    expect(opened).toEqual([other.id, key.id])
  })

  test('seals a fan-out once, and a packet that is sent again anew', () => {
    const inner = new FakeTransport()
    const transport = sealedOver(inner)
    const plain = packet()
    writeSealKey(plain, key.id)
    for (const to of ['10.0.0.2:1', '10.0.0.3:1', '10.0.0.4:1']) transport.send(to, plain)
    transport.send('10.0.0.2:1', plain)
    expect(transport.isIdle).toBe(true)
    transport.multicast('orders', plain)
    const nonces = inner.sent.map(({ packet }) => nonceOf(packet))
    expect(new Set(nonces.slice(0, 3)).size).toBe(1)
    expect(new Set(nonces).size).toBe(3)
  })

  test('the same buffer with another packet in it is another packet', () => {
    const inner = new FakeTransport()
    const transport = sealedOver(inner)
    const got: number[] = []
    const buffer = packet({ body: Uint8Array.of(1) })
    transport.send('10.0.0.2:1', buffer)
    expect(transport.isIdle).toBe(true)
    buffer[buffer.length - 1] = 2
    transport.send('10.0.0.3:1', buffer)
    const receive = sealedReceiver(got)
    for (const { packet } of inner.sent) receive(packet)
    expect(got).toEqual([1, 2])
  })

  function sealedReceiver(got: number[]): (bytes: Uint8Array) => void {
    const other = new FakeTransport()
    sealedOver(other).onPacket((_, bytes) => got.push(bytes.at(-1)!))
    return (bytes) => other.arrive('10.0.0.1:1000', bytes)
  }

  test('drops its own packets that somebody throws back, and counts what does not open', () => {
    const inner = new FakeTransport()
    const faults: string[] = []
    const transport = new SealedTransport(inner, {
      keys: [key],
      clock: () => 0,
      onFault: (_, fault) => faults.push(fault),
    })
    let handed = 0
    transport.onPacket(() => handed++)
    transport.send('10.0.0.2:1', packet())
    inner.arrive('10.0.0.2:1', Uint8Array.from(inner.sent[0]!.packet))
    expect([handed, transport.stats.echoes]).toEqual([0, 1])
    inner.arrive('10.0.0.2:1', packet())
    inner.arrive('10.0.0.2:1', sealed(new Sealer(aKey())))
    expect(faults).toEqual(['plain', 'key'])
    expect(transport.faults).toMatchObject({ plain: 1, key: 1, forged: 0 })
    inner.arrive('10.0.0.2:1', sealed(new Sealer(key)))
    expect(handed).toBe(1)
  })

  test('leaves room for the envelope', () => {
    const inner = new FakeTransport()
    const transport = sealedOver(inner)
    expect(transport.packetSizeMax).toBe(inner.packetSizeMax - SEAL_OVERHEAD)
    expect(transport.packetSizeDefault).toBe(inner.packetSizeDefault - SEAL_OVERHEAD)
  })
})
