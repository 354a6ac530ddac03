/**
 * A place that a reader has reached, in a form that holds for the whole group: a reader may resume at another
 * gateway. It is the `id` of server-sent events, and what comes back as `Last-Event-ID`.
 */
import { invalidArgument } from '../../kernel/errors.ts'
import type { Incarnation, MemberId, Seq } from '../../kernel/identity.ts'

/** The names of a view, and a place in it (design, section 1): equal seqs alone are not equal events. */
export interface Cursor {
  /** 16 hexadecimal digits. */
  readonly groupId: string
  readonly incarnation: Incarnation
  readonly coordinator: MemberId
  readonly seq: Seq
}

const FORM = /^([0-9a-f]{16})-(\d{1,16})-(\d{1,16})-(\d{1,16})$/

export function formatCursor({ groupId, incarnation, coordinator, seq }: Cursor): string {
  return `${groupId}-${incarnation}-${coordinator}-${seq}`
}

/** Throws ERR_INVALID_ARGUMENT, naming `field`, for what no gateway has given out. */
export function parseCursor(text: string, field: string): Cursor {
  const match = FORM.exec(text)
  const numbers = match?.slice(2).map(Number) ?? []
  if (match === null || !numbers.every(Number.isSafeInteger)) {
    throw invalidArgument(field, text, 'an id that a gateway gave, such as 00c0ffee00c0ffee-1-1-42')
  }
  const [incarnation, coordinator, seq] = numbers as [number, number, number]
  return { groupId: match[1]!, incarnation, coordinator, seq }
}

/** Whether both places belong to one line of events. */
export function isSameView(a: Cursor, b: Cursor): boolean {
  return a.groupId === b.groupId && a.incarnation === b.incarnation && a.coordinator === b.coordinator
}
