/**
 * One WebSocket: messages in, their outcomes and the group's events out, all as JSON texts. A client that sends faster
 * than the group orders is not read any more until there is room; one that does not receive is cut off as other
 * readers are. Replies and events share the connection: what is unread of both is bounded by the sends that may be
 * outstanding, and by the reader's chunk.
 */
import type { WebSocket } from 'ws'
import { invalidArgument } from '../../kernel/errors.ts'
import { failureOf, GatewayCode, GatewayError } from './errors.ts'
import type { EventReader, Sink, Start } from './event-reader.ts'
import type { GatewayEvent } from './events.ts'
import type { HostedGroup } from './hosted-group.ts'
import { checkContent, checkKey } from './message.ts'
import type { OutgoingMessage } from './sends.ts'

/** Sends of one client on their way; from here on it is not read. */
const MAX_OUTSTANDING = 256
/** Unsent bytes from which on a connection is full. */
const FULL_BYTES = 65_536
const ID_MAX = 255

/** Close codes (RFC 6455, section 7.4.1). */
const CloseCode = { goingAway: 1001, unsupported: 1003 } as const

export interface SocketOptions {
  /** Undefined: no events, only sends. */
  readonly start: Start | undefined
  readonly client: string
  readonly stuckMs: number
}

export class Socket {
  private readonly socket: WebSocket
  private readonly hosted: HostedGroup
  private readonly options: SocketOptions
  private readonly gone = new AbortController()
  private readonly reader: EventReader | undefined
  private outstanding = 0
  private isReading = true
  private isAlive = true
  private fullSince: number | undefined

  constructor(socket: WebSocket, hosted: HostedGroup, options: SocketOptions) {
    this.socket = socket
    this.hosted = hosted
    this.options = options
    socket.on('message', (data: Buffer, isBinary: boolean) => this.onMessage(data, isBinary))
    socket.on('pong', () => {
      this.isAlive = true
    })
    // What is wrong with a connection ends it; `close` follows.
    socket.on('error', () => {})
    socket.on('close', () => this.onClose())
    const { start, client } = options
    if (start !== undefined) this.reader = hosted.read(this.sink(), start, client)
  }

  /** Asks for a sign of life, and ends a connection that has not given the last one. */
  heartbeat(): void {
    if (!this.isAlive) return this.socket.terminate()
    // Of a client that is not read no answer is heard either.
    this.isAlive = !this.isReading
    this.socket.ping()
  }

  /** A connection that takes nothing is cut off, whether it wants events or only replies. */
  check(now: number): void {
    if (this.fullSince !== undefined && now - this.fullSince > this.options.stuckMs) this.socket.terminate()
  }

  /** No events go out any more; the last one has said so. */
  close(reason: string): void {
    this.socket.close(CloseCode.goingAway, reason)
  }

  terminate(): void {
    this.socket.terminate()
  }

  private onClose(): void {
    this.gone.abort()
    if (this.reader !== undefined) this.hosted.drop(this.reader)
  }

  private sink(): Sink {
    return {
      write: (events) => {
        for (const event of events) this.put(eventText(event))
        return this.fullSince === undefined
      },
      heartbeat: () => {},
      end: () => this.close('the stream has ended'),
      destroy: () => this.socket.terminate(),
    }
  }

  private put(text: string | Buffer): void {
    this.socket.send(text, { binary: false }, () => this.onDrained())
    if (this.socket.bufferedAmount >= FULL_BYTES) this.fullSince ??= Date.now()
    this.regulate()
  }

  private onDrained(): void {
    if (this.fullSince === undefined || this.socket.bufferedAmount >= FULL_BYTES) return
    this.fullSince = undefined
    this.reader?.ready(Date.now())
    this.regulate()
  }

  /** Reads on, or not, as there is room. */
  private regulate(): void {
    const wants = this.outstanding < MAX_OUTSTANDING && this.fullSince === undefined
    if (wants === this.isReading || this.socket.readyState !== this.socket.OPEN) return
    this.isReading = wants
    if (wants) this.socket.resume()
    else this.socket.pause()
  }

