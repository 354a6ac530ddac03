/** What a member machine is made with: its own settings, as opposed to the group's (kernel/parameters.ts). */
import type { Credentials } from '../../kernel/credentials.ts'
import {
  type Address,
  type GroupId,
  type MemberId,
  type Nonce,
  type RequestNumber,
  Right,
  type RoleName,
  type Seq,
} from '../../kernel/identity.ts'
import type { Versions } from '../../kernel/meeting-packets.ts'
import type { SipKey } from '../../kernel/siphash.ts'

/** Times of the member itself. All in milliseconds, so that they can be set by people. */
export interface DetectionTimes {
  /** First guess at a round trip, until some have been measured. */
  readonly initialRttMs: number
  /** Floor and cap of what is learnt from round trips. */
  readonly minRtoMs: number
  readonly maxRtoMs: number
  /** Unanswered tries before a member is suspected; each wait is twice the last, up to the interval (or a round trip). */
  readonly tries: number
  readonly tryIntervalMs: number
  /** A quiet member reports after this time (the paper's Δt); in groups of more than three when it is its turn: reports.ts. */
  readonly quietAckMs: number
  /** An idle sequencer repeats its highest seq, first after the one, at last every other. */
  readonly heartbeatFirstMs: number
  readonly heartbeatIdleMs: number
  /** Questions for a port, and the time between them. */
  readonly locateTries: number
  readonly locateIntervalMs: number
}

export const detectionPresets: Record<'default' | 'fast' | 'wan', DetectionTimes> = {
  default: {
    initialRttMs: 5,
    minRtoMs: 2,
    maxRtoMs: 500,
    tries: 6,
    tryIntervalMs: 150,
    quietAckMs: 20,
    heartbeatFirstMs: 10,
    heartbeatIdleMs: 200,
    locateTries: 4,
    locateIntervalMs: 40,
  },
  fast: {
    initialRttMs: 2,
    minRtoMs: 1,
    maxRtoMs: 50,
    tries: 4,
    tryIntervalMs: 10,
    quietAckMs: 5,
    heartbeatFirstMs: 4,
    heartbeatIdleMs: 20,
    locateTries: 3,
    locateIntervalMs: 20,
  },
  wan: {
    initialRttMs: 200,
    minRtoMs: 20,
    maxRtoMs: 5_000,
    tries: 6,
    tryIntervalMs: 1_000,
    quietAckMs: 200,
    heartbeatFirstMs: 200,
    heartbeatIdleMs: 2_000,
    locateTries: 4,
    locateIntervalMs: 500,
  },
}

/** What strangers must not be able to guess. */
export interface Secrets {
  /** Of a group that this member creates; not 0. */
  readonly groupId: GroupId
  /** Under which it challenges joiners and askers. */
  readonly challengeKey: SipKey
}

export interface MemberOptions {
  /** Names this life of the member; drawn afresh for each machine. */
  readonly nonce: Nonce
  /** Seeds the machine's own dice, which decide about waits and nothing that is to be kept from anybody. */
  readonly seed: number
  /**
   * Drawn by the system's generator wherever strangers can send packets. Without it, in simulations, from the machine's own
   * dice: who knows one number of those can compute the others.
   */
  readonly secrets?: Secrets | undefined
  /** Where unicast packets reach this member's kernel. */
  readonly address: Address
  readonly name: string
  readonly role: RoleName
  /** What shows this member's right, and judges others'. Without it everybody has every right. */
  readonly credentials?: Credentials | undefined
  /** For the program of who admits; at most parameterLimits.tokenBytes. */
  readonly token?: Uint8Array | undefined
  /** The program decides about joiners while this member is the sequencer (`authorize` of the port). */
  readonly asksProgram?: boolean
  /** Whether a broadcast is one multicast, or one unicast for each member's address. */
  readonly transport: 'multicast' | 'unicast'
  /** Possible members to ask for the port, beside or instead of multicast. */
  readonly peers: readonly Address[]
  /** Bytes of the largest packet to send, 512 to 65,507. */
  readonly packetSize: number
  /** Bytes that the own socket can buffer, as read back from it. */
  readonly window: number
  /** Who broadcasts a message: the sequencer (method 1), the sender (method 2), or by size; 'auto' if not given. */
  readonly method?: 'auto' | 'pb' | 'bb'
  /** Bytes of a block from which on 'auto' takes method 2. */
  readonly methodThreshold?: number
  /** Bytes of own requests that may be on their way. */
  readonly sendWindow: number
  readonly detection: DetectionTimes
  /** Ids of the group keys that the process holds, the newest first; none where packets are not sealed. */
  readonly keys?: readonly number[]
  /** For tests of two builds in one process: versions of the wire format, instead of this build's. */
  readonly versions?: Versions
  /** For tests that begin near the edges of numbers: where a group that this member creates starts. */
  readonly start?: {
    readonly seq?: Seq
    readonly memberId?: MemberId
    readonly incarnation?: number
    readonly request?: RequestNumber
  }
}

/** As what this process wants to be let in: without keys everybody has every right. */
export function rightOf({ credentials }: MemberOptions): Right {
  return credentials?.right ?? Right.all
}

/** The request number before the member's first. */
export function lastRequestOf({ start }: MemberOptions): RequestNumber {
  return (start?.request ?? 1) - 1
}

/** The detection times as the machine counts them, in microseconds. */
export function timesOf(detection: DetectionTimes) {
  return {
    initialRtt: detection.initialRttMs * 1000,
    minRto: detection.minRtoMs * 1000,
    maxRto: detection.maxRtoMs * 1000,
    tryInterval: detection.tryIntervalMs * 1000,
    quietAck: detection.quietAckMs * 1000,
    heartbeatFirst: detection.heartbeatFirstMs * 1000,
    heartbeatIdle: detection.heartbeatIdleMs * 1000,
  }
}
