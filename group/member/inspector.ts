/**
 * Asks about a port without becoming a member: locates it, and lets the sequencer tell view, seqs, history
 * and lags by a stream. A machine of its own, for `amoebacast info` and its like.
 */
import { decodeInspection } from '../../kernel/answers.ts'
import { assert } from '../../kernel/assert.ts'
import { Counters } from '../../kernel/counters.ts'
import { ErrorCode } from '../../kernel/errors.ts'
import type { Address, Micros, Nonce } from '../../kernel/identity.ts'
import type { Input, Machine, Sink } from '../../kernel/machine.ts'
import {
  commonVersion,
  decodeHereIs,
  decodeIncompatible,
  encodeInspect,
  encodeLocate,
  HERE_IS_FLAG_STANDS_STILL,
  type HereIs,
  LocatePurpose,
  type Versions,
  versionsText,
} from '../../kernel/meeting-packets.ts'
import { Outbox } from '../../kernel/outbox.ts'
import { type PacketHeader, PacketKind, readHeader, readRoute } from '../../kernel/packet.ts'
import { readStreamFragment, StreamPurpose } from '../../kernel/packets.ts'
import type { Token } from '../../kernel/port.ts'
import { RoundTrips } from '../../kernel/rtt.ts'
import { keyText } from '../../kernel/settings.ts'
import { Streams } from '../../kernel/streams.ts'
import { Timers } from '../../kernel/timers.ts'
import { Knocking } from './knocking.ts'
import { type MemberOptions, timesOf } from './options.ts'

/** Whom to ask about the group. */
interface Target {
  readonly address: Address
  readonly nonce: Nonce
  readonly challenge: bigint
  readonly answeredFrom: Address
  readonly standsStill: boolean
}

export class Inspector implements Machine {
  readonly counters = new Counters()
  private readonly options: MemberOptions
  private readonly timers = new Timers()
  private readonly outbox: Outbox
  private readonly streams: Streams
  private readonly roundTrips: RoundTrips
  private asking: { token: Token; port: string } | undefined
  private target: Target | undefined
  private readonly knocking: Knocking
  private tries = 0
  private incompatible: Versions | undefined

  constructor(options: MemberOptions) {
    this.options = options
    const times = timesOf(options.detection)
    this.outbox = new Outbox(options, this.counters, () => undefined)
    const { tries, maxRtoMs } = options.detection
    this.knocking = new Knocking({ tries, patience: tries * maxRtoMs * 1000 }, this.counters)
    this.roundTrips = new RoundTrips(times.initialRtt, times.minRto, times.maxRto)
    this.streams = new Streams(this.outbox, this.timers, options.packetSize, this.roundTrips, () => {})
  }

  step(now: Micros, input: Input, sink: Sink): void {
    this.outbox.begin(now, sink)
    try {
      if (input.kind === 'packet') this.onPacket(input.from, input.bytes)
      else if (input.kind === 'tick') this.onTick()
      else if (input.kind === 'refused') return
      else if (input.call.call === 'inspect') {
        assert(this.asking === undefined, 'an inspector asks once')
        this.asking = { token: input.call.token, port: input.call.port }
        this.ask()
      } else if (input.call.call === 'keys') {
        this.outbox.setKeys(input.call.keys)
      } else if (input.call.call === 'cancel' && this.asking?.token === input.call.token) {
        this.fail(ErrorCode.aborted, 'the question was cancelled')
      }
    } finally {
      this.outbox.end()
    }
  }

  nextDeadline(): Micros | undefined {
    return this.timers.next()
  }

  private onTick(): void {
    for (
      let name = this.timers.takeExpired(this.outbox.now);
      name;
      name = this.timers.takeExpired(this.outbox.now)
    ) {
      if (name === 'locate') this.ask()
    }
  }

  private ask(): void {
    const { asking, target, outbox } = this
    if (asking === undefined) return
    const { locateTries, locateIntervalMs, tries } = this.options.detection
    if (this.tries >= (target === undefined ? locateTries : tries)) return this.giveUp(asking.port)
    this.tries++
    if (target === undefined) {
      const question = outbox.packetOf(
        PacketKind.locate,
        0,
        0n,
        encodeLocate({ port: asking.port, purpose: LocatePurpose.inspect, versions: outbox.versions }),
      )
      if (this.options.transport === 'multicast') outbox.multicast(question)
      for (const peer of this.options.peers) outbox.unicast(peer, question)
      this.timers.set('locate', outbox.now + locateIntervalMs * 1000)
    } else {
      const body = encodeInspect(asking.port, target.challenge)
      const to = this.knocking.where(target.address, target.answeredFrom)
      if (to !== undefined) outbox.unicast(to, outbox.packetOf(PacketKind.inspect, 0, target.nonce, body))
      this.timers.set('locate', outbox.now + this.roundTrips.timeout(this.tries))
    }
  }

