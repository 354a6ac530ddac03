/**
 * From the first question for the port to the moment at which this process enters the group: CreateGroup,
 * JoinGroup, and "join or create" (paper, section 3; design 4.4 and 4.8).
 *
 *   locating --found--> joining --answer--> entered
 *      |    <--lost---
 *      +--nobody there--> creates, or fails
 */
import { decodeJoinAnswer, type JoinAnswer } from '../../kernel/answers.ts'
import type { Counters } from '../../kernel/counters.ts'
import { ErrorCode } from '../../kernel/errors.ts'
import { type Address, type Nonce, Right } from '../../kernel/identity.ts'
import {
  commonVersion,
  decodeHereIs,
  decodeJoinRefused,
  HERE_IS_FLAG_STANDS_STILL,
  type Locate,
  type Versions,
  versionsText,
} from '../../kernel/meeting-packets.ts'
import type { Outbox } from '../../kernel/outbox.ts'
import { type PacketHeader, PacketKind, type RejectReason } from '../../kernel/packet.ts'
import { readStreamFragment, StreamPurpose } from '../../kernel/packets.ts'
import type { Call } from '../../kernel/port.ts'
import type { RoundTrips } from '../../kernel/rtt.ts'
import { keyText } from '../../kernel/settings.ts'
import type { Streams } from '../../kernel/streams.ts'
import type { Timers } from '../../kernel/timers.ts'
import { BUSY_PATIENCE, Joiner } from './joiner.ts'
import { Locator } from './locator.ts'
import { lastRequestOf, type MemberOptions, rightOf } from './options.ts'

export type OpenCall = Extract<Call, { call: 'open' }>

/** How often a joiner whose sequencer got lost looks for the group again. */
const LOCATE_ROUNDS = 4
const STANDS_STILL = 'it is being rebuilt, or waits for members that do not answer'

export interface OpeningHost {
  peers(): readonly Address[]
  /** Nobody is there, and the call wants the group to exist. */
  create(): void
  /** The sequencer's answer is here: this process is a member from now on. */
  enter(answer: JoinAnswer): void
  /** The call has failed; a program that has given up is not told. */
  failed(code: ErrorCode | undefined, message: string): void
}

export interface OpeningParts {
  readonly outbox: Outbox
  readonly timers: Timers
  readonly counters: Counters
  readonly streams: Streams
  readonly roundTrips: RoundTrips
}

export class Opening {
  readonly call: OpenCall
  /** The program has given up, but the group may have taken it for a wish: join, and leave at once. */
  isAbandoned = false
  private rounds = 0
  /** Of somebody who has the port and speaks none of this process's versions. */
  private incompatible: Versions | undefined
  /** The group that was found last stood still. */
  private standsStill = false
  private locator: Locator | undefined
  private joiner: Joiner | undefined
  private readonly parts: OpeningParts
  private readonly options: MemberOptions
  private readonly host: OpeningHost

  constructor(call: OpenCall, parts: OpeningParts, options: MemberOptions, host: OpeningHost) {
    this.call = call
    this.parts = parts
    this.options = options
    this.host = host
  }

  begin(): void {
    if (this.call.how === 'create' && !this.mayCreate) this.refuseCreation()
    else this.locate()
  }

  /** Who may not number cannot be the first member. */
  private get mayCreate(): boolean {
    return rightOf(this.options) === Right.all
  }

  /** The port as people are told of it. */
  private get portName(): string {
    return JSON.stringify(this.call.port)
  }

  private refuseCreation(): void {
    const asked = this.call.how === 'create' ? '' : `no group answered for port ${this.portName}, and `
    this.fail(
      ErrorCode.notAuthorized,
      `${asked}this process may not create ${this.portName}: its token does not give every right; let a process with the group key create it, and join then`,
    )
  }

  get phase(): 'locating' | 'joining' {
    return this.joiner === undefined ? 'locating' : 'joining'
  }

