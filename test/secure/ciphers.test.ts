/** The two ciphers, and what does the work: node:crypto, or WebAssembly. */
import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { inspect, promisify } from 'node:util'
import { describe, expect, test } from 'vitest'
import { createTestNetwork } from '../../group/testing.ts'
import { type Aead, CipherKey, type Ciphers, systemCiphers } from '../../kernel/node/secure/ciphers.ts'
import {
  CIPHER_AT,
  Cipher,
  isEnvelope,
  KEY_BYTES,
  NONCE_BYTES,
  SEAL_OVERHEAD,
  SEALED_AT,
  TAG_BYTES,
} from '../../kernel/node/secure/envelope.ts'
import { drawKey } from '../../kernel/node/secure/group-key.ts'
import { Opener } from '../../kernel/node/secure/opener.ts'
import { Sealer } from '../../kernel/node/secure/sealer.ts'
import { Senders } from '../../kernel/node/secure/senders.ts'
import { chooseCiphers, loadCiphers } from '../../kernel/node/secure/sodium.ts'
import { Prng } from '../../kernel/prng.ts'
import { packet } from '../node/support.ts'
import { keysOf } from './key-texts.ts'

const loaded = await loadCiphers()
const places: [string, Ciphers][] = [
  ['node:crypto', systemCiphers],
  ['WebAssembly', loaded],
]
const key = keysOf(drawKey())[0]!
const randomKey = () => new CipherKey(randomBytes(KEY_BYTES))
const { aes256Gcm, chaCha20 } = Cipher

function sealed(ciphers: Ciphers, plain: Uint8Array): Uint8Array {
  const into = new Uint8Array(plain.length + SEAL_OVERHEAD)
  new Sealer(key, ciphers).seal(plain, into)
  return into
}

const open = (ciphers: Ciphers, envelope: Uint8Array) =>
  new Opener([key], new Senders(), ciphers).open(envelope, 0)
const ofBytes = (bytes: number) => packet({ body: new Uint8Array(bytes - packet().length) })

test('WebAssembly is here, and small packets go by it', () => {
  expect(loaded).not.toBe(systemCiphers)
  expect(loaded.smallMax).toBe(2048)
  expect(sealed(loaded, ofBytes(2048))[CIPHER_AT]).toBe(chaCha20)
  expect(sealed(loaded, ofBytes(2049))[CIPHER_AT]).toBe(aes256Gcm)
  expect(sealed(systemCiphers, ofBytes(100))[CIPHER_AT]).toBe(aes256Gcm)
})

// (The example in section 2.8.2 has 12 bytes of associated data, and an envelope's head has 32.)
describe.each(places)('ChaCha20-Poly1305 of %s', (_, { aeads }) => {
  const aead = aeads[chaCha20]

  test('enciphers and authenticates as RFC 8439 says', () => {
    const given = {
      key: randomKey(),
      nonce: randomBytes(NONCE_BYTES),
      head: randomBytes(SEALED_AT),
    }
    for (const bytes of [0, 1, 63, 64, 65, 255, 1400, 2048, 65_487 - SEALED_AT]) {
      const plain = randomBytes(bytes)
      const into = new Uint8Array(bytes + SEAL_OVERHEAD)
      aead.seal(given.key, given.nonce, given.head, plain, into)
      expect(Buffer.from(into).equals(sealedByTheBook({ ...given, plain }))).toBe(true)
      expect(Buffer.from(aead.open(given.key, given.nonce, into)!).equals(plain)).toBe(true)
    }
  })
})

