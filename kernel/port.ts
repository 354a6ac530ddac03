/**
 * The port between a program's side (group/) and the machine: plain data both ways, no callbacks, so that
 * the machine can live in another thread or process than a busy program (design 8). Calls that are answered
 * carry a token of the caller's; sends are numbered by the caller, one up for each message.
 *
 * Credit: the machine delivers what is accepted at once, and the program reports what it has taken with
 * `taken`. What lies between is bounded by the group's history, because the sequencer numbers nothing that
 * would not fit into the history of the member that has taken least.
 */
import type { ErrorCode, OpenFailure, Outcome } from './errors.ts'
import type { Address, GroupId, Incarnation, MemberId, Nonce, RightName, RoleName, Seq } from './identity.ts'
import type { GroupParameters } from './parameters.ts'
import type { Settings } from './settings.ts'
import type { Member, View } from './view.ts'

export type Token = number

export type Call =
  /** Answered by `joined` or `failed`. */
  | {
      readonly call: 'open'
      readonly token: Token
      readonly how: 'create' | 'join' | 'joinOrCreate'
      readonly port: string
      /** For a group that this call creates. */
      readonly parameters: GroupParameters
      /** The joiner's header, delivered to the others with its join. */
      readonly header: Uint8Array
      /** `joinOrCreate` creates only when so many starters, this one included, have met; 1 if not given. */
      readonly minStarters?: number
    }
  /** Known addresses of possible members (from `--peers` or DNS), replacing those known before. */
  | { readonly call: 'peers'; readonly addresses: readonly Address[] }
  /** Ids of the group keys that this process holds, the newest first, instead of those it held before. */
  | { readonly call: 'keys'; readonly keys: readonly number[] }
  /** Answered by `sent` or `failed`. Tokens of sends rise by one from message to message. */
  | {
      readonly call: 'send'
      readonly token: Token
      readonly channel: number
      readonly header: Uint8Array
      readonly body: Uint8Array
    }
  /** Like `send` for each body, under the tokens from `token` on. */
  | {
      readonly call: 'sendMany'
      readonly token: Token
      readonly channel: number
      readonly bodies: readonly Uint8Array[]
    }
  /** Gives up a send or an open; answered by `failed`, unless it has been answered already. */
  | { readonly call: 'cancel'; readonly token: Token }
  /** The program has taken every delivery up to this seq. */
  | { readonly call: 'taken'; readonly seq: Seq }
  /** Answered by `left` or `failed`. */
  | { readonly call: 'leave'; readonly token: Token; readonly header: Uint8Array }
  /** Asks about a port without joining it; for an Inspector machine only. Answered by `inspected` or `failed`. */
  | { readonly call: 'inspect'; readonly token: Token; readonly port: string }
  /** The program's answer to `authorize`: whether the joiner is let in. Late ones change nothing. */
  | { readonly call: 'authorized'; readonly nonce: Nonce; readonly isAllowed: boolean }
  /** Answered by `reset` or `failed`. */
  | {
      readonly call: 'reset'
      readonly token: Token
      readonly minMembers: number
      readonly header: Uint8Array
    }

export type Output =
  | {
      readonly output: 'joined'
      readonly token: Token
      readonly memberId: MemberId
      readonly nonce: Nonce
      readonly port: string
      readonly parameters: GroupParameters
      /** The view as of the own join. */
      readonly view: View
    }
  /** `token` to `token + count - 1` are ordered at `seq` to `seq + count - 1`. */
  | { readonly output: 'sent'; readonly token: Token; readonly count: number; readonly seq: Seq }
  | {
      readonly output: 'failed'
      readonly token: Token
      readonly code: ErrorCode
      readonly message: string
      readonly outcome?: Outcome
      readonly openFailure?: OpenFailure
    }
  /** In the group's order; never empty. */
  | { readonly output: 'deliveries'; readonly deliveries: readonly OrderedEvent[] }
  | { readonly output: 'inspected'; readonly token: Token; readonly inspection: GroupInspection }
  /** `isOrdered` is false where the group had stopped, and the member went without a place for its leave. */
  | { readonly output: 'left'; readonly token: Token; readonly isOrdered: boolean }
  | { readonly output: 'reset'; readonly token: Token; readonly size: number }
  /** A joiner wants to be let in, and has shown its right: answered by `authorized`, in time or not at all. */
  | { readonly output: 'authorize'; readonly joiner: Joiner; readonly token: Uint8Array }
  | { readonly output: 'event'; readonly event: MemberEvent }