  /** So many questions without an answer. */
  private giveUp(portName: string): void {
    const { incompatible, target, outbox } = this
    const port = JSON.stringify(portName)
    if (incompatible !== undefined) {
      const versions = `${versionsText(incompatible)} of the wire format, and this process ${versionsText(outbox.versions)}`
      this.fail(
        ErrorCode.incompatible,
        `the group on port ${port} speaks ${versions}; use a matching release`,
      )
    } else if (target === undefined) {
      const advice = "check the port's name, the interface, the peers and the group key"
      this.fail(ErrorCode.notFound, `no group answered for port ${port}; ${advice}`)
    } else {
      const why = target.standsStill
        ? 'it stands still: too few of its members answer, or it waits for a reset'
        : 'its members may be about to rebuild it: ask again'
      const silent = `its sequencer, at ${target.address}, does not answer`
      this.fail(ErrorCode.memberFailed, `there is a group on port ${port}, and ${silent}; ${why}`)
    }
  }

  private fail(code: ErrorCode, message: string): void {
    if (this.asking === undefined) return
    this.outbox.output({ output: 'failed', token: this.asking.token, code, message })
    this.finish()
  }

  private finish(): void {
    this.asking = undefined
    this.timers.clear()
  }

  private onPacket(from: Address, packet: Uint8Array): void {
    const versions = decodeIncompatible(packet)
    if (versions !== undefined) {
      if (readRoute(packet).destination !== this.options.nonce) return
      const version = commonVersion(this.outbox.versions, versions)
      if (version === undefined) this.incompatible = versions
      else if (this.target === undefined) this.outbox.ownSettings = { ...this.outbox.ownSettings, version }
      return
    }
    const { lowest, highest } = this.outbox.versions
    const header = readHeader(packet, lowest, highest)
    if (typeof header === 'string') {
      this.counters.rejected[header]++
      return
    }
    this.counters.packet('in', header.kind, packet.length)
    if (this.asking === undefined || header.destination !== this.options.nonce) return
    if (header.kind === PacketKind.hereIs) this.onHereIs(from, header, packet)
    else if (header.kind === PacketKind.streamData) this.onStreamData(from, header, packet)
  }

  private onHereIs(from: Address, header: PacketHeader, packet: Uint8Array): void {
    const hereIs = decodeHereIs(packet)
    if (hereIs === undefined || hereIs.port !== this.asking?.port) return
    if (this.target !== undefined && !this.mayTurnTo(hereIs, this.target)) return
    const { version, keyId } = hereIs.agreed
    const lack = this.outbox.goBy(hereIs.agreed)
    if (lack === 'version') {
      this.incompatible = { lowest: version, highest: version }
      return
    }
    if (lack === 'key') {
      const port = JSON.stringify(hereIs.port)
      this.fail(
        ErrorCode.notAuthorized,
        `the group on port ${port} seals with the key ${keyText(keyId)}, which this process does not hold; put it into its key file (--key-file)`,
      )
      return
    }
    const { groupId, incarnation, coordinator } = header
    Object.assign(this.outbox.identity, { groupId, incarnation, coordinator })
    this.target = {
      address: hereIs.sequencerAddress,
      nonce: hereIs.sequencerNonce,
      challenge: hereIs.challenge,
      answeredFrom: from,
      standsStill: (header.flags & HERE_IS_FLAG_STANDS_STILL) !== 0,
    }
    this.tries = 0
    this.ask()
    this.knocking.answered(from)
  }

  /** Whether to begin anew with another answer: a challenge to repeat is one, and where somebody says that the sequencer is. */
  private mayTurnTo(
    { challenge, sequencerNonce }: HereIs,
    target: { readonly nonce: Nonce; readonly challenge: bigint },
  ): boolean {
    const isKnown = sequencerNonce === target.nonce && challenge === 0n
    if (isKnown || challenge === target.challenge) return false
    return this.knocking.mayRedirect() && this.knocking.mayFollow(this.outbox.now)
  }

  private onStreamData(from: Address, header: PacketHeader, packet: Uint8Array): void {
    const fragment = readStreamFragment(packet)
    if (fragment === undefined || fragment.purpose !== StreamPurpose.inspection) return
    if (header.senderNonce !== this.target?.nonce) return
    const bytes = this.streams.onFragment(from, header.senderNonce, fragment)
    const inspection = bytes && decodeInspection(bytes)
    if (inspection === undefined || this.asking === undefined) return
    this.outbox.output({ output: 'inspected', token: this.asking.token, inspection })
    this.finish()
  }
}