describe.each(
  places.flatMap(([name, { aeads }]) => [
    [`AES-256-GCM of ${name}`, aeads[aes256Gcm]] as const,
    [`ChaCha20-Poly1305 of ${name}`, aeads[chaCha20]] as const,
  ]),
)('%s', (_, aead: Aead) => {
  const secret = randomKey()
  const nonce = randomBytes(NONCE_BYTES)
  const head = randomBytes(SEALED_AT)
  const seal = (plain: Uint8Array): Uint8Array => {
    const into = new Uint8Array(plain.length + SEAL_OVERHEAD)
    aead.seal(secret, nonce, head, plain, into)
    return into
  }

  test('opens into a buffer of its own, and leaves the envelope as it was', () => {
    const first = seal(Buffer.alloc(200, 1))
    const copy = Uint8Array.from(first)
    const opened = aead.open(secret, nonce, first)!
    aead.open(secret, nonce, seal(Buffer.alloc(200, 2)))
    first.fill(0)
    expect(Buffer.from(opened)).toEqual(Buffer.alloc(200, 1))
    expect(Buffer.from(aead.open(secret, nonce, copy)!)).toEqual(Buffer.alloc(200, 1))
  })

  test('opens nothing that was changed, cut or made longer, nor with another key or nonce', () => {
    const envelope = seal(randomBytes(60))
    for (let at = 0; at < envelope.length; at++) {
      const damaged = Uint8Array.from(envelope)
      damaged[at]! ^= 4
      expect(aead.open(secret, nonce, damaged)).toBeUndefined()
    }
    for (let length = SEAL_OVERHEAD; length < envelope.length; length++)
      expect(aead.open(secret, nonce, envelope.subarray(0, length))).toBeUndefined()
    expect(aead.open(secret, nonce, Buffer.concat([envelope, Buffer.alloc(1)]))).toBeUndefined()
    expect(aead.open(randomKey(), nonce, envelope)).toBeUndefined()
    expect(aead.open(secret, randomBytes(NONCE_BYTES), envelope)).toBeUndefined()
    expect(aead.open(secret, nonce, envelope)).toBeDefined()
  })
})

describe('which cipher it is', () => {
  test.each(places)('whatever another process has sealed is opened by %s', (_, ciphers) => {
    for (const [, others] of places) {
      for (const bytes of [100, 1400, 2048, 2049, 60_000]) {
        const plain = ofBytes(bytes)
        expect(Buffer.from(open(ciphers, sealed(others, plain)) as Uint8Array)).toEqual(Buffer.from(plain))
      }
    }
  })

  test('said wrongly, it is forged; one that is not known is another version', () => {
    for (const [ciphers, other] of [
      [systemCiphers, chaCha20],
      [loaded, aes256Gcm],
    ] as const) {
      const envelope = sealed(ciphers, ofBytes(100))
      envelope[CIPHER_AT] = other
      expect(open(loaded, envelope)).toBe('forged')
      envelope[CIPHER_AT] = 2
      expect(open(loaded, envelope)).toBe('version')
    }
  })

  test('each has a key of its own under one salt', () => {
    const keys = key.sealKeys(new Uint8Array(16))
    const both = [keys.of(aes256Gcm), keys.of(chaCha20)]
    const texts = both.map(({ bytes }) => Buffer.from(bytes).toString('hex'))
    expect(texts[0]).not.toBe(texts[1])
    for (const text of texts) expect(text).toHaveLength(2 * KEY_BYTES)
    expect(both.map(({ object }) => object.export().toString('hex'))).toEqual(texts)
    expect(inspect(both, { depth: 9, showHidden: true })).not.toMatch(/Uint8Array|Buffer/)
  })

  test('a process without a key knows both for sealed', () => {
    expect(places.map(([, ciphers]) => isEnvelope(sealed(ciphers, ofBytes(100))))).toEqual([true, true])
  })
})

test('where there is no WebAssembly, node:crypto does it all', async () => {
  const path = new URL('../../dist/kernel/node/secure/', import.meta.url)
  const program = `
    const { loadCiphers } = await import(${JSON.stringify(`${path}sodium.js`)})
    const { systemCiphers } = await import(${JSON.stringify(`${path}ciphers.js`)})
    const { smallMax, aeads, slowBecause } = await loadCiphers()
    console.log(typeof WebAssembly, smallMax, aeads === systemCiphers.aeads, slowBecause !== undefined)`
  const args = ['--jitless', '--input-type=module', '-e', program]
  const { stdout } = await promisify(execFile)(process.execPath, args)
  expect(stdout.trim()).toBe('undefined 0 true true')
})

