import { PassThrough, Writable } from 'node:stream'
import { describe, expect, test } from 'vitest'
import { bodyText, jsonBody, Output, toJson } from '../../cli/output.ts'

describe('output', () => {
  test('a slow reader is waited for, and nothing is lost', async () => {
    const stream = new PassThrough({ highWaterMark: 1000 })
    const output = new Output(stream, () => {})
    expect(output.ready()).toBeUndefined()
    const line = 'x'.repeat(99)
    let written = 0
    // Lines are gathered first; the reader that has not begun to read shows then.
    while (!output.isBehind) {
      output.line(line)
      written++
    }
    const ready = output.ready()
    let text = ''
    stream.setEncoding('utf8').on('data', (part: string) => {
      text += part
    })
    await ready
    expect(output.isBehind).toBe(false)
    await output.end()
    expect(text).toBe(`${line}\n`.repeat(written))
  })

  test('a reader that is gone ends it quietly', async () => {
    const stream = new Writable({
      write: (_chunk, _encoding, done) => done(Object.assign(new Error('write EPIPE'), { code: 'EPIPE' })),
    })
    let closed = 0
    const output = new Output(stream, () => closed++)
    for (let i = 0; i < 1000; i++) output.line('x'.repeat(100))
    await output.ready()
    output.line('more')
    await output.end()
    expect(closed).toBe(1)
    expect(output.isBehind).toBe(false)
  })
})

describe('bodies', () => {
  test('as text never end a line or move the cursor', () => {
    expect(bodyText('plain, with ümläuts\tand tabs')).toBe('plain, with ümläuts\tand tabs')
    expect(bodyText('two\nlines\r\u001b[2J')).toBe('two\\nlines\\r\\x1b[2J')
    expect(bodyText({ op: 'add', id: 7n })).toBe('{"op":"add","id":"7"}')
    expect(bodyText(undefined)).toBe('null')
    expect(bodyText(new Uint8Array([1, 2]))).toBe('{"base64":"AQI="}')
  })

  test('as JSON are whatever msgpack can carry', () => {
    expect(toJson({ body: jsonBody(new Map([['a', 1]])) })).toBe('{"body":{"a":1}}')
    expect(toJson({ body: jsonBody(undefined) })).toBe('{"body":null}')
    expect(toJson({ body: jsonBody([1n, new Set([2])]) })).toBe('{"body":["1",[2]]}')
  })
})
