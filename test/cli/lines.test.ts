import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { readLines } from '../../cli/lines.ts'

async function* inChunks(bytes: Buffer, sizes: readonly number[]): AsyncGenerator<Buffer> {
  let at = 0
  for (let i = 0; at < bytes.length; i++) {
    const size = sizes[i % sizes.length]!
    yield bytes.subarray(at, at + size)
    at += size
  }
}

async function linesOf(
  text: string,
  sizes: readonly number[] = [65_536],
  maxBytes = 1000,
): Promise<string[]> {
  const lines: string[] = []
  for await (const line of readLines(inChunks(Buffer.from(text), sizes), maxBytes)) lines.push(line)
  return lines
}

describe('lines', () => {
  test('end at newlines only; the last may lack one', async () => {
    expect(await linesOf('a\n\nb\r\nc\rd\u2028e\n')).toEqual(['a', '', 'b', 'c\rd\u2028e'])
    expect(await linesOf('a\nb')).toEqual(['a', 'b'])
    expect(await linesOf('')).toEqual([])
    expect(await linesOf('\n')).toEqual([''])
  })

  test('are the same however the bytes come in, letters of several bytes included', async () => {
    const line = fc.string({ unit: 'grapheme', maxLength: 20 }).map((text) => text.replace(/[\n\r]/g, ''))
    await fc.assert(
      fc.asyncProperty(
        fc.array(line),
        fc.array(fc.integer({ min: 1, max: 7 }), { minLength: 1 }),
        async (lines, sizes) => {
          expect(await linesOf(lines.map((one) => `${one}\n`).join(''), sizes)).toEqual(lines)
        },
      ),
    )
  })

  test('that are too long are refused before they are read whole', async () => {
    expect(await linesOf(`${'x'.repeat(10)}\r\n`, [3], 10)).toEqual(['x'.repeat(10)])
    await expect(linesOf(`ok\n${'x'.repeat(100)}`, [3], 10)).rejects.toThrow('line 2 is longer than 10 bytes')
  })
})
