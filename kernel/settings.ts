/**
 * What the members of a group have agreed upon and may change while it lives: the version of the wire format that they
 * write, and the group key that they seal with. A table derived from the order, like the next member id: a block of the
 * sequencer's own changes it at one place, so all members have the same at the same place.
 *
 * The settings are in force at a member from the moment at which it *holds* the block, accepted or not, and nothing else
 * depends on who is how far:
 * - The sequencer orders a change only when every member of the latest view can do what it says (settings-keeper.ts), and
 *   numbers a joiner behind it only if that one can too. So whoever uses it early is understood by all, and whoever has
 *   not heard of it yet writes what all can still read, because nobody forgets the old before the change is stable.
 * - A change that a reset drops was held by some, and is taken back by them (`OrderState.dropAbove`). Whoever had joined
 *   behind it was dropped with it. The next sequencer finds that all can still do it, and orders it again.
 * - No vote and no result names it: both stand for the log, and who takes a result over holds all of its log.
 */
import { BlockKind, blockAround, Channel, headerOfWhole, RecordCursor, writeRecord } from './block.ts'
import { NO_BYTES, readU32, writeU32 } from './bytes.ts'
import type { MemberId, Seq } from './identity.ts'
import type { Reader, Writer } from './wire.ts'

/** As packets tell it to those who are not in the group. */
export interface Agreed {
  /** Of the wire format: what members write. */
  readonly version: number
  /** Of the group key that members seal with; 0 in a group without keys. */
  readonly keyId: number
}

export interface Settings extends Agreed {
  /** Where they were changed to this; where the group began, if never. */
  readonly seq: Seq
}

export function writeAgreed(writer: Writer, { version, keyId }: Agreed): Writer {
  return writer.u8(version).u32(keyId)
}

export function readAgreed(reader: Reader): Agreed {
  const agreed = { version: reader.u8(), keyId: reader.u32() }
  if (agreed.version === 0) reader.bad = true
  return agreed
}

export function writeSettings(writer: Writer, settings: Settings): Writer {
  return writeAgreed(writer.u53(settings.seq), settings)
}

export function readSettings(reader: Reader): Settings {
  return { seq: reader.u53(), ...readAgreed(reader) }
}

const BODY_BYTES = 5
/** Channel and two lengths of one byte. */
const RECORD_BYTES = 3 + BODY_BYTES

/** 8 hexadecimal digits, the way key ids are shown to people. */
export function keyText(id: number): string {
  return id.toString(16).padStart(8, '0')
}

/** The block by which the sequencer changes them: one record, on a channel that is not the programs'. */
export function encodeSettings(sequencer: MemberId, { version, keyId }: Agreed): Uint8Array {
  const body = new Uint8Array(BODY_BYTES)
  body[0] = version
  writeU32(body, 1, keyId)
  const record = new Uint8Array(RECORD_BYTES)
  writeRecord(record, 0, Channel.settings, NO_BYTES, body)
  // no request of the sequencer's: its own are counted from 1
  return blockAround(BlockKind.settings, sequencer, 0, record)
}

export function decodeSettings(block: Uint8Array): Agreed | undefined {
  if (headerOfWhole(block, BlockKind.settings)?.firstRequest !== 0) return undefined
  const cursor = new RecordCursor(block)
  if (!cursor.next() || cursor.end !== block.length || cursor.channel !== Channel.settings) return undefined
  if (cursor.headerAt !== cursor.bodyAt || cursor.end - cursor.bodyAt !== BODY_BYTES) return undefined
  const version = block[cursor.bodyAt]!
  if (version === 0) return undefined
  return { version, keyId: readU32(block, cursor.bodyAt + 1) }
}
