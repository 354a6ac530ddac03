/** Server-sent events over one HTTP response (the WHATWG's HTML standard, section 9.2). */
import type { ServerResponse } from 'node:http'
import type { Sink } from './event-reader.ts'
import type { GatewayEvent } from './events.ts'

/** How long a browser waits before it comes back. */
const RETRY_MS = 1000
const lineEnds = Buffer.from('\n\n')

export class SseSink implements Sink {
  private readonly response: ServerResponse

  constructor(response: ServerResponse) {
    this.response = response
    response.writeHead(200, {
      'content-type': 'text/event-stream; charset=utf-8',
      'cache-control': 'no-store',
      'x-content-type-options': 'nosniff',
      // Proxies that gather answers would hold events back.
      'x-accel-buffering': 'no',
    })
    response.write(`retry: ${RETRY_MS}\n\n`)
  }

  write(events: readonly GatewayEvent[]): boolean {
    const parts: Buffer[] = []
    for (const { id, name, data } of events) {
      const idLine = id === undefined ? '' : `id: ${id}\n`
      parts.push(Buffer.from(`${idLine}event: ${name}\ndata: `), data, lineEnds)
    }
    return this.response.write(Buffer.concat(parts))
  }

  heartbeat(): void {
    this.response.write(': still here\n\n')
  }

  end(): void {
    this.response.end()
  }

  destroy(): void {
    this.response.destroy()
  }
}
