/**
 * What a gateway says about a message, beside the body. It lies in the message's `header` bytes, so that the body
 * stays what the client sent, and members without a gateway can read it:
 *
 *     0        4         5
 *     "AMGW"   version   fields: kind (1 byte), length (2 bytes, high byte first), value
 *
 * A message whose header begins so has come from a gateway, or from a program that wants to be read like one.
 * Fields of unknown kinds are passed over; another version, or a field that does not fit, is no envelope.
 */

export interface Envelope {
  /** Media type of the body; printable ASCII, at most 255 characters. */
  readonly contentType?: string
  /** Makes repeats of one request recognisable in the order; printable ASCII, 1 to 255 characters. */
  readonly key?: string
  /** Milliseconds since 1970 by the sender's clock. */
  readonly sentAt?: number
}

const MAGIC = Buffer.from('AMGW')
const VERSION = 1
const FIELDS_AT = MAGIC.length + 1
const FIELD_HEADER_BYTES = 3
const TIME_BYTES = 6
const TEXT_MAX = 255

/** Append only: members of other versions read these. */
const Field = { contentType: 1, key: 2, sentAt: 3 } as const

/** What a key or a media type may hold: printable ASCII. */
export function isEnvelopeText(text: string): boolean {
  return text.length >= 1 && text.length <= TEXT_MAX && /^[\x20-\x7e]+$/.test(text)
}

/** The header bytes of a message; at most 530. Throws a RangeError for texts that `isEnvelopeText` refuses. */
export function writeEnvelope({ contentType, key, sentAt }: Envelope): Uint8Array {
  const parts: Uint8Array[] = [MAGIC, Uint8Array.of(VERSION)]
  const add = (kind: number, value: Buffer): void => {
    parts.push(Uint8Array.of(kind, value.length >>> 8, value.length & 0xff), value)
  }
  if (contentType !== undefined) add(Field.contentType, asciiBytes('contentType', contentType))
  if (key !== undefined) add(Field.key, asciiBytes('key', key))
  if (sentAt !== undefined) {
    const value = Buffer.alloc(TIME_BYTES)
    value.writeUIntBE(sentAt, 0, TIME_BYTES)
    add(Field.sentAt, value)
  }
  return Buffer.concat(parts)
}

/** Undefined where the header is not an envelope: the message has not come through a gateway. */
export function readEnvelope(header: Uint8Array): Envelope | undefined {
  const bytes = Buffer.from(header.buffer, header.byteOffset, header.length)
  if (bytes.length < FIELDS_AT || !bytes.subarray(0, MAGIC.length).equals(MAGIC)) return undefined
  if (bytes[MAGIC.length] !== VERSION) return undefined
  const found: { contentType?: string; key?: string; sentAt?: number } = {}
  for (let at = FIELDS_AT; at < bytes.length; ) {
    if (at + FIELD_HEADER_BYTES > bytes.length) return undefined
    const valueAt = at + FIELD_HEADER_BYTES
    const end = valueAt + bytes.readUInt16BE(at + 1)
    if (end > bytes.length) return undefined
    const value = bytes.subarray(valueAt, end)
    switch (bytes[at]) {
      case Field.contentType:
        found.contentType = value.toString('latin1')
        if (!isEnvelopeText(found.contentType)) return undefined
        break
      case Field.key:
        found.key = value.toString('latin1')
        if (!isEnvelopeText(found.key)) return undefined
        break
      case Field.sentAt:
        if (value.length !== TIME_BYTES) return undefined
        found.sentAt = value.readUIntBE(0, TIME_BYTES)
        break
    }
    at = end
  }
  return found
}

function asciiBytes(field: string, text: string): Buffer {
  if (!isEnvelopeText(text))
    throw new RangeError(`${field} must be 1 to ${TEXT_MAX} printable ASCII characters`)
  return Buffer.from(text, 'latin1')
}
