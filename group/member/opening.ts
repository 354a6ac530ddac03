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
import type { ErrorCode, OpenFailure } from '../../kernel/errors.ts'
import { type Address, type Nonce, Right } from '../../kernel/identity.ts'
import {
  commonVersion,
  decodeHereIs,
  decodeJoinRefused,
  HERE_IS_FLAG_STANDS_STILL,
  type Locate,
  type Versions,
} from '../../kernel/meeting-packets.ts'
import type { Outbox } from '../../kernel/outbox.ts'
import { type PacketHeader, PacketKind, type RejectReason } from '../../kernel/packet.ts'
import { readStreamFragment, StreamPurpose } from '../../kernel/packets.ts'
import type { Call } from '../../kernel/port.ts'
import type { RoundTrips } from '../../kernel/rtt.ts'
import type { Streams } from '../../kernel/streams.ts'
import type { Timers } from '../../kernel/timers.ts'
import { Joiner } from './joiner.ts'
import { Knocking } from './knocking.ts'
import { Locator } from './locator.ts'
import { type Failure, Failures, fullOf, notLetIn, wentOnWithoutIt } from './opening-failures.ts'
import { lastRequestOf, type MemberOptions, rightOf } from './options.ts'

export type OpenCall = Extract<Call, { call: 'open' }>

/** How often a joiner whose sequencer got lost looks for the group again. */
const LOCATE_ROUNDS = 4

export interface OpeningHost {
  peers(): readonly Address[]
  /** Nobody is there, and the call wants the group to exist. */
  create(): void
  /** The sequencer's answer is here: this process is a member from now on. */
  enter(answer: JoinAnswer): void
  /** The call has failed; a program that has given up is not told. */
  failed(code: ErrorCode | undefined, message: string, openFailure?: OpenFailure): void
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
  /** Where the sequencer of that one is. */
  private heardOf: Address | undefined
  private locator: Locator | undefined
  private joiner: Joiner | undefined
  private readonly knocking: Knocking
  private readonly failures: Failures
  private readonly parts: OpeningParts
  private readonly options: MemberOptions
  private readonly host: OpeningHost

  constructor(call: OpenCall, parts: OpeningParts, options: MemberOptions, host: OpeningHost) {
    this.call = call
    this.parts = parts
    this.options = options
    this.host = host
    const { tries, maxRtoMs } = options.detection
    this.knocking = new Knocking({ tries: tries + 1, patience: tries * maxRtoMs * 1000 }, parts.counters)
    this.failures = new Failures(call.port)
  }

  begin(): void {
    if (this.call.how === 'create' && !this.mayCreate) this.refuseCreation()
    else this.locate()
  }

  /** Who may not number cannot be the first member. */
  private get mayCreate(): boolean {
    return rightOf(this.options) === Right.all
  }

  private refuseCreation(): void {
    this.fail(this.failures.mayNotCreate(this.call.how !== 'create'))
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
      this.giveUp('cancelled before it had asked to join')
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
    this.fail(this.failures.incompatible(theirs, this.parts.outbox.versions))
  }

  private failNotFound(): void {
    this.fail(this.failures.notFound(this.heardOf, this.standsStill))
  }

  onPacket(from: Address, header: PacketHeader, packet: Uint8Array): void {
    const { joiner } = this
    if (joiner === undefined) {
      if (header.kind === PacketKind.hereIs) this.onHereIs(from, header, packet)
      else this.reject('phase')
    } else if (header.groupId !== joiner.found.groupId) {
      this.reject('group')
    } else if (header.kind === PacketKind.expelled) {
      this.fail(wentOnWithoutIt)
    } else if (header.kind === PacketKind.joinRefused) {
      const refusal = decodeJoinRefused(packet)
      if (refusal === undefined) this.reject('malformed')
      else joiner.onRefused(from, header, refusal)
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
    if (this.joiner?.sequencerNonce !== nonce) return
    // where nobody else answers there is no group any more
    this.heardOf = undefined
    this.onLost()
  }

  /** The call has failed: nothing is asked any more. */
  private fail([code, message, openFailure]: Failure): void {
    this.stop()
    this.host.failed(code, message, openFailure)
  }

  /** The program has given up, and nobody waits to be told. */
  private giveUp(reason: string): void {
    this.stop()
    this.host.failed(undefined, reason)
  }

  private stop(): void {
    this.locator?.stop()
    this.joiner?.stop()
  }

  private reject(reason: RejectReason): void {
    this.parts.counters.rejected[reason]++
  }

  private onNotFound(): void {
    if (this.isAbandoned) {
      this.giveUp('given up before it had joined')
    } else if (this.incompatible !== undefined) {
      this.failIncompatible(this.incompatible)
    } else if (this.call.how === 'join') {
      this.failNotFound()
    } else if (this.mayCreate) {
      this.host.create()
    } else {
      this.refuseCreation()
    }
  }

  private onOutrun(): void {
    this.fail(this.failures.outrun())
  }

  private onHereIs(from: Address, header: PacketHeader, packet: Uint8Array): void {
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
      this.fail(this.failures.exists(members, this.standsStill))
      return
    }
    const { groupId, incarnation, coordinator } = header
    this.heardOf = hereIs.sequencerAddress
    this.join({ groupId, incarnation, coordinator, hereIs })
    this.knocking.answered(from)
  }

  /** The one that was asked is not the sequencer any more, and says who is. */
  private onRedirect(header: PacketHeader, packet: Uint8Array): void {
    const hereIs = decodeHereIs(packet)
    const { joiner } = this
    if (hereIs === undefined || joiner === undefined || hereIs.port !== this.call.port) return
    if (header.senderNonce !== joiner.sequencerNonce || hereIs.sequencerNonce === joiner.sequencerNonce)
      return
    if (!this.knocking.mayRedirect() || !this.knocking.mayFollow(this.parts.outbox.now)) return
    const { groupId, incarnation, coordinator } = header
    this.heardOf = hereIs.sequencerAddress
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
        knocking: this.knocking,
        host: {
          lost: () => this.onLost(),
          incompatible: (version) => this.failIncompatible({ lowest: version, highest: version }),
          lacksKey: (keyId) => this.fail(this.failures.missingKey(keyId, outbox.keys)),
          notAuthorized: () => this.fail(notLetIn),
          keptWaiting: (word) => this.fail(this.failures.keptWaiting(word, this.knocking.patienceWith(word))),
          full: (maxMembers) => this.fail(fullOf(maxMembers)),
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
    this.knocking.nextRound()
    if (++this.rounds < LOCATE_ROUNDS) this.locate('after a while')
    else this.failNotFound()
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
