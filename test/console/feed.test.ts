import { EventEmitter } from 'node:events'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { expect, test } from 'vitest'
import { Feed } from '../../kernel/node/console/feed.ts'

/** A response whose reader may be slow. */
class FakeResponse extends EventEmitter {
  writableNeedDrain = false
  readonly written: string[] = []
  isDestroyed = false

  writeHead(): void {}

  write(text: string): void {
    this.written.push(text)
  }

  destroy(): void {
    this.isDestroyed = true
    this.emit('close')
  }
}

const request = { method: 'GET' } as IncomingMessage

test('one that does not read misses snapshots, nothing piles up, and at last it is cut off', () => {
  let count = 0
  const feed = new Feed(() => String(++count))
  const [slow, good] = [new FakeResponse(), new FakeResponse()]
  for (const response of [slow, good]) feed.open(request, response as unknown as ServerResponse)
  slow.writableNeedDrain = true
  for (let i = 0; i < 10; i++) feed.push()
  expect([slow.written.length, good.written.length]).toEqual([1, 11])

  // one that catches up goes on with the newest
  slow.writableNeedDrain = false
  feed.push()
  expect(slow.written.at(-1)).toBe(good.written.at(-1))

  slow.writableNeedDrain = true
  for (let i = 0; i < 100; i++) feed.push()
  expect([slow.isDestroyed, good.isDestroyed]).toEqual([true, false])
  expect(slow.written).toHaveLength(2)

  good.destroy()
  expect(feed.isWatched).toBe(false)
  const before = count
  feed.push()
  // nobody watches, so nothing is made
  expect(count).toBe(before)
})
