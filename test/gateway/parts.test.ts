/** The gateway's parts without HTTP: the envelope, ids, keys in the order, admission, and errors as a table. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { Admission } from '../../cli/gateway/admission.ts'
import { formatCursor, parseCursor } from '../../cli/gateway/cursor.ts'
import { type Envelope, readEnvelope, writeEnvelope } from '../../cli/gateway/envelope.ts'
import { failureOf, GatewayCode, GatewayError, statusTable } from '../../cli/gateway/errors.ts'
import { bodyKind } from '../../cli/gateway/events.ts'
import { KeyWindow } from '../../cli/gateway/key-window.ts'
import { parseListen } from '../../cli/gateway/options.ts'
import { SharedCall } from '../../cli/gateway/shared-call.ts'
import { ErrorCode, GroupError } from '../../kernel/errors.ts'
import { parameterLimits } from '../../kernel/parameters.ts'

const printable = fc.string({
  unit: fc.integer({ min: 0x20, max: 0x7e }).map((c) => String.fromCharCode(c)),
  minLength: 1,
  maxLength: 255,
})

describe('the envelope', () => {
  test('comes back as it was, and fits into a header', () => {
    const envelope = fc.record(
      { contentType: printable, key: printable, sentAt: fc.integer({ min: 0, max: 2 ** 48 - 1 }) },
      { requiredKeys: [] },
    )
    fc.assert(
      fc.property(envelope, (given) => {
        const header = writeEnvelope(given)
        expect(header.length).toBeLessThanOrEqual(530)
        expect(header.length).toBeLessThanOrEqual(parameterLimits.headerBytes)
        expect(readEnvelope(header)).toEqual(given)
      }),
    )
  })

  test('any bytes are an envelope or none, and never an error', () => {
    const bytes = fc.uint8Array({ maxLength: 60 })
    fc.assert(fc.property(bytes, (header) => void readEnvelope(header)))
    fc.assert(fc.property(bytes, (rest) => void readEnvelope(Buffer.concat([Buffer.from('AMGW\x01'), rest]))))
  })

  test.each([
    ['another header', Buffer.from('hello')],
    ['another version', Buffer.from('AMGW\x02')],
    ['a field that is cut off', Buffer.from('AMGW\x01\x02\x00\x05abc')],
    ['a key that is no text', Buffer.from('AMGW\x01\x02\x00\x01\x07')],
    ['nothing', new Uint8Array(0)],
  ])('%s is none', (_what, header) => {
    expect(readEnvelope(header)).toBeUndefined()
  })

  test('fields of later versions are passed over', () => {
    expect(readEnvelope(Buffer.from('AMGW\x01\x63\x00\x02zz\x02\x00\x01k', 'latin1'))).toEqual({ key: 'k' })
  })

  test.each<[Envelope]>([
    [{ key: '' }],
    [{ key: 'x'.repeat(256) }],
    [{ contentType: 'a\nb' }],
    [{ key: 'ä' }],
  ])('%o is refused', (envelope) => {
    expect(() => writeEnvelope(envelope)).toThrow(RangeError)
  })
})

describe('ids of events', () => {
  test('come back as they were', () => {
    const cursor = { groupId: '00c0ffee00c0ffee', incarnation: 3, coordinator: 2, seq: 2 ** 50 }
    expect(parseCursor(formatCursor(cursor), 'id')).toEqual(cursor)
  })

  test.each([
    '',
    '7',
    'xyz-1-1-1',
    '00c0ffee00c0ffee-1-1',
    '00c0ffee00c0ffee-1-1-9999999999999999',
    ' 00c0ffee00c0ffee-1-1-1',
  ])('%j is none', (text) => {
    expect(() => parseCursor(text, 'id')).toThrow(/id is .*must be an id that a gateway gave/)
  })
})

describe('keys in the order', () => {
  const message = (seq: number, key: string | undefined, sentAt: number, body = 'x') => ({
    seq,
    header: writeEnvelope({ key, sentAt }),
    body: Buffer.from(body),
  })

  test('a repeat is recognised, and gives the first place', () => {
    const keys = new KeyWindow(0, { messages: 10, ms: 1000 })
    expect(keys.note(message(1, 'a', 0))).toBeUndefined()
    expect(keys.note(message(2, 'b', 0))).toBeUndefined()
    expect(keys.note(message(3, 'a', 1000))?.seq).toBe(1)
    expect(keys.note(message(4, undefined, 0))).toBeUndefined()
    expect(keys.note({ seq: 5, header: new Uint8Array(0), body: new Uint8Array(0) })).toBeUndefined()
  })

  test('the window ends after so many places, or so much time', () => {
    const keys = new KeyWindow(0, { messages: 10, ms: 1000 })
    keys.note(message(1, 'a', 5000))
    expect(keys.note(message(11, 'a', 5000))?.seq).toBe(1)
    expect(keys.note(message(12, 'a', 5000))).toBeUndefined()
    // It is new again, at 12.
    expect(keys.note(message(13, 'a', 6000))?.seq).toBe(12)
    expect(keys.note(message(14, 'a', 6001))).toBeUndefined()
    expect(keys.note(message(15, 'a', 6001))?.seq).toBe(14)
  })

  test('the content is known by its digest', () => {
    const keys = new KeyWindow(0, { messages: 10, ms: 1000 })
    keys.note(message(1, 'a', 0, 'one'))
    const first = keys.firstOf('a')
    const other = new KeyWindow(0, { messages: 10, ms: 1000 })
    other.note(message(1, 'a', 0, 'two'))
    expect(first?.digest).not.toBe(other.firstOf('a')?.digest)
  })

  test('all who read the same decide the same', () => {
    const steps = fc.array(
      fc.record({
        key: fc.constantFrom('a', 'b', 'c', 'd', 'e'),
        at: fc.nat(50),
        skip: fc.integer({ min: 1, max: 4 }),
      }),
      { maxLength: 60 },
    )
    fc.assert(
      fc.property(steps, (all) => {
        const options = { messages: 6, ms: 30 }
        const [one, two] = [new KeyWindow(0, options), new KeyWindow(0, options)]
        let seq = 0
        // A plain second opinion: the last first message of each key.
        const firsts = new Map<string, { seq: number; at: number }>()
        for (const { key, at, skip } of all) {
          seq += skip
          const known = firsts.get(key)
          const repeats = known !== undefined && seq - known.seq <= 6 && Math.abs(at - known.at) <= 30
          if (!repeats) firsts.set(key, { seq, at })
          expect(one.note(message(seq, key, at))?.seq).toBe(repeats ? known.seq : undefined)
          expect(two.note(message(seq, key, at))?.seq).toBe(repeats ? known.seq : undefined)
        }
      }),
    )
  })

  test('keys that are beyond the window are forgotten', () => {
    const keys = new KeyWindow(0, { messages: 10, ms: 1000 })
    for (let seq = 1; seq <= 1000; seq++) keys.note(message(seq, `key ${seq}`, 0))
    expect(keys.size).toBe(11)
    // Messages without a key let time pass as well.
    keys.note(message(2000, undefined, 0))
    expect(keys.size).toBe(0)
  })

  test.each([
    ['messages is undefined; it must be a whole number from 1 to 1048576', 0, { ms: 1000 }],
    ['ms is 0; it must be a whole number', 0, { messages: 10, ms: 0 }],
    ['there is no option mesages; did you mean messages?', 0, { mesages: 10, ms: 1000 }],
    ['the options of KeyWindow is 5', 0, 5],
    ['since is -1; it must be a whole number', -1, { messages: 10, ms: 1000 }],
  ])('%s', (says, since, options) => {
    expect(() => new KeyWindow(since, options as never)).toThrow(says)
  })

  test('after a restart nothing is known from before', () => {
    const keys = new KeyWindow(0)
    keys.note(message(1, 'a', 0))
    keys.restart(9)
    expect([keys.knownFrom, keys.size, keys.firstOf('a')]).toEqual([9, 0, undefined])
  })
})

describe('the waiting room', () => {
  test('ends at so many requests, and so many bytes', () => {
    const room = new Admission({ requests: 2, bytes: 10 })
    const one = room.enter()
    const two = room.enter()
    expect(() => room.enter()).toThrow(expect.objectContaining({ code: 'ERR_BUSY', outcome: 'refused' }))
    one.grow(6)
    expect(() => two.grow(5)).toThrow(expect.objectContaining({ code: 'ERR_BUSY' }))
    one.leave()
    one.leave()
    two.grow(10)
    expect([room.requests, room.bytes]).toEqual([1, 10])
    two.leave()
    expect([room.requests, room.bytes]).toEqual([0, 0])
  })
})

describe('a call that several wait for', () => {
  test('is given up when all have gone, and not before', async () => {
    let given: AbortSignal | undefined
    const call = new SharedCall<string>((signal) => {
      given = signal
      return new Promise((resolve) => signal.addEventListener('abort', () => resolve('given up')))
    })
    const [one, two] = [new AbortController(), new AbortController()]
    const first = call.join(one.signal)
    const second = call.join(two.signal)
    one.abort()
    await expect(first).rejects.toMatchObject({ code: 'ERR_ABORTED', outcome: 'unknown' })
    expect(given?.aborted).toBe(false)
    two.abort()
    expect(await second).toBe('given up')
    expect(call.isGivenUp).toBe(true)
  })
})

describe('errors as statuses', () => {
  test('every code has one', () => {
    const codes = [...Object.values(ErrorCode), ...Object.values(GatewayCode)]
    expect(Object.keys(statusTable).sort()).toEqual([...codes].sort())
    for (const { status } of Object.values(statusTable)) expect(status).toBeGreaterThanOrEqual(400)
  })

  test.each(Object.values(ErrorCode))('%s with an unknown outcome is 504', (code) => {
    const { status, retryAfter, body } = failureOf(new GroupError(code, 'text', { outcome: 'unknown' }))
    expect([status, retryAfter, body]).toEqual([
      504,
      undefined,
      { code, message: 'text', outcome: 'unknown' },
    ])
  })

  test.each([
    ['ERR_WOULD_BLOCK', 503],
    ['ERR_EXPELLED', 503],
    ['ERR_MEMBER_FAILED', 503],
    ['ERR_GROUP_CLOSED', 503],
    ['ERR_ABORTED', 503],
    ['ERR_MESSAGE_TOO_LARGE', 413],
    ['ERR_INVALID_ARGUMENT', 400],
    ['ERR_GROUP_EXISTS', 409],
    ['ERR_GROUP_NOT_FOUND', 404],
  ] as const)('%s, refused, is %i', (code, status) => {
    const failure = failureOf(new GroupError(code, 'text', { outcome: 'refused' }))
    expect(failure).toMatchObject({ status, body: { code, outcome: 'refused' } })
    expect(failure.retryAfter !== undefined).toBe(status === 503)
  })

  test("the gateway's own, and what nobody expected", () => {
    expect(failureOf(new GatewayError('ERR_BUSY', 'full', 'refused'))).toMatchObject({
      status: 503,
      retryAfter: 1,
    })
    const fault = failureOf(new TypeError('secret inside'))
    expect(fault.status).toBe(500)
    expect(JSON.stringify(fault)).not.toContain('secret')
  })
})

describe('small things', () => {
  test.each([
    ['application/json', 'json'],
    ['application/problem+json; charset=UTF-8', 'json'],
    ['text/plain', 'text'],
    ['text/plain; charset=iso-8859-1', 'bytes'],
    ['application/octet-stream', 'bytes'],
    ['image/svg+xml', 'text'],
    [undefined, 'bytes'],
  ])('a body of %s is shown as %s', (type, kind) => {
    expect(bodyKind(type)).toBe(kind)
  })

  test.each([
    ['127.0.0.1:7070', '127.0.0.1', 7070],
    ['localhost:0', '127.0.0.1', 0],
    ['[::1]:80', '::1', 80],
    ['0.0.0.0:65535', '0.0.0.0', 65_535],
  ])('listen %s', (text, host, port) => {
    expect(parseListen(text)).toEqual({ host, port })
  })

  test.each([
    '',
    '7070',
    ':7070',
    'example.org:80',
    '::1:80',
    '[127.0.0.1]:80',
    '127.0.0.1:65536',
    '127.0.0.1',
  ])('listen %j is refused', (text) => {
    expect(() => parseListen(text)).toThrow(/listen is/)
  })
})
