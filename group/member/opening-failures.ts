/** Why a call that opens a group has failed, in words that say what to do. */
import { ErrorCode, type OpenFailure } from '../../kernel/errors.ts'
import type { Address, Micros } from '../../kernel/identity.ts'
import { type Versions, versionsText } from '../../kernel/meeting-packets.ts'
import { keyText } from '../../kernel/settings.ts'
import type { WaitingWord } from './knocking.ts'

export type Failure = readonly [code: ErrorCode, message: string, openFailure?: OpenFailure]

const STANDS_STILL = 'it is being rebuilt, or waits for members that do not answer'

export const notLetIn: Failure = [
  ErrorCode.notAuthorized,
  'the group does not let this process in; check that its key or token is one that the group was made with, and that the authorize function of the group wants it (it sees the option token, of a shell --join-token-file)',
]

export const wentOnWithoutIt: Failure = [
  ErrorCode.memberFailed,
  'the group had let this process in, and has gone on without it; join again',
]

export function fullOf(maxMembers: number): Failure {
  return [
    ErrorCode.full,
    `the group has its ${maxMembers} members already; let one leave, or create it with a larger maxMembers`,
  ]
}

/** The failures of a call for this port. */
export class Failures {
  /** The port as people are told of it. */
  private readonly port: string

  constructor(port: string) {
    this.port = JSON.stringify(port)
  }

  /** `hasAsked`: others were looked for first. */
  mayNotCreate(hasAsked: boolean): Failure {
    const asked = hasAsked ? `no group answered for port ${this.port}, and ` : ''
    return [
      ErrorCode.notAuthorized,
      `${asked}this process may not create ${this.port}: its token does not give every right; let a process with the group key create it, and join then`,
    ]
  }

  exists(members: number, standsStill: boolean): Failure {
    const state = standsStill
      ? `has port ${this.port}, and stands still: ${STANDS_STILL}`
      : `is alive on port ${this.port}`
    const advice = standsStill ? 'join it when it goes on' : 'join it'
    return [ErrorCode.exists, `a group of ${members} ${state}; ${advice}, or choose another port`]
  }

  outrun(): Failure {
    return [
      ErrorCode.exists,
      `somebody else is creating port ${this.port} at this moment; join it, or choose another port`,
    ]
  }

  incompatible(theirs: Versions, own: Versions): Failure {
    return [
      ErrorCode.incompatible,
      `the group on port ${this.port} speaks ${versionsText(theirs)} of the wire format, and this process ${versionsText(own)}; upgrade the older of the two`,
    ]
  }

  missingKey(keyId: number, held: readonly number[]): Failure {
    return [
      ErrorCode.notAuthorized,
      `the group on port ${this.port} seals with the key ${keyText(keyId)}, which this process does not hold (it holds ${held.map(keyText).join(', ') || 'none'}); put that key into its key file (--key-file), as the members of the group have it`,
      'missingKey',
    ]
  }

  /** `sequencer` is where a group is said to have its own; undefined if nobody has said anything. */
  notFound(sequencer: Address | undefined, standsStill: boolean): Failure {
    if (sequencer === undefined)
      return [
        ErrorCode.notFound,
        `no group answered for port ${this.port}; check the port's name, the interface, the peers and the group key, or create it`,
      ]
    const why = standsStill
      ? `a group answers on port ${this.port}, and lets nobody in at present, because it stands still: ${STANDS_STILL}; try again when it goes on`
      : `a group was heard of on port ${this.port}, and its sequencer, at ${sequencer}, does not answer; try again in a moment, when the others may have another one, and if that does not help, see to it that packets from here get there`
    return [ErrorCode.memberFailed, why, 'standstill']
  }

  /** The sequencer answers, and only that this process has to wait; it has, for so long. */
  keptWaiting(word: WaitingWord, patience: Micros): Failure {
    const seconds = `${patience / 1e6} s`
    if (word === 'heldUp')
      return [
        ErrorCode.memberFailed,
        `the group on port ${this.port} answers, and lets nobody in at present: for ${seconds} the join has waited for members that do not answer; try again when they do, or when the group has been reset (resetGroup)`,
        'standstill',
      ]
    const why =
      word === 'busy'
        ? `has been too busy to let this process in for ${seconds}: too many join at once, or its authorize function has too many to decide about`
        : `has not decided for ${seconds} whether to let this process in: its authorize function answers nothing`
    return [ErrorCode.busy, `the group is alive, and ${why}; try again in a while`]
  }
}
