/** Blocks of messages that are made by hand. */
import {
  BLOCK_HEADER_BYTES,
  BlockKind,
  Channel,
  recordOverhead,
  writeBlockHeader,
  writeRecord,
} from '../../kernel/block.ts'
import type { MemberId, RequestNumber } from '../../kernel/identity.ts'

export interface RecordLike {
  readonly body: Uint8Array
  /** Default: none. */
  readonly header?: Uint8Array
  /** Default: that of programs. */
  readonly channel?: number
}

const NO_BYTES = new Uint8Array(0)

export function messageBlock(
  member: MemberId,
  firstRequest: RequestNumber,
  records: readonly RecordLike[],
): Uint8Array {
  const length = records.reduce(
    (sum, { header = NO_BYTES, body }) =>
      sum + recordOverhead(header.length, body.length) + header.length + body.length,
    BLOCK_HEADER_BYTES,
  )
  const block = new Uint8Array(length)
  writeBlockHeader(block, 0, {
    kind: BlockKind.messages,
    count: records.length,
    length,
    member,
    firstRequest,
  })
  let at = BLOCK_HEADER_BYTES
  for (const { channel = Channel.program, header = NO_BYTES, body } of records)
    at = writeRecord(block, at, channel, header, body)
  return block
}
