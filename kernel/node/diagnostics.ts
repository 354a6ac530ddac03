/**
 * What other tools can listen to, by Node's diagnostics channels. The names and shapes are part of the package's
 * surface (README.md of this folder has them with an example):
 *
 *   amoebacast:send      a send: called, ordered, failed
 *   amoebacast:delivery  a message has come to this member, at its place
 *   amoebacast:view      the view of this member has changed
 *   amoebacast:reset     each turn of a reset that this member takes part in
 *   amoebacast:settings  the group has changed to another key, or another version of the wire format
 *   amoebacast:trace     the machine's own turning points; for those who look for faults, and free to change
 *
 * Without a listener each place costs one look at `hasSubscribers`: no object is made. A listener that throws is
 * an uncaught exception of the program's, and stops nothing here. Bytes that a listener is handed are not its own:
 * they must be left as they are, and copied if they are kept.
 */
import { type Channel, channel } from 'node:diagnostics_channel'
import type { ErrorCode, Outcome } from '../errors.ts'
import { hex64, type Incarnation, type MemberId, type Micros, type Nonce, type Seq } from '../identity.ts'
import type { Token } from '../port.ts'
import type { TraceEvent } from '../trace.ts'
import type { View } from '../view.ts'

export const SEND_CHANNEL = 'amoebacast:send'
export const DELIVERY_CHANNEL = 'amoebacast:delivery'
export const VIEW_CHANNEL = 'amoebacast:view'
export const RESET_CHANNEL = 'amoebacast:reset'
export const SETTINGS_CHANNEL = 'amoebacast:settings'
export const TRACE_CHANNEL = 'amoebacast:trace'

/** Which member it is about; one process may have several, of one group too. */
interface About {
  /** The group's port. */
  readonly group: string
  /** 0 before the member has joined. */
  readonly memberId: MemberId
  /** Names this life of the member: another one after an expulsion or a restart. */
  readonly nonce: Nonce
  /** Microseconds of a clock that only goes forward; the same for everything of one process. */
  readonly at: Micros
}

/** `token` links a call with its answers: messages are numbered from 1 in the order of the calls of one life. */
export type SendMessage = About &
  (
    | {
        readonly state: 'called'
        readonly token: Token
        /** As encoded, of `token` and those after it. */
        readonly bodies: readonly Uint8Array[]
        readonly header: Uint8Array
      }
    /** `token` to `token + count - 1` are ordered at `seq` to `seq + count - 1`. */
    | { readonly state: 'ordered'; readonly token: Token; readonly count: number; readonly seq: Seq }
    | {
        readonly state: 'failed'
        readonly token: Token
        readonly code: ErrorCode
        readonly outcome: Outcome | undefined
      }
  )

/** Published on arrival, in order; the program may receive the message later. */
export interface DeliveryMessage extends About {
  readonly seq: Seq
  readonly sender: MemberId
  readonly header: Uint8Array
  /** As encoded. */
  readonly body: Uint8Array
}

export interface ViewMessage extends About {
  /** What made it: the own entry, or an event of the order. */
  readonly cause: 'entered' | 'join' | 'leave' | 'reset'
  /** Who joined, left or coordinated; this member for 'entered'. */
  readonly member: MemberId
  readonly view: {
    /** 16 hexadecimal digits. */
    readonly groupId: string
    readonly incarnation: Incarnation
    readonly coordinator: MemberId
    readonly seq: Seq
    readonly sequencer: MemberId
    readonly members: readonly { readonly id: MemberId; readonly name: string; readonly address: string }[]
  }
}

/**
 * Where this member is in a reset. The coordinator goes inviting, collecting, proposing, done; another member
 * voted, following, done. 'failed' is an attempt that is begun anew, 'stopped' one that too few have answered.
 */
export type ResetPhase =
  | 'inviting'
  | 'voted'
  | 'collecting'
  | 'proposing'
  | 'following'
  | 'failed'
  | 'stopped'
  | 'done'

export interface ResetMessage extends About {
  readonly phase: ResetPhase
  /** Microseconds since the first sign of this reset here. */
  readonly micros: Micros
  /** More on the phase: numbers and short texts, such as `incarnation`, `coordinator`, `members`, `reason`. */
  readonly detail: TraceEvent['detail']
}

export interface SettingsMessage extends About {
  /** From this place of the order on. */
  readonly seq: Seq
  /** Of the wire format. */
  readonly version: number
  /** Of the group key that packets are sealed with: 8 hexadecimal digits; undefined without one. */
  readonly keyId: string | undefined
}

export interface TraceMessage extends TraceEvent {
  readonly at: Micros
  readonly port: string
  readonly nonce: Nonce
}

/** A channel that takes only its own shape. */
interface Typed<T> {
  readonly hasSubscribers: boolean
  publish(message: T): void
}

function typed<T>(name: string): Typed<T> {
  return channel(name) as Channel & Typed<T>
}

export const channels = {
  send: typed<SendMessage>(SEND_CHANNEL),
  delivery: typed<DeliveryMessage>(DELIVERY_CHANNEL),
  view: typed<ViewMessage>(VIEW_CHANNEL),
  reset: typed<ResetMessage>(RESET_CHANNEL),
  settings: typed<SettingsMessage>(SETTINGS_CHANNEL),
  trace: typed<TraceMessage>(TRACE_CHANNEL),
} as const

/** A view as listeners see it. */
export function describeView(view: View): ViewMessage['view'] {
  const { incarnation, coordinator, seq, sequencer } = view
  const members = view.members.map(({ id, name, address }) => ({ id, name, address }))
  return { groupId: hex64(view.groupId), incarnation, coordinator, seq, sequencer, members }
}