  /** After a loss not at once: the group may be between two sequencers. */
  private locate(when: 'at once' | 'after a while' = 'at once'): void {
    this.joiner?.stop()
    this.joiner = undefined
    const { outbox, timers, counters } = this.parts
    const { nonce, detection, transport } = this.options
    // who may not create is no candidate: others must not wait for it, nor count on it
    const how = this.mayCreate ? this.call.how : 'join'
    this.locator = new Locator(
      { ...this.call, how },
      {
        outbox,
        timers,
        counters,
        host: {
          notFound: () => this.onNotFound(),
          outrun: () => this.onOutrun(),
          peers: () => this.host.peers(),
        },
      },
      {
        nonce,
        tries: detection.locateTries,
        interval: detection.locateIntervalMs * 1000,
        useMulticast: transport === 'multicast',
      },
    )
    if (when === 'at once') this.locator.start()
    else this.locator.startLater()
  }

  /** The program gives up. Who has not asked to join yet is simply gone. */
  abandon(): void {
    this.isAbandoned = true
    if (this.phase === 'locating' && this.rounds === 0) {
      this.fail(undefined, 'cancelled before it had asked to join')
    }
  }

  onTimer(name: 'locate' | 'join'): void {
    if (name === 'locate') this.locator?.onTimer()
    else this.joiner?.onTimer()
  }

  /** Somebody else asks for this port, in a packet of so many bytes. */
  onLocate(from: Address, header: PacketHeader, locate: Locate, bytes: number): void {
    if (locate.port === this.call.port) this.locator?.onRival(from, header, locate, bytes)
  }

  /** The port is taken, by a group that this process cannot talk to; whoever can may still answer. */
  onIncompatible(versions: Versions): void {
    const { outbox } = this.parts
    const version = commonVersion(outbox.versions, versions)
    // asked in a version that it does not read: the next question is in one that both do
    if (version === undefined) this.incompatible = versions
    else if (this.joiner === undefined) outbox.ownSettings = { ...outbox.ownSettings, version }
  }

  private failIncompatible(theirs: Versions): void {
    this.fail(
      ErrorCode.incompatible,
      `the group on port ${this.portName} speaks ${versionsText(theirs)} of the wire format, and this process ${versionsText(this.parts.outbox.versions)}; upgrade the older of the two`,
    )
  }

  private failKey(keyId: number): void {
    const held = this.parts.outbox.keys.map(keyText).join(', ')
    this.fail(
      ErrorCode.notAuthorized,
      `the group on port ${this.portName} seals with the key ${keyText(keyId)}, which this process does not hold (it holds ${held || 'none'}); put that key into its key file (--key-file), as the members of the group have it`,
    )
  }

  onPacket(from: Address, header: PacketHeader, packet: Uint8Array): void {
    const { joiner } = this
    if (joiner === undefined) {
      if (header.kind === PacketKind.hereIs) this.onHereIs(header, packet)
      else this.reject('phase')
    } else if (header.groupId !== joiner.found.groupId) {
      this.reject('group')
    } else if (header.kind === PacketKind.expelled) {
      this.fail(
        ErrorCode.memberFailed,
        'the group had let this process in, and has gone on without it; join again',
      )
    } else if (header.kind === PacketKind.joinRefused) {
      const refusal = decodeJoinRefused(packet)
      if (refusal === undefined) this.reject('malformed')
      else joiner.onRefused(header, refusal)
    } else if (header.kind === PacketKind.hereIs) {
      this.onRedirect(header, packet)
    } else if (header.kind === PacketKind.streamData) {
      this.onStreamData(from, header, packet)
    } else {
      this.reject('phase')
    }
  }

  /** The one that was asked to let us in lives no more. */
  onGone(nonce: Nonce): void {
    if (this.joiner?.sequencerNonce === nonce) this.onLost()
  }

  /** The call has failed: nothing is asked any more. */
  private fail(code: ErrorCode | undefined, message: string): void {
    this.locator?.stop()
    this.joiner?.stop()
    this.host.failed(code, message)
  }

  private reject(reason: RejectReason): void {
    this.parts.counters.rejected[reason]++
  }

  private onNotFound(): void {
    if (this.isAbandoned) {
      this.fail(undefined, 'given up before it had joined')
    } else if (this.incompatible !== undefined) {
      this.failIncompatible(this.incompatible)
    } else if (this.call.how === 'join') {
      this.fail(
        ErrorCode.notFound,
        `no group answered for port ${this.portName}; check the port's name, the interface, the peers and the group key, or create it`,
      )
    } else if (this.mayCreate) {
      this.host.create()
    } else {
      this.refuseCreation()
    }
  }