// Lengths that lie, cuts, bytes of an envelope changed and shuffled: whatever comes is given a reason, and no word of it gets through.
test.each(places)('20,000 envelopes that nobody has sealed, by %s', (_, ciphers) => {
  const random = new Prng(7_100)
  const opener = new Opener([key], new Senders(), ciphers)
  const real = [100, 2048, 2049].map((bytes) => sealed(loaded, ofBytes(bytes)))
  const reasons = new Map<string, number>()
  for (let i = 0; i < 20_000; i++) {
    const from = real[random.below(real.length)]!
    const length = random.below(3) === 0 ? random.below(from.length + 200) : from.length
    const envelope = new Uint8Array(length)
    envelope.set(from.subarray(0, length))
    const changes = length < from.length ? random.below(4) : 1 + random.below(8)
    for (let j = 0; j < changes && length > 0; j++) {
      const at = random.below(2) === 0 ? random.below(Math.min(length, SEALED_AT)) : random.below(length)
      envelope[at]! ^= 1 + random.below(255)
    }
    const opened = opener.open(envelope, i * 10_000)
    const isWhole = real.some((one) => Buffer.compare(one, envelope) === 0)
    if (!isWhole) expect(typeof opened).toBe('string')
    reasons.set(String(opened), (reasons.get(String(opened)) ?? 0) + 1)
  }
  expect([...reasons.keys()]).toEqual(
    expect.arrayContaining(['forged', 'foreign', 'version', 'key', 'plain']),
  )
  expect(opener.senders.size).toBe(0)
})

describe('what there is is used', () => {
  const { aeads } = systemCiphers
  const fast = loaded.aeads[chaCha20]
  const broken: Aead = {
    seal: () => {
      throw new Error('Unknown cipher')
    },
    open: () => {
      throw new Error('Unknown cipher')
    },
  }
  const wrong: Aead = {
    ...fast,
    open: (secret, nonce, envelope) => fast.open(secret, nonce, envelope)?.fill(1),
  }
  const otherNonce = (nonce: Uint8Array) => nonce.map((byte) => byte ^ 1)
  const own: Aead = {
    seal: (secret, nonce, head, plain, into) => fast.seal(secret, otherNonce(nonce), head, plain, into),
    open: (secret, nonce, envelope) => fast.open(secret, otherNonce(nonce), envelope),
  }
  const credulous: Aead = { ...fast, open: () => Uint8Array.from({ length: 80 }, (_, i) => 13 * i) }
  const withoutChaCha = { ...aeads, [chaCha20]: broken }
  const none = () => Promise.reject(new Error('no WebAssembly'))

  test.each([
    ['throws', broken],
    ['opens another packet', wrong],
    ['understands nobody but itself', own],
    ['opens what is damaged', credulous],
  ])('not a library that %s', async (_, aead) => {
    const chosen = await chooseCiphers(async () => aead, aeads)
    expect(chosen.smallMax).toBe(0)
    expect(chosen.aeads[chaCha20]).toBe(aeads[chaCha20])
    expect(chosen.slowBecause).toBe('libsodium does not give what it should')
  })

  test('without ChaCha20-Poly1305 in node:crypto, opened by WebAssembly alone, of every size, and sealed under AES', async () => {
    const chosen = await chooseCiphers(async () => fast, withoutChaCha)
    expect(chosen).toMatchObject({ smallMax: 0 })
    expect(chosen.slowBecause).toBeUndefined()
    for (const bytes of [100, 60_000]) {
      const into = new Uint8Array(bytes + SEAL_OVERHEAD)
      const given = [randomKey(), randomBytes(NONCE_BYTES)] as const
      aeads[chaCha20].seal(...given, randomBytes(SEALED_AT), ofBytes(bytes), into)
      expect(chosen.aeads[chaCha20].open(...given, into)).toHaveLength(bytes)
    }
  })

  test('with neither, no kernel starts, and the error says what to do', async () => {
    await expect(chooseCiphers(none, withoutChaCha)).rejects.toMatchObject({
      code: 'ERR_INVALID_ARGUMENT',
      message: expect.stringMatching(/needs ChaCha20-Poly1305.*no WebAssembly.*let Node have WebAssembly/),
    })
  })

  test('large packets under ChaCha20-Poly1305, which nobody sends, take no longer than others', async () => {
    const opened: number[] = []
    const noting: Aead = {
      ...fast,
      open: (secret, nonce, envelope) => {
        opened.push(envelope.length - SEAL_OVERHEAD)
        return fast.open(secret, nonce, envelope)
      },
    }
    const { aeads: chosen } = await chooseCiphers(async () => noting, aeads)
    opened.length = 0
    for (const bytes of [2048, 2049, 60_000]) {
      const into = new Uint8Array(bytes + SEAL_OVERHEAD)
      const given = [randomKey(), randomBytes(NONCE_BYTES)] as const
      fast.seal(...given, randomBytes(SEALED_AT), ofBytes(bytes), into)
      expect(chosen[chaCha20].open(...given, into)).toHaveLength(bytes)
    }
    expect(opened).toEqual([2048])
  })
})

