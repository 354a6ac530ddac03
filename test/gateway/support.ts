/** Gateways of a test's own over UDP on loopback, and small clients for what they serve. */
import { request as httpRequest, type IncomingMessage } from 'node:http'
import { WebSocket } from 'ws'
import { type Gateway, type GatewayOptions, startGateway } from '../../cli/gateway/index.ts'
import { type Kernel, startKernel } from '../../group/index.ts'
import { silentLog } from '../../kernel/node/log.ts'

/** Every wait ends, whatever the machine does beside. */
const WAIT_MS = 45_000

let groups = 0

/** A group's name that no other test has. */
export function uniquePort(): string {
  groups += 1
  return `gateway test ${process.pid}/${groups}`
}

/** What a test has opened; `[Symbol.asyncDispose]` ends it, last first. */
export class Stage implements AsyncDisposable {
  private readonly ends: (() => unknown)[] = []

  onEnd(end: () => unknown): void {
    this.ends.push(end)
  }

  async kernel(): Promise<Kernel> {
    const kernel = await startKernel({ logLevel: 'silent' })
    this.onEnd(() => kernel.close())
    return kernel
  }

  async gateway(options: GatewayOptions = {}): Promise<Client> {
    const own = options.kernel === undefined ? { kernelOptions: { logLevel: 'silent' as const } } : {}
    const logger = silentLog as GatewayOptions['logger']
    const gateway = await startGateway({ listen: '127.0.0.1:0', stopMs: 2000, logger, ...own, ...options })
    this.onEnd(() => gateway.close())
    return new Client(gateway, this)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const end of this.ends.reverse()) await end()
  }
}

export interface Answer {
  readonly status: number
  readonly headers: Headers
  // biome-ignore lint/suspicious/noExplicitAny: a JSON answer, looked at field by field.
  readonly body: any
}

export interface SendSettings {
  readonly key?: string
  readonly type?: string
  readonly headers?: Record<string, string>
  readonly signal?: AbortSignal
}

/** A client of one gateway. */
export class Client {
  readonly gateway: Gateway
  private readonly stage: Stage

  constructor(gateway: Gateway, stage: Stage) {
    this.gateway = gateway
    this.stage = stage
  }

  get url(): string {
    return this.gateway.url
  }

  async ask(method: string, path: string, init: Omit<RequestInit, 'method'> = {}): Promise<Answer> {
    const response = await fetch(`${this.url}${path}`, { method, ...init })
    const text = await response.text()
    return {
      status: response.status,
      headers: response.headers,
      body: text === '' ? undefined : JSON.parse(text),
    }
  }

  open(port: string, options: object = {}): Promise<Answer> {
    return this.ask('POST', groupPath(port), { body: JSON.stringify(options) })
  }

  send(port: string, body: string | Uint8Array, settings: SendSettings = {}): Promise<Answer> {
    const { key, type, headers, signal } = settings
    return this.ask('POST', `${groupPath(port)}/messages`, {
      body: body as RequestInit['body'],
      headers: {
        ...(type === undefined ? {} : { 'content-type': type }),
        ...(key === undefined ? {} : { 'idempotency-key': key }),
        ...headers,
      },
      signal,
    })
  }

  info(port: string): Promise<Answer> {
    return this.ask('GET', groupPath(port))
  }

  async events(port: string, settings: { from?: string; after?: string } = {}): Promise<EventStream> {
    const query = settings.from === undefined ? '' : `?from=${settings.from}`
    const headers: Record<string, string> =
      settings.after === undefined ? {} : { 'last-event-id': settings.after }
    const stream = await EventStream.open(`${this.url}${groupPath(port)}/events${query}`, headers)
    this.stage.onEnd(() => stream.close())
    return stream
  }

  async socket(port: string, query = ''): Promise<SocketClient> {
    const socket = new SocketClient(`${this.url.replace('http', 'ws')}${groupPath(port)}/socket${query}`)
    this.stage.onEnd(() => socket.close())
    await socket.opened
    return socket
  }
}

export function groupPath(port: string): string {
  return `/groups/${encodeURIComponent(port)}`
}

export interface StreamEvent {
  readonly id: string | undefined
  readonly event: string
  // biome-ignore lint/suspicious/noExplicitAny: JSON, looked at field by field.
  readonly data: any
}

/** Something that arrives piece by piece and can be waited for. */
class Arrivals<T> {
  readonly all: T[] = []
  isOver = false
  private readonly watchers = new Set<() => void>()

  add(item: T): void {
    this.all.push(item)
    this.look()
  }

  end(): void {
    this.isOver = true
    this.look()
  }

  /** Waits until `isSo` holds; the error shows what has come. */
  until(what: string, isSo: () => boolean): Promise<void> {
    return new Promise((resolve, reject) => {
      const settle = (problem?: string): void => {
        clearTimeout(timer)
        this.watchers.delete(watcher)
        if (problem === undefined) resolve()
        else reject(new Error(`${problem} ${what}; last: ${JSON.stringify(this.all.slice(-5))}`))
      }
      const watcher = (): void => {
        if (isSo()) settle()
        else if (this.isOver) settle('ended before')
      }
      const timer = setTimeout(() => settle('waited in vain for'), WAIT_MS)
      this.watchers.add(watcher)
      watcher()
    })
  }

