/**
 * A running SHA-256 over (seq, sender, body) of the messages that one member delivered, and how many came
 * from whom. Two members agree exactly if their digests over the same stretch are equal.
 */
import { createHash } from 'node:crypto'

export interface DigestResult {
  /** Hexadecimal. */
  readonly digest: string
  readonly messages: number
  /** How many messages of each sender; as many entries as members that sent. */
  readonly bySender: Readonly<Record<number, number>>
}

interface Entry {
  readonly seq: number
  readonly sender: number
  readonly body: Uint8Array
}

const STAGE_BYTES = 65_536
/** seq and sender as 8 bytes each, and the body's length as 4, so that no two lists read the same. */
const ENTRY_HEADER_BYTES = 20

export class OrderDigest {
  private readonly hash = createHash('sha256')
  private readonly stage = Buffer.alloc(STAGE_BYTES)
  private staged = 0
  private messages = 0
  private readonly bySender = new Map<number, number>()
  /** Bounded by what the group has outstanding when everybody stops sending. */
  private held: Entry[] | undefined
  private hashedTo = 0

  /** Highest seq that is in the digest for good. */
  get lastSeq(): number {
    return this.hashedTo
  }

  /** Takes the next message in order; the body is read before `add` returns, or kept if held. */
  add(seq: number, sender: number, body: Uint8Array): void {
    if (this.held === undefined) this.take({ seq, sender, body })
    else this.held.push({ seq, sender, body })
  }

  /** From now on messages wait until `finish` says how far the common stretch goes. */
  hold(): void {
    this.held ??= []
  }

  /** The digest over everything up to `lastSeq`. Call once. */
  finish(lastSeq: number): DigestResult {
    for (const entry of this.held ?? []) if (entry.seq <= lastSeq) this.take(entry)
    this.flush()
    return {
      digest: this.hash.digest('hex'),
      messages: this.messages,
      bySender: Object.fromEntries(this.bySender),
    }
  }

  private take({ seq, sender, body }: Entry): void {
    if (this.staged + ENTRY_HEADER_BYTES + body.length > STAGE_BYTES) this.flush()
    let at = this.staged
    at = this.stage.writeBigUInt64BE(BigInt(seq), at)
    at = this.stage.writeBigUInt64BE(BigInt(sender), at)
    at = this.stage.writeUInt32BE(body.length, at)
    if (at + body.length <= STAGE_BYTES) {
      this.stage.set(body, at)
      this.staged = at + body.length
    } else {
      this.staged = at
      this.flush()
      this.hash.update(body)
    }
    this.messages++
    this.bySender.set(sender, (this.bySender.get(sender) ?? 0) + 1)
    this.hashedTo = seq
  }

  private flush(): void {
    this.hash.update(this.stage.subarray(0, this.staged))
    this.staged = 0
  }
}
