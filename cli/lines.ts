/**
 * Cuts a stream of bytes into lines of text. Lines end at \n (a \r before it is dropped); a last line
 * without an end counts. Other characters that some tools take for line ends stay where they are: a line in
 * is a line out.
 */

export class LineTooLongError extends Error {
  override readonly name = 'LineTooLongError'
  readonly line: number

  constructor(line: number, maxBytes: number) {
    super(`line ${line} is longer than ${maxBytes} bytes`)
    this.line = line
  }
}

/** Reads no further than the consumer has asked for; what is kept is bounded by `maxBytes` and one chunk. */
export async function* readLines(
  input: AsyncIterable<Uint8Array | string>,
  maxBytes: number,
): AsyncGenerator<string> {
  let rest: Buffer[] = []
  let restBytes = 0
  let line = 1
  for await (const part of input) {
    const chunk =
      typeof part === 'string' ? Buffer.from(part) : Buffer.from(part.buffer, part.byteOffset, part.length)
    let from = 0
    for (;;) {
      const end = chunk.indexOf(0x0a, from)
      const piece = chunk.subarray(from, end < 0 ? chunk.length : end)
      restBytes += piece.length
      // One byte more than allowed, for the \r that may have to go.
      if (restBytes > maxBytes + 1) throw new LineTooLongError(line, maxBytes)
      rest.push(piece)
      if (end < 0) break
      yield toLine(rest)
      rest = []
      restBytes = 0
      line++
      from = end + 1
    }
  }
  if (restBytes > 0) yield toLine(rest)
}

function toLine(pieces: readonly Buffer[]): string {
  const bytes = pieces.length === 1 ? pieces[0]! : Buffer.concat(pieces)
  return bytes.toString('utf8', 0, bytes.at(-1) === 0x0d ? bytes.length - 1 : bytes.length)
}
