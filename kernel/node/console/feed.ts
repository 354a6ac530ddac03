/**
 * Server-sent events: one snapshot a second to each page that is open. Pages are bounded in number, and one that
 * does not read misses snapshots instead of piling them up; each is whole, so nothing is lost by that.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { reply } from '../reply.ts'

/** Pages at once; the next is told to come back. */
export const PAGES_MAX = 16
/** Snapshots that a page may miss in a row before it is cut off; it comes back by itself if it lives. */
const MISSED_MAX = 30
/** Milliseconds after which a page that has lost its connection tries again. */
const RETRY_MS = 1_000

interface Page {
  readonly response: ServerResponse
  missed: number
}

export class Feed {
  /** BOUNDED by PAGES_MAX. */
  private readonly pages = new Set<Page>()
  private readonly text: () => string

  /** `text`: the snapshot of this moment, without line breaks. */
  constructor(text: () => string) {
    this.text = text
  }

  get isWatched(): boolean {
    return this.pages.size > 0
  }

  open(request: IncomingMessage, response: ServerResponse): void {
    if (this.pages.size >= PAGES_MAX) {
      response.setHeader('retry-after', '10')
      reply(response, 503, `${PAGES_MAX} pages are open already; close one\n`)
      return
    }
    response.writeHead(200, {
      'content-type': 'text/event-stream; charset=utf-8',
      'cache-control': 'no-store',
      'x-content-type-options': 'nosniff',
      // a proxy that gathers output would hold up what is to be seen now
      'x-accel-buffering': 'no',
    })
    if (request.method === 'HEAD') {
      response.end()
      return
    }
    const page: Page = { response, missed: 0 }
    this.pages.add(page)
    response.on('close', () => this.pages.delete(page))
    response.on('error', () => this.pages.delete(page))
    response.write(`retry: ${RETRY_MS}\n\n${eventOf(this.text())}`)
  }

  /** Sends the present snapshot to all. */
  push(): void {
    if (!this.isWatched) return
    const event = eventOf(this.text())
    for (const page of this.pages) {
      if (page.response.writableNeedDrain) {
        if (++page.missed > MISSED_MAX) page.response.destroy()
        continue
      }
      page.missed = 0
      page.response.write(event)
    }
  }
}

function eventOf(text: string): string {
  return `event: snapshot\ndata: ${text}\n\n`
}
