/**
 * The places of one sender's messages, in its order: two trails are the same up to some count exactly if their
 * digests for it are equal. One is kept where sends return, one for each sender where messages are delivered;
 * a sender that is killed has said how far it was, and the others compare up to there.
 */
import { createHash } from 'node:crypto'

/** How far a sender was when it said so. */
export interface Returned {
  /** Sends that had returned. */
  readonly count: number
  readonly digest: string
}

const KEPT = 8_192
const PLACE_BYTES = 8

export class Trail {
  /** Messages so far. */
  count = 0
  private readonly hash = createHash('sha256')
  private hashed = 0
  /** The last places, not in the digest yet: the count that is asked for may lie among them. */
  private readonly recent: Float64Array

  /** `kept`: how many of the last messages `digest` can be asked about. */
  constructor(kept = KEPT) {
    this.recent = new Float64Array(2 * kept)
  }

  add(seq: number): void {
    if (this.count - this.hashed === this.recent.length) this.fold()
    this.recent[this.count - this.hashed] = seq
    this.count++
  }

  /** Of the first `count` messages; undefined if so many have not come, or far more. */
  digest(count = this.count): string | undefined {
    if (count > this.count || count < this.hashed) return undefined
    return this.hash
      .copy()
      .update(this.bytes(count - this.hashed))
      .digest('hex')
  }

  private fold(): void {
    const half = this.recent.length / 2
    this.hash.update(this.bytes(half))
    this.recent.copyWithin(0, half)
    this.hashed += half
  }

  private bytes(places: number): Uint8Array {
    return new Uint8Array(this.recent.buffer, 0, places * PLACE_BYTES)
  }
}
