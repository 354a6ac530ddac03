/**
 * Standard output with backpressure. Whoever writes awaits `ready()` before the next piece of work, so that
 * a slow reader slows the receive loop, and through the group's flow control the senders, instead of
 * filling memory here. Lines are gathered until the event loop turns, because a write for each line costs
 * more than the line.
 */
import type { Writable } from 'node:stream'

/** Lines gathered at most before they are handed on, in characters. */
const GATHER_CHARACTERS = 16_384

export class Output {
  private readonly stream: Writable
  private readonly whenClosed: () => void
  private gathered = ''
  private isFlushPlanned = false
  private isClosed = false
  private drained: { promise: Promise<void>; resolve: () => void } | undefined

  /** `whenClosed` is called once when the reader is gone (EPIPE): nothing that follows can be seen. */
  constructor(stream: Writable, whenClosed: () => void) {
    this.stream = stream
    this.whenClosed = whenClosed
    stream.on('drain', () => this.release())
    stream.on('error', () => this.close())
    stream.on('close', () => this.close())
  }

  /** Whether the reader is behind: a good moment to take no new work in. */
  get isBehind(): boolean {
    return this.drained !== undefined
  }

  line(text: string): void {
    if (this.isClosed) return
    this.gathered += `${text}\n`
    if (this.gathered.length >= GATHER_CHARACTERS) this.flush()
    else if (!this.isFlushPlanned) {
      this.isFlushPlanned = true
      setImmediate(() => this.flush())
    }
  }

  json(value: object): void {
    this.line(toJson(value))
  }

  /** Resolves when the reader keeps up; at once if it does, or if nobody reads any more. */
  ready(): Promise<void> | undefined {
    return this.drained?.promise
  }

  /** Hands everything on and resolves when the operating system has it. */
  async end(): Promise<void> {
    this.flush()
    if (this.isClosed) return
    await new Promise<void>((resolve) => this.stream.write('', () => resolve()))
  }

  private flush(): void {
    this.isFlushPlanned = false
    if (this.gathered === '' || this.isClosed) return
    const text = this.gathered
    this.gathered = ''
    if (!this.stream.write(text) && this.drained === undefined && !this.isClosed) {
      let resolve = (): void => {}
      const promise = new Promise<void>((done) => {
        resolve = done
      })
      this.drained = { promise, resolve }
    }
  }

  private release(): void {
    this.drained?.resolve()
    this.drained = undefined
  }

  private close(): void {
    if (this.isClosed) return
    this.isClosed = true
    this.gathered = ''
    this.release()
    this.whenClosed()
  }
}

/** JSON in one line, for whatever values a program may have sent: big integers and bytes become strings. */
export function toJson(value: unknown): string {
  return JSON.stringify(value, (_key, field: unknown) => {
    if (typeof field === 'bigint') return field.toString()
    if (field instanceof Map) return Object.fromEntries(field)
    if (field instanceof Set) return [...field]
    return field
  })
}

/**
 * The body of a message as text for people: strings as they are, other values as JSON, and nothing that
 * could end the line or move a terminal's cursor.
 */
export function bodyText(body: unknown): string {
  const text = typeof body === 'string' ? body : (toJson(jsonBody(body)) ?? 'undefined')
  return text.replace(CONTROL, (character) => escapes.get(character) ?? hexEscape(character))
}

/** A body as it stands in a JSON line; bytes as base64. */
export function jsonBody(body: unknown): unknown {
  if (body === undefined) return null
  return body instanceof Uint8Array ? { base64: Buffer.from(body).toString('base64') } : body
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for.
const CONTROL = /[\u0000-\u0008\u000a-\u001f\u007f-\u009f]/g
const escapes = new Map([
  ['\n', '\\n'],
  ['\r', '\\r'],
])

function hexEscape(character: string): string {
  return `\\x${character.charCodeAt(0).toString(16).padStart(2, '0')}`
}