  private onOutrun(): void {
    this.fail(
      ErrorCode.exists,
      `somebody else is creating port ${this.portName} at this moment; join it, or choose another port`,
    )
  }

  private onHereIs(header: PacketHeader, packet: Uint8Array): void {
    const hereIs = decodeHereIs(packet)
    if (hereIs === undefined || hereIs.port !== this.call.port) {
      this.reject('malformed')
      return
    }
    if (this.locator !== undefined) this.parts.roundTrips.sample(this.locator.sinceFirst)
    this.locator?.stop()
    this.locator = undefined
    this.standsStill = (header.flags & HERE_IS_FLAG_STANDS_STILL) !== 0
    if (this.call.how === 'create') {
      const { members } = hereIs
      const state = this.standsStill
        ? `has port ${this.portName}, and stands still: ${STANDS_STILL}`
        : `is alive on port ${this.portName}`
      const advice = this.standsStill ? 'join it when it goes on' : 'join it'
      this.fail(ErrorCode.exists, `a group of ${members} ${state}; ${advice}, or choose another port`)
      return
    }
    const { groupId, incarnation, coordinator } = header
    this.join({ groupId, incarnation, coordinator, hereIs })
  }

  /** The one that was asked is not the sequencer any more, and says who is. */
  private onRedirect(header: PacketHeader, packet: Uint8Array): void {
    const hereIs = decodeHereIs(packet)
    const { joiner } = this
    if (hereIs === undefined || joiner === undefined || hereIs.port !== this.call.port) return
    if (header.senderNonce !== joiner.sequencerNonce || hereIs.sequencerNonce === joiner.sequencerNonce)
      return
    const { groupId, incarnation, coordinator } = header
    this.join({ groupId, incarnation, coordinator, hereIs })
  }

  private join(found: Joiner['found']): void {
    const { outbox, timers } = this.parts
    const { name, address, role, detection, nonce, credentials, token } = this.options
    this.joiner?.stop()
    this.joiner = new Joiner(
      { port: this.call.port, header: this.call.header, found },
      {
        outbox,
        timers,
        roundTrips: this.parts.roundTrips,
        host: {
          lost: () => this.onLost(),
          incompatible: (version) => this.failIncompatible({ lowest: version, highest: version }),
          lacksKey: (keyId) => this.failKey(keyId),
          notAuthorized: () =>
            this.fail(
              ErrorCode.notAuthorized,
              'the group does not let this process in; check that its key or token is one that the group was made with, and that the authorize function of the group wants it (it sees the option token, of a shell --join-token-file)',
            ),
          busy: () =>
            this.fail(
              ErrorCode.busy,
              `the group is alive, and has been too busy to let this process in for ${BUSY_PATIENCE / 1e6} s: too many join at once, or its authorize function has too many to decide about; try again in a while`,
            ),
          full: (maxMembers) =>
            this.fail(
              ErrorCode.full,
              `the group has its ${maxMembers} members already; let one leave, or create it with a larger maxMembers`,
            ),
        },
      },
      {
        name,
        address,
        role,
        lastRequest: lastRequestOf(this.options),
        tries: detection.tries,
        nonce,
        credentials,
        token,
      },
    )
    this.joiner.start()
  }

  private onLost(): void {
    if (++this.rounds < LOCATE_ROUNDS) return this.locate('after a while')
    const why = this.standsStill ? `it stands still: ${STANDS_STILL}` : 'its sequencer does not answer'
    const when = this.standsStill ? ' when it goes on' : ''
    this.fail(ErrorCode.notFound, `the group was found, but ${why}; try again${when}`)
  }

  private onStreamData(from: Address, header: PacketHeader, packet: Uint8Array): void {
    const fragment = readStreamFragment(packet)
    if (fragment === undefined || header.senderNonce !== this.joiner?.sequencerNonce) {
      this.reject('malformed')
      return
    }
    const bytes = this.parts.streams.onFragment(from, header.senderNonce, fragment)
    if (bytes === undefined || fragment.purpose !== StreamPurpose.joinAnswer) return
    const answer = decodeJoinAnswer(bytes)
    if (answer === undefined) {
      this.reject('malformed')
      return
    }
    this.joiner?.stop()
    this.host.enter(answer)
  }
}
