/**
 * What a node tells its console's page once a second: plain data, all of it bounded, and everything the page
 * needs, so that one which comes late or comes back needs nothing else. Never bodies, headers, nonces or keys.
 */
import type { Address, Incarnation, MemberId, RightName, RoleName, Seq } from '../../identity.ts'
import type { GroupParameters } from '../../parameters.ts'

/** Milliseconds since 1970, for people. */
export type WallMs = number

export interface Snapshot {
  readonly at: WallMs
  readonly node: {
    readonly host: string
    readonly pid: number
    /** `host:port` where unicast packets reach this process. */
    readonly address: string
    readonly upSeconds: number
  }
  readonly groups: readonly GroupSnapshot[]
  /** Memberships beyond those shown. */
  readonly hiddenGroups: number
  /** Memberships that have ended here lately. */
  readonly ended: readonly EndedSnapshot[]
}

export interface GroupSnapshot {
  /** Names this membership on the page, for as long as the process lives. */
  readonly key: number
  readonly port: string
  /** Of this member, for people. */
  readonly name: string
  readonly phase: string
  readonly memberId: MemberId
  readonly isSequencer: boolean
  readonly view: ViewSnapshot | undefined
  readonly seq: Seq
  readonly received: Seq
  readonly accepted: Seq
  readonly taken: Seq
  readonly stable: Seq
  readonly historyMessages: number
  readonly historyBytes: number
  /** Sends of this member: waiting for room, and on their way. */
  readonly waitingSends: number
  readonly outstandingSends: number
  /** At the sequencer: requests held and not numbered yet. */
  readonly queuedRequests: number
  readonly parameters: GroupParameters | undefined
  readonly lags: LagSnapshot
  readonly series: Series
  readonly reset: ResetSnapshot | undefined
  /** Oldest first. */
  readonly timeLine: readonly TimeLineEntry[]
}

export interface ViewSnapshot {
  readonly groupId: string
  readonly incarnation: Incarnation
  readonly coordinator: MemberId
  readonly seq: Seq
  readonly sequencer: MemberId
  readonly members: readonly {
    readonly id: MemberId
    readonly name: string
    readonly address: string
    readonly role: RoleName
    readonly right: RightName
  }[]
  /** Members beyond those listed. */
  readonly hidden: number
}

export interface LagSnapshot {
  /** Messages that a member has yet to take, by member id as text; what is missing is not known. */
  readonly messages: Readonly<Record<string, number>>
  /** Of which moment; undefined if the sequencer has not been heard about it. */
  readonly at: WallMs | undefined
}

/** One value a second, the newest last. */
export interface Series {
  /** Messages delivered here, a second. */
  readonly rate: readonly number[]
  /** Microseconds that sends from here took to return; null in seconds without one. */
  readonly sendP50: readonly (number | null)[]
  readonly sendP99: readonly (number | null)[]
  /** Share of a second, 0 to 1, that the sequencer's work took here; 0 elsewhere. */
  readonly load: readonly number[]
}

export type ResetPhase =
  /** Somebody does not answer, and the others are asked. */
  | 'suspected'
  /** This member rebuilds the group, and waits for votes. */
  | 'inviting'
  /** It fetches what it lacks of the best log. */
  | 'catching up'
  /** It has sent the result, and waits for the acks of all. */
  | 'waiting for acks'
  /** Another rebuilds the group, and has this member's vote. */
  | 'voted'
  /** This member fetches what lies below the result. */
  | 'following'
  /** It holds the result, and waits until all hold it. */
  | 'acked'
  /** Too few answer. */
  | 'stopped'

export interface ResetStep {
  readonly phase: ResetPhase
  /** Milliseconds since the reset's first sign here. */
  readonly ms: number
}

export interface ResetSnapshot {
  readonly since: WallMs
  readonly phase: ResetPhase
  /** Whom it is about: the suspect, or the one who rebuilds. */
  readonly member: MemberId | undefined
  readonly incarnation: Incarnation | undefined
  /** Attempts of this member so far. */
  readonly attempts: number
  readonly reason: string | undefined
  readonly steps: readonly ResetStep[]
}

export type TimeLineKind =
  | 'joined'
  | 'join'
  | 'leave'
  | 'reset'
  | 'suspect'
  | 'slow'
  | 'split'
  | 'expelled'
  | 'stopped'
  | 'closed'

export interface TimeLineEntry {
  /** Rises from entry to entry of a membership. */
  readonly number: number
  readonly at: WallMs
  readonly kind: TimeLineKind
  readonly seq?: Seq
  /** Who joined, left, is suspected or slow, or rebuilt the group. */
  readonly member?: MemberId
  readonly name?: string
  readonly sequencer?: MemberId
  readonly members?: number
  readonly incarnation?: Incarnation
  /** Of another group on this port: its id, and where one of its members is. */
  readonly groupId?: string
  readonly address?: Address
  readonly removed?: readonly { readonly id: MemberId; readonly name: string }[]
  readonly lossPossible?: boolean
  /** Of a reset: milliseconds from its first sign here to its end, and what came when. */
  readonly ms?: number
  readonly steps?: readonly ResetStep[]
  readonly lagMessages?: number
  readonly reason?: string
  /** How often it has been told in a row. */
  readonly times?: number
}

export interface EndedSnapshot {
  readonly key: number
  readonly port: string
  readonly name: string
  readonly timeLine: readonly TimeLineEntry[]
}
