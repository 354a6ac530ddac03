/**
 * Sends that wait for room, in the order in which they were called; what goes next goes in one block. The messages
 * of a sendMany wait together: a busy program makes no object for each.
 *
 * BOUNDED by the program's own calls that have not returned.
 */
import { assert } from '../../kernel/assert.ts'
import { BLOCK_HEADER_BYTES, recordOverhead, writeRecord } from '../../kernel/block.ts'
import { Deque } from '../../kernel/deque.ts'
import type { Token } from '../../kernel/port.ts'

/** Messages of one call, under neighbouring tokens; the first of them leave before the last. */
export class Waiting {
  /** Of the next to leave. */
  token: Token
  readonly channel: number
  readonly header: Uint8Array
  readonly bodies: readonly Uint8Array[]
  /** Which of the bodies is the next to leave. */
  at: number
  readonly end: number
  /** The member's leave goes in line behind its messages. */
  readonly isLeave: boolean

  constructor(
    token: Token,
    channel: number,
    header: Uint8Array,
    bodies: readonly Uint8Array[],
    at = 0,
    end = bodies.length,
    isLeave = false,
  ) {
    this.token = token
    this.channel = channel
    this.header = header
    this.bodies = bodies
    this.at = at
    this.end = end
    this.isLeave = isLeave
  }

  get count(): number {
    return this.end - this.at
  }

  covers(token: Token): boolean {
    return token >= this.token && token < this.token + this.count
  }

  /** Bytes that the body at `index` takes in a block. */
  bytesAt(index: number): number {
    const { header, bodies } = this
    const { length } = bodies[index]!
    return recordOverhead(header.length, length) + header.length + length
  }

  /** What is left without the message under `token`: what stands before it, and what behind. */
  without(token: Token): Waiting[] {
    const { channel, header, bodies, at, end } = this
    const hole = at + (token - this.token)
    const parts = [
      new Waiting(this.token, channel, header, bodies, at, hole),
      new Waiting(token + 1, channel, header, bodies, hole + 1, end),
    ]
    return parts.filter(({ count }) => count > 0)
  }
}

/** The messages at the head of the line that go into one block, `bytes` of records. */
export interface Cut {
  readonly token: Token
  readonly count: number
  readonly bytes: number
}

export class WaitingLine {
  private readonly line = new Deque<Waiting>()
  /** Messages and leaves, and the bytes of their records. */
  count = 0
  bytes = 0

  get isEmpty(): boolean {
    return this.count === 0
  }

  get first(): Waiting | undefined {
    return this.line.first()
  }

  push(messages: Waiting): void {
    let bytes = 0
    for (let i = messages.at; i < messages.end; i++) bytes += messages.bytesAt(i)
    this.bytes += bytes
    this.count += messages.count
    this.line.push(messages)
  }

  /** Takes one message out of the line; false if it is not in it. */
  remove(token: Token): boolean {
    for (let i = 0; i < this.line.length; i++) {
      const item = this.line.at(i)!
      if (item.isLeave || !item.covers(token)) continue
      this.bytes -= item.bytesAt(item.at + (token - item.token))
      this.count--
      this.line.replace(i, ...item.without(token))
      return true
    }
    return false
  }

  /** Empties the line. */
  takeAll(): Waiting[] {
    const all = [...this.line]
    this.line.clear()
    this.count = this.bytes = 0
    return all
  }

  takeLeave(): Waiting {
    const leave = this.line.shift()
    assert(leave?.isLeave === true, 'a leave is the next')
    this.bytes -= leave.bytesAt(leave.at)
    this.count--
    return leave
  }

  /** What goes into the next block: at least one message, whatever its size. */
  cut(countLimit: number, bytesLimit: number): Cut {
    const { token } = this.line.first()!
    let count = 0
    let bytes = 0
    for (let i = 0; i < this.line.length; i++) {
      const next = this.line.at(i)!
      // a cancelled send leaves a hole in the tokens; a block answers for neighbouring ones only
      if (next.isLeave || next.token !== token + count) break
      for (let index = next.at; index < next.end; index++) {
        const more = next.bytesAt(index)
        if (count === countLimit || (count > 0 && bytes + more > bytesLimit)) return { token, count, bytes }
        bytes += more
        count++
      }
    }
    return { token, count, bytes }
  }

  /** Moves the messages of a cut into the block that is made for them. */
  write({ count, bytes }: Cut, block: Uint8Array): void {
    let at = BLOCK_HEADER_BYTES
    for (let left = count; left > 0; ) {
      const messages = this.line.first()!
      const { channel, header, bodies } = messages
      const taken = Math.min(left, messages.count)
      for (let i = messages.at; i < messages.at + taken; i++) {
        at = writeRecord(block, at, channel, header, bodies[i]!)
      }
      messages.at += taken
      messages.token += taken
      left -= taken
      if (messages.count === 0) this.line.shift()
    }
    this.bytes -= bytes
    this.count -= count
    assert(at === block.length, 'a block is as long as its records', at, block.length)
  }
}