  private look(): void {
    for (const watcher of [...this.watchers]) watcher()
  }
}

/** A reader of server-sent events, as plain as the standard allows. */
export class EventStream {
  readonly arrivals = new Arrivals<StreamEvent>()
  comments = 0
  private readonly response: IncomingMessage
  private rest = ''

  static open(url: string, headers: Record<string, string> = {}): Promise<EventStream> {
    return new Promise((resolve, reject) => {
      const request = httpRequest(url, { headers, agent: false }, (response) => {
        if (response.statusCode === 200) return resolve(new EventStream(response))
        response.resume()
        reject(new Error(`status ${response.statusCode}`))
      })
      request.on('error', reject)
      request.end()
    })
  }

  private constructor(response: IncomingMessage) {
    this.response = response
    response.setEncoding('utf8')
    response.on('data', (text: string) => this.read(text))
    response.on('error', () => {})
    response.on('close', () => this.arrivals.end())
  }

  get all(): readonly StreamEvent[] {
    return this.arrivals.all
  }

  get isOver(): boolean {
    return this.arrivals.isOver
  }

  of(event: string): StreamEvent[] {
    return this.all.filter((one) => one.event === event)
  }

  /** Bodies of the messages so far. */
  get texts(): string[] {
    return this.of('message').map(({ data }) => data.text)
  }

  get lastId(): string {
    return this.all.findLast(({ id }) => id !== undefined)!.id!
  }

  until(what: string, isSo: (stream: EventStream) => boolean): Promise<void> {
    return this.arrivals.until(what, () => isSo(this))
  }

  async event(name: string): Promise<StreamEvent> {
    await this.until(`an event ${name}`, (stream) => stream.of(name).length > 0)
    return this.of(name)[0]!
  }

  async messages(count: number): Promise<StreamEvent[]> {
    await this.until(`${count} messages`, (stream) => stream.of('message').length >= count)
    return this.of('message')
  }

  async over(): Promise<void> {
    await this.until('the end', (stream) => stream.isOver)
  }

  /** Takes nothing more from the connection. */
  pause(): void {
    this.response.pause()
  }

  resume(): void {
    this.response.resume()
  }

  close(): void {
    this.response.destroy()
  }

  private read(text: string): void {
    const blocks = (this.rest + text).split('\n\n')
    this.rest = blocks.pop()!
    for (const block of blocks) this.readBlock(block)
  }

  private readBlock(block: string): void {
    let id: string | undefined
    let event = 'message'
    const data: string[] = []
    for (const line of block.split('\n')) {
      const [, field, value] = /^([^:]*): ?(.*)$/s.exec(line) ?? []
      if (field === 'id') id = value
      else if (field === 'event') event = value!
      else if (field === 'data') data.push(value!)
      else if (field === '') this.comments += 1
    }
    if (data.length > 0) this.arrivals.add({ id, event, data: JSON.parse(data.join('\n')) })
  }
}

/** A WebSocket client that keeps all that it is told. */
export class SocketClient {
  // biome-ignore lint/suspicious/noExplicitAny: JSON, looked at field by field.
  readonly arrivals = new Arrivals<any>()
  readonly opened: Promise<void>
  closeCode: number | undefined
  private readonly socket: WebSocket

  constructor(url: string, headers: Record<string, string> = {}) {
    this.socket = new WebSocket(url, { headers })
    this.socket.on('message', (data) => this.arrivals.add(JSON.parse(data.toString())))
    this.socket.on('close', (code) => {
      this.closeCode = code
      this.arrivals.end()
    })
    this.opened = new Promise((resolve, reject) => {
      this.socket.on('open', resolve)
      this.socket.on('error', reject)
    })
    this.opened.catch(() => {})
  }

  // biome-ignore lint/suspicious/noExplicitAny: as above.
  of(type: string): any[] {
    return this.arrivals.all.filter((one) => one.type === type)
  }

  // biome-ignore lint/suspicious/noExplicitAny: as above.
  events(name: string): any[] {
    return this.of('event').filter(({ event }) => event === name)
  }

  send(request: unknown): void {
    this.socket.send(typeof request === 'string' ? request : JSON.stringify(request))
  }

  sendBinary(bytes: Uint8Array): void {
    this.socket.send(bytes)
  }

  pause(): void {
    this.socket.pause()
  }

  until(what: string, isSo: (client: SocketClient) => boolean): Promise<void> {
    return this.arrivals.until(what, () => isSo(this))
  }

  close(): void {
    this.socket.terminate()
  }
}

/** Looks again and again until `isSo` holds. */
export async function poll(what: string, isSo: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = Date.now() + WAIT_MS
  while (!(await isSo())) {
    if (Date.now() > deadline) throw new Error(`waited in vain for ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}