test('what node:crypto does not take opens nothing, and throws nothing', () => {
  const { open: opens } = systemCiphers.aeads[chaCha20]
  expect(opens(new CipherKey(randomBytes(16)), randomBytes(NONCE_BYTES), randomBytes(200))).toBeUndefined()
})

test('on the test network, a kernel with a key starts in no time', async () => {
  await using network = createTestNetwork({ seed: 2 })
  const first = await network.startKernel({ key: drawKey() })
  await network.run(first.createGroup('open'))
  const { now } = network
  await network.run(network.startKernel({ key: drawKey() }))
  expect(network.now).toBe(now)
})

interface Given {
  readonly key: CipherKey
  readonly nonce: Uint8Array
  readonly head: Uint8Array
  readonly plain: Uint8Array
}

/** Section 2.8 in big integers: slow, and written after the text of the RFC alone. */
function sealedByTheBook({ key: { bytes: secret }, nonce, head, plain }: Given): Buffer {
  const text = Buffer.alloc(plain.length)
  for (let i = 0; i < plain.length; i += 64) {
    const block = chaChaBlock(secret, 1 + i / 64, nonce)
    for (let j = i; j < Math.min(plain.length, i + 64); j++) text[j] = plain[j]! ^ block[j - i]!
  }
  const lengths = Buffer.alloc(16)
  lengths.writeBigUInt64LE(BigInt(head.length), 0)
  lengths.writeBigUInt64LE(BigInt(text.length), 8)
  const padding = (bytes: Uint8Array) => Buffer.alloc((16 - (bytes.length % 16)) % 16)
  const said = Buffer.concat([head, padding(head), text, padding(text), lengths])
  return Buffer.concat([head, text, poly1305(chaChaBlock(secret, 0, nonce).subarray(0, 32), said)])
}

/** Section 2.3. */
function chaChaBlock(secret: Uint8Array, counter: number, nonce: Uint8Array): Buffer {
  const start = new Uint32Array(16)
  start.set([0x61707865, 0x3320646e, 0x79622d32, 0x6b206574])
  const given = Buffer.concat([secret, Buffer.alloc(4), nonce])
  given.writeUInt32LE(counter, 32)
  for (let i = 0; i < 12; i++) start[4 + i] = given.readUInt32LE(4 * i)
  const words = Uint32Array.from(start)
  const turn = (a: number, b: number, c: number, d: number) => {
    const mix = (to: number, from: number, by: number, bits: number) => {
      words[to]! += words[from]!
      const word = words[by]! ^ words[to]!
      words[by] = (word << bits) | (word >>> (32 - bits))
    }
    mix(a, b, d, 16)
    mix(c, d, b, 12)
    mix(a, b, d, 8)
    mix(c, d, b, 7)
  }
  for (let round = 0; round < 10; round++) {
    for (let i = 0; i < 4; i++) turn(i, 4 + i, 8 + i, 12 + i)
    for (let i = 0; i < 4; i++) turn(i, 4 + ((i + 1) % 4), 8 + ((i + 2) % 4), 12 + ((i + 3) % 4))
  }
  const out = Buffer.alloc(64)
  for (let i = 0; i < 16; i++) out.writeUInt32LE((words[i]! + start[i]!) >>> 0, 4 * i)
  return out
}

/** Section 2.5. */
function poly1305(secret: Uint8Array, said: Uint8Array): Buffer {
  const littleEndian = (bytes: Uint8Array) => BigInt(`0x${Buffer.from(bytes).reverse().toString('hex')}`)
  const r = littleEndian(secret.subarray(0, 16)) & 0x0ffffffc0ffffffc0ffffffc0fffffffn
  let sum = 0n
  for (let i = 0; i < said.length; i += 16) {
    const block = said.subarray(i, Math.min(said.length, i + 16))
    sum = ((sum + littleEndian(block) + (1n << BigInt(8 * block.length))) * r) % ((1n << 130n) - 5n)
  }
  const tag = BigInt.asUintN(128, sum + littleEndian(secret.subarray(16)))
  return Buffer.from(tag.toString(16).padStart(2 * TAG_BYTES, '0'), 'hex').reverse()
}
