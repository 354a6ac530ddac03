/**
 * What is derived from a key, and the envelope, are formats like any other: with another label or another layout, processes of two
 * releases would not understand each other, and nothing else would notice. What stands here is not changed any more.
 */
import { expect, test } from 'vitest'
import { Cipher } from '../../kernel/node/secure/envelope.ts'
import { formatKey, GroupKey } from '../../kernel/node/secure/group-key.ts'
import { Opener } from '../../kernel/node/secure/opener.ts'

const bytes = Uint8Array.from({ length: 32 }, (_, i) => i)
const key = new GroupKey(bytes)

test('a key gives the same text, id, keys for packets and tokens', () => {
  const keys = key.sealKeys(Uint8Array.from({ length: 16 }, (_, i) => 200 + i))
  const hex = (cipher: Cipher) => Buffer.from(keys.of(cipher).bytes).toString('hex')
  expect({
    text: formatKey(bytes),
    id: key.id.toString(16),
    aes: hex(Cipher.aes256Gcm),
    chaCha: hex(Cipher.chaCha20),
    send: key.token('send'),
    receive: key.token('receive'),
  }).toMatchInlineSnapshot(`
    {
      "aes": "4f9195c3153c88621fb17a0813974b4651927226cc705ff247acecfa24345ba4",
      "chaCha": "1e51087e0d66ed1ad0ef26cc9787d66ab5d89d4c9056383da8cf72565a9959f1",
      "id": "30663e11",
      "receive": "amoebacast-token-1:AnJvxpfHIeYTWrh79yRrIL6eTK3V4rHaL-t0t8eXYlkF-wOl8cGX5QJd9RVjSOhp2fpxdSlr2sz5lUzV7trH0NkqHImL",
      "send": "amoebacast-token-1:AXJvxpfHIeYTWrh79yRrIL6eTK3V4rHaL-t0t8eXYlkFK067bz_s122Cw7aAt1CaidGGu0n3jFgS126XlC3qLYAC3Tci",
      "text": "amoebacast-key-1:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh9nTjzj",
    }
  `)
})

/** 80 bytes, each the number of its place, sealed under each cipher. */
const envelopes = {
  'AES-256-GCM':
    'pQEAADBmPhFw7oCXu814sjJi2uSUWa8TAAAAAAAAAAFjAzED2qh1D0ztyarBMZxuaGgFOKt3nxDvorcsUwW6En5bdXIJatJrQPdIWelCSAWJaNNhGYoBxB/XEs+SiaankVWPhvotETBPy3LmkGsVNh35ObgU4L27EnGo9c40qyI=',
  'ChaCha20-Poly1305':
    'pQEBADBmPhEO7u/OQHrsLNsHXglwCfEuAAAAAAAAAAGvegJvCMc89D8Y9uHY+L6b3H+lBq5gCV0NgRAH5A4Dx0FUHGy5UJ1jVZ6XSu7wpr/2ER30xAZQtfFsiBRohNhFmkj+CdPxPIfE6hJzn1xtHQ7VKgyCiTQ+oAgd8YoA2VE=',
}

test.each(Object.entries(envelopes))('what was sealed with %s opens', (_, envelope) => {
  const opened = new Opener([key]).open(Buffer.from(envelope, 'base64'), 0)
  expect(opened).toBeInstanceOf(Uint8Array)
  expect([...(opened as Uint8Array)]).toEqual(Array.from({ length: 80 }, (_, i) => i))
})