/** Who asks to be let in, as it says itself; the right is proved, where there are keys. */
export type Joiner = Pick<Member, 'nonce' | 'name' | 'address' | 'role' | 'right'>

/** What the program is handed, in order. A block of messages takes `count` places from `seq` on. */
export type OrderedEvent =
  | {
      readonly kind: 'messages'
      readonly seq: Seq
      readonly count: number
      readonly sender: MemberId
      /** The whole block; RecordReader walks its messages. Never overwritten. */
      readonly block: Uint8Array
    }
  | {
      readonly kind: 'join' | 'leave'
      readonly seq: Seq
      readonly sender: MemberId
      readonly header: Uint8Array
      /** The view that begins here. */
      readonly view: View
    }
  | {
      readonly kind: 'reset'
      readonly seq: Seq
      readonly sender: MemberId
      readonly header: Uint8Array
      readonly view: View
      readonly removed: readonly MemberId[]
      readonly lossPossible: boolean
    }

/** What happens to a member beside the order. */
export type MemberEvent =
  | { readonly event: 'suspect'; readonly member: MemberId; readonly reason: string }
  | { readonly event: 'slow'; readonly member: MemberId; readonly lagMessages: number }
  | { readonly event: 'expelled'; readonly reason: string }
  /**
   * An attempt to rebuild the group has found too few: it stands still. With automatic recovery told once, until it goes on;
   * `present` and `needed` are missing where that many are not known.
   */
  | {
      readonly event: 'stopped'
      readonly reason: string
      readonly present?: number
      readonly needed?: number
    }
  /**
   * There are two groups on one port: another line of views of this group (possible below a majority), or another
   * group altogether; that one has its `groupId` here, and the `address` of the member that was met.
   */
  | {
      readonly event: 'split'
      readonly incarnation: Incarnation
      readonly coordinator: MemberId
      readonly groupId?: GroupId
      readonly address?: Address
    }
  /**
   * The group goes by other settings from this place on. (The place itself is delivered as a block of messages none of
   * which is for programs.)
   */
  | { readonly event: 'settings'; readonly settings: Settings; readonly before: Settings }
  /** The member's life is over; nothing follows. `code` is undefined after an orderly leave. */
  | {
      readonly event: 'closed'
      readonly code: ErrorCode | undefined
      readonly reason: string
      readonly openFailure?: OpenFailure
    }

/** How many messages a member has yet to take. */
export interface Lag {
  readonly id: MemberId
  readonly messages: number
}

/** Where the order stands at one member, and what that one keeps of it. */
interface OrderInfo {
  /** Highest seq known to be numbered. */
  readonly seq: Seq
  readonly accepted: Seq
  readonly stable: Seq
  readonly historyMessages: number
  readonly historyBytes: number
  /** Known at the sequencer, empty elsewhere. */
  readonly lags: readonly Lag[]
  /** What the group has agreed upon, as far as this member holds the order. */
  readonly settings: Settings
}

/** A member as others see it at one moment, for getInfoGroup, the console and metrics. */
export interface MemberInfo extends OrderInfo {
  readonly phase: string
  readonly port: string
  readonly memberId: MemberId
  readonly role: RoleName
  /** As what it was let in, or wants to be. */
  readonly right: RightName
  readonly view: View | undefined
  readonly isSequencer: boolean
  readonly received: Seq
  readonly taken: Seq
  /** Sends waiting for room, and those on their way. */
  readonly waitingSends: number
  readonly outstandingSends: number
  /** Requests that the sequencer holds and has not numbered yet; 0 elsewhere. */
  readonly queuedRequests: number
}

/** A group as its sequencer tells about it, to members and to others (`amoebacast info`). */
export interface GroupInspection extends OrderInfo {
  readonly port: string
  readonly view: View
  readonly parameters: GroupParameters
  /** Of each member, the id of the newest group key that it has told of; 0 without keys. */
  readonly newestKeys: readonly { readonly id: MemberId; readonly keyId: number }[]
}
