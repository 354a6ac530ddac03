/**
 * Every message of the simulated programs says who sent it and as which: eight bytes at the front of its
 * body, or of its header where the body is too short. The rest is filled with what follows from that.
 */
export const TAG_BYTES = 8
const TAG_MARK = 0x5a17

export interface Tag {
  readonly life: number
  readonly counter: number
}

export interface Tagged {
  readonly header: Uint8Array
  readonly body: Uint8Array
}

/** A message of `bodyBytes`; `headerBytes` beside the tag, if it goes there. */
export function tagged(tag: Tag, headerBytes: number, bodyBytes: number): Tagged {
  const isInBody = bodyBytes >= TAG_BYTES
  const header = filled(tag, isInBody ? headerBytes : TAG_BYTES + headerBytes)
  const body = filled(tag, bodyBytes)
  writeTag(isInBody ? body : header, tag)
  return { header, body }
}

function filled({ life, counter }: Tag, length: number): Uint8Array {
  return new Uint8Array(length).fill((life * 37 + counter * 11) & 0xff)
}

function writeTag(bytes: Uint8Array, { life, counter }: Tag): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset)
  view.setUint16(0, TAG_MARK)
  view.setUint16(2, life)
  view.setUint32(4, counter)
}

export function readTag(header: Uint8Array, body: Uint8Array): Tag | undefined {
  const bytes = body.length >= TAG_BYTES ? body : header
  if (bytes.length < TAG_BYTES) return undefined
  const view = new DataView(bytes.buffer, bytes.byteOffset, TAG_BYTES)
  return view.getUint16(0) === TAG_MARK ? { life: view.getUint16(2), counter: view.getUint32(4) } : undefined
}