  private onMessage(data: Buffer, isBinary: boolean): void {
    if (isBinary) return this.socket.close(CloseCode.unsupported, 'JSON texts only')
    try {
      const { id, message } = parseRequest(data)
      void this.send(id, message)
    } catch (error) {
      this.answerFailed(idIn(data) ?? null, error)
    }
  }

  private async send(id: string | number, message: OutgoingMessage): Promise<void> {
    this.outstanding++
    this.regulate()
    let ticket: ReturnType<HostedGroup['admission']['enter']> | undefined
    try {
      ticket = this.hosted.admission.enter()
      ticket.grow(message.body.length)
      const { seq, repeat } = await this.hosted.send(message, this.gone.signal)
      this.answer({ type: 'ordered', id, seq, repeat })
    } catch (error) {
      this.answerFailed(id, error)
    } finally {
      ticket?.leave()
      this.outstanding--
      this.regulate()
    }
  }

  private answerFailed(id: string | number | null, error: unknown): void {
    const { status, retryAfter, body } = failureOf(error)
    this.answer({ type: 'failed', id, status, ...body, ...(retryAfter === undefined ? {} : { retryAfter }) })
  }

  private answer(reply: object): void {
    if (this.socket.readyState === this.socket.OPEN) this.put(JSON.stringify(reply))
  }
}

function eventText({ id, name, data }: GatewayEvent): Buffer {
  const cursor = id === undefined ? '' : `"id":"${id}",`
  return Buffer.concat([
    Buffer.from(`{"type":"event",${cursor}"event":"${name}","data":`),
    data,
    Buffer.from('}'),
  ])
}

interface SendRequest {
  readonly id: string | number
  readonly message: OutgoingMessage
}

const bodyNames = ['json', 'text', 'base64'] as const
const fields: readonly string[] = ['type', 'id', 'key', 'contentType', ...bodyNames]

/** Throws an error that says which field is wrong. */
function parseRequest(data: Buffer): SendRequest {
  const request = parseObject(data)
  const unknown = Object.keys(request).find((field) => !fields.includes(field))
  if (unknown !== undefined) throw invalidArgument('field', unknown, `one of ${fields.join(', ')}`)
  if (request.type !== 'send') throw invalidArgument('type', request.type, "'send'")
  const { id, key, contentType } = request
  if (!isId(id)) throw invalidArgument('id', id, `a number, or a string of at most ${ID_MAX} characters`)
  const given = bodyNames.filter((name) => request[name] !== undefined)
  if (given.length !== 1)
    throw badRequest(`a message has one of ${bodyNames.join(', ')}; this one has ${given.length}`)
  const { body, implied } = bodyOf(given[0]!, request[given[0]!])
  return {
    id,
    message: {
      body,
      contentType: contentType === undefined ? implied : checkContent('contentType', contentType, body),
      key: key === undefined ? undefined : checkKey('key', key),
    },
  }
}

function parseObject(data: Buffer): Record<string, unknown> {
  let value: unknown
  try {
    value = JSON.parse(data.toString())
  } catch {
    throw badRequest('not JSON')
  }
  if (typeof value === 'object' && value !== null && !Array.isArray(value))
    return value as Record<string, unknown>
  throw badRequest('not a JSON object')
}

function bodyOf(name: (typeof bodyNames)[number], value: unknown): { body: Buffer; implied: string } {
  if (name === 'json') return { body: Buffer.from(JSON.stringify(value)), implied: 'application/json' }
  if (typeof value !== 'string') throw invalidArgument(name, value, 'a string')
  if (name === 'text') return { body: Buffer.from(value), implied: 'text/plain; charset=utf-8' }
  if (!/^[A-Za-z0-9+/]*={0,2}$/.test(value)) throw invalidArgument(name, value, 'base64')
  return { body: Buffer.from(value, 'base64'), implied: 'application/octet-stream' }
}

/** The id of a request that is wrong otherwise, so that the client can tell which. */
function idIn(data: Buffer): string | number | undefined {
  try {
    const { id } = parseObject(data)
    return isId(id) ? id : undefined
  } catch {
    return undefined
  }
}

function isId(id: unknown): id is string | number {
  return (typeof id === 'string' && id.length <= ID_MAX) || (typeof id === 'number' && Number.isFinite(id))
}

function badRequest(message: string): GatewayError {
  return new GatewayError(GatewayCode.badRequest, message, 'refused')
}
